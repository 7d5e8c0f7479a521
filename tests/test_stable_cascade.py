"""Stable Cascade: its stages against diffusers' pipelines, and how images become latents."""

import shutil

import numpy as np
import pytest
import torch
from diffusers import (
    DDPMWuerstchenScheduler,
    StableCascadeDecoderPipeline,
    StableCascadePriorPipeline,
    StableCascadeUNet,
)
from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel
from fake_hub import hub_of
from PIL import Image
from test_kandinsky import far, images
from tiny_stable_cascade import tiny_stable_cascade
from torchvision.transforms.functional import normalize, to_tensor
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from explorer import sampler
from explorer.errors import WeightsMissing
from explorer.models import load
from explorer.models.shared import compressor, wuerstchen
from explorer.models.shared.checkpoint import load_part
from explorer.models.shared.hub import releases_of
from explorer.settings import Settings

STEPS = 4  # of which 1000 is a multiple, so that the times are those of diffusers
SEEDS = [3, 1, 4]
SIZE = (256, 128)
WORDS = {"prompt": "a red cat", "negative_prompt": "dog"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_stable_cascade(tmp_path_factory.mktemp("cascade"))


@pytest.fixture(scope="module")
def model(folder):
    return load("stable-cascade", source=folder, device="cpu")


@pytest.fixture(scope="module")
def points(model):
    return model.encoder.encode_images(images(3))


@pytest.fixture(scope="module")
def decoder(model):
    return model.decoder.with_options(**WORDS, image_size=SIZE)


def pipeline(kind, folder, **parts):
    words = folder / "prior"
    theirs = kind(
        tokenizer=CLIPTokenizer.from_pretrained(words / "tokenizer"),
        text_encoder=load_part(
            CLIPTextModelWithProjection, words / "text_encoder", "cpu", "float32"
        ),
        scheduler=DDPMWuerstchenScheduler.from_pretrained(words / "scheduler"),
        **parts,
    )
    theirs.set_progress_bar_config(disable=True)
    return theirs


@pytest.fixture(scope="module")
def first(folder):
    network = load_part(StableCascadeUNet, folder / "prior/prior", "cpu", "float32")
    return pipeline(StableCascadePriorPipeline, folder, prior=network)


@pytest.fixture(scope="module")
def second(folder):
    network = load_part(StableCascadeUNet, folder / "decoder/decoder", "cpu", "float32")
    codec = load_part(PaellaVQModel, folder / "decoder/vqgan", "cpu", "float32")
    return pipeline(StableCascadeDecoderPipeline, folder, decoder=network, vqgan=codec)


def grids(decoder, points, **knobs):
    knobs = {"steps": STEPS, "solver": "own"} | knobs
    return sampler.last(decoder.trace(points, Settings(**knobs))).latents


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_the_first_stage_is_that_of_diffusers_pipeline(guidance, first, decoder, points):
    """Row by row, since theirs cannot take another point for each."""
    found = grids(decoder, points, seed=SEEDS, guidance=guidance)
    for row, seed in enumerate(SEEDS):
        expected = first(
            **WORDS,
            image_embeds=torch.tensor(points.vectors[row])[None, None],
            generator=[torch.Generator().manual_seed(seed)],
            guidance_scale=guidance,
            num_inference_steps=STEPS,
            width=SIZE[0],
            height=SIZE[1],
        ).image_embeddings
        assert expected.std() > 0.1
        assert far(found[row : row + 1], expected) <= 1e-5 * float(expected.abs().max())  # about 20


def test_the_second_stage_and_the_image_are_those_of_diffusers_pipeline(second, decoder, points):
    made = grids(decoder, points)
    given = {"prompt": WORDS["prompt"], "num_inference_steps": decoder.stage_b_steps}
    ours = decoder.to_image(made)
    for row in range(len(made)):
        grid, noise = made[row : row + 1], [torch.Generator().manual_seed(0)]
        with torch.inference_mode():
            pooled = decoder._read(WORDS["prompt"])["clip_text_pooled"]
            found = decoder.second_stage(grid, pooled)
        expected = second(grid, **given, generator=noise, output_type="latent").images
        assert far(found, expected) <= 1e-4
        (image,) = second(grid, **given, generator=[torch.Generator().manual_seed(0)]).images
        assert image.size == ours[row].size == SIZE
        assert np.abs(np.asarray(image, int) - np.asarray(ours[row], int)).max() <= 1


def test_all_solvers_see_the_noise_of_the_checkpoint(decoder):
    """At every one of 1000 times; its own steps begin at time 1, as in diffusers."""
    config = decoder.scheduler_config
    levels = sampler.schedule(config, Settings(steps=STEPS, solver="ddim")).alphas_cumprod
    times = torch.arange(1, 1001) / 1000
    signal = DDPMWuerstchenScheduler().add_noise(torch.ones(1000), torch.zeros(1000), times)
    assert (levels - signal**2).abs().max() <= 1e-6
    begins = {"own": [999, 749, 499, 249], "ddim": [750, 500, 250, 0]}
    for solver, timesteps in begins.items():
        found = sampler.schedule(config, Settings(steps=STEPS, solver=solver)).timesteps
        assert found.tolist() == timesteps


def test_an_image_becomes_a_grid_as_in_the_authors_training_code(folder, decoder):
    cells = decoder.latent_shape[:0:-1]
    (image,) = images(1, tuple(32 * n for n in cells))
    network = compressor.load(folder / "decoder/effnet_encoder.safetensors", 4).eval()
    pixels = normalize(to_tensor(image), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with torch.inference_mode():
        found = decoder.to_latent([image])
        expected = network(pixels[None])
    assert tuple(found.shape[1:]) == decoder.latent_shape == (4, 3, 6)
    assert far(found, expected) <= 1e-4
    assert found.std() > 0.1


def test_another_network_for_images_is_refused(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "decoder/effnet_encoder.safetensors").write_bytes(b"nothing")
    broken = load("stable-cascade", source=copy, device="cpu").decoder
    with pytest.raises(WeightsMissing, match="not the EfficientNet.*models get stable-cascade"):
        broken.to_latent(images(1))


@pytest.mark.parametrize("noise", [{"s": -1.0}, {"s": "x"}, {"scaler": [1]}])
def test_a_scheduler_without_a_noise_schedule_is_refused(noise):
    with pytest.raises(WeightsMissing, match="no noise schedule.*models get stable-cascade"):
        wuerstchen.discrete(noise)


def test_sides_are_rounded_up_to_cells(model):
    assert model.decoder.image_size == (1024, 1024)
    assert model.decoder.latent_shape[1:] == (24, 24)
    assert model.decoder.with_options(image_size=(900, 500)).image_size == (936, 512)


def test_words_and_negative_words_matter(model, points):
    plain = model.decoder.with_options(image_size=SIZE)
    for name, words in WORDS.items():
        changed = plain.with_options(**{name: words})
        assert far(grids(changed, points), grids(plain, points)) > 1e-4


def test_points_and_words_are_turned_into_the_networks_precision(folder, points):
    decoder = load("stable-cascade", source=folder, device="cpu").decoder
    decoder.dtype = "bfloat16"
    changed = decoder.with_options(**WORDS, image_size=SIZE)
    (frame,) = changed.decode(points[0], Settings(steps=2))
    assert isinstance(frame, Image.Image)


def test_no_commercial_use_is_said_before_the_download(tmp_path, capsys):
    (release, _) = releases_of("stable-cascade")
    weights = "image_encoder/model.safetensors"
    with hub_of({weights: bytes(100)}, tmp_path):
        release.fetch("stable-cascade")
    told = capsys.readouterr().err
    assert told.index("Non-Commercial Research") < told.index("%")

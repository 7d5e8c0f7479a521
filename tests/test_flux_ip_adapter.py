"""XLabs' IP-Adapter on FLUX: against diffusers' pipeline, and by its laws."""

import shutil

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
)
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from safetensors.torch import load_file, save_file
from test_kandinsky import far, images
from tiny_clip import LENGTH
from tiny_flux_ip_adapter import CHANNELS, tiny_flux_ip_adapter, write_adapter
from transformers import (
    CLIPImageProcessor,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
    T5EncoderModel,
    T5Tokenizer,
)

from explorer import sampler
from explorer.errors import QueryError, WeightsMissing
from explorer.models import load
from explorer.models.flux_ip_adapter import ADAPTER
from explorer.models.shared import flow
from explorer.models.shared.checkpoint import load_part
from explorer.noise import Noise
from explorer.settings import Settings

STEPS = 5  # of which 1000 is a multiple, so that the times are those of diffusers
SIZE = (32, 16)
WORDS = {"prompt": "a red cat", "negative_prompt": "dog"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_flux_ip_adapter(tmp_path_factory.mktemp("flux"))


@pytest.fixture(scope="module")
def model(folder):
    return load("flux-ip-adapter", source=folder, device="cpu")


@pytest.fixture(scope="module")
def points(model):
    return model.encoder.encode_images(images(3))


@pytest.fixture(scope="module")
def decoder(model):
    return model.decoder.with_options(**WORDS, scale=0.7, image_size=SIZE)


@pytest.fixture(scope="module")
def pipeline(folder):
    base, towers = folder / "base", folder / "towers"
    kinds = {
        "text_encoder": CLIPTextModel,
        "text_encoder_2": T5EncoderModel,
        "transformer": FluxTransformer2DModel,
        "vae": AutoencoderKL,
    }
    parts = {name: load_part(kind, base / name, "cpu", "float32") for name, kind in kinds.items()}
    tower = load_part(CLIPVisionModelWithProjection, towers / "image_encoder", "cpu", "float32")
    pipeline = FluxPipeline(
        **parts,
        tokenizer=CLIPTokenizer.from_pretrained(base / "tokenizer"),
        tokenizer_2=T5Tokenizer.from_pretrained(base / "tokenizer_2"),
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(base / "scheduler"),
        image_encoder=tower,
        feature_extractor=CLIPImageProcessor.from_pretrained(towers / "image_processor"),
    )
    pipeline.load_ip_adapter(folder / "adapter", weight_name=ADAPTER, low_cpu_mem_usage=False)
    pipeline.set_ip_adapter_scale(0.7)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def theirs(pipeline, points, noise, guidance, **more):
    latents = torch.tensor(noise.latents)
    n, _, height, width = latents.shape
    return pipeline(
        prompt=[WORDS["prompt"]] * n,
        negative_prompt=[WORDS["negative_prompt"]] * n,
        ip_adapter_image_embeds=[torch.tensor(points.vectors)[:, None]],
        true_cfg_scale=guidance,
        num_inference_steps=STEPS,
        width=2 * width,
        height=2 * height,
        latents=FluxPipeline._pack_latents(latents, n, CHANNELS, height, width),
        max_sequence_length=LENGTH,
        **more,
    ).images


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_latents_are_those_of_diffusers_pipeline(guidance, pipeline, decoder, points):
    """With its adapter loaded by diffusers, and its own black image under guidance."""
    for row in range(3):
        noise = Noise.random([row], decoder.latent_shape)
        packed = theirs(pipeline, points[[row]], noise, guidance, output_type="latent")
        expected = FluxPipeline._unpack_latents(packed, SIZE[1], SIZE[0], 2)
        settings = Settings(guidance=guidance, solver="own", steps=STEPS)
        found = sampler.last(decoder.trace(points[[row]], settings, noise=noise)).latents
        assert far(found, expected) <= 1e-4
        assert expected.std() > 0.1


def test_pixels_are_those_of_diffusers_pipeline(pipeline, decoder, points):
    noise = Noise.random([3], decoder.latent_shape)
    expected = theirs(pipeline, points[:1], noise, 4.0, output_type="np")[0]
    (ours,) = decoder.decode(points[0], Settings(seed=3, solver="own", steps=STEPS, guidance=4.0))
    assert far(ours, 255 * expected) <= 0.51


@pytest.mark.parametrize("side", [512, 1024])
def test_times_are_shifted_as_diffusers_shifts_them(side, model, folder):
    """For images of the usual sizes, at every solver's timesteps."""
    usual = model.decoder.with_options(image_size=(side // 4, side // 4))
    assert usual.latent_shape[1] == side // 8  # a released cell has 8 pixels, a tiny one 2
    assert usual._image_tokens == (side // 16) ** 2
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "base" / "scheduler")
    times = np.linspace(1, 1 / STEPS, STEPS)
    scheduler.set_timesteps(sigmas=times, mu=calculate_shift((side // 16) ** 2))
    found = flow.share_of_noise(1000 * times - 1, usual._noise, (side // 16) ** 2)
    assert far(found, scheduler.sigmas[:-1]) <= 1e-6
    own = sampler.schedule(usual.scheduler_config, Settings(steps=STEPS, solver="own"))
    assert own.timesteps.tolist() == [999, 799, 599, 399, 199]


def test_an_image_goes_through_the_autoencoder_as_in_diffusers(pipeline, decoder):
    (image,) = images(1, SIZE)
    pixels = torch.tensor(np.asarray(image) / 127.5 - 1, dtype=torch.float32).permute(2, 0, 1)[None]
    vae = pipeline.vae
    with torch.inference_mode():
        found = decoder.to_latent([image])
        seen = vae.encode(pixels).latent_dist.mode()
    expected = (seen - vae.config.shift_factor) * vae.config.scaling_factor
    assert far(found, expected) <= 1e-4


def test_the_scale_says_how_much_the_point_counts(model, points):
    def apart(scale):
        scaled = model.decoder.with_options(scale=scale, image_size=SIZE)
        settings = Settings(steps=STEPS, guidance=1.0, seed=1)
        both = (sampler.last(scaled.trace(points[[i]], settings)).latents for i in range(2))
        return far(*both)

    assert apart(0.0) <= 1e-5 < apart(0.5) < apart(1.0)


def test_options_that_are_not_right_are_refused(decoder):
    with pytest.raises(QueryError, match="multiples of 4"):
        decoder.with_options(image_size=(30, 16))
    with pytest.raises(QueryError, match="finite number"):
        decoder.with_options(distilled_guidance="much")


def test_another_adapter_is_refused_or_told(folder, decoder, points, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    file = copy / "adapter" / ADAPTER
    tensors = load_file(file)
    save_file({k: 2 * v for k, v in tensors.items()}, file)
    changed = load("flux-ip-adapter", source=copy, device="cpu").decoder
    assert changed.fingerprint != decoder.fingerprint
    save_file({k: v for k, v in tensors.items() if "double_blocks.1" not in k}, file)
    fewer = load("flux-ip-adapter", source=copy, device="cpu").decoder
    with pytest.raises(WeightsMissing, match="not an adapter for the transformer"):
        next(fewer.with_options(image_size=SIZE).decode(points[0]))
    write_adapter(file, dimension=8)
    with pytest.raises(WeightsMissing, match="points of 8 dimensions.* gives 24"):
        load("flux-ip-adapter", source=copy, device="cpu")
    save_file({"image_proj.proj.weight": torch.zeros(4, 24)}, file)
    with pytest.raises(WeightsMissing, match="not XLabs' IP-Adapter.*models get flux-ip-adapter"):
        load("flux-ip-adapter", source=copy, device="cpu")


@pytest.mark.parametrize(
    "noise", [{"base_shift": "x"}, {"max_shift": 1e9}, {"max_image_seq_len": 256}]
)
def test_a_scheduler_without_a_shift_of_times_is_refused(noise):
    with pytest.raises(WeightsMissing, match="no shift of times.*models get flux-ip-adapter"):
        flow.discrete(noise, 4096)


def test_loading_says_nothing(folder, points, capfd):
    """Though its networks lie in several files, which diffusers shows a bar for."""
    decoder = load("flux-ip-adapter", source=folder, device="cpu").decoder
    next(decoder.with_options(image_size=SIZE).decode(points[0], Settings(steps=2)))
    assert capfd.readouterr() == ("", "")


def test_networks_run_in_bfloat16(folder, points):
    decoder = load("flux-ip-adapter", source=folder, device="cpu").decoder
    decoder.dtype = "bfloat16"
    changed = decoder.with_options(**WORDS, image_size=SIZE)
    (frame,) = changed.decode(points[0], Settings(steps=2))
    assert frame.size == SIZE

"""Stable Diffusion Image Variations: against diffusers' pipeline, and by its laws."""

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    PNDMScheduler,
    StableDiffusionImageVariationPipeline,
    UNet2DConditionModel,
)
from test_kandinsky import far, images
from tiny_karlo import tiny_karlo
from tiny_stable import tiny_sd_image_variations
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from explorer import sampler
from explorer.errors import QueryError, WeightsMissing
from explorer.models import load
from explorer.models.shared.checkpoint import load_part
from explorer.noise import Noise
from explorer.settings import Settings

STEPS = 5
SIZE = (32, 16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_sd_image_variations(tmp_path_factory.mktemp("variations"))


@pytest.fixture(scope="module")
def model(folder):
    return load("sd-image-variations", source=folder, device="cpu")


@pytest.fixture(scope="module")
def points(model):
    return model.encoder.encode_images(images(3))


@pytest.fixture(scope="module")
def pipeline(folder):
    kinds = {
        "image_encoder": CLIPVisionModelWithProjection,
        "unet": UNet2DConditionModel,
        "vae": AutoencoderKL,
    }
    parts = {name: load_part(kind, folder / name, "cpu", "float32") for name, kind in kinds.items()}
    pipeline = StableDiffusionImageVariationPipeline(
        **parts,
        scheduler=PNDMScheduler.from_pretrained(folder / "scheduler"),
        feature_extractor=CLIPImageProcessor.from_pretrained(folder / "feature_extractor"),
        safety_checker=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("guidance", [1.0, 7.5])
def test_images_are_those_of_diffusers_pipeline(guidance, pipeline, model, points):
    """From pixels to latents, each row with another image and another noise."""
    pixels = torch.tensor(np.stack([model.encoder.preprocess(image) for image in images(3)]))
    noise = Noise.random(range(3), (4, 8, 16))
    theirs = pipeline(
        pixels,
        num_inference_steps=STEPS,
        guidance_scale=guidance,
        width=SIZE[0],
        height=SIZE[1],
        latents=torch.tensor(noise.latents),
        output_type="latent",
    ).images
    ours = model.decoder.with_options(image_size=SIZE)
    settings = Settings(guidance=guidance, solver="own", steps=STEPS)
    assert far(sampler.last(ours.trace(points, settings, noise=noise)).latents, theirs) <= 1e-4
    assert theirs.std() > 0.1


def test_pixels_are_those_of_diffusers_pipeline(pipeline, model, points):
    theirs = pipeline(
        torch.tensor(model.encoder.preprocess(images(1)[0]))[None],
        num_inference_steps=STEPS,
        guidance_scale=7.5,
        latents=torch.tensor(Noise.random([3], model.decoder.latent_shape).latents),
        output_type="np",
    ).images[0]
    (ours,) = model.decoder.decode(points[0], Settings(seed=3, solver="own", steps=STEPS))
    assert far(ours, 255 * theirs) <= 0.51


def test_it_knows_no_words(model):
    for name in ("prompt", "negative_prompt"):
        with pytest.raises(QueryError, match="no option"):
            model.decoder.with_options(**{name: "a red cat"})


def test_one_point_is_read_by_every_decoder_for_vit_l(model, points, tmp_path):
    karlo = load("karlo", source=tiny_karlo(tmp_path / "karlo"), device="cpu")
    assert karlo.space == model.space
    assert next(karlo.decoder.decode(points[0], Settings(steps=2))).mode == "RGB"


def test_a_folder_that_lacks_a_part_says_which(tmp_path):
    (tmp_path / "unet").mkdir()
    with pytest.raises(WeightsMissing, match="no folder feature_extractor"):
        load("sd-image-variations", source=tmp_path, device="cpu")

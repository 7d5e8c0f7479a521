"""Stable unCLIP: against diffusers' pipeline, and by its laws."""

import shutil

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDPMScheduler,
    PNDMScheduler,
    StableUnCLIPImg2ImgPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer
from PIL import Image
from tiny_stable import tiny_stable_unclip, tiny_stable_unclip_small
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from explorer.errors import QueryError, SideMismatch, SpaceMismatch, WeightsMissing
from explorer.models import load
from explorer.models.shared.checkpoint import load_part
from explorer.noise import Noise
from explorer.points import Points, Space
from explorer.settings import Settings

TINY = {"stable-unclip": tiny_stable_unclip, "stable-unclip-small": tiny_stable_unclip_small}
STEPS = 5


@pytest.fixture(scope="module", params=TINY)
def folder(request, tmp_path_factory):
    return TINY[request.param](tmp_path_factory.mktemp("checkpoints") / request.param)


@pytest.fixture(scope="module")
def model(folder):
    return load(folder.name, source=folder, device="cpu")


@pytest.fixture(scope="module")
def points(model):
    return model.encoder.encode_images(images(3))


@pytest.fixture
def decoder(model):
    return model.decoder.with_options()


def images(n):
    rng = np.random.default_rng(0)
    small = [Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)) for _ in range(n)]
    return [image.resize((16, 16), Image.Resampling.BICUBIC) for image in small]


def latents(steps):
    *_, last = steps
    return last.latents


def far(a, b):
    return float(np.abs(np.asarray(a, float) - np.asarray(b, float)).max())


@pytest.fixture(scope="module")
def pipeline(folder):
    kinds = {
        "image_encoder": CLIPVisionModelWithProjection,
        "image_normalizer": StableUnCLIPImageNormalizer,
        "text_encoder": CLIPTextModel,
        "unet": UNet2DConditionModel,
        "vae": AutoencoderKL,
    }
    pipeline = StableUnCLIPImg2ImgPipeline(
        **{name: load_part(kind, folder / name, "cpu", "float32") for name, kind in kinds.items()},
        feature_extractor=None,
        image_noising_scheduler=DDPMScheduler.from_pretrained(folder / "image_noising_scheduler"),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        scheduler=PNDMScheduler.from_pretrained(folder / "scheduler"),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("guidance", [1.0, 10.0])
@pytest.mark.parametrize("words", ["", "a red cat"])
def test_images_are_those_of_diffusers_pipeline(n, guidance, words, pipeline, decoder, points):
    """Its first draw is the noise on the points; without a prompt it cannot take several."""
    level = 400 if words else 0
    noise = Noise.random(range(n), decoder.latent_shape)
    options = {"prompt": words, "negative_prompt": "dog", "noise_level": level}
    theirs = pipeline(
        image_embeds=torch.tensor(points[:n].vectors),
        prompt=[words] * n,
        negative_prompt=["dog"] * n,
        noise_level=level,
        num_inference_steps=STEPS,
        guidance_scale=guidance,
        latents=torch.tensor(noise.latents),
        generator=[torch.Generator().manual_seed(7) for _ in range(n)],
        output_type="latent",
    ).images
    ours = decoder.with_options(**options, noise_seed=7)
    steps = ours.trace(
        points[:n], Settings(guidance=guidance, solver="own", steps=STEPS), noise=noise
    )
    assert far(latents(steps), theirs) <= 1e-4
    assert theirs.std() > 0.1


def test_the_autoencoder_is_used_as_diffusers_uses_it(pipeline, decoder, points):
    theirs = pipeline(
        image_embeds=torch.tensor(points[:1].vectors),
        prompt=[""],
        num_inference_steps=STEPS,
        generator=[torch.Generator().manual_seed(0)],
        latents=torch.tensor(Noise.random([3], decoder.latent_shape).latents),
        output_type="np",
    ).images[0]
    (ours,) = decoder.decode(points[0], Settings(seed=3, solver="own", steps=STEPS))
    assert far(ours, 255 * theirs) <= 0.51
    pixels = pipeline.image_processor.preprocess(images(1))
    code = pipeline.vae.encode(pixels).latent_dist.mode() * pipeline.vae.config.scaling_factor
    assert far(decoder.to_latent(images(1)), code.detach()) <= 1e-5


def test_noise_hides_the_point_the_more_the_higher_its_level(decoder, points):
    dimension, apart = points.space.dimension, []
    for level in (0, 300, 600, 999):
        labels = decoder.with_options(noise_level=level).condition(points)[0]["labels"]
        noised, beside = labels[:, :dimension], labels[:, dimension:]
        assert (beside == beside[0]).all()
        apart.append(far(noised[0], noised[1]))
    assert far(apart[0], far(points.vectors[0], points.vectors[1])) <= 0.01 * apart[0]
    assert apart[0] > apart[1] > apart[2] > apart[3] and apart[3] < 0.01 * apart[0]


def test_another_noise_seed_gives_variety_where_the_level_is_high(decoder, points):
    def moved(level):
        noisy = [decoder.with_options(noise_level=level, noise_seed=seed) for seed in (0, 1)]
        return far(*(latents(some.trace(points[0], Settings(steps=STEPS))) for some in noisy))

    assert moved(600) > 10 * moved(0)
    with pytest.raises(QueryError, match="whole number"):
        decoder.with_options(noise_seed=-1)


def test_words_stand_beside_the_point_and_opposite_to_it(decoder, points):
    def paint(guidance=10.0, **options):
        steps = decoder.with_options(**options).trace(
            points, Settings(guidance=guidance, steps=STEPS)
        )
        return latents(steps)

    plain = paint()
    assert far(plain, paint(prompt="a red cat")) > 0.01
    assert far(plain, paint(negative_prompt="a red cat")) > 0.01
    assert far(paint(1.0), paint(1.0, negative_prompt="a red cat")) == 0


def test_images_may_have_another_size(decoder, points):
    wide = decoder.with_options(image_size=(32, 16))
    (image,) = wide.decode(points[0], Settings(steps=STEPS))
    assert image.size == (32, 16) and decoder.image_size == (16, 16)
    assert wide.invert([image], points[0], Settings(steps=STEPS)).latents.shape == (1, 4, 8, 16)
    with pytest.raises(QueryError, match="multiples of 2"):
        decoder.with_options(image_size=(17, 16))


def test_points_that_it_would_misread_are_refused(decoder, model, points):
    with pytest.raises(QueryError, match=r"as the encoder gives them.*with_vectors"):
        decoder.decode(points.with_vectors(points.unit))
    with pytest.raises(SideMismatch, match=r"prior\.sample"):
        decoder.decode(Points(points.vectors, points.space, "text"))
    other = Space(points.space.name, points.space.dimension, "0f")
    with pytest.raises(SpaceMismatch, match='load\\("stable-unclip'):
        decoder.decode(Points(points.vectors, other, "image"))


def test_lengths_are_known_where_the_checkpoint_has_statistics(folder, decoder):
    if folder.name == "stable-unclip":
        assert decoder.norms is None
        return
    normalizer = load_part(
        StableUnCLIPImageNormalizer, folder / "image_normalizer", "cpu", "float32"
    )
    drawn = normalizer.unscale(torch.randn(10_000, 24, generator=torch.Generator().manual_seed(0)))
    assert decoder.norms == pytest.approx(
        (float(drawn.norm(dim=1).mean()), float(drawn.norm(dim=1).std())), rel=0.05
    )


@pytest.mark.parametrize("gone", ["unet", "vae/config.json", "image_normalizer"])
def test_a_folder_that_lacks_a_part_says_which(gone, folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (shutil.rmtree if (copy / gone).is_dir() else lambda file: file.unlink())(copy / gone)
    with pytest.raises(WeightsMissing, match=gone):
        load(folder.name, source=copy, device="cpu")


def test_the_fingerprint_is_that_of_the_unets_weights(folder, decoder, points, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    same = load(folder.name, source=copy, device="cpu").decoder
    assert same.fingerprint == decoder.fingerprint and len(same.fingerprint) == 64
    (copy / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"damaged")
    other = load(folder.name, source=copy, device="cpu").decoder
    assert other.fingerprint != decoder.fingerprint
    with pytest.raises(WeightsMissing, match="unet are not those of a UNet2DConditionModel"):
        next(other.decode(points))

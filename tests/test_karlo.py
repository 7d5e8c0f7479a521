"""Karlo: decoder, upsampling and prior against diffusers' UnCLIP pipelines, and by their laws."""

import copy
import shutil

import numpy as np
import pytest
import torch
from diffusers import PriorTransformer, UnCLIPScheduler, UNet2DConditionModel, UNet2DModel
from diffusers.pipelines.deprecated.unclip import UnCLIPImageVariationPipeline, UnCLIPPipeline
from diffusers.pipelines.deprecated.unclip.text_proj import UnCLIPTextProjModel
from PIL import Image
from tiny_clip import DIMENSION
from tiny_karlo import SPREAD, tiny_karlo
from transformers import (
    CLIPImageProcessor,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

from explorer.errors import QueryError, SideMismatch, SpaceMismatch, WeightsMissing
from explorer.models import load
from explorer.models.shared.checkpoint import load_part
from explorer.models.shared.transformer_prior import generator_for
from explorer.noise import Noise
from explorer.points import Points, Space
from explorer.settings import Settings

WORDS = ["a red cat", "dog", "red dog"]
STEPS = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_karlo(tmp_path_factory.mktemp("karlo"))


@pytest.fixture(scope="module")
def model(folder):
    return load("karlo", source=folder, device="cpu")


@pytest.fixture(scope="module")
def points(model):
    return model.encoder.encode_images(images(3))


@pytest.fixture
def decoder(model):
    return model.decoder.with_options()


@pytest.fixture
def prior(model):
    prior = copy.copy(model.prior)
    prior.steps = STEPS
    return prior


def images(n):
    rng = np.random.default_rng(0)
    small = [Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)) for _ in range(n)]
    return [image.resize((16, 16), Image.Resampling.BICUBIC) for image in small]


def latents(steps):
    *_, last = steps
    return last.latents


def far(a, b):
    return float(np.abs(np.asarray(a) - np.asarray(b)).max())


# Against diffusers


class Reseeding(UnCLIPScheduler):
    """Seeds the generators again where its stage of a pipeline begins; ours are one a stage."""

    def set_timesteps(self, *args, **options):
        super().set_timesteps(*args, **options)
        for generator, seed in zip(self.generators, self.seeds, strict=True):
            generator.manual_seed(seed)

    @classmethod
    def of(cls, folder, generators, seeds):
        scheduler = cls.from_pretrained(folder)
        scheduler.generators, scheduler.seeds = generators, seeds
        return scheduler


def parts(folder, **kinds):
    return {name: load_part(kind, folder / name, "cpu", "float32") for name, kind in kinds.items()}


def painters(folder, generators, seeds):
    """The parts of a pipeline that paint, and both schedulers with seeds of their own."""
    return parts(
        folder,
        text_encoder=CLIPTextModelWithProjection,
        decoder=UNet2DConditionModel,
        text_proj=UnCLIPTextProjModel,
        super_res_first=UNet2DModel,
        super_res_last=UNet2DModel,
    ) | {
        "tokenizer": CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        "decoder_scheduler": Reseeding.of(folder / "decoder_scheduler", generators, seeds),
        "super_res_scheduler": Reseeding.of(
            folder / "super_res_scheduler", generators, [0] * len(seeds)
        ),
    }


def numbers(decoder, points, **options):
    """What the pipelines give as "np": N H W 3 from 0 to 1."""
    small = latents(decoder.trace(points, Settings(solver="own", steps=STEPS, **options)))
    return (decoder.upsample(small) / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("guidance", [1.0, 8.0])
def test_variations_are_those_of_diffusers_pipeline(n, guidance, folder, decoder, points):
    seeds = [3, 1, 4][:n]
    generators = [torch.Generator() for _ in seeds]
    pipeline = UnCLIPImageVariationPipeline(
        **painters(folder, generators, seeds),
        **parts(folder, image_encoder=CLIPVisionModelWithProjection),
        feature_extractor=CLIPImageProcessor.from_pretrained(folder / "feature_extractor"),
    )
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        image_embeddings=torch.tensor(points[:n].vectors),
        decoder_num_inference_steps=STEPS,
        super_res_num_inference_steps=decoder.upsampling_steps,
        decoder_guidance_scale=guidance,
        generator=generators,
        output_type="np",
    ).images
    assert far(numbers(decoder, points[:n], seed=seeds, guidance=guidance), theirs) <= 1e-4
    assert theirs.std() > 0.1


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_words_become_the_points_and_images_of_diffusers_pipeline(
    n, guidance, folder, model, prior
):
    seeds = [3, 1, 4][:n]
    generators = [generator_for(7, 0) for _ in seeds]
    pipeline = UnCLIPPipeline(
        **painters(folder, generators, seeds),
        **parts(folder, prior=PriorTransformer),
        prior_scheduler=UnCLIPScheduler.from_pretrained(folder / "prior_scheduler"),
    )
    pipeline.set_progress_bar_config(disable=True)
    seen = []
    pipeline.text_proj.register_forward_pre_hook(
        lambda module, args, given: seen.append(given["image_embeddings"].numpy()),
        with_kwargs=True,
    )
    theirs = pipeline(
        ["a red cat"] * n,
        prior_num_inference_steps=STEPS,
        decoder_num_inference_steps=STEPS,
        prior_guidance_scale=guidance,
        decoder_guidance_scale=guidance,
        generator=generators,
        output_type="np",
    ).images
    prior.guidance = guidance
    found = prior.sample(["a red cat"] * n, seed=7, candidates=1)
    assert far(found.vectors, seen[0]) <= 1e-4
    decoder = model.decoder.with_options(prompt="a red cat")
    assert far(numbers(decoder, found, seed=seeds, guidance=guidance), theirs) <= 1e-4


# The decoder


@pytest.mark.parametrize(
    "knobs", [{"solver": "own"}, {"eta": 0.0}, {"eta": 1.0}, {"solver": "dpm"}], ids=str
)
def test_a_frame_does_not_depend_on_the_batch_it_was_computed_in(knobs, decoder, points):
    """One generator for a whole batch, or an ancestral scheduler, would make it so."""
    seeds = [3, 1, 4]
    together = latents(decoder.trace(points, Settings(seed=seeds, steps=STEPS, **knobs)))
    upsampled = decoder.upsample(together)
    for i in range(3):
        alone = latents(decoder.trace(points[i], Settings(seed=seeds[i], steps=STEPS, **knobs)))
        assert far(alone[0], together[i]) <= 1e-5
        assert far(decoder.upsample(together[i : i + 1])[0], upsampled[i]) <= 1e-5


def test_only_the_ancestral_solver_and_eta_draw_noise_of_their_own(decoder, points):
    noise, same = Noise.random([0], decoder.latent_shape), points[[0, 0]]
    for knobs, moves in [({}, False), ({"eta": 1.0}, True), ({"solver": "own"}, True)]:
        a, b = latents(
            decoder.trace(same, Settings(seed=[1, 2], steps=STEPS, **knobs), noise=noise)
        )
        assert (far(a, b) > 0.1) == moves
    first, second = (list(decoder.decode(points, Settings(eta=1.0, steps=STEPS))) for _ in range(2))
    assert first == second


def test_upsampling_adds_the_same_noise_to_every_image(decoder, points):
    small = latents(decoder.trace(points, Settings(steps=STEPS)))
    twice = decoder.upsample(small[[0, 0, 1]])
    assert far(twice[0], twice[1]) <= 1e-5 and far(twice[0], twice[2]) > 0.01
    assert [image.size for image in decoder.to_image(small)] == [(16, 16)] * 3


def test_inversion_finds_the_noise_that_a_image_comes_back_from(decoder, points):
    """With a network that sees noise as noise; clipping, which cannot be undone, is off."""
    predict = decoder.predict
    decoder.predict = lambda x, t, given: torch.cat([0.9 * x, 0 * x], 1) + predict(x, t, given)
    decoder.scheduler_config = decoder.scheduler_config | {"clip_sample": False}
    noise = decoder.invert(images(3), points, Settings(steps=10))
    back = latents(decoder.trace(points, Settings(guidance=1, steps=10), noise=noise))
    assert far(back, decoder.to_latent(images(3))) <= 1e-2
    assert far(noise.latents, decoder.to_latent(images(3))) > 0.5


def test_inpainting_keeps_what_is_not_masked(decoder, points):
    mask = Image.new("L", (16, 16))
    mask.paste(255, (8, 0, 16, 16))
    painted = list(decoder.inpaint(images(3), [mask], points, Settings(steps=STEPS)))
    for old, new in zip(images(3), painted, strict=True):
        a, b = np.asarray(old, int), np.asarray(new, int)
        assert (a[:, :8] == b[:, :8]).all() and far(a[:, 8:], b[:, 8:]) > 20


def test_a_mask_is_cut_as_its_image_is(decoder):
    mask = Image.new("L", (32, 16))
    mask.paste(255, (0, 0, 12, 16))  # 8 columns of it are cut away
    assert decoder.mask_to_latent(mask).any(0).tolist() == [True] * 2 + [False] * 6


def test_words_beside_the_point_change_the_image(decoder, points):
    plain, worded = (
        latents(d.trace(points, Settings(steps=STEPS)))
        for d in (decoder, decoder.with_options(prompt="a red cat"))
    )
    assert far(plain, worded) > 0.01
    with pytest.raises(QueryError, match=r"no option 'noise_level'.*prompt"):
        decoder.with_options(noise_level=3)


def test_points_that_it_would_misread_are_refused(decoder, model, points):
    with pytest.raises(QueryError, match="as the encoder gives them"):
        decoder.decode(points.with_vectors(points.unit))
    with pytest.raises(SideMismatch, match=r"prior\.sample"):
        decoder.decode(model.encoder.encode_text("a cat"))
    other = Space(points.space.name, points.space.dimension, "0f")
    with pytest.raises(SpaceMismatch, match='load\\("karlo"\\)'):
        decoder.decode(Points(points.vectors, other, "image"))


# The prior


def test_a_text_does_not_depend_on_the_others(prior):
    together = prior.sample(WORDS, seed=5).vectors
    alone = np.concatenate([prior.sample([text], seed=5).vectors for text in WORDS])
    assert far(together, alone) <= 1e-4
    assert far(together, prior.sample(WORDS, seed=6).vectors) > 0.01


def test_more_candidates_never_come_less_near_to_the_text(model, prior):
    texts = model.encoder.encode_text(WORDS).unit
    cosines = [(prior.sample(WORDS, candidates=n).unit * texts).sum(1) for n in (1, 2, 4, 8)]
    assert (np.diff(cosines, axis=0) >= -1e-5).all() and (cosines[3] > cosines[0] + 1e-4).any()


def test_lengths_come_back_from_the_checkpoints_statistics(model, decoder):
    mean, deviation = model.prior.norms
    assert mean == pytest.approx(SPREAD * DIMENSION**0.5) and decoder.norms == (mean, deviation)
    drawn = np.random.default_rng(0).normal(scale=SPREAD, size=(10_000, DIMENSION))
    assert np.linalg.norm(drawn, axis=1).std() == pytest.approx(deviation, rel=0.05)


def test_a_prior_needs_a_text(prior):
    with pytest.raises(QueryError, match="0 texts"):
        prior.sample([])


# The folder


def test_a_folder_without_a_prior_has_none(folder, points, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "variations", ignore=shutil.ignore_patterns("prior*"))
    model = load("karlo", source=copy, device="cpu")
    assert model.prior is None and model.decoder.norms is None
    assert model.space == points.space
    assert len(list(model.decoder.decode(points[0], Settings(steps=2)))) == 1


@pytest.mark.parametrize(
    "gone",
    [
        "decoder",
        "image_encoder/config.json",
        "prior_scheduler",
        "prior/diffusion_pytorch_model.safetensors",
    ],
)
def test_a_folder_that_lacks_a_part_says_which(gone, folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (shutil.rmtree if (copy / gone).is_dir() else lambda file: file.unlink())(copy / gone)
    with pytest.raises(WeightsMissing, match=gone):
        load("karlo", source=copy, device="cpu")


def test_other_weights_have_another_fingerprint(folder, model, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    again = load("karlo", source=copy, device="cpu").decoder
    assert again.fingerprint == model.decoder.fingerprint and len(again.fingerprint) == 64
    name = "diffusion_pytorch_model.safetensors"
    shutil.copy(copy / "super_res_first" / name, copy / "super_res_last" / name)
    assert load("karlo", source=copy, device="cpu").decoder.fingerprint != again.fingerprint

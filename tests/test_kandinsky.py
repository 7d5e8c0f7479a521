"""Kandinsky 2.2: its parts against diffusers' KandinskyV22 pipelines, and what is its own."""

import shutil
from functools import cache

import numpy as np
import pytest
import torch
from diffusers import (
    DDPMScheduler,
    KandinskyV22ControlnetImg2ImgPipeline,
    KandinskyV22ControlnetPipeline,
    KandinskyV22Img2ImgPipeline,
    KandinskyV22InpaintPipeline,
    KandinskyV22Pipeline,
    KandinskyV22PriorPipeline,
    PriorTransformer,
    UnCLIPScheduler,
    UNet2DConditionModel,
    VQModel,
)
from diffusers.pipelines.kandinsky2_2.pipeline_kandinsky2_2 import downscale_height_and_width
from PIL import Image
from tiny_kandinsky import SCHEDULER, tiny_kandinsky, write_scheduler
from transformers import (
    CLIPImageProcessor,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

from explorer.errors import QueryError, SideMismatch, WeightsMissing
from explorer.models import load
from explorer.models.kandinsky import dilate
from explorer.models.shared.checkpoint import load_part
from explorer.models.shared.hub import releases_of
from explorer.models.shared.transformer_prior import generator_for
from explorer.settings import Settings

STEPS = 3
SEEDS = [3, 1, 4]
BATCHES = pytest.mark.parametrize(("n", "guidance"), [(1, 1.0), (3, 4.0)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_kandinsky(tmp_path_factory.mktemp("kandinsky"))


@pytest.fixture(scope="module")
def model(folder):
    return load("kandinsky-2.2", source=folder, device="cpu")


@pytest.fixture(scope="module")
def points(model):
    return model.encoder.encode_images(images(3))


@pytest.fixture
def decoder(model):
    return model.decoder.with_options()


def images(n, size=(64, 64)):
    rng = np.random.default_rng(0)
    small = [Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)) for _ in range(n)]
    return [image.resize(size, Image.Resampling.BICUBIC) for image in small]


def corner(size=(64, 64)):
    """A mask over whole cells of the latents, away from the middle and from two sides."""
    mask = Image.new("L", size)
    mask.paste(255, (8, 0, 32, 24))
    return mask


def traced(decoder, points, **options):
    *_, last = decoder.trace(points, Settings(steps=STEPS, **options))
    return last.latents


def painted(decoder, verb, *args, noise=None, **options):
    """The latents that a verb makes images of."""
    caught, paint = [], decoder.to_image
    decoder.to_image = lambda latents: caught.append(latents) or paint(latents)
    given = {} if noise is None else {"noise": noise}
    images = getattr(decoder, verb)(*args, Settings(steps=STEPS, **options), **given)
    assert len(list(images)) == len(SEEDS)
    return torch.cat(caught)


def far(a, b):
    return float(np.abs(np.asarray(a) - np.asarray(b)).max())


# Against diffusers


@pytest.fixture(scope="module")
def networks(folder):
    """A UNet and the autoencoder of one part, loaded once for all pipelines."""

    @cache
    def get(part):
        return {
            "unet": load_part(UNet2DConditionModel, folder / part / "unet", "cpu", "float32"),
            "movq": load_part(VQModel, folder / part / "movq", "cpu", "float32"),
        }

    return get


def pipeline(kind, networks, **changes):
    """A pipeline that gives its latents, as not all of them can; `changes` are of the scheduler."""
    theirs = kind(**networks, scheduler=DDPMScheduler.from_config(SCHEDULER | changes))
    theirs.set_progress_bar_config(disable=True)

    def call(**given):
        caught = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(theirs.movq, "decode", lambda x, **_: caught.append(x) or {"sample": x})
            theirs(**given, output_type="pt")
        return caught[0]

    return call


def asked(decoder, points, guidance, seeds):
    """What every pipeline is called with: its points, and one generator an image."""
    z, nothing = (side["image_embeds"] for side in decoder.condition(points))
    return {
        "image_embeds": z,
        "negative_image_embeds": nothing,
        "generator": [torch.Generator().manual_seed(seed) for seed in seeds],
        "guidance_scale": guidance,
        "num_inference_steps": STEPS,
        "height": 64,
        "width": 64,
    }


def levels(hint):
    return torch.tensor(np.asarray(hint.convert("RGB")) / 255).permute(2, 0, 1)[None].float()


@pytest.mark.parametrize(("n", "guidance"), [(1, 1.0), (1, 4.0), (3, 1.0), (3, 4.0)])
def test_images_are_those_of_diffusers_pipeline(n, guidance, networks, decoder, points):
    given = asked(decoder, points[:n], guidance, SEEDS[:n])
    expected = pipeline(KandinskyV22Pipeline, networks("decoder"))(**given)
    knobs = {"seed": SEEDS[:n], "guidance": guidance, "solver": "own"}
    assert far(traced(decoder, points[:n], **knobs), expected) <= 1e-4
    assert expected.std() > 0.1


@pytest.mark.parametrize("changes", [{"clip_sample": True}, {"variance_type": "learned_range"}])
def test_other_schedulers_do_as_in_diffusers_pipeline(changes, networks, folder, points, tmp_path):
    """The released one clips; another may read the variance that the network gives."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    write_scheduler(copy / "decoder", SCHEDULER | changes)
    decoder = load("kandinsky-2.2", source=copy, device="cpu").decoder
    given = asked(decoder, points, 4.0, SEEDS)
    expected = pipeline(KandinskyV22Pipeline, networks("decoder"), **changes)(**given)
    assert far(traced(decoder, points, seed=SEEDS, solver="own"), expected) <= 1e-4


def test_latents_become_the_images_of_diffusers_pipeline(networks, decoder, points):
    latents = traced(decoder, points)
    pixels = networks("decoder")["movq"].decode(latents, force_not_quantize=True).sample
    numbers = (pixels * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).detach().numpy()
    theirs = KandinskyV22Pipeline.numpy_to_pil(numbers)
    for mine, other in zip(decoder.to_image(latents), theirs, strict=True):
        assert far(np.asarray(mine, int), np.asarray(other, int)) <= 1


@pytest.mark.parametrize(("guidance", "strength"), [(1.0, 0.4), (4.0, 0.7)])
def test_redrawing_is_that_of_diffusers_pipeline(guidance, strength, networks, decoder, points):
    theirs = pipeline(KandinskyV22Img2ImgPipeline, networks("decoder"))
    given = asked(decoder, points, guidance, SEEDS)
    expected = theirs(**given, image=images(3), strength=strength)
    knobs = {"seed": SEEDS, "guidance": guidance, "solver": "own", "strength": strength}
    assert far(painted(decoder, "redraw", images(3), points, **knobs), expected) <= 1e-4


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_inpainting_is_that_of_diffusers_pipeline(guidance, networks, decoder, points):
    """Row by row: the pipeline gives the first image's surroundings to every row of a batch."""
    theirs = pipeline(KandinskyV22InpaintPipeline, networks("inpaint"))
    rows = [
        asked(decoder, points[i], guidance, [SEEDS[i]]) | {"image": images(3)[i]} for i in range(3)
    ]
    expected = torch.cat([theirs(**row, mask_image=corner()) for row in rows])
    knobs = {"seed": SEEDS, "guidance": guidance, "solver": "own"}
    ours = painted(decoder, "inpaint", images(3), [corner()], points, **knobs)
    assert far(ours, expected) <= 1e-4
    given = asked(decoder, points, guidance, SEEDS) | {"image": images(1) * 3}
    expected = theirs(**given, mask_image=[corner()] * 3)
    ours = painted(decoder, "inpaint", images(1), [corner()], points, **knobs)
    assert far(ours, expected) <= 1e-4


@BATCHES
def test_depth_is_kept_as_by_diffusers_pipeline(n, guidance, networks, decoder, points):
    depth = images(1)[0].convert("L")
    theirs = pipeline(KandinskyV22ControlnetPipeline, networks("controlnet"))
    expected = theirs(
        **asked(decoder, points[:n], guidance, SEEDS[:n]), hint=levels(depth).repeat(n, 1, 1, 1)
    )
    knobs = {"seed": SEEDS[:n], "guidance": guidance, "solver": "own"}
    ours = traced(decoder.with_options(hint=depth), points[:n], **knobs)
    assert far(ours, expected) <= 1e-4


def test_depth_is_kept_in_redrawing_as_by_diffusers_pipeline(networks, decoder, points):
    depth = images(1)[0].convert("L")
    theirs = pipeline(KandinskyV22ControlnetImg2ImgPipeline, networks("controlnet"))
    given = asked(decoder, points, 4.0, SEEDS) | {"hint": levels(depth).repeat(3, 1, 1, 1)}
    expected = theirs(**given, image=images(3), strength=0.7)
    knobs = {"seed": SEEDS, "solver": "own", "strength": 0.7}
    ours = painted(decoder.with_options(hint=depth), "redraw", images(3), points, **knobs)
    assert far(ours, expected) <= 1e-4


def prior_agrees(kind, folder, model, n, guidance):
    """Whether prior and point of no image are those of a pipeline of diffusers."""
    theirs = kind(
        prior=load_part(PriorTransformer, folder / "prior", "cpu", "float32"),
        scheduler=UnCLIPScheduler.from_pretrained(folder / "scheduler"),
        text_encoder=load_part(
            CLIPTextModelWithProjection, folder / "text_encoder", "cpu", "float32"
        ),
        image_encoder=load_part(
            CLIPVisionModelWithProjection, folder / "image_encoder", "cpu", "float32"
        ),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        image_processor=CLIPImageProcessor.from_pretrained(folder / "image_processor"),
    )
    theirs.set_progress_bar_config(disable=True)
    words = ["a red cat", "dog", ""][:n]
    generators = [generator_for(7, 0) for _ in words]
    expected = theirs(
        words, generator=generators, guidance_scale=guidance, num_inference_steps=STEPS
    )
    model.prior.steps, model.prior.guidance = STEPS, guidance
    found = model.prior.sample(words, seed=7, candidates=1)
    _, nothing = model.decoder.condition(found)
    return (
        far(found.vectors, expected.image_embeds) <= 1e-4
        and far(nothing["image_embeds"], expected.negative_image_embeds) <= 1e-4
    )


@BATCHES
def test_the_prior_and_the_point_of_no_image_are_diffusers(n, guidance, folder, model):
    assert prior_agrees(KandinskyV22PriorPipeline, folder / "prior", model, n, guidance)


# The decoder


def test_inpainting_keeps_what_is_not_masked(folder, decoder, points, tmp_path):
    """By the network made for it, and where that is not there by the decoder's own."""
    ignored = shutil.ignore_patterns("inpaint", "controlnet")
    copy = shutil.copytree(folder, tmp_path / "copy", ignore=ignored)
    plain = load("kandinsky-2.2", source=copy, device="cpu").decoder
    where = np.asarray(corner()) > 0
    results = [
        list(d.inpaint(images(3), [corner()], points, Settings(steps=STEPS)))
        for d in (decoder, plain)
    ]
    for painted_by in results:
        for old, new in zip(images(3), painted_by, strict=True):
            a, b = np.asarray(old, int), np.asarray(new, int)
            assert (a[~where] == b[~where]).all() and far(a[where], b[where]) > 20
    assert results[0] != results[1]


def test_the_network_for_inpainting_sees_what_is_kept(decoder, points):
    seen = []
    painter = decoder.painter()
    painter.predict = lambda latents, t, given: seen.append(given) or latents
    list(painter.inpaint(images(1), [corner()], points[0], Settings(steps=2)))
    kept, around = seen[0]["kept"][0, 0], seen[0]["image"][0]
    assert kept.bool().numpy().tolist() == (~dilate(decoder.mask_to_latent(corner()))).tolist()
    assert far(around, decoder.to_latent(images(1))[0] * kept) == 0


def test_a_mask_is_cut_as_its_image_is(decoder):
    mask = Image.new("L", (128, 64))
    mask.paste(255, (0, 0, 48, 64))  # 32 columns of it are cut away
    assert decoder.mask_to_latent(mask).any(0).tolist() == [True] * 2 + [False] * 6


def test_a_negative_point_takes_the_place_of_no_image(decoder, model, points):
    away = decoder.with_options(negative=points[1])
    assert (away.condition(points)[1]["image_embeds"].numpy() == points[1].vectors).all()
    assert far(traced(away, points), traced(decoder, points)) > 0.01
    plain, same = (traced(d, points, guidance=1) for d in (decoder, away))
    assert (plain == same).all()
    with pytest.raises(QueryError, match="one point"):
        decoder.with_options(negative=points)
    with pytest.raises(SideMismatch, match=r"prior\.sample"):
        decoder.with_options(negative=model.encoder.encode_text("a cat"))


def test_depth_of_16_bits_is_that_of_8(decoder, points):
    shallow = images(1)[0].convert("L")
    deep = Image.fromarray(np.asarray(shallow).astype(np.uint16) * 257)
    a, b = (traced(decoder.with_options(hint=hint), points) for hint in (shallow, deep))
    assert (a == b).all() and far(a, traced(decoder, points)) > 0.01


def test_inpainting_with_depth_runs_the_network_for_depth(decoder, points):
    deep = decoder.with_options(hint=images(1)[0])
    assert deep.painter() is deep
    assert len(list(deep.inpaint(images(1), [corner()], points, Settings(steps=STEPS)))) == 3


@pytest.mark.parametrize("size", [(64, 64), (100, 64), (1, 129)])
def test_sides_are_rounded_up_as_by_diffusers(size, decoder, points):
    other = decoder.with_options(image_size=size)
    assert other.latent_shape[1:] == downscale_height_and_width(*size[::-1])
    (image,) = other.decode(points[0], Settings(steps=2))
    assert image.size == other.image_size and decoder.image_size == (64, 64)
    mask = corner(other.image_size)
    (again,) = other.inpaint(images(1, other.image_size), [mask], points[0], Settings(steps=2))
    assert again.size == other.image_size


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_points_are_turned_into_the_networks_precision(guidance, folder, points):
    decoder = load("kandinsky-2.2", source=folder, device="cpu").decoder
    decoder.dtype = "bfloat16"
    decoder = decoder.with_options(hint=images(1)[0])
    assert len(list(decoder.decode(points, Settings(guidance=guidance, steps=2)))) == 3


def test_cells_beside_painted_ones_are_painted_but_for_two_corners():
    cells = np.zeros((4, 5), bool)
    cells[1, 1] = True
    assert dilate(cells).astype(int).tolist() == [
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 0, 0, 0, 0],
    ]


# The folder


@pytest.mark.parametrize("gone", ["prior", "decoder", "decoder/movq", "prior/image_processor"])
def test_a_folder_that_lacks_a_part_says_which(gone, folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(copy / gone)
    with pytest.raises(WeightsMissing, match=gone.rpartition("/")[2]):
        load("kandinsky-2.2", source=copy, device="cpu")


def test_depth_without_its_network_is_refused_when_it_is_asked_for(folder, tmp_path):
    ignored = shutil.ignore_patterns("controlnet")
    copy = shutil.copytree(folder, tmp_path / "copy", ignore=ignored)
    decoder = load("kandinsky-2.2", source=copy, device="cpu").decoder
    with pytest.raises(WeightsMissing, match="no subfolder 'controlnet'"):
        decoder.with_options(hint=images(1)[0])


def test_every_network_has_its_own_fingerprint_and_scheduler(folder, decoder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    write_scheduler(copy / "inpaint", SCHEDULER | {"beta_end": 0.013})
    write_scheduler(copy / "controlnet", SCHEDULER | {"beta_end": 0.014})
    plain = load("kandinsky-2.2", source=copy, device="cpu").decoder
    three = plain, plain.painter(), plain.with_options(hint=images(1)[0])
    assert [d.scheduler_config["beta_end"] for d in three] == [0.012, 0.013, 0.014]
    assert len({d.fingerprint for d in three}) == 3
    assert plain.fingerprint == decoder.fingerprint


def test_what_is_fetched_is_pinned_and_the_rest_only_on_demand():
    whole, inpaint = releases_of("kandinsky-2.2"), releases_of("kandinsky-2.2:inpaint")
    assert len(whole) == 2 and len(inpaint) == 1 and not set(whole) & set(inpaint)
    assert all(len(release.revision) == 40 for release in (*whole, *inpaint))

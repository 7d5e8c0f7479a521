"""What every decoder and every prior must do: pocket, and tiny checkpoints of all the others."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from families import BY_TRAINING, SIZES, WRITERS
from PIL import Image, ImageDraw
from test_models import write_folder
from tiny_trained import tiny_trained

from explorer.bridge import Bridge
from explorer.decoder.bridged import BridgedDecoder
from explorer.errors import QueryError, SideMismatch, SpaceMismatch
from explorer.models import MODELS, load
from explorer.models.trained import BridgedPrior, load_decoder
from explorer.points import Points, Space
from explorer.settings import Settings

RIGHT = {  # a value for every option that a family may have
    "prompt": "a red cat",
    "negative_prompt": "a dog",
    "noise_level": 300,
    "noise_seed": 3,
    "scale": 0.3,
    "hint": Image.radial_gradient("L").convert("RGB"),
}


OVER_A_BRIDGE = ("pocket", "kandinsky-2.2")  # decoders of these, for points of a tiny CLIP
TRAINED = {"trained-64": 64, "trained-128": 128}  # as `unclip train decoder` writes them


@pytest.fixture(
    scope="session",
    params=[
        "pocket",
        *WRITERS,
        *TRAINED,
        *BY_TRAINING,
        *(f"{name} over a bridge" for name in OVER_A_BRIDGE),
    ],
)
def complete(request, tmp_path_factory):
    """A model with a decoder."""
    place = tmp_path_factory.mktemp("families")
    name, _, bridged = request.param.partition(" ")
    if name in TRAINED:
        tiny = load(f"openclip:{write_folder(place / 'tiny')}", device="cpu")
        folder = tiny_trained(place / name, tiny.space, TRAINED[name])
        return replace(tiny, decoder=load_decoder(folder, "cpu"))
    if name in BY_TRAINING:
        return BY_TRAINING[name](place)
    source = None if name == "pocket" else WRITERS[name](place / name)
    model = load(name, device="cpu", source=source)
    if name in SIZES:
        model = replace(model, decoder=model.decoder.with_options(image_size=SIZES[name]))
    if not bridged:
        return model
    tiny = load(f"openclip:{write_folder(place / 'tiny')}", device="cpu")
    seen = [image(seed) for seed in range(100, 140)]
    pairs = tiny.encoder.encode_images(seen), model.encoder.encode_images(seen)
    decoder = BridgedDecoder(model.decoder, Bridge.fit(*pairs))
    prior = model.prior and BridgedPrior(model.prior, Bridge.fit(*pairs[::-1]))
    return replace(tiny, decoder=decoder, prior=prior)


@pytest.fixture(scope="session")
def decoder(complete):
    return complete.decoder


@pytest.fixture(scope="session")
def points(complete):
    return complete.encoder.encode_images([image(seed) for seed in range(3)])


def image(seed, size=(50, 40)):
    """Smooth coloured patches: more like a photograph than noise is."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def pixels(images):
    return np.stack([np.asarray(image) for image in images]).astype(int)


def latents(steps):
    *_, last = steps
    return last.latents.float().cpu().numpy()


def test_every_model_with_a_decoder_is_here():
    with_decoder = {name for name in MODELS if name not in ("openclip", "pocket")}
    assert {*WRITERS, *BY_TRAINING} == with_decoder


def test_the_prior_carries_each_text_over_by_itself(complete):
    if complete.prior is None:
        return
    texts = ["a cat", "", "a red circle"]
    together = complete.prior.sample(texts, seed=3)
    assert together.side == "image" and together.space == complete.space
    assert together.labels == tuple(texts)
    for i, text in enumerate(texts):
        alone = complete.prior.sample([text], seed=3)
        assert np.abs(alone.vectors - together[i].vectors).max() <= 1e-4 * together.norms[i]
    other = complete.prior.sample(texts, seed=4)
    assert not np.allclose(other.vectors, together.vectors, atol=1e-3)
    for wrong, candidates in (([], 2), (["a cat"], 0)):
        with pytest.raises(QueryError, match="text"):
            complete.prior.sample(wrong, candidates=candidates)


def test_the_decoder_gives_the_same_frame_every_time_and_in_every_batch(decoder, points):
    first = list(decoder.decode(points, Settings(seed=5, steps=3)))
    assert (pixels(first) == pixels(decoder.decode(points, Settings(seed=5, steps=3)))).all()
    assert all((i.mode, i.size) == ("RGB", decoder.image_size) for i in first)
    (alone,) = decoder.decode(points[1], Settings(seed=5, steps=3))
    assert np.abs(pixels([alone])[0] - pixels(first)[1]).max() <= 1


@pytest.mark.parametrize("size", [1, 3])
def test_at_its_defaults_a_batch_changes_a_pixel_by_rounding_at_most(size, monkeypatch):
    """What `Decoder.decode` says: 1 of 255. Pocket, whose images are drawings from end to end."""
    from explorer.samples import sample_library

    pocket, some = (
        load("pocket", device="cpu").decoder,
        sample_library().points(range(0, 1600, 400)),
    )
    expected = pixels(pocket.decode(some))
    monkeypatch.setattr(pocket, "batch_size", size)
    assert np.abs(pixels(pocket.decode(some)) - expected).max() <= 1


@pytest.mark.parametrize("knobs", [{"eta": 0.0}, {"eta": 1.0}, {"solver": "own"}, {"guidance": 1}])
def test_a_latent_depends_on_its_own_row_alone(knobs, decoder, points):
    together = latents(decoder.trace(points, Settings(seed=[1, 2, 3], steps=3, **knobs)))
    alone = latents(decoder.trace(points[2], Settings(seed=3, steps=3, **knobs)))
    assert np.abs(alone[0] - together[2]).max() <= 1e-5 * max(1, np.abs(together).max())


def test_the_point_the_seed_and_the_guidance_matter(decoder, points):
    def made(points, seed=0, **knobs):
        return latents(decoder.trace(points, Settings(seed=seed, steps=3, **knobs)))

    first = made(points[:1])
    for other in (made(points[1:2]), made(points[:1], seed=1), made(points[:1], guidance=1.0)):
        assert np.abs(other - first).max() > 1e-3


def test_eta_varies_with_the_seed_and_only_with_it(decoder, points):
    from explorer.noise import Noise

    noise, twice = Noise.random([7], decoder.latent_shape), points[[0, 0]]
    still = latents(decoder.trace(twice, Settings(seed=[1, 2], steps=3), noise=noise))
    assert np.abs(still[0] - still[1]).max() <= 1e-5 * max(1, np.abs(still).max())
    moving = latents(decoder.trace(twice, Settings(seed=[1, 2], steps=3, eta=1.0), noise=noise))
    assert np.abs(moving[0] - moving[1]).max() > 1e-2


def test_inversion_and_decoding_give_the_latent_back(complete, points):
    """Within 1e-2 for the tiny networks; pocket clips its estimates, which cannot be undone."""
    decoder, images = complete.decoder, [image(0)]
    if decoder.scheduler_config.get("clip_sample"):
        return
    noise = decoder.invert(images, points[:1], Settings(steps=40))
    with torch.inference_mode():
        before = decoder.to_latent(images).numpy()
    after = latents(
        decoder.trace(points[:1], Settings(steps=40, guidance=1.0, solver="ddim"), noise=noise)
    )
    assert np.abs(after - before).max() <= 1e-2 * max(1, np.abs(before).max())


def test_in_painting_leaves_the_rest_of_a_image_of_its_size_alone(decoder, points):
    size = decoder.image_size
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rectangle((0, 0, size[0] // 2 - 1, size[1]), fill=255)
    before = [image(seed, size) for seed in range(3)]
    painted = pixels(decoder.inpaint(before, [mask], points, Settings(steps=3)))
    where = np.asarray(mask) > 0
    assert (painted[:, ~where] == pixels(before)[:, ~where]).all()
    assert (painted[:, where] != pixels(before)[:, where]).any(axis=-1).mean() > 0.5


def test_redrawing_begins_at_the_image(decoder, points):
    before, settings = [image(0)], {"steps": 10, "guidance": 1.0, "seed": 3}
    weak, strong = (
        pixels(decoder.redraw(before, points[:1], Settings(strength=s, **settings)))
        for s in (0.1, 1.0)
    )
    assert weak.shape == (1, *decoder.image_size[::-1], 3)
    assert (strong == pixels(decoder.decode(points[:1], Settings(**settings)))).all()
    with torch.inference_mode():
        seen = pixels(decoder.to_image(decoder.to_latent(before).float()))
    assert np.abs(weak - seen).mean() < np.abs(strong - seen).mean()


def test_closing_the_iterator_stops_the_work_and_frees_the_latents(decoder, points):
    steps = decoder.trace(points, Settings(steps=6))
    held = weakref.ref(next(steps).latents)
    steps.close()
    del steps
    gc.collect()
    assert held() is None


def test_texts_points_of_another_space_and_normalised_points_are_refused(decoder, points):
    with pytest.raises(SideMismatch, match="prior"):
        decoder.decode(Points(points.vectors, points.space, "text"))
    strange = Points(points.vectors, Space("other", points.space.dimension, "0f"), "image")
    with pytest.raises(SpaceMismatch, match="other"):
        decoder.decode(strange)
    with pytest.raises(QueryError, match="normalised"):
        decoder.decode(points.with_vectors(points.unit))


def test_every_option_is_explained_has_a_default_and_changes_a_copy(decoder, points):
    options = {name: value for name, value in RIGHT.items() if name in decoder.choices}
    for name, line in decoder.choices.items():
        assert len(line) > 10
        assert hasattr(decoder, name)
    before = latents(decoder.trace(points[:1], Settings(steps=3)))
    for name, value in options.items():
        changed = decoder.with_options(**{name: value})
        after = latents(changed.trace(points[:1], Settings(steps=3, guidance=changed.guidance)))
        if name != "noise_seed":
            assert np.abs(after - before).max() > 1e-6, name
    assert (latents(decoder.trace(points[:1], Settings(steps=3))) == before).all()
    with pytest.raises(QueryError, match="no option"):
        decoder.with_options(nonsense=1)


def test_another_point_can_be_kept_away_from(decoder, points):
    if "negative" not in decoder.choices:
        return
    away = decoder.with_options(negative=points[2])
    moved, still = (latents(d.trace(points[:1], Settings(steps=3))) for d in (away, decoder))
    assert np.abs(moved - still).max() > 1e-6


def test_a_image_may_be_larger_where_the_family_is_free_in_it(decoder, points):
    if "image_size" not in decoder.choices:
        return
    width, height = decoder.image_size
    (wide,) = decoder.with_options(image_size=(2 * width, height)).decode(
        points[:1], Settings(steps=2)
    )
    assert wide.size == (2 * width, height)


def test_a_first_look_takes_at_most_eight_steps(decoder, points):
    assert decoder.preview_steps <= 8
    look = decoder.decode(
        points[:1], Settings(steps=decoder.preview_steps, solver=decoder.preview_solver)
    )
    assert next(look).size == decoder.image_size

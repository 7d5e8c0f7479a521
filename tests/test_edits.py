"""Edits take what a person has at hand, start where they should, and refuse what makes no sense."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from explorer import edits, geometry
from explorer.edits import swapping
from explorer.errors import ImageError, QueryError, SideMismatch, UnknownModel
from explorer.images import open_image
from explorer.models import load
from explorer.points import Points
from explorer.query import Query
from explorer.recipe import Recipe
from explorer.settings import Settings

FAST = Settings(steps=2)


@pytest.fixture(scope="module")
def cat(sample, tmp_path_factory):
    """A file of pocket's own size, so that what stays is the same pixel for pixel."""
    file = tmp_path_factory.mktemp("edits") / "cat.png"
    open_image(sample / "3d" / "1f431.png").resize((64, 64)).save(file)
    return file


@pytest.fixture(scope="module")
def kinds(cat, pocket):
    """The same image as everything that an edit takes, and words."""
    image = open_image(cat)
    return {
        "a file's name": str(cat),
        "a Path": cat,
        "an image": image,
        "a Query": Query.parse([str(cat)]),
        "points": pocket.encoder.encode_images([image]),
        "words": "cat face",
    }


KINDS = ["a file's name", "a Path", "an image", "a Query", "points", "words"]
EDITS = {
    "decode": lambda model, what: edits.decode(model, what, count=2, settings=FAST),
    "variations": lambda model, what: edits.variations(
        model, what, count=2, settings=Settings(steps=2, eta=0.7)
    ),
    "text_diff": lambda model, what: edits.text_diff(
        model, what, after="dog face", frames=2, settings=FAST
    ),
    "interpolate": lambda model, what: edits.interpolate(
        model, [what, "a dog"], frames=2, settings=FAST
    ),
    "inpaint": lambda model, what: edits.inpaint(
        model, what, (0, 0, 32, 64), count=2, settings=FAST
    ),
    "redraw": lambda model, what: edits.redraw(
        model, what, count=2, settings=Settings(steps=4, strength=0.5)
    ),
}
OF_IMAGES = ("inpaint", "redraw")
REFUSED = {"points": "starts from an image", "words": "cat face"}  # words name a file there


def pixels(image):
    return np.asarray(image).astype(int)


def distance(a, b):
    return float(np.abs(pixels(a) - pixels(b)).mean())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", EDITS)
def test_every_edit_takes_what_a_person_has_at_hand(name, kind, pocket, kinds):
    if name in OF_IMAGES and kind in ("points", "words"):
        with pytest.raises(
            (QueryError, ImageError), match=r"starts from an image|not a file|no file|No such"
        ):
            EDITS[name](pocket, kinds[kind])
        return
    rendering = EDITS[name](pocket, kinds[kind])
    assert len(rendering) == 2
    assert rendering[-1].size == (64, 64)
    start = rendering.recipe.keyframes[0]
    own = kinds["points"].unit @ start.unit.T
    assert (own > 0.999) == (kind != "words")
    again = Recipe.from_dict(rendering.recipe.to_dict())
    assert (pixels(list(again.decode(pocket.decoder))[-1]) == pixels(rendering[-1])).all()


def test_a_text_diff_starts_with_the_image_itself(pocket, cat):
    settings, image = Settings(steps=12), open_image(cat)
    first = edits.text_diff(pocket, cat, after="dog face", frames=2, settings=settings)[0]
    drawn = edits.text_diff(
        pocket, cat, after="dog face", frames=2, settings=settings.changed(noise="seed")
    )[0]
    assert distance(first, image) < 0.5 * distance(drawn, image)


def test_a_text_diff_rotates_by_a_fraction_of_the_angle(pocket, cat):
    diff = edits.text_diff(
        pocket, cat, before="cat face", after="dog face", fraction=0.3, through_prior=False,
        frames=3, settings=FAST,
    )  # fmt: skip
    texts = pocket.encoder.encode_text(["cat face", "dog face"])
    direction = geometry.text_diff(texts[0], texts[1]).as_image()
    whole = geometry.angle(diff.points[0], direction)[0]
    assert geometry.angle(diff.points[0], diff.points[2])[0] == pytest.approx(0.3 * whole, abs=1e-3)
    assert diff.recipe.ends.labels == ("cat face", "dog face")


def test_a_text_diff_through_the_prior_ends_among_images_of_the_target(pocket, cat):
    given = {"before": "cat face", "after": "dog face", "frames": 2, "settings": FAST}
    turned, swapped, half = (
        edits.text_diff(pocket, cat, **given, **how).points
        for how in ({"through_prior": False}, {"through_prior": True}, {"fraction": 0.5})
    )
    assert geometry.angle(turned[0], swapped[0])[0] < 1e-3
    assert np.linalg.norm(swapped.vectors, axis=1) == pytest.approx(
        np.linalg.norm(turned.vectors[0]), rel=1e-3
    )
    images = pocket.prior.sample(["dog face"], seed=9)
    near = [geometry.angle(path[1], images)[0] for path in (swapped, half, turned)]
    assert near == sorted(near)
    whole, part = (geometry.angle(path[0], path[1])[0] for path in (swapped, half))
    assert part == pytest.approx(whole / 2, abs=1e-3)


def test_unless_asked_a_text_diff_goes_as_suits_the_model(pocket, cat):
    def ends(model, before="cat face", **how):
        given = {"after": "dog face", "before": before, "frames": 2, "settings": FAST}
        return edits.text_diff(model, cat, **given, **how).points.vectors[-1]

    assert pocket.through_prior
    np.testing.assert_array_equal(ends(pocket), ends(pocket, through_prior=True))
    turned = ends(pocket, through_prior=False)
    assert np.abs(ends(pocket) - turned).max() > 1
    for other in (replace(pocket, through_prior=False), replace(pocket, prior=None)):
        np.testing.assert_array_equal(ends(other), turned)
    np.testing.assert_array_equal(
        ends(pocket, before=None), ends(pocket, before=None, through_prior=False)
    )
    for part in ("decoder", "prior"):  # another one was not judged with pocket's other part
        assert not load("pocket", device="cpu", **{part: getattr(pocket, part)}).through_prior


def test_the_same_caption_swapped_for_itself_keeps_half_of_the_image(pocket, cat):
    point = pocket.encoder.encode_images([open_image(cat)])
    same = swapping.swapped(pocket, point, "cat face", "cat face")
    drawn = [
        pocket.prior.sample(["cat face"], seed=seed, candidates=1).vectors for seed in range(4)
    ]
    middle = replace(point, vectors=(np.mean(drawn, axis=0) + point.vectors) / 2)
    assert geometry.angle(same, middle)[0] < 1e-3


def test_a_text_diff_through_the_prior_needs_both_captions_and_a_prior(pocket, cat):
    with pytest.raises(QueryError, match="--from"):
        edits.text_diff(pocket, cat, after="dog face", through_prior=True)
    bare = replace(pocket, prior=None)
    with pytest.raises(UnknownModel, match="no prior"):
        edits.text_diff(bare, cat, before="cat face", after="dog face", through_prior=True)


def test_an_interpolation_ends_with_its_images(pocket, cat, sample):
    dog = open_image(sample / "3d" / "1f436.png").resize((64, 64))
    way = edits.interpolate(pocket, [cat, dog], frames=2, settings=Settings(steps=8))
    assert distance(way[0], open_image(cat)) < 0.5 * distance(way[0], dog)
    assert distance(way[1], dog) < 0.5 * distance(way[1], open_image(cat))


def test_points_are_keyframes_and_independent_images(pocket):
    points = pocket.prior.sample(["a cat", "a dog", "a sun"])
    assert len(edits.decode(pocket, points, count=2, settings=FAST)) == 6
    way = edits.interpolate(pocket, points, frames=5, settings=FAST)
    np.testing.assert_allclose(way.points.vectors[[0, -1]], points.vectors[[0, 2]], rtol=1e-4)


def test_an_even_interpolation_is_timed_by_what_is_seen(pocket):
    given = {"frames": 5, "settings": FAST}
    way = edits.interpolate(pocket, ["a cat", "a red heart"], even=True, **given)
    assert (way.times[0], way.times[-1]) == (0, 1)
    assert (np.diff(way.times) > 0).all()
    assert np.abs(way.times - np.linspace(0, 1, 5)).max() > 0.01


def test_variations_stay_nearer_to_the_image_the_less_eta(pocket, cat):
    far = []
    for eta in (0.2, 1.0):
        settings = Settings(eta=eta, steps=8)
        (image,) = edits.variations(pocket, cat, count=1, settings=settings)
        far.append(distance(image, open_image(cat)))
    assert far[0] < far[1]


@pytest.mark.parametrize("kind", ["a box", "an image", "an array", "a file"])
def test_in_painting_changes_the_mask_and_nothing_else(kind, pocket, cat, tmp_path):
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    mask.save(tmp_path / "mask.png")
    where = {
        "a box": (0, 0, 32, 64),
        "an image": mask,
        "an array": np.asarray(mask) > 0,
        "a file": tmp_path / "mask.png",
    }[kind]
    (image,) = edits.inpaint(pocket, cat, where, text="dog face", settings=FAST)
    before, after = pixels(open_image(cat)), pixels(image)
    assert (after[:, 32:] == before[:, 32:]).all()
    assert (after[:, :32] != before[:, :32]).any(axis=-1).mean() > 0.5


def test_words_rotate_the_images_own_point_where_there_is_no_prior(pocket, cat):
    own, rotated, sampled = (
        edits.redraw(model, cat, text=text, settings=Settings(steps=4, strength=0.5)).points
        for model, text in (
            (pocket, None),
            (replace(pocket, prior=None), "dog face"),
            (pocket, "dog face"),
        )
    )
    words = pocket.encoder.encode_text("dog face")
    assert words.unit @ rotated.unit.T > words.unit @ own.unit.T
    assert own.unit @ rotated.unit.T > own.unit @ sampled.unit.T
    assert rotated.side == "image"


def test_less_strength_stays_nearer_to_the_image(pocket, cat):
    far = [
        distance(edits.redraw(pocket, cat, text="dog face", settings=settings)[0], open_image(cat))
        for settings in (Settings(steps=10, strength=0.3), Settings(steps=10, strength=1.0))
    ]
    assert far[0] < far[1]


def test_several_images_of_a_point_have_seeds_of_their_own(pocket):
    images = edits.decode(pocket, "a cat", count=3, settings=Settings(steps=2, seed=5))
    assert images.recipe.settings.seed == (5, 6, 7)
    alone = edits.decode(pocket, images.points[1], settings=Settings(steps=2, seed=6))
    assert np.abs(pixels(alone[0]) - pixels(images[1])).max() <= 1
    assert distance(images[0], images[1]) > 1


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m: edits.decode(m, "./gone.png"), QueryError, "no file.*gone.png"),
        (lambda m: edits.decode(m, Path("gone.png")), ImageError, "gone.png"),
        (lambda m: edits.decode(m, "a cat", settings=Settings(noise="inverted")), QueryError,
         "needs an image"),
        (lambda m: edits.interpolate(m, ["a cat"]), QueryError, "two keyframes or more, not 1"),
        (lambda m: edits.text_diff(m, two(m), after="x"), QueryError, "takes 1 point, not 2"),
        (lambda m: edits.inpaint(m, Image.new("RGB", (64, 64)), (90, 0, 9, 9)), QueryError,
         "all black"),
        (lambda m: edits.inpaint(m, Image.new("RGB", (64, 64)), np.ones((8, 8))), QueryError,
         "8 × 8 pixels and its image 64 × 64"),
        (lambda m: edits.decode(replace(m, decoder=None), "a cat"), UnknownModel, "no decoder"),
        (lambda m: edits.decode(replace(m, prior=None), "a cat"), SideMismatch, "prior"),
        (lambda m: edits.decode(m, "a cat", settings=Settings(options={"prompt": "x"})),
         QueryError, "no option 'prompt'"),
        (lambda m: edits.decode(m, "a cat", settings=Settings(seed=[1, 2])), QueryError, "2 seeds"),
        (lambda m: edits.replay("gone.png"), QueryError, "no file 'gone.png'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_error_before_anything_is_decoded(call, error, words, pocket):
    with pytest.raises(error, match=words):
        list(call(pocket))


def two(model) -> Points:
    return model.prior.sample(["a cat", "a dog"])

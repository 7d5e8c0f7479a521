"""Features: laws of what is learnt and turned, and the commands features and turn."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from forged_arrays import forge, retell
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image
from test_train import done, unclip_

from analysis import autoencoder
from explorer.cli.features import FeatureOptions
from explorer.errors import QueryError, SideMismatch, SpaceMismatch, WeightsMissing
from explorer.features import MANIFEST, WEIGHTS, Features, learning
from explorer.library import Library
from explorer.points import Points, Space
from explorer.regions import learnt, word_scores
from explorer.regions.learnt import STRONG, STRONGEST, library_features

PLANTED = Space("planted", 16, "0f")


def planted(n, seed=0):
    """Points that are sums of 2 of 12 directions, of lengths that differ."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(np.random.default_rng(9).normal(size=(16, 16)))[0][:12]
    weights = np.zeros((n, 12))
    for row in weights:
        row[rng.choice(12, 2, replace=False)] = rng.uniform(0.5, 1, 2)
    vectors = weights @ directions * rng.uniform(5, 9, (n, 1))
    return Points(vectors, PLANTED, "image"), directions


@pytest.fixture(scope="module")
def features():
    return Features.fit(planted(1500)[0], 24, 2, steps=300)


def test_the_directions_that_points_are_made_of_are_found(features):
    _, directions = planted(1)
    centred = directions - directions.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    assert (features.directions @ centred.T).max(0).mean() > 0.8
    assert features.explained(planted(200, seed=1)[0]).mean() > 0.8


def test_few_are_active_and_the_first_ones_alone_keep_less():
    points, _ = planted(400)
    learnt, again = (Features.fit(points, 16, 3, steps=60) for _ in range(2))
    activations = learnt.of(points)
    assert ((activations > 0).sum(1) <= 3).all() and (activations >= 0).all()
    assert np.linalg.norm(learnt.directions, axis=1) == pytest.approx(1, abs=1e-5)
    kept = [learnt.explained(points, first).mean() for first in (2, 8, 16)]
    assert kept == sorted(kept)
    assert (activations == again.of(points)).all()  # the same seed
    seen = [activations[:, i][activations[:, i] > 0] for i in range(16)]
    usual = [each.mean() if len(each) else 0 for each in seen]
    np.testing.assert_allclose(learnt.usual, usual, rtol=1e-4)


@settings(max_examples=30)
@given(some.integers(0, 23), some.floats(0.1, 5), some.integers(0, 50))
def test_turning_moves_a_point_towards_the_feature_and_keeps_the_rest(features, place, far, seed):
    points, _ = planted(4, seed)
    turned = features.edit(points, {place: far})
    np.testing.assert_allclose(turned.norms, points.norms, rtol=1e-5)
    assert turned.labels == points.labels and turned.side == "image"
    np.testing.assert_allclose(features.edit(points, {place: 0}).vectors, points.vectors, rtol=1e-5)
    alone = features.edit(points[2], {place: far})
    np.testing.assert_allclose(alone.vectors[0], turned.vectors[2], rtol=1e-5, atol=1e-6)
    if features.usual[place] > 0.05:
        direction, further = features.directions[place], features.edit(points, {place: 2 * far})
        apart = [
            (each - features.middle) @ direction / np.linalg.norm(each - features.middle, axis=1)
            for each in (points.unit, turned.unit, further.unit)
        ]
        assert (np.diff(np.stack(apart), axis=0) > -1e-6).all()
        aside = np.random.default_rng(seed).normal(size=16)
        aside -= aside @ direction * direction  # of what lies aside, only the share changes
        assert np.linalg.norm(turned.unit - points.unit, axis=1).max() > 1e-4


def test_activations_depend_on_the_direction_alone_and_on_no_other_point(features):
    points, _ = planted(40)
    activations = features.of(points)
    longer = features.of(points.with_vectors(3 * points.vectors))
    np.testing.assert_allclose(longer, activations, atol=1e-5)
    alone = np.concatenate([features.of(point) for point in points])
    np.testing.assert_allclose(alone, activations, atol=1e-5)


def test_of_equal_features_no_more_are_active_than_may_be(features):
    points, _ = planted(9)
    twice = replace(features, reading=np.repeat(features.reading[:, :1], 24, axis=1),
                    offset=np.ones(24, np.float32))  # fmt: skip
    assert ((twice.of(points) > 0).sum(1) == 2).all()


def test_features_that_are_no_longer_active_are_revived(monkeypatch):
    wide = np.random.default_rng(0).normal(size=(800, 16)) * np.geomspace(4, 0.3, 16)
    points = Points(wide, PLANTED, "image")
    used = [(Features.fit(points, 128, 2, steps=200).usual > 0).mean()]
    monkeypatch.setattr(learning, "LEARNING", 0)  # of the steps
    used.append((Features.fit(points, 128, 2, steps=200).usual > 0).mean())
    assert used[0] > 0.9 > used[1]


def worded(n=12, seed=0):
    """Words as features, and images that are sums of them on the other side of a gap."""
    rng = np.random.default_rng(seed)
    words = Points(np.eye(16)[:n] + 0.3, PLANTED, "text", tuple(f"word {i}" for i in range(n)))
    weights = rng.uniform(0.5, 1, (60, n)) * (rng.random((60, n)) < 0.15)
    images = 1 + 0.1 * rng.normal(size=16) + weights @ (np.eye(16)[:n] - np.eye(16)[:n].mean(0))
    return words, Points(images, PLANTED, "image"), weights


def test_words_become_features_that_are_read_and_turned():
    words, images, weights = worded()
    told = Features.of_words(words, images, 0.05)
    assert told.names == words.labels and told.penalty == 0.05
    activations = told.of(images)
    assert (activations >= 0).all() and 0 < (activations > 0).mean() < 0.5
    held = weights > 0
    assert activations[held].mean() > 3 * activations[~held].mean()
    turned = told.edit(images, {"word 3": 2})
    np.testing.assert_allclose(turned.norms, images.norms, rtol=1e-5)
    assert (told.of(turned)[:, 3] > activations[:, 3]).all()


def test_words_that_say_nothing_new_are_left_out_and_unseen_ones_can_be_turned():
    words, images, _ = worded()
    again = Points(np.concatenate([words.vectors, words.vectors[:2]]), PLANTED, "text",
                   (*words.labels, "again", "twice"))  # fmt: skip
    assert Features.of_words(again, images).names == words.labels
    alike = words.with_vectors(words.vectors + np.abs(words.vectors).max())
    assert (alike.unit @ alike.unit.T).min() > 0.9  # as an encoder may place all words
    assert Features.of_words(alike, images).names == words.labels
    told = Features.of_words(words, images[:1], 0.5)
    assert (told.of(images[:1]) == 0).any() and (told.usual > 0).all()
    for wrong in (words[0], words[[0, 0]]):
        with pytest.raises(QueryError, match="words 1 differ"):
            Features.of_words(wrong, images)
    with pytest.raises(QueryError, match="above 0"):
        Features.of_words(words, images, 0)
    with pytest.raises(SideMismatch):
        Features.of_words(words, words)


def test_a_feature_goes_by_number_or_name(features):
    named = features.with_names(["cat", *[""] * 22, "dog"])
    points, _ = planted(50)
    assert named.place("dog") == named.place("23") == named.place(23) == 23
    up = [named.edit(points, {which: 2}).vectors for which in ("dog", 23)]
    assert (up[0] == up[1]).all()
    rows = named.top(points, "dog", 5)
    activations = named.of(points)[:, 23]
    assert (activations[rows] > 0).all() and (np.diff(activations[rows]) <= 0).all()
    for wrong in ("dogs", "", 24, -1, "24"):
        with pytest.raises(QueryError, match=r"0 to 23, or a name, as .*dog"):
            named.place(wrong)
    with pytest.raises(QueryError, match="24 features take 24 names"):
        features.with_names(["cat"])


def test_other_spaces_and_sides_are_refused(features):
    other = Points(np.eye(3), Space("other", 3, "0f"), "image")
    for verb in (features.of, lambda points: features.edit(points, {0: 1})):
        with pytest.raises(SpaceMismatch):
            verb(other)
    words = Points(np.eye(16), PLANTED, "text")
    for verb in (Features.fit, features.of, lambda points: features.edit(points, {0: 1})):
        with pytest.raises(SideMismatch):
            verb(words)
    with pytest.raises(QueryError, match="1 to 4 may be active"):
        Features.fit(planted(9)[0], 4, 5)


def test_what_was_saved_is_read_again(features, tmp_path):
    named = features.with_names([*map(str, range(23)), "ক্যাট"]).of_key("x")
    words, images, _ = worded()
    told = Features.of_words(words, images, 0.05)
    told.save(tmp_path / "words")
    same = Features.load(tmp_path / "words")
    assert (same.of(images) == told.of(images)).all() and same.penalty == 0.05
    for _ in range(2):
        named.save(tmp_path / "f")
    again = Features.load(tmp_path / "f")
    points, _ = planted(20)
    assert (again.of(points) == named.of(points)).all()
    assert (again.names, again.made_from, again.space) == (named.names, "x", PLANTED)


HARM = {
    "cut": lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:999]),
    "gone": lambda f: (f / WEIGHTS).unlink(),
    "other json": lambda f: (f / MANIFEST).write_text("[1]"),
    "not finite": lambda f: forge(f, "features", middle=np.full(16, np.nan, np.float32)),
    "other shape": lambda f: forge(f, "features", reading=np.zeros((2, 2), np.float32)),
    "missing": lambda f: forge(f, "features", usual=None),
    "too active": lambda f: retell(f, "features", active=99),
    "penalty": lambda f: retell(f, "features", penalty=-1),
    "too few names": lambda f: retell(f, "features", names=["cat"]),
    "another space": lambda f: retell(
        f, "features", space={"name": "b", "dimension": 7, "fingerprint": ""}
    ),
}


@pytest.mark.parametrize("harm", HARM)
def test_damaged_or_forged_features_are_one_clear_error(harm, features, tmp_path):
    features.save(tmp_path)
    HARM[harm](tmp_path)
    with pytest.raises(WeightsMissing, match="no features that can be used.*unclip features"):
        Features.load(tmp_path)


def test_survival_tells_a_decoder_that_shows_features_from_one_that_does_not(features):
    points, _ = planted(30, seed=5)
    shown = autoencoder.survival(lambda asked: asked, features, points)
    assert (shown["rose"].dropna() == 1).all() and (shown["another rose"].dropna() < 0.9).all()
    np.testing.assert_allclose(shown["seen"], shown["asked"], atol=1e-6)
    blind = autoencoder.survival(lambda _: points, features, points)
    assert (blind["rose"].dropna() == 0).all() and blind["seen"].nunique() == 1


# The commands


@pytest.fixture(scope="module")
def library(pocket, sample, tmp_path_factory):
    place = tmp_path_factory.mktemp("features")
    (place / "images").mkdir()
    for style in ("flat", "3d"):
        (place / "images" / style).mkdir()
        for file in sorted((sample / style).glob("*.png"))[:80]:
            shutil.copy(file, place / "images" / style)
    shutil.copy(sample / "captions.csv", place / "images")
    made = Library.create(place / "photos.lib", pocket)
    made.add([place / "images"], workers=0)
    return made


def test_fitting_yields_as_it_goes_and_gives_what_fit_gives():
    points = Points(np.random.default_rng(0).normal(size=(300, 16)), PLANTED, "image")
    fitting, parts = Features.fitting(points, 16, 2, steps=120, seed=0), 0
    try:
        while True:
            next(fitting)
            parts += 1
    except StopIteration as end:
        assert parts == 2
        assert (end.value.reading == Features.fit(points, 16, 2, steps=120).reading).all()


def test_features_are_fitted_once_and_again_when_the_library_grows(library, sample, monkeypatch):
    first = library_features(library, count=32, steps=200)
    assert any(first.names) and len(first.names) == 32
    fitting = Features.fitting
    monkeypatch.setattr(Features, "fitting", lambda *_, **__: pytest.fail("they are in the cache"))
    points = library.points()
    assert (library_features(library, count=32, steps=200).of(points) == first.of(points)).all()
    monkeypatch.setattr(Features, "fitting", fitting)
    assert len(library_features(library, count=17, steps=30)) == 17


def test_the_command_asks_for_the_features_that_the_dashboard_keeps():
    """One cache holds one set: each would fit its own again and again."""
    options = FeatureOptions()
    assert (options.count, options.active) == (learnt.COUNT, learnt.ACTIVE)


def test_a_name_tells_the_images_in_which_its_feature_is_strongest(library, monkeypatch):
    """Also where the words that were chosen are those of other features."""
    chosen = learnt.names_by_scores
    features = library_features(library, count=32, steps=200)
    assert any(features.names)
    scores, words, _ = word_scores(library, np.arange(len(library)))
    activations = features.of(library.points())
    for shift in (0, 1):
        monkeypatch.setattr(
            learnt, "names_by_scores", lambda *x, by=shift: exchanged(chosen(*x), by)
        )
        names = learnt._names(library, features, seed=0)
        for place in np.flatnonzero(names):
            strong = activations[:, place] > STRONG * features.usual[place]
            top = np.argsort(-activations[:, place])[: min(STRONGEST, strong.sum())]
            held = scores[:, words.index(names[place])]
            assert held[top].mean() >= held.mean() + 0.2


def exchanged(names, by):
    """The names that there are, each for the next feature that had one."""
    places = [i for i, name in enumerate(names) if name]
    moved = dict(zip(places, places[by:] + places[:by], strict=True))
    return [names[moved[i]] if i in moved else None for i in range(len(names))]


def test_words_stand_for_features_and_are_cached(library, monkeypatch):
    told = library_features(library, words=["cat", "dog", "clock"])
    assert told.names == ("cat", "dog", "clock") and told.penalty
    monkeypatch.setattr(Features, "of_words", lambda *_: pytest.fail("they are in the cache"))
    assert library_features(library, words=["cat", "dog", "clock"]).names == told.names


def test_few_images_teach_nothing(pocket, emoji_images, tmp_path):
    few = Library.create(tmp_path / "few.lib", pocket)
    few.add([emoji_images], workers=0)
    with pytest.raises(QueryError, match="128 images or more, and .* has 14"):
        library_features(few)


def test_a_sheet_shows_images_and_what_the_decoder_shows(library, tmp_path):
    sheet = tmp_path / "sheet.png"
    words = ("features", library.folder, "--count", 16, "--show", 3, "--json", "--sheet", sheet)
    listed = json.loads(done(*words))
    assert len(listed) == 3 and all(0 < each["share"] <= 1 for each in listed)
    assert [each["share"] for each in listed] == sorted((e["share"] for e in listed), reverse=True)
    assert all(len(each["top"]) == 4 for each in listed)
    with Image.open(sheet) as image:
        assert image.width > 8 * 64 and image.height > 3 * 64


def test_an_image_is_turned_and_replayed(library, tmp_path):
    image = library.rows["item"][0]
    options = ("--count", 16, "--frames", 3, "--steps", 2)
    done("turn", library.folder, image, "--feature", "1=+3", *options, "-o", tmp_path / "a.png")
    done("replay", tmp_path / "a.png", "-o", tmp_path / "b.png")
    same = [(tmp_path / name).read_bytes() for name in ("a.png", "b.png")]
    assert same[0] == same[1]
    for wrong, said in (("1", "NAME=AMOUNT"), ("no such=1", "no feature 'no such'")):
        refused = unclip_("turn", library.folder, image, "--feature", wrong, *options, "-o",
                          tmp_path / "c.png")  # fmt: skip
        assert refused.exit_code == 2 and said in refused.stderr


def test_words_of_a_file_are_listed_and_turned(library, tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("clock\n\n heart \ncat\n", "utf-8")
    listed = json.loads(done("features", library.folder, "--words", file, "--json"))
    assert {each["name"] for each in listed} <= {"clock", "heart", "cat"} and listed
    image, out = library.rows["item"][0], tmp_path / "a.png"
    turn = ("turn", library.folder, image, "--feature", "heart=+3", "--frames", 2, "--steps", 2)
    done(*turn, "--words", file, "-o", out)
    assert out.exists()
    for content, said in ((b"\n \n", "holds no words"), (b"\xff\xfe", "no UTF-8 text")):
        file.write_bytes(content)
        refused = unclip_(*turn, "--words", file, "-o", tmp_path / "b.png")
        assert refused.exit_code == 2 and said in refused.stderr

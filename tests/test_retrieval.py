"""Retrieval: the real images along a path, each once and in order, with no decoder."""

import itertools
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from explorer.cli import unclip
from explorer.errors import QueryError, SpaceMismatch
from explorer.images import open_image
from explorer.library import Library
from explorer.path import Path
from explorer.points import Points, Space
from explorer.retrieval import Retrieval
from explorer.video import read_frames


@pytest.fixture
def shown(emoji):
    return Library.open(emoji)


def ends(library):
    return library.points([2]), library.points([9])


def test_each_image_comes_once_and_the_ends_are_their_own(shown):
    a, b = ends(shown)
    found = Retrieval.along(shown, Path.slerp(a, b), 10)
    assert len(set(found.rows.tolist())) == len(found) == 10
    assert (found.rows[0], found.rows[-1]) == (2, 9)
    assert found.scores[[0, -1]] == pytest.approx([1, 1], abs=1e-5)
    assert found.times.tolist() == np.linspace(0, 1, 10).tolist()


def test_the_image_between_is_the_nearest_other(shown):
    """Against every image of 8 for the place between the ends."""
    few = [0, 1, 2, 3, 4, 5, 6, 7]
    a, b = ends(shown)
    places = Path.slerp(a, b).sample(3)

    class Small(Library):
        def search_many(self, points, k=12, **rest):
            others = np.setdiff1d(np.arange(len(self)), few)
            return super().search_many(points, k, exclude=others.tolist(), **rest)

    found = Retrieval.along(Small.open(shown.folder), places, 3)
    cosines = places.unit @ shown.points(few).unit.T
    ends_of = few.index(2), max(set(few) - {2}, key=lambda row: cosines[2, row])
    assert found.rows[[0, 2]].tolist() == list(ends_of)
    best = max(cosines[1, row] for row in few if row not in ends_of)
    assert found.scores[1] == pytest.approx(best, abs=1e-6)


def test_between_the_ends_no_other_order_is_nearer(shown):
    a, b = ends(shown)
    found = Retrieval.along(shown, Path.slerp(a, b), 7)
    cosines = found.points.unit @ shown.points(found.rows).unit.T
    sums = [
        sum(cosines[i + 1, j] for i, j in enumerate(order))
        for order in itertools.permutations(range(1, 6))
    ]
    assert found.scores[1:-1].sum() == pytest.approx(max(sums), abs=1e-5)


def test_images_far_along_come_late(shown):
    """Where two were exchanged, the sum would be smaller: later ones lean to the end."""
    a, b = ends(shown)
    found = Retrieval.along(shown, Path.slerp(a, b), 12)
    own = shown.points(found.rows).unit
    lean = own @ b.unit[0] - own @ a.unit[0]
    assert np.corrcoef(lean, found.times)[0, 1] > 0.8


def test_a_small_library_gives_what_it_has(tmp_path, pocket, sample):
    library = Library.create(tmp_path / "few.lib", pocket)
    library.add(sorted((sample / "noto").glob("*"))[:3], workers=0)
    found = Retrieval.interpolate(library, ["cat", "dog"], count=9)
    assert sorted(found.rows.tolist()) == [0, 1, 2]
    one = Library.create(tmp_path / "one.lib", pocket)
    one.add(sorted((sample / "noto").glob("*"))[:1], workers=0)
    assert Retrieval.interpolate(one, ["cat", "dog"]).rows.tolist() == [0]


def test_what_no_path_is_made_of_is_refused(tmp_path, pocket, shown):
    empty = Library.create(tmp_path / "none.lib", pocket)
    with pytest.raises(QueryError, match="is empty"):
        Retrieval.interpolate(empty, ["cat", "dog"])
    with pytest.raises(QueryError, match="2 to 256 images, not 1"):
        Retrieval.interpolate(shown, ["cat", "dog"], count=1)
    with pytest.raises(QueryError, match="at least 2 points"):
        Retrieval.interpolate(shown, ["cat"])
    away = Points(np.eye(2, 8), Space("other", 8, "1f"), "image")
    with pytest.raises(SpaceMismatch):
        Retrieval.along(shown, away)


def test_it_is_written_as_a_strip_and_as_a_video(shown, tmp_path):
    found = Retrieval.text_diff(shown, "cat face", before="cat face", after="dog face", count=4)
    assert len(list(read_frames(found.save(tmp_path / "way.mp4")))) == 4
    assert open_image(found.save(tmp_path / "way.png")).width > 4 * 128
    assert len(found.to_pandas()) == 4 and found.items == tuple(found.to_pandas()["item"])
    assert found._repr_html_().count("<figure") == 4


def run(*words):
    told = CliRunner().invoke(unclip, [str(word) for word in words])
    return told.exit_code, told.output


def test_diff_and_walk_show_real_images_where_nothing_decodes(bare, tmp_path):
    """Once both ended with "has no decoder", whatever library was named."""
    code, output = run("diff", "cat", "--to", "dog", "-o", tmp_path / "d.mp4", "-l", bare)
    assert code == 0, output
    assert "12 real images" in output and f"train bridge {bare}" in output
    assert len(list(read_frames(tmp_path / "d.mp4"))) == 12
    code, output = run("walk", "cat", "dog", "--frames", 5, "-o", tmp_path / "w.png", "--json",
                       "-l", bare)  # fmt: skip
    assert code == 0, output
    rows = json.loads(output)
    assert len({row["row"] for row in rows}) == len(rows) == 5
    assert (tmp_path / "w.png").is_file()


def test_without_library_and_decoder_it_says_what_to_name(bare, tmp_path):
    code, output = run(
        "walk", "a", "b", "-o", tmp_path / "w.mp4", "--model", Library.open(bare).model
    )
    assert code == 2 and "-l photos.lib" in output


@pytest.mark.parametrize(
    "words", [("diff", "cat", "--to", "dog", "--through-prior"), ("walk", "cat", "dog", "--even")]
)
def test_what_changes_decoding_alone_is_refused_where_nothing_decodes(words, bare, tmp_path):
    """Once it was taken and did nothing."""
    code, output = run(*words, "-o", tmp_path / "w.png", "-l", bare)
    assert code == 2 and f"Leave {words[-1]} out" in output
    assert not (tmp_path / "w.png").exists()


@pytest.mark.parametrize("words", [("diff", "cat", "--to", "dog"), ("walk", "cat", "dog")])
def test_a_pace_of_zero_is_refused_and_not_replaced(words, bare, tmp_path):
    code, output = run(*words, "--fps", "0", "-o", tmp_path / "w.mp4", "-l", bare)
    assert code == 2 and "fps" in output

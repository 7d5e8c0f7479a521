import emoji
import numpy as np
import pytest
from coloured import dataset

from analysis.dataset import Absent
from analysis.questions import gap
from explorer.errors import QueryError
from explorer.points import Points, Space

PLANE = Space("plane", 2, "0f")


def points(vectors, side="image"):
    return Points(np.array(vectors, dtype=float), PLANE, side)


def test_the_gap_is_between_mean_directions_whatever_the_lengths():
    images, words = points([[3, 0], [0, 5]]), points([[-7, 0], [0, -1]], "text")
    assert gap.modality_gap(images, words) == pytest.approx(np.sqrt(2))
    assert gap.modality_gap(images, images) == 0


def test_shifts_by_hand():
    # dimension 0: means 0.5 and 0, variances 0.25 and 1; dimension 1: both 0.5 and 0.25, and 0, 0
    table = gap.shifts(points([[1, 0], [0, 1]]), points([[1, 0], [-1, 0]], "text"))
    assert table["dimension"].tolist() == [1, 0]
    assert table["shift"].tolist() == [0.5, 0.5]
    assert table["shift in deviations"].tolist() == pytest.approx(
        [0.5 / np.sqrt(0.125), 0.5 / np.sqrt(0.625)]
    )


def test_pairs_are_of_the_kind_that_they_are_named_after():
    images, words = points([[1, 0], [0, 1]]), points([[0, 1], [-1, 0]], "text")
    found = gap.within_and_between(images, words, pairs=50)
    kinds = {name: set(np.unique(values)) for name, values in found.items()}
    assert kinds == {
        "an image and its caption": {0},
        "an image and another's caption": {-1, 1},
        "two images": {0},
        "two captions": {0},
    }


def test_one_image_has_no_pairs():
    with pytest.raises(QueryError, match="Two"):
        gap.within_and_between(points([[1, 0]]), points([[1, 0]], "text"))


def test_positions_go_from_words_to_images():
    images, words = points([[1, 0], [1, 0]]), points([[0, 1], [0, 1]], "text")
    between = points([[1, 1], [1, 1]])
    table = gap.positions({"w": words, "p": images, "b": between}, images, words)
    assert table["position"].tolist() == pytest.approx([0, 1, 0.5])
    assert table["gap to images"].tolist() == pytest.approx([np.sqrt(2), 0, 0.76537], abs=1e-5)
    assert table["cosine with own image"].tolist() == pytest.approx([0, 1, np.sqrt(0.5)])


def test_without_a_prior_the_section_says_so_and_measures_the_rest(tmp_path):
    section = gap.section(dataset(tmp_path, seed=3))
    assert "has no prior" in section.finding
    assert section.tables["Where the points lie"]["points"].tolist() == ["words"]
    assert len(section.tables["Shift of each dimension"]) == 8


def test_without_captions_it_says_what_is_missing(tmp_path):
    with pytest.raises(Absent, match="--caption"):
        gap.section(dataset(tmp_path, captions=False))


def test_pocket_decodes_the_same_captions_three_ways(tmp_path, pocket, sample):
    section = gap.section(emoji.dataset(tmp_path, pocket, sample, 12, count=4))
    table = section.tables["What the decoder makes of captions"].set_index("way")
    assert list(table.index) == ["no point", "text point", "prior", "image point"]
    trip = table["round trip (median cosine)"]
    assert trip["image point"] > trip["prior"] > trip["no point"]
    assert "Captions decoded three ways" in section.figures

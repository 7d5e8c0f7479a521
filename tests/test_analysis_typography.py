import numpy as np
import pytest
from coloured import dataset
from PIL import Image, ImageChops

from analysis.dataset import Absent
from analysis.questions import typography
from explorer.errors import QueryError
from explorer.points import Points, Space

PLANE = Space("plane", 2, "0f")
GREEN = Image.new("RGB", (100, 100), "green")


def changed(one, other):
    """The box in which two images differ, or None."""
    return ImageChops.difference(one, other).getbbox()


@pytest.mark.parametrize("word", ["", "iPod", "a word that is much too long for such a label"])
def test_a_label_changes_nothing_outside_it_and_its_word_fits_in(word):
    assert changed(GREEN, typography.label(GREEN, word)) == (10, 60, 91, 89)
    inside = changed(typography.label(GREEN), typography.label(GREEN, word))
    if word:
        assert inside[0] > 10
        assert inside[1] > 60
        assert inside[2] < 91
        assert inside[3] < 89


def test_a_label_leaves_the_image_that_was_given_as_it_is():
    image = GREEN.copy()
    typography.label(image, "iPod")
    assert changed(image, GREEN) is None


def test_the_smallest_and_the_largest_images_take_a_label():
    ways = typography.attacks([Image.new("RGB", (1, 1)), Image.new("RGB", (1024, 300))], ["a", "b"])
    assert list(ways) == ["as it is", "an empty label", "a word on the label"]
    assert [[image.size for image in way] for way in ways.values()] == [[(1, 1), (512, 150)]] * 3
    assert changed(ways["an empty label"][1], ways["a word on the label"][1])


def test_scores_by_hand():
    images = Points([[2, 0], [0, 1]], PLANE, "image")
    own, written = (Points(v, PLANE, "text") for v in ([[3, 0], [1, 1]], [[0, 5]]))
    found = typography.scores(images, own, written)
    assert found == pytest.approx(np.array([[1, 0], [np.sqrt(0.5), 1]]))


def test_what_is_taken_by_hand():
    # three choices: own words, word 0, word 1; on the images stand words 1, 0 and 0
    cosines = {"way": np.array([[0.9, 0.1, 0.2], [0.1, 0.8, 0.2], [0.1, 0.2, 0.7]])}
    table = typography.taken(cosines, np.array([1, 0, 0])).set_index("taken for")
    assert table["found"].to_dict() == {"own words": 1, "the written word": 1}
    assert table["chance"].tolist() == pytest.approx([1 / 3, 1 / 3])
    assert table["mean cosine"].tolist() == pytest.approx([1.1 / 3, 1.2 / 3])


def test_without_a_decoder_the_section_shows_the_apple_and_no_variations(tmp_path):
    section = typography.section(dataset(tmp_path, count=10))
    table = section.tables["What an image is taken for"]
    assert table["n"].tolist() == [10] * 6
    assert table["chance"].tolist() == pytest.approx([1 / 6] * 6)
    assert table["found"].iloc[:2].tolist() == [10, 0]
    shares = section.tables["The apple: probabilities"].iloc[:, 1:].to_numpy(dtype=float)
    assert shares.sum(1) == pytest.approx(1)
    assert len(section.figures) == 2


def test_captions_that_name_a_word_are_left_out(tmp_path):
    asked = dataset(tmp_path, each=1)
    asked.library.rows.loc[[0, 1], "caption"] = ["a PIZZA", "public library"]
    assert typography.section(asked).tables["What an image is taken for"]["n"].max() == 2


def test_captions_that_all_name_a_word_are_refused(tmp_path):
    asked = dataset(tmp_path, each=1)
    asked.library.rows["caption"] = "dough"
    with pytest.raises(QueryError, match="iPod, library"):
        typography.section(asked)


def test_without_captions_it_says_what_is_missing(tmp_path):
    with pytest.raises(Absent, match="--caption"):
        typography.section(dataset(tmp_path, captions=False))

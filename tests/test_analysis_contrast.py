import numpy as np
import pandas as pd
import pytest
from coloured import dataset
from fakes import ColourEncoder

from analysis.dataset import Absent
from analysis.questions import contrast


def test_losses_by_hand():
    # softmax of the rows: (e, 1) and (√e, √e); of the columns: (e, √e) and (1, √e)
    cosines = np.array([[1.0, 0.0], [0.5, 0.5]])
    rows = -(np.log(np.e / (np.e + 1)) + np.log(0.5)) / 2
    columns = -(np.log(np.e / (np.e + np.exp(0.5))) + np.log(np.exp(0.5) / (np.exp(0.5) + 1))) / 2
    assert contrast.losses(cosines, 1) == pytest.approx((rows, columns))


def test_a_perfect_match_has_no_loss_at_a_high_scale_and_chance_at_scale_zero():
    assert contrast.losses(np.eye(5), 200) == pytest.approx((0, 0))
    assert contrast.losses(np.eye(5), 0) == pytest.approx((np.log(5), np.log(5)))


def test_the_loss_agrees_with_scipy():
    from scipy.special import log_softmax

    cosines = np.random.default_rng(0).uniform(-1, 1, (7, 7))
    expected = [-np.diag(log_softmax(20 * c, axis=1)).mean() for c in (cosines, cosines.T)]
    assert contrast.losses(cosines, 20) == pytest.approx(expected)


def test_probabilities_of_a_row_add_up_and_do_not_overflow():
    shares = contrast.probabilities(np.array([[1.0, -1.0, 0.9]]), 1e6)
    assert shares.tolist() == [[1, 0, 0]]


def test_hits_by_hand():
    scores = np.array([[0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.9, 0.5, 0.1]])
    table = contrast.hits(scores, np.array([0, 1, 2, 0]), ks=(1, 2, 3))
    assert table["found"].tolist() == [2, 3, 4]
    assert table["share"].tolist() == [0.5, 0.75, 1]
    assert table["chance"].tolist() == pytest.approx([1 / 3, 2 / 3, 1])


def test_confusion_counts_guesses_by_true_class():
    scores = np.array([[1, 0], [0, 1], [0, 1]])
    table = contrast.confusion(scores, np.array([0, 0, 1]), ["cat", "dog"])
    assert table.to_numpy().tolist() == [["cat", 1, 1], ["dog", 0, 1]]


def test_a_class_is_the_mean_direction_over_the_templates():
    encoder = ColourEncoder()
    points = contrast.class_points(encoder, ["red", "blue"], ("{}", "a {}"))
    one, other = encoder.encode_text(["blue", "a blue"]).unit
    assert points.labels == ("red", "blue")
    assert points[1].vectors[0] == pytest.approx((one + other) / 2)


def test_classes_are_columns_of_few_words():
    rows = pd.DataFrame(
        {
            "colour": ["red", "blue"] * 3,
            "one": ["same"] * 6,
            "name": list("abcdef"),
            "number": [1, 2] * 3,
            "gaps": ["x", "y", None, "x", "y", None],
        }
    )
    assert contrast.class_columns(rows, list(rows)) == ["colour", "gaps"]


def test_the_section_sorts_colours_by_their_names(tmp_path):
    section = contrast.section(dataset(tmp_path))
    table = section.tables["Zero-shot classification by template"]
    plain = table[table["template"] == "{}"]
    assert plain[["column", "n", "share"]].to_numpy().tolist() == [
        ["caption", 24, 1.0],
        ["colour", 24, 1.0],
    ]
    assert plain["largest class"].tolist() == [0.25, 0.25]
    assert np.trace(section.tables["Guesses of colour"].iloc[:, 1:]) <= 24
    assert "of 24" in section.finding
    assert len(section.figures) == 5


def test_without_captions_and_classes_it_says_what_is_missing(tmp_path):
    with pytest.raises(Absent, match="--caption"):
        contrast.section(dataset(tmp_path, captions=False))

import numpy as np
import pytest
from coloured import dataset, shaded

from analysis.dataset import Absent
from analysis.questions import arithmetic
from explorer.errors import QueryError
from explorer.geometry import angle, rotate
from explorer.points import Points, Space

CAPTIONS = ["red cat", "blue cat", "red dog", "blue dog", "fish"]
KING = ["king", "queen", "man", "woman", "table"]  # axes: royal, male, female, wooden
PLANE = Space("plane", 4, "0f")


def royal(side="text"):
    vectors = [[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    return Points(np.array(vectors, float), PLANE, side, KING)


@pytest.fixture
def questions():
    """Man is to woman as king is to what?, in the places of KING."""
    import pandas as pd

    return pd.DataFrame({"a": [2], "b": [3], "c": [0], "d": [1]})


def test_questions_are_all_that_differ_in_the_same_word():
    table = arithmetic.quadruples(CAPTIONS, 100)
    told = {tuple(CAPTIONS[place] for place in row) for row in table[list("abcd")].to_numpy()}
    assert len(told) == len(table) == 8
    assert ("red cat", "blue cat", "red dog", "blue dog") in told
    assert ("blue dog", "blue cat", "red dog", "red cat") in told
    assert set(zip(table["before"], table["after"], strict=True)) == {
        ("red", "blue"),
        ("blue", "red"),
        ("cat", "dog"),
        ("dog", "cat"),
    }


def test_questions_are_drawn_again_with_the_same_seed_only():
    captions = [f"{colour} {i}" for colour in ("red", "blue", "green") for i in range(30)]
    first, again, other = (arithmetic.quadruples(captions, 20, seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)
    assert len(first) == 20


def test_a_word_that_stands_twice_is_no_question_about_itself():
    assert arithmetic.quadruples(["red red", "blue red", "red blue"], 50).empty
    assert arithmetic.quadruples(["", "fish", "bird"], 50).empty


def test_king_minus_man_plus_woman_is_queen(questions):
    cosines = arithmetic.scores(arithmetic.METHODS["3CosAdd"], royal(), royal(), questions)
    # unit(king) - man + woman = (1/√2, 1/√2 - 1, 1, 0)
    answer = np.array([0.5**0.5, 0.5**0.5 - 1, 1, 0])
    expected = (answer[0] + answer[2]) / np.sqrt(2) / np.linalg.norm(answer)
    assert cosines[0, 1] == pytest.approx(expected, abs=1e-6)
    assert cosines[0, 4] == pytest.approx(0, abs=1e-6)
    assert np.isneginf(cosines[0, [0, 2, 3]]).all()


def test_every_method_is_compared_with_chance_among_what_may_be_answered(questions):
    table = arithmetic.compare(royal(), royal("image"), questions)
    first = table[table["k"] == 1].set_index("method")
    assert list(first.index) == [*arithmetic.METHODS, arithmetic.CENTRED]
    assert first["chance"].tolist() == [0.5] * 7  # 5 points without a, b and c
    assert table[table["k"] == 10]["chance"].tolist() == [1] * 7
    assert first["found"][arithmetic.SUM] == 1


def test_a_unit_added_once_is_a_turn_by_half():
    rng = np.random.default_rng(0)
    start, direction = (Points(rng.normal(size=(6, 4)), PLANE, "image") for _ in range(2))
    added = arithmetic.added(start, direction, 1)
    assert angle(added, rotate(start, direction, fraction=0.5)).max() < 1e-6
    assert added.norms == pytest.approx(start.norms)


def test_centred_directions_have_no_mean():
    assert arithmetic.centred(royal()).vectors.mean(0) == pytest.approx(0, abs=1e-7)


def test_where_nothing_changes_there_is_nothing_to_find(questions):
    same = royal().with_vectors(np.ones((5, 4)))
    with pytest.raises(QueryError, match="Nothing changes"):
        arithmetic.compare(same, royal("image"), questions)


def test_the_section_asks_words_and_images(tmp_path):
    section = arithmetic.section(shaded(tmp_path))
    table = section.tables["How often d is found"]
    assert set(table["asked of"]) == {"words", "images", "words on an image"}
    images = table[(table["asked of"] == "images") & (table["k"] == 1)].set_index("method")
    assert images["share"][arithmetic.SUM] > images["chance"].iloc[0]
    examples = section.tables["Words on an image: answers of 3CosAdd"]
    assert examples["rank of d"].between(1, len(examples)).all()
    assert len(section.figures) == 4


def test_captions_without_a_common_change_are_not_enough(tmp_path):
    with pytest.raises(Absent, match="differ in the same word"):
        arithmetic.section(dataset(tmp_path))

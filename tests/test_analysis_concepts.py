import emoji
import numpy as np
import pandas as pd
import pytest
from coloured import dataset

from analysis.dataset import Absent
from analysis.questions import concepts
from analysis.sparse import decompose, heaviest, name
from analysis.vocabulary import Vocabulary, words_of
from explorer.errors import QueryError, SpaceMismatch
from explorer.features.words import sparse
from explorer.points import Points, Space

ROOM = Space("room", 3, "0f")
WORDS = Points(np.eye(3) + 1, ROOM, "text", ("cat", "dog", "fish"))


@pytest.fixture
def vocabulary():
    """Three words whose directions from their mean are at 120°, and a middle of images."""
    return Vocabulary(WORDS, np.array([0.3, 0.1, 0.2]))


def images(n=6):
    return Points(np.random.default_rng(0).normal(size=(n, 3)), ROOM, "image")


def test_words_are_counted_once_a_caption_and_pairs_stay_within_a_phrase():
    captions = ["Red cat, flat", "a red cat on the red mat", "dog (flat)"]
    assert words_of(captions, 4) == ["red", "cat", "red cat", "flat"]
    assert "cat flat" not in words_of(captions)
    assert not {"a", "the", "on", "on mat"} & {*words_of(captions)}


def test_sparse_weights_by_hand():
    # over an orthonormal dictionary each weight is the product less the penalty, never below 0
    weights = sparse(np.array([[0.6, -0.5, 0.2]]), np.eye(3), 0.25)
    assert weights[0] == pytest.approx([0.35, 0, 0])


def test_sparse_agrees_with_non_negative_least_squares_without_a_penalty():
    from scipy.optimize import nnls

    rng = np.random.default_rng(0)
    dictionary, direction = rng.normal(size=(4, 6)), rng.normal(size=6)
    expected, _ = nnls(dictionary.T, direction)
    assert sparse(direction[None], dictionary, 1e-7)[0] == pytest.approx(expected, abs=1e-3)


def test_sparse_weights_are_the_best_there_are():
    """No product of a row with what is left exceeds the penalty; used rows meet it exactly."""
    rng = np.random.default_rng(1)
    dictionary, direction = rng.normal(size=(20, 8)), rng.normal(size=8)
    weights = sparse(direction[None], dictionary, 0.5)[0]
    left = dictionary @ (direction - weights @ dictionary)
    assert left.max() <= 0.5 + 1e-2
    assert left[weights > 0] == pytest.approx(0.5, abs=1e-2)


def test_a_vocabulary_leaves_out_what_says_nothing_new():
    class Words:
        def encode_text(self, texts):
            rows = {"cat": [1, 0, 0], "kitty": [0.99, 0.1, 0], "dog": [0, 1, 0]}
            return Points(np.array([rows[text] for text in texts]), ROOM, "text", texts)

    made = Vocabulary.of(Words(), ["cat", "kitty", "dog"], images())
    assert made.words.labels == ("cat", "dog")
    with pytest.raises(QueryError, match="two words"):
        Vocabulary.of(Words(), ["cat", "kitty"], images())
    with pytest.raises(QueryError, match="two words"):
        Vocabulary.of(Words(), [], images())


def test_a_dictionary_is_centred_and_of_unit_length(vocabulary):
    products = vocabulary.dictionary @ vocabulary.dictionary.T
    assert products == pytest.approx(np.where(np.eye(3) > 0, 1, -0.5), abs=1e-6)


def test_with_the_rest_and_no_edit_a_point_comes_back(vocabulary):
    points = images()
    again = decompose(points, vocabulary).recompose(rest=True)
    assert again.vectors == pytest.approx(points.vectors, abs=1e-5)
    assert again.labels == points.labels


def test_words_alone_make_a_point_that_is_made_of_words(vocabulary):
    middle, dog = vocabulary.middle, vocabulary.dictionary[1]
    far = -(middle @ dog) + np.sqrt((middle @ dog) ** 2 + 1 - middle @ middle)  # to length 1
    point = Points(5 * (middle + far * dog)[None], ROOM, "image")
    told = decompose(point, vocabulary, 0.05)
    assert list(told.words(0)) == ["dog"]
    assert told.recompose().vectors == pytest.approx(point.vectors, abs=1e-4)


def test_an_edit_moves_towards_the_word_and_keeps_the_length(vocabulary):
    told = decompose(images(), vocabulary)
    before, after = told.recompose(rest=True), told.edit({"fish": 3}).recompose(rest=True)
    assert ((after.unit - before.unit) @ vocabulary.dictionary[2] > 0).all()
    assert after.norms == pytest.approx(images().norms, rel=1e-5)
    assert told.recompose().norms == pytest.approx(images().norms, rel=1e-5)
    assert told.edit({"fish": 3})[[2]].words(0, 1) == {"fish": 3}
    assert told.weights[:, 2].max() < 3  # the first one is as it was


def test_an_unknown_word_is_refused_with_words_alike(vocabulary):
    with pytest.raises(QueryError, match="dgo.*dog"):
        decompose(images(), vocabulary).edit({"dgo": 1})


def test_points_of_another_space_are_refused(vocabulary):
    with pytest.raises(SpaceMismatch):
        decompose(Points(np.eye(3), Space("other", 3, "1f"), "image"), vocabulary)


def test_words_told_in_words_are_themselves(vocabulary):
    told = decompose(WORDS, vocabulary)
    assert [next(iter(told.words(i))) for i in range(3)] == ["cat", "dog", "fish"]


def test_directions_are_named_and_what_leads_nowhere_is_not(vocabulary):
    cat, dog, _ = vocabulary.dictionary
    assert name(np.stack([cat, dog - cat]), vocabulary, 0.5) == ["cat", "dog"]
    assert name(np.zeros((1, 3)), vocabulary) == [""]
    assert heaviest(np.array([0.1, 0.3, 0]), vocabulary) == {"dog": 0.3, "cat": 0.1}


def test_fewer_words_keep_less(vocabulary):
    table = concepts.fidelity(images(40), vocabulary, (0.05, 0.5))
    assert table[concepts.WORDS].is_monotonic_decreasing
    assert table[concepts.KEPT].is_monotonic_decreasing
    middle = vocabulary.middle / np.linalg.norm(vocabulary.middle)
    assert table[concepts.KEPT].iloc[-1] == pytest.approx((images(40).unit @ middle).mean())


def test_groups_are_named_by_what_they_share(vocabulary):
    rows = np.repeat(vocabulary.dictionary[:2], 10, axis=0) + vocabulary.middle
    noise = 0.01 * np.random.default_rng(0).normal(size=rows.shape)
    classes = pd.DataFrame({"kind": ["a"] * 10 + [None] + ["b"] * 9})
    table = concepts.groups(Points(rows + noise, ROOM, "image"), classes, vocabulary)
    kinds = table[table["column"] == "kind"].set_index("value")
    assert kinds["n"].to_dict() == {"a": 10, "b": 9}
    assert kinds["in words"]["a"].startswith("cat") and kinds["in words"]["b"].startswith("dog")
    assert table[table["column"] == "cluster"]["n"].sum() == 20


def test_exchanged_words_go_round(vocabulary):
    points = Points(vocabulary.dictionary + vocabulary.middle, ROOM, "image")
    pairs, made = concepts.exchanges(decompose(points, vocabulary))
    assert pairs == [("cat", "dog"), ("dog", "fish"), ("fish", "cat")]
    apart = (made.unit - vocabulary.middle) @ vocabulary.dictionary.T
    assert apart.argmax(1).tolist() == [1, 2, 0]


def test_the_section_tells_colours_by_their_names(tmp_path):
    section = concepts.section(dataset(tmp_path))
    assert "has no decoder" in section.finding
    kept = section.tables["How much words keep"][concepts.KEPT]
    assert kept.iloc[0] > kept.iloc[-1]
    assert {"colour", "cluster"} <= {*section.tables["Groups in words"]["column"]}
    assert len(section.tables["Images in words"]) == 24
    assert len(section.figures) == 2


def test_without_captions_there_are_no_words(tmp_path):
    with pytest.raises(Absent, match="--caption"):
        concepts.section(dataset(tmp_path, captions=False))


def test_pocket_decodes_an_exchange_of_words(tmp_path, pocket, sample):
    section = concepts.section(emoji.dataset(tmp_path, pocket, sample, 12, count=12))
    table = section.tables["Decodes: cosines with the words"]
    assert (table["new word, after"] > table["new word, before"]).all()
    assert "A word exchanged" in section.figures

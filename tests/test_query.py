"""Queries: how they are read, written back, and turned into points."""

import hashlib
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from explorer.encoder import Encoder
from explorer.errors import ImageError, QueryError, SideMismatch
from explorer.points import Points, Space
from explorer.prior import Prior
from explorer.query import Query, Term

SPACE = Space("fake", 8, "0f" * 32)


def vector_of(text: str, length: float) -> np.ndarray:
    digest = hashlib.sha256(text.encode()).digest()
    vector = np.frombuffer(digest, dtype=np.uint8)[:8].astype(np.float32) - 127.5
    return length * vector / np.linalg.norm(vector)


def pixels_of(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=np.float32).transpose(2, 0, 1).mean((1, 2), keepdims=True) / 255


class FakeEncoder(Encoder):
    """Words by their hash, of length 10; images by their mean colour, of length 2 and less."""

    space = SPACE

    def __init__(self) -> None:
        self.text_batches: list[list[str]] = []

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        self.text_batches.append(list(texts))
        return np.stack([vector_of(text, 10) for text in texts])

    def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
        colours = pixels.reshape(len(pixels), 3)
        return np.concatenate([colours, np.full((len(pixels), 5), 0.1, np.float32)], axis=1)

    @property
    def preprocess(self) -> Callable[[Image.Image], np.ndarray]:
        return pixels_of


class FakePrior(Prior):
    """Words by another hash, of length 3, on the image side."""

    space = SPACE

    def sample(self, texts: Sequence[str], *, seed: int = 0, candidates: int = 2) -> Points:
        vectors = np.stack([vector_of(f"{text}/{seed}", 3) for text in texts])
        return Points(vectors, SPACE, "image", tuple(texts))


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The current folder, with images of plain names and of awkward ones."""
    for name in ("dog.png", "red.png", "my dog.png", "a - b.png", "it's 2:1.png"):
        Image.new("RGB", (4, 4), "red").save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(tokens: str | list[str]) -> list[tuple[str, float]]:
    return [(term.text, term.weight) for term in Query.parse(tokens).terms]


# Reading


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("cat", [("cat", 1)]),
        (["a", "red", "car"], [("a red car", 1)]),
        ("a red car", [("a red car", 1)]),
        (["a red car"], [("a red car", 1)]),
        (["2:cat", "+", "dog", "-", "night"], [("cat", 2), ("dog", 1), ("night", -1)]),
        ("2:cat + dog - night", [("cat", 2), ("dog", 1), ("night", -1)]),
        ("2:cat +dog -night", [("cat", 2), ("dog", 1), ("night", -1)]),
        (["cat", "+dog", "-night sky"], [("cat", 1), ("dog", 1), ("night sky", -1)]),
        ("0.5:red car -.25:blue", [("red car", 0.5), ("blue", -0.25)]),
        ("cat - 2:a dark night", [("cat", 1), ("a dark night", -2)]),
        ('2:"red  car" + "a - b"', [("red  car", 2), ("a - b", 1)]),
        ("'red car' - '-5 degrees'", [("red car", 1), ("-5 degrees", -1)]),
        ('"say ""hi""" + x', [('say "hi"', 1), ("x", 1)]),
        ("note: this", [("note: this", 1)]),
        ("scale 1:20 model", [("scale 1:20 model", 1)]),
        ('"2001: a space odyssey"', [("2001: a space odyssey", 1)]),
        ("2: cat", [("cat", 2)]),
        ("1e2:cat", [("cat", 100)]),
        ("black-and-white c++ cat's", [("black-and-white c++ cat's", 1)]),
        ('"as in /x/absent.png here"', [("as in /x/absent.png here", 1)]),
        ("-night + cat", [("night", -1), ("cat", 1)]),
        ("- night + cat", [("night", -1), ("cat", 1)]),
        ("+cat", [("cat", 1)]),
        ("  cat\n+\tdog ", [("cat", 1), ("dog", 1)]),
        ("猫 - 夜", [("猫", 1), ("夜", -1)]),
        ("cat " * 200, [(("cat " * 200).strip(), 1)]),
    ],
)
def test_a_query_reads_as(tokens: str | list[str], expected: list[tuple[str, float]]) -> None:
    assert read(tokens) == expected
    assert read(str(Query.parse(tokens))) == expected


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ("", "empty"),
        ([], "empty"),
        ("   ", "empty"),
        ('""', "empty"),
        ("cat +", r"'cat \+'.*follows the sign \+"),
        ("cat + - dog", r"follows the sign \+"),
        ("cat --dog", "follows the sign -"),
        ("-", "follows the sign -"),
        ("2:", "follows the weight 2"),
        ("2:-cat", "follows the weight 2"),
        ("0:cat", "'cat' is 0.0"),
        ("cat - 0.0:dog", "'dog' is 0.0"),
        ("inf:cat", "inf"),
        ("1e999:cat", "inf"),
        ("nan:cat", "nan"),
        ("-night", "'-night' only subtracts"),
        (["-", "2:night", "-", "dog"], "'-2:night - dog' only subtracts"),
        ('"red car', "quote"),
        ("cat + 'red car", "quote"),
        ('"red"car', "quote"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(tokens: str | list[str], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        Query.parse(tokens)


def test_a_term_is_a_image_if_its_file_exists(folder: pathlib.Path) -> None:
    query = Query.parse(["2:cat", "+", "./dog.png", "-", "red.png"])
    assert query.terms == (
        Term("cat", 2.0),
        Term("./dog.png", 1.0, is_image=True),
        Term("red.png", -1.0, is_image=True),
    )


@pytest.mark.parametrize("name", ["my dog.png", "a - b.png", "it's 2:1.png"])
def test_awkward_file_names_are_read_and_written_back(folder: pathlib.Path, name: str) -> None:
    for query in (
        Query.parse([name]),
        Query.parse(name),
        Query.parse(["2:" + name, "-", "night"]),
        Query.parse(["night", "-" + name, "+", "dog"]),
        Query.parse(f'night + "{name}" + dog'),
    ):
        assert Term(name, 1, True) in [Term(t.text, 1, t.is_image) for t in query.terms]
        assert Query.parse(str(query)) == query
        assert Query.parse([str(query)]) == query


def test_a_file_in_the_home_folder_is_found(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, encoder: FakeEncoder
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    query = Query.parse("~/dog.png")
    assert query.terms[0].is_image
    assert query.points(encoder).side == "image"


def test_a_missing_image_file_is_named(folder: pathlib.Path) -> None:
    with pytest.raises(QueryError, match=r"no file './absent.png'"):
        Query.parse("cat - ./absent.png")
    with pytest.raises(QueryError, match=r"no file '/x/ABSENT.JPEG'"):
        Query.parse(["/x/ABSENT.JPEG"])


def test_a_misspelt_file_is_an_error_with_the_nearest_name(folder: pathlib.Path) -> None:
    with pytest.raises(QueryError, match=r"no file 'dgo.png'; did you mean 'dog.png'\?"):
        Query.parse("dgo.png")
    with pytest.raises(QueryError, match=r"no file 'nosuch.npy'; the working folder"):
        Query.parse(["cat", "-", "nosuch.npy"])
    with pytest.raises(QueryError, match=r"no file './dgo.png'; did you mean './dog.png'\?"):
        Query.parse("./dgo.png")
    with pytest.raises(QueryError, match="no file 'dgo.png'"):
        Query.parse("a drawing of dgo.png")


def test_quotes_make_the_name_of_a_file_words(folder: pathlib.Path) -> None:
    query = Query.parse(['2:"dgo.png"', "+", "'a.npy'"])
    assert query.terms == (Term("dgo.png", 2.0), Term("a.npy"))
    assert Query.parse(str(query)) == query
    assert Query.parse(".png").terms == (Term(".png"),)


def test_a_image_beside_words_needs_a_sign(folder: pathlib.Path) -> None:
    for tokens in ("./dog.png night", ["night", "dog.png"], "night /x/absent.webp sky"):
        with pytest.raises(QueryError, match="no \\+ or - between"):
            Query.parse(tokens)


# Writing


texts = st.text(st.sampled_from("ab é\"'+-:.2e\n\t猫"), min_size=1).filter(str.strip)
weights = st.floats(allow_nan=False, allow_infinity=False).filter(bool)
queries = st.lists(
    st.builds(Term, texts, st.one_of(st.sampled_from([1, -1, 2]), weights)), min_size=1
)


@given(queries.filter(lambda terms: any(term.weight > 0 for term in terms)))
@settings(max_examples=300, deadline=None)
def test_a_written_query_reads_back_as_itself(terms: list[Term]) -> None:
    query = Query(tuple(terms))
    assert Query.parse(str(query)) == query
    assert str(Query.parse([str(query)])) == str(query)


@given(st.text(st.sampled_from("ab é\"'+-:.2\n")))
@settings(max_examples=300, deadline=None)
def test_whatever_is_typed_reads_or_is_refused_and_what_reads_is_stable(typed: str) -> None:
    try:
        query = Query.parse(typed)
    except QueryError:
        return
    assert Query.parse(str(query)) == query


def test_the_written_form_is_plain() -> None:
    assert str(Query.parse(["+", "2.0:cat", "+dog", "-", "1:night  sky"])) == (
        "2:cat + dog - night sky"
    )
    assert str(Query.parse("-0.5:night + cat")) == "-0.5:night + cat"


# Points


def test_one_phrase_is_its_own_point(encoder: FakeEncoder) -> None:
    points = Query.parse("a red car").points(encoder)
    np.testing.assert_allclose(points.vectors[0], vector_of("a red car", 10), rtol=1e-5)
    assert (len(points), points.side, points.labels) == (1, "text", ("a red car",))


def test_terms_add_as_weighted_directions_whatever_their_lengths_and_order(
    folder: pathlib.Path, encoder: FakeEncoder
) -> None:
    query = Query.parse("2:cat + ./dog.png - 0.5:night")
    image = encoder.encode_images(["dog.png"])
    expected = 2 * vector_of("cat", 1) + image.unit[0] - 0.5 * vector_of("night", 1)
    points = query.points(encoder)
    np.testing.assert_allclose(points.unit[0], expected / np.linalg.norm(expected), atol=1e-6)
    np.testing.assert_allclose(points.norms, (2 * 10 + image.norms) / 3, rtol=1e-5)
    assert points.side == "image" and points.labels == (str(query),)
    other = Query.parse("./dog.png - 0.5:night + 2:cat").points(encoder)
    np.testing.assert_allclose(other.vectors, points.vectors, atol=1e-5)


def test_only_the_proportions_of_weights_count(encoder: FakeEncoder) -> None:
    small = Query.parse("1e-300:cat + 2e-300:dog").points(encoder)
    large = Query.parse("1e300:cat + 2e300:dog").points(encoder)
    np.testing.assert_allclose(small.vectors, large.vectors, rtol=1e-6)


def test_all_texts_go_to_the_encoder_in_one_batch(encoder: FakeEncoder) -> None:
    Query.parse("cat + dog - night").points(encoder)
    assert encoder.text_batches == [["cat", "dog", "night"]]


def test_terms_that_cancel_out_are_refused(folder: pathlib.Path, encoder: FakeEncoder) -> None:
    for typed in ("cat - cat", "2:cat - cat - cat", "./dog.png - red.png"):
        with pytest.raises(QueryError, match="cancel out"):
            Query.parse(typed).points(encoder)


def test_a_file_that_is_no_image_is_refused_by_the_encoder(
    folder: pathlib.Path, encoder: FakeEncoder
) -> None:
    (folder / "page.png").write_text("<html>")
    with pytest.raises(ImageError):
        Query.parse("./page.png").points(encoder)


def test_to_decode_words_go_through_the_prior_and_images_stay(
    folder: pathlib.Path, encoder: FakeEncoder
) -> None:
    points = Query.parse("./dog.png + cat").decodable(encoder, FakePrior(), seed=7)
    image = encoder.encode_images(["dog.png"])
    expected = image.unit[0] + vector_of("cat/7", 1)
    np.testing.assert_allclose(points.unit[0], expected / np.linalg.norm(expected), atol=1e-6)
    assert points.side == "image" and encoder.text_batches == []
    points = Query.parse("cat").decodable(encoder, FakePrior())
    np.testing.assert_allclose(points.vectors[0], vector_of("cat/0", 3), rtol=1e-5)
    points.require_image_side()


def test_without_a_prior_images_decode_and_words_are_refused_by_name(
    folder: pathlib.Path, encoder: FakeEncoder
) -> None:
    query = Query.parse("./dog.png")
    np.testing.assert_array_equal(
        query.decodable(encoder, None).vectors, query.points(encoder).vectors
    )
    with pytest.raises(SideMismatch, match="'cat'.*prior"):
        Query.parse("./dog.png + cat").decodable(encoder, None)

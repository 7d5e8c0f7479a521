"""Query: words and images, added and subtracted with weights, as one point to search or decode.

    2:cat + ./dog.png - night

A query is parsed from text and formatted as the same text. It becomes Points through an Encoder
(and a Prior, to decode words); it knows no model and no library.
"""

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from explorer.encoder import Encoder
from explorer.errors import QueryError, SideMismatch
from explorer.places import no_such_file
from explorer.points import Points, Side
from explorer.prior import Prior

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
FILE_SUFFIXES = (*IMAGE_SUFFIXES, ".heic", ".heif", ".npy", ".npz", ".parquet")

_CANCELLED = 1e-5  # relative to the sum of weights; the rounding of float32 stays below
_WEIGHT = re.compile(
    r"((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|infinity|nan):", re.IGNORECASE | re.ASCII
)
_PIECE = re.compile(
    r"""(?P<sign>[+-])
      | "(?P<double>(?:[^"]|"")*)"(?=\s|$)
      | '(?P<single>.*?)'(?=\s|$)
      | (?P<bare>[^"'\s]\S*)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Term:
    """One phrase or image file of a query, with its weight.

    Args:
        text: the words, or the file.
        weight: finite and not zero; a negative one subtracts.
        is_image: whether `text` is a file.
        name: what the file is called where the query is written; "" is the file itself.
    """

    text: str
    weight: float = 1.0
    is_image: bool = False
    name: str = ""

    def __str__(self) -> str:
        amount = abs(float(self.weight))
        shown = repr(int(amount)) if amount == int(amount) < 1e15 else repr(amount)
        text = self.name or self.text
        if not _reads_bare(text, self.is_image):
            text = '"' + text.replace('"', '""') + '"'
        return text if amount == 1 else f"{shown}:{text}"


class Reads(Protocol):
    """What reads the terms of a query: an `Encoder`, or what knows its answers."""

    def encode_text(self, texts: Sequence[str], /) -> Points:
        """Encode words."""

    def encode_images(self, images: Sequence[str | os.PathLike[str]], /) -> Points:
        """Encode image files."""


@dataclass(frozen=True)
class Query:
    """A weighted sum of directions, with at least one positive weight.

    Raises:
        QueryError: there are no terms, one is empty, a weight is zero or not finite, or no weight
            is positive.

    >>> query = Query.parse("2:red car + dog - night")
    >>> [(term.text, term.weight) for term in query.terms]
    [('red car', 2.0), ('dog', 1.0), ('night', -1.0)]
    >>> str(query)
    '2:red car + dog - night'
    """

    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        if not self.terms:
            raise QueryError("The query has no terms: write words or image files.")
        for term in self.terms:
            if not term.text.strip():
                raise QueryError(f"A term of the query is empty: {term.text!r}. Write words.")
            if not np.isfinite(term.weight) or term.weight == 0:
                raise QueryError(
                    f"The weight of {term.text!r} is {abs(term.weight)}, but must be finite and "
                    "not zero. If it is not meant as a weight, put it in double quotes."
                )
        if not any(term.weight > 0 for term in self.terms):
            raise QueryError(
                f"The query {str(self)!r} only subtracts. Add at least one term without a minus."
            )

    def __str__(self) -> str:
        first, *others = self.terms
        start = f"-{first}" if first.weight < 0 else str(first)
        return start + "".join(f" {'-' if t.weight < 0 else '+'} {t}" for t in others)

    @classmethod
    def parse(cls, tokens: str | Sequence[str]) -> Self:
        """Parse a query from one string, or from the arguments of a command line.

        Terms are separated by + and -, alone or at the start of a word. A number and a colon at the
        start of a term are its weight: `0.5:red car`. Successive words form one phrase. Text in
        quotes is taken literally: `"2001: a space odyssey"`; within double quotes, two double
        quotes mean one. A term is an image if a file of that name exists. What ends like a file
        but is none is an error, unless it stands in quotes: `"cta.png"` is words. A shell takes
        quotes away, so there they come in pairs: `'"cta.png"'`.

        Raises:
            QueryError: there is no term, a sign without a term, a weight that is zero or not
                finite, a quote without an end, an image that does not exist, or no positive term.
        """
        texts = [tokens] if isinstance(tokens, str) else list(tokens)
        read = " ".join(texts)
        return cls(_terms(texts, read))

    def points(self, encoder: Reads) -> Points:
        """Encode every term on its own side and add them: one point, to search with.

        Its direction is that of the sum of weight × direction, its length the weighted mean length
        of the positive terms. It is on the text side if all terms are words.

        Raises:
            QueryError: the terms cancel out.
            ImageError: an image cannot be read.
        """
        texts = [term.text for term in self.terms if not term.is_image]
        return self._sum(encoder.encode_text(texts) if texts else None, self._images(encoder))

    def decodable(self, encoder: Encoder, prior: Prior | None, seed: int = 0) -> Points:
        """Compute the same with the words mapped to the image side: one point, to decode.

        Raises:
            SideMismatch: the query has words, but `prior` is None.
            QueryError: the terms cancel out.
            ImageError: an image cannot be read.
        """
        texts = [term.text for term in self.terms if not term.is_image]
        if texts and prior is None:
            raise SideMismatch(
                f"A decoder takes image-side points, but this model has no prior to map "
                f"{texts[0]!r} to the image side. Give one of its space or over a bridge, as "
                "--prior kandinsky-2.1 for OpenAI's ViT-L/14 (`unclip models` says who lends one), "
                'or start from an image, with words beside it: --option prompt="…".'
            )
        words = prior.sample(texts, seed=seed) if texts and prior else None
        return self._sum(words, self._images(encoder))

    @property
    def files(self) -> list[str]:
        """The files of its images, in their order."""
        return [os.path.expanduser(term.text) for term in self.terms if term.is_image]

    def _images(self, encoder: Reads) -> Points | None:
        return encoder.encode_images(self.files) if self.files else None

    def _sum(self, words: Points | None, images: Points | None) -> Points:
        parts = [part for part in (words, images) if part is not None]
        parts[0].space.check(parts[-1].space)
        # words first, then images, each in the order of the query
        terms = sorted(self.terms, key=lambda term: term.is_image)
        vectors = np.concatenate([part.vectors for part in parts]).astype(np.float64)
        lengths = np.linalg.norm(vectors, axis=1)
        weights = np.array([term.weight for term in terms])
        weights /= np.abs(weights).max()
        total = weights @ (vectors / lengths[:, None])
        size = np.linalg.norm(total)
        if size < _CANCELLED * np.abs(weights).sum():
            raise QueryError(
                f"The terms of the query {str(self)!r} cancel out. Change a weight or a term."
            )
        length = np.average(lengths, weights=np.maximum(weights, 0))
        side: Side = "text" if all(part.side == "text" for part in parts) else "image"
        return Points((length / size * total)[None], parts[0].space, side, (str(self),))


def words_of(text: str) -> tuple[Term, ...]:
    """Read terms that name no files, as typed on a page; all may subtract, beside others.

    Raises:
        QueryError: as `Query.parse`, but for files.

    >>> [(term.text, term.weight) for term in words_of("2:cat - red heart")]
    [('cat', 2.0), ('red heart', -1.0)]
    """
    return _terms([text], text, files=False)


def _terms(texts: Sequence[str], read: str, files: bool = True) -> tuple[Term, ...]:
    signs, weights, phrases = [""], [""], [list[tuple[str, bool]]()]
    for kind, value in _pieces(texts, files):
        if kind == "sign":
            signs.append(value)
            weights.append("")
            phrases.append([])
        elif kind == "weight":
            weights[-1] = value
        else:
            phrases[-1].append((value, kind == "quoted"))
    if not phrases[0] and not weights[0] and len(phrases) > 1:  # it starts with a sign
        signs, weights, phrases = signs[1:], weights[1:], phrases[1:]
    groups = zip(signs, weights, phrases, strict=True)
    return tuple(_term(*group, read, files) for group in groups)


def _pieces(texts: Sequence[str], files: bool) -> Iterator[tuple[str, str]]:
    """Split texts into signs, weights (only at the start of a term) and words."""
    at_start = True
    for text in texts:
        position = 0
        while rest := text[position:].lstrip():
            position = len(text) - len(rest)
            weight = _WEIGHT.match(rest) if at_start else None
            piece = _PIECE.match(rest)
            if weight:
                at_start = False
                position += weight.end()
                yield "weight", weight[1]
            elif piece and piece["sign"]:
                at_start = True
                position += 1
                yield "sign", piece["sign"]
            elif piece is None:
                raise QueryError(
                    f"The quote before {rest[1:21]!r} is not closed at the end of a word. "
                    'Close it, or put the words in double quotes, as in "the \'90s".'
                )
            else:
                at_start = False
                is_file = files and os.path.isfile(os.path.expanduser(rest))  # spaces and all
                position += len(rest) if is_file else piece.end()
                bare = is_file or piece["bare"] is not None
                yield "word" if bare else "quoted", rest if is_file else _unquoted(piece)


def _unquoted(piece: re.Match[str]) -> str:
    if piece["double"] is not None:
        return piece["double"].replace('""', '"')
    return piece["bare"] or piece["single"]


def _term(sign: str, weight: str, pieces: list[tuple[str, bool]], read: str, is_file: bool) -> Term:
    """Build a term of its pieces, each with whether it stood in quotes."""
    if not pieces:
        if not sign and not weight:
            raise QueryError("The query is empty. Write words or image files: 2:cat - night")
        what = f"weight {weight}" if weight else f"sign {sign}"
        raise QueryError(
            f"In the query {read!r} nothing follows the {what}. Write a term as sign, weight, "
            "words: - 2:night. Put words that start with a sign in double quotes."
        )
    text = " ".join(piece for piece, _ in pieces)
    if not is_file:
        return Term(text, float(weight or 1) * (-1 if sign == "-" else 1))
    is_image = os.path.isfile(os.path.expanduser(text))
    files = [piece for piece, quoted in pieces if not quoted and _looks_like_file(piece)]
    if not is_image and len(pieces) > 1 and any(map(_is_surely_file, files)):
        raise QueryError(
            f"In the query {read!r} there is no + or - between words and an image: {text!r}. "
            "Write one between them."
        )
    if not is_image and files:
        quoted = shlex.quote(f'"{files[0]}"')
        raise QueryError(f"{no_such_file(files[0])} If it is meant as words, write {quoted}.")
    return Term(text, float(weight or 1) * (-1 if sign == "-" else 1), is_image)


def _looks_like_file(word: str) -> bool:
    return word.lower().endswith(FILE_SUFFIXES) and word.lower() not in FILE_SUFFIXES


def _is_surely_file(word: str) -> bool:
    return "/" in word or os.sep in word or os.path.isfile(os.path.expanduser(word))


def _reads_bare(text: str, is_image: bool) -> bool:
    """Return whether `parse` reads a term's text back unchanged without quotes."""
    words = text.split(" ")
    return (
        words == text.split()
        and not any(word[0] in "+-\"'" for word in words)
        and not _WEIGHT.match(text)
        and ((is_image and len(words) == 1) or not any(map(_looks_like_file, words)))
    )

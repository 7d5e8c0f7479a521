"""Query: words and images, added and subtracted with weights, as one point to search or decode.

    2:cat + ./dog.png - night

A query is read from what a person types and written back the same way. It gives Points through an
Encoder (and a Prior, to decode words); this room knows no model and no library.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from explorer.encoder import Encoder
from explorer.errors import QueryError, SideMismatch
from explorer.points import Points, Side
from explorer.prior import Prior

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")

_CANCELLED = 1e-5  # of the sum of weights: what float32 leaves of terms that cancel out
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
    """One word phrase or one image file of a query, and how much it counts.

    Args:
        text: the words, or the file.
        weight: finite and not zero; below zero subtracts.
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
        if not _reads_bare(text):
            text = '"' + text.replace('"', '""') + '"'
        return text if amount == 1 else f"{shown}:{text}"


@dataclass(frozen=True)
class Query:
    """A weighted sum of directions, at least one of them added.

    >>> query = Query.parse("2:red car + dog - night")
    >>> [(term.text, term.weight) for term in query.terms]
    [('red car', 2.0), ('dog', 1.0), ('night', -1.0)]
    >>> str(query)
    '2:red car + dog - night'
    """

    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        if not self.terms:
            raise QueryError("A query needs at least one term: words, or an image file.")
        for term in self.terms:
            if not term.text.strip():
                raise QueryError(f"A term of the query is empty: {term.text!r}. Give it words.")
            if not np.isfinite(term.weight) or term.weight == 0:
                raise QueryError(
                    f"The weight of {term.text!r} is {abs(term.weight)}, but a weight must be "
                    "finite and not zero. If it is no weight but words, put them in double quotes."
                )
        if not any(term.weight > 0 for term in self.terms):
            raise QueryError(
                f"The query {str(self)!r} adds nothing, so there is nothing to look for. "
                "Start it with words or an image without a minus."
            )

    def __str__(self) -> str:
        first, *others = self.terms
        start = f"-{first}" if first.weight < 0 else str(first)
        return start + "".join(f" {'-' if t.weight < 0 else '+'} {t}" for t in others)

    @classmethod
    def parse(cls, tokens: str | Sequence[str]) -> Self:
        """Read a query, from one string or from the arguments of a command line.

        Terms stand between + and -, alone or at the head of a word. A number and a colon at the
        head of a term is its weight: `0.5:red car`. Words in a row are one phrase. Quotes
        take what they hold as it is: `"2001: a space odyssey"`; inside double quotes, two double
        quotes stand for one. A term is an image if a file of that name exists.

        Raises:
            QueryError: no term, a sign without a term, a weight that is zero or not finite, a
                quote without an end, an image that is not there, or nothing added.
        """
        texts = [tokens] if isinstance(tokens, str) else list(tokens)
        read = " ".join(texts)
        signs, weights, phrases = [""], [""], [list[str]()]
        for kind, value in _pieces(texts):
            if kind == "sign":
                signs.append(value)
                weights.append("")
                phrases.append([])
            elif kind == "weight":
                weights[-1] = value
            else:
                phrases[-1].append(value)
        if not phrases[0] and not weights[0] and len(phrases) > 1:  # it starts with a sign
            signs, weights, phrases = signs[1:], weights[1:], phrases[1:]
        groups = zip(signs, weights, phrases, strict=True)
        return cls(tuple(_term(*group, read) for group in groups))

    def points(self, encoder: Encoder) -> Points:
        """Encode every term where it stands, and add: one point, to search with.

        The result is the sum of weight × direction. Its length is the weighted mean length of the
        terms that are added. It lies on the text side if all terms are words.

        Raises:
            QueryError: the terms cancel out.
            ImageError: an image cannot be read.
        """
        texts = [term.text for term in self.terms if not term.is_image]
        return self._sum(encoder.encode_text(texts) if texts else None, self._images(encoder))

    def decodable(self, encoder: Encoder, prior: Prior | None, seed: int = 0) -> Points:
        """The same with the words carried over to the image side: one point, to decode.

        Raises:
            SideMismatch: the query has words, but there is no prior.
            QueryError: the terms cancel out.
            ImageError: an image cannot be read.
        """
        texts = [term.text for term in self.terms if not term.is_image]
        if texts and prior is None:
            raise SideMismatch(
                f"A decoder reads points of images, and this model has no prior to carry the "
                f"words {texts[0]!r} over. Ask with images only, or take a model with a prior."
            )
        words = prior.sample(texts, seed=seed) if texts and prior else None
        return self._sum(words, self._images(encoder))

    def _images(self, encoder: Encoder) -> Points | None:
        files = [os.path.expanduser(term.text) for term in self.terms if term.is_image]
        return encoder.encode_images(files) if files else None

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
                f"The terms of the query {str(self)!r} cancel out, so it points nowhere. "
                "Change a weight or a term."
            )
        length = np.average(lengths, weights=np.maximum(weights, 0))
        side: Side = "text" if all(part.side == "text" for part in parts) else "image"
        return Points((length / size * total)[None], parts[0].space, side, (str(self),))


def _pieces(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Cut texts into signs, weights (only at the head of a term) and words."""
    at_head = True
    for text in texts:
        position = 0
        while rest := text[position:].lstrip():
            position = len(text) - len(rest)
            weight = _WEIGHT.match(rest) if at_head else None
            piece = _PIECE.match(rest)
            if weight:
                at_head = False
                position += weight.end()
                yield "weight", weight[1]
            elif piece and piece["sign"]:
                at_head = True
                position += 1
                yield "sign", piece["sign"]
            elif piece is None:
                raise QueryError(
                    f"A quote opens before {rest[1:21]!r} and does not end at the end of a word. "
                    'Close it, or write the words in double quotes, as in "the \'90s".'
                )
            else:
                at_head = False
                is_file = os.path.isfile(os.path.expanduser(rest))  # its name may hold spaces
                position += len(rest) if is_file else piece.end()
                yield "word", rest if is_file else _unquoted(piece)


def _unquoted(piece: re.Match[str]) -> str:
    if piece["double"] is not None:
        return piece["double"].replace('""', '"')
    return piece["bare"] or piece["single"]


def _term(sign: str, weight: str, words: list[str], read: str) -> Term:
    if not words:
        if not sign and not weight:
            raise QueryError("The query is empty. Give words or image files, as in: 2:cat - night")
        what = f"weight {weight}" if weight else f"sign {sign}"
        raise QueryError(
            f"In the query {read!r} no words and no image follow the {what}. A term is written "
            "sign, weight, words: - 2:night. Words that begin with a sign go in double quotes."
        )
    text = " ".join(words)
    is_image = os.path.isfile(os.path.expanduser(text))
    if not is_image and len(words) > 1 and any(map(_looks_like_image, words)):
        raise QueryError(
            f"In the query {read!r} words and an image stand side by side: {text!r}. "
            "Put + or - between them."
        )
    if not is_image and _looks_like_image(text):
        raise QueryError(
            f"There is no file {text!r}, seen from the folder {os.getcwd()!r}. Correct its name."
        )
    return Term(text, float(weight or 1) * (-1 if sign == "-" else 1), is_image)


def _looks_like_image(word: str) -> bool:
    has_folder = "/" in word or os.sep in word
    is_file = os.path.isfile(os.path.expanduser(word))
    return word.lower().endswith(IMAGE_SUFFIXES) and (has_folder or is_file)


def _reads_bare(text: str) -> bool:
    """Whether the parser reads a term's text back as it is without quotes."""
    words = text.split(" ")
    return (
        words == text.split()
        and not any(word[0] in "+-\"'" for word in words)
        and not _WEIGHT.match(text)
        and (len(words) == 1 or not any(map(_looks_like_image, words)))
    )

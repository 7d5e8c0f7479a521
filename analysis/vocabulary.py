"""Vocabulary: the words that points are told in, from captions or from a list of your own."""

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Self

import numpy as np
from jaxtyping import Float

from explorer.encoder import Encoder
from explorer.errors import QueryError
from explorer.features.words import distinct, leads
from explorer.points import Points

WORDS = 2000  # of a vocabulary
PHRASE = re.compile(r"[,;:.!?()\[\]\"“”|/]+")


def words_of(captions: Sequence[str], most: int = WORDS) -> list[str]:
    """The words and pairs of words that most captions hold, the most frequent first.

    Words so common that they mean little are left out; pairs do not reach across punctuation.

    >>> words_of(["a red cat, flat", "the red cat, noto", "a dog, flat"], 3)
    ['red', 'cat', 'red cat']
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    counts: Counter[str] = Counter()
    for caption in captions:
        held: dict[str, None] = {}
        for phrase in PHRASE.split(caption.lower()):
            words = phrase.split()
            told = [word for word in words if word not in ENGLISH_STOP_WORDS]
            joined = [f"{a} {b}" for a, b in pairwise(words) if a in told and b in told]
            held |= dict.fromkeys([*told, *joined])
        counts.update(list(held))
    return [word for word, _ in counts.most_common(most)]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Words as directions from their mean, and the mean of images that these are added to.

    Args:
        words: text points, one a word.
        middle: the mean direction of images, not of unit length.
    """

    words: Points
    middle: Float[np.ndarray, " D"]

    @classmethod
    def of(cls, encoder: Encoder, words: Sequence[str], images: Points) -> Self:
        """Encode words; leave out what says nothing new beside a word before it.

        Args:
            words: the most important first.
            images: a sample of those that will be told in words.

        Raises:
            QueryError: fewer than two words are left.
        """
        kept = distinct(encoder.encode_text(list(words))) if words else None
        if kept is None or len(kept) < 2:
            raise QueryError("Concepts need two words or more that differ; give other words.")
        return cls(kept, images.unit.mean(0))

    def middle_of(self, points: Points) -> Float[np.ndarray, " D"]:
        """What is taken away from points of this side: the mean of images, or that of words."""
        return self.middle if points.side == "image" else self.words.unit.mean(0)

    @cached_property
    def dictionary(self) -> Float[np.ndarray, "V D"]:
        """The unit directions of the words from their mean."""
        return leads(self.words)

    def place(self, word: str) -> int:
        """The row of a word.

        Raises:
            QueryError: it is not there.
        """
        if word in self.words.labels:
            return self.words.labels.index(word)
        near = difflib.get_close_matches(word, self.words.labels, n=5, cutoff=0)
        raise QueryError(f"The vocabulary has no word {word!r}. Alike are: {', '.join(near)}.")

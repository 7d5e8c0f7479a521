"""Spelling, for training: slips of the typist, and words cut otherwise than the tokenizer does.

Both teach a text tower to read a word that it has not met, by its letters.
"""

import re
from copy import copy
from itertools import pairwise
from typing import Any

import numpy as np


def misspell(text: str, rng: np.random.Generator) -> str:
    """Make one slip in a word of five letters or more: one lost, doubled, wrong, or two swapped."""
    spans = [found.span() for found in re.finditer("[a-z]{5,}", text)]
    if not spans:
        return text
    start, end = spans[rng.integers(len(spans))]
    at = int(rng.integers(start + 1, end - 1))
    a, b, other = text[at], text[at + 1], chr(ord("a") + rng.integers(26))
    return text[:at] + (b, a + a + b, other + b, b + a)[rng.integers(4)] + text[at + 2 :]


def loosened(tokenizer: Any, rng: np.random.Generator, dropout: float) -> Any:
    """The same open_clip tokenizer, but each merge of two pieces is passed over now and then.

    Args:
        dropout: how often, from 0 (never).

    Source: Provilkov et al. 2020, "BPE-dropout: simple and effective subword regularization".
    """
    ranks = tokenizer.bpe_ranks

    def bpe(word: str) -> str:
        pieces = [*word[:-1], word[-1] + "</w>"]
        while True:
            merges = [
                (ranks[pair], i)
                for i, pair in enumerate(pairwise(pieces))
                if pair in ranks and rng.random() >= dropout
            ]
            if not merges:
                return " ".join(pieces)
            _, i = min(merges)
            pieces[i : i + 2] = [pieces[i] + pieces[i + 1]]

    loose = copy(tokenizer)
    loose.bpe = bpe
    return loose

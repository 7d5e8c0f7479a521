"""Bpe: CLIP's byte-pair tokenizer, without torch.

Source: Radford et al. 2021, arXiv 2103.00020, section 2.4; ids and cleaning are those of
open_clip's SimpleTokenizer, which it is tested against.
"""

import gzip
import html
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from os import PathLike

import numpy as np
from jaxtyping import Int

MERGES = 49152 - 256 - 2  # of CLIP's vocabulary; a longer file is not read further
MARKS = ("<start_of_text>", "<end_of_text>")
END = "</w>"  # of a word


class Bpe:
    """Words as numbers, by the merges of a vocabulary.

    Args:
        file: gzipped lines of two pieces that are merged, the most frequent first; the first line
            is a heading.
        context_length: the most tokens of a text.

    Raises:
        OSError, ValueError: the file is not such a vocabulary.
    """

    def __init__(self, file: str | PathLike[str], context_length: int) -> None:
        import regex

        with gzip.open(file) as handle:
            lines = handle.read().decode("utf-8").split("\n")
        merges = [tuple(line.split()) for line in lines[1 : MERGES + 1]]
        letters = list(_letters().values())
        pieces = [*letters, *(letter + END for letter in letters), *map("".join, merges), *MARKS]
        self.context_length = context_length
        self._number = {piece: number for number, piece in enumerate(pieces)}
        self._rank = {merge: rank for rank, merge in enumerate(merges)}
        self._words = regex.compile(
            "|".join((*MARKS, r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")),
            regex.IGNORECASE,
        )

    @property
    def vocab_size(self) -> int:
        """The number of tokens."""
        return len(self._number)

    def encode(self, text: str) -> list[int]:
        """Return a text's tokens, without the two that mark its ends."""
        letters, found = _letters(), []
        for word in self._words.findall(_clean(text)):
            spelled = "".join(letters[byte] for byte in word.encode())
            found += [self._number[piece] for piece in self._pieces(spelled)]
        return found

    def __call__(self, texts: Sequence[str]) -> Int[np.ndarray, "N L"]:
        """Return the tokens of texts with their marks, cut and padded to the context length."""
        start, end = (self._number[mark] for mark in MARKS)
        tokens = np.zeros((len(texts), self.context_length), np.int64)
        for row, text in zip(tokens, texts, strict=True):
            found = [start, *self.encode(text)][: self.context_length - 1]
            row[: len(found) + 1] = [*found, end]
        return tokens

    def _pieces(self, word: str) -> list[str]:
        """Merge the letters of a word, the most frequent pair first."""
        if word in MARKS:
            return [word]
        pieces = [*word[:-1], word[-1] + END]
        while len(pieces) > 1:
            pairs = list(pairwise(pieces))
            best = min(pairs, key=lambda pair: self._rank.get(pair, len(self._rank)))
            if best not in self._rank:
                break
            merged: list[str] = []
            for piece in pieces:
                if merged and (merged[-1], piece) == best:
                    merged[-1] += piece
                else:
                    merged.append(piece)
            pieces = merged
        return pieces


def _clean(text: str) -> str:
    import ftfy

    unescaped = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(unescaped.split()).lower()


@cache
def _letters() -> dict[int, str]:
    """Return a printable letter for each byte: itself, or one from U+0100 on."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in shown]
    letters = {byte: chr(byte) for byte in shown}
    return letters | {byte: chr(256 + number) for number, byte in enumerate(others)}

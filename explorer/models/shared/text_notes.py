"""Text notes: texts that a CLIP can read; what of one it does not, cut or of unknown words."""

from collections.abc import Sequence
from typing import Any

from explorer.notes import note

SHOWN = 40  # characters of a text in a note
CLIP_TOKENS = 49408  # of CLIP's own vocabulary, which has pieces of most words
MIN_LETTERS = 4  # of an ASCII word that counts
MIN_BYTES_PER_TOKEN = 1.65  # measured by python -m pocket.blindness --photos


def clean_texts(texts: Sequence[str], context_length: int) -> list[str]:
    """Replace invalid Unicode, and truncate texts far beyond the context length.

    A tokenizer's time grows with the square of a word's length.
    """
    limit = 32 * context_length
    short = [t if len(t) <= limit else " ".join(t.split())[:limit] for t in texts]
    return [text.encode("utf-8", "replace").decode() for text in short]


def note_cut(texts: Sequence[str], tokenizer: Any, name: str) -> None:
    """Note the first text, of clean ones, that is longer than the context: its end is not read."""
    limit = tokenizer.context_length
    for text in texts:
        if len(text.encode()) <= limit - 2:  # a token is at least one byte, and two mark the ends
            continue
        tokens = _count(text, tokenizer)
        if tokens > limit:
            note(
                f"{_short(text)} has {tokens} tokens, and {name} reads the first {limit}: what "
                "follows is cut. Use fewer words."
            )
            return


def _count(text: str, tokenizer: Any) -> int:
    """Return the number of tokens with the two that mark the ends."""
    inner = getattr(tokenizer, "tokenizer", None)
    if inner is not None:  # of transformers
        return len(inner(tokenizer.clean_fn(text), truncation=False).input_ids)
    return len(tokenizer.encode(text)) + 2


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= SHOWN else line[: SHOWN - 1] + "…")


def note_unknown(texts: Sequence[str], tokenizer: Any, name: str) -> None:
    """Note the first text whose words are unknown to a tokenizer with a vocabulary of its own."""
    if getattr(tokenizer, "vocab_size", CLIP_TOKENS) >= CLIP_TOKENS:
        return
    for text in texts:
        if is_unknown(text, tokenizer):
            note(f"{name} has no such words: {_short(text)}. Use plain English words.")
            return


def is_unknown(text: str, tokenizer: Any) -> bool:
    """Return whether a text falls apart into single letters and bytes, as unknown words do.

    Numbers and short ASCII words do not count: they are short pieces, known or not. Cosines with
    the empty text do not tell unknown words from keywords: those of pocket overlap.
    """
    whole = [word for word in text.split() if not any(map(str.isdecimal, word))]
    words = [word for word in whole if len(word) >= MIN_LETTERS or not word.isascii()]
    if not words:
        return False
    size = sum(len(word.encode()) for word in words)
    return size < MIN_BYTES_PER_TOKEN * len(tokenizer.encode(" ".join(words)))

"""Text notes: what of a text a CLIP does not read, because it is cut or made of unknown words."""

from collections.abc import Sequence
from typing import Any

from explorer.notes import note

SHOWN = 40  # characters of a text in a note


def note_cut(texts: Sequence[str], tokenizer: Any, name: str) -> None:
    """Note the first text that is longer than the context length: its end is not read."""
    limit = tokenizer.context_length
    for text in texts:
        if len(text) <= limit - 2:  # a token is at least one byte, and two mark the ends
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

"""On whose word a model is loaded: a person's, or that of a library, a recipe or a decoder.

What data names starts no download, and its weights are compared with the checksum that the data
recorded before they are loaded. Parts that are loaded on first use keep the word of their model.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from explorer.errors import SpaceMismatch, WeightsMissing
from explorer.points import Space

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class _Word:
    by: str = ""  # the data; "" is a person
    space: Space | None = None


_PERSON = _Word()
_word: ContextVar[_Word] = ContextVar("on whose word", default=_PERSON)


@contextmanager
def named_by(by: str, space: Space | None = None) -> Iterator[None]:
    """Load what data names inside the block: no downloads, no weights of another checksum.

    Args:
        by: the data, as the beginning of a message: "The library photos.lib".
        space: with the fingerprint that the data recorded of the model; None if it has none.
    """
    token = _word.set(_Word(by, space))
    try:
        yield
    finally:
        _word.reset(token)


def named_by_data() -> bool:
    """Return whether data names what is being loaded, not a person."""
    return bool(_word.get().by)


def kept(load: Callable[P, T]) -> Callable[P, T]:
    """Return a function that loads a part later, on the word that counts now."""
    word = _word.get()

    def later(*args: P.args, **options: P.kwargs) -> T:
        token = _word.set(word)
        try:
            return load(*args, **options)
        finally:
            _word.reset(token)

    return later


def check_download(name: str) -> None:
    """Refuse to download the weights of a model that data names.

    Raises:
        WeightsMissing: it names the command that downloads them.
    """
    if by := _word.get().by:
        raise WeightsMissing(
            f"{by} needs the weights of {name}, which are not on this machine, and what you open "
            f"starts no download. To fetch them: unclip models get {name}"
        )


def check_recorded(name: str, fingerprint: str) -> None:
    """Refuse weights that are not those that the data recorded, before they are loaded.

    Data that recorded another model altogether is refused by its Space, not here.

    Raises:
        SpaceMismatch: the fingerprint is another one.
    """
    word = _word.get()
    if word.space is not None and word.space.fingerprint != fingerprint:
        raise SpaceMismatch(
            f"{word.by} was made with weights of {name} with the fingerprint "
            f"{word.space.fingerprint[:8]}, but those on this machine have {fingerprint[:8]}, and "
            "were not loaded. Index the images again into a new library, or fetch the weights "
            f"again: unclip models rm {name}; unclip models get {name}"
        )

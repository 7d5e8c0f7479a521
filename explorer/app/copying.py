"""What stands under "Copy as Python": a few lines of public names that make the same file."""

import inspect
from collections.abc import Callable

from explorer import edits
from explorer.app import state
from explorer.retrieval import Retrieval
from explorer.settings import Settings


class Code(str):
    """An argument that is an expression, printed as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def python(*lines: str) -> str:
    """Return the lines after the import and the model that all of them need."""
    return "\n".join(["import explorer as ex", f"model = {state.load_line()}", *lines])


def library_line() -> str:
    """Return the line that opens the library."""
    return f"library = {library_text()}"


def library_text() -> str:
    """Return the expression that opens the library."""
    return f"ex.Library.open({str(state.library().folder)!r})"


def call(edit: str, *arguments: object, **named: object) -> str:
    """Return the call of an edit on `model`; what has its default value is left out.

    >>> call("text_diff", "cat.png", after="dog face", before=None, fraction=0.25)
    "ex.edits.text_diff(model, 'cat.png', after='dog face', fraction=0.25)"
    """
    return _call(f"ex.edits.{edit}", getattr(edits, edit), "model", arguments, named)


def retrieve(way: str, *arguments: object, **named: object) -> str:
    """Return the call of a way of `Retrieval` on `library`, likewise.

    >>> retrieve("interpolate", ["cat", "dog"], count=12)
    "ex.Retrieval.interpolate(library, ['cat', 'dog'])"
    """
    return _call(f"ex.Retrieval.{way}", getattr(Retrieval, way), "library", arguments, named)


def _call(
    what: str,
    function: Callable[..., object],
    on: str,
    arguments: tuple[object, ...],
    named: dict[str, object],
) -> str:
    defaults = inspect.signature(function).parameters
    given = {name: value for name, value in named.items() if value != defaults[name].default}
    words = [on, *map(_shown, arguments)]
    words += [f"{name}={_shown(value)}" for name, value in given.items()]
    return f"{what}({', '.join(words)})"


def save(name: str, *, library: bool = False) -> str:
    """Return the line that writes the edit, with images of the library or without."""
    return f"edit.save({name!r}, {library_text()})" if library else f"edit.save({name!r})"


def _shown(value: object) -> str:
    return f"ex.{value!r}" if isinstance(value, Settings) else repr(value)

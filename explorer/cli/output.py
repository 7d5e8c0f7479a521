"""What every command shares: errors as one line, JSON or words, progress on stderr."""

import functools
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, fields, is_dataclass
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, get_type_hints

import typer

from explorer.errors import DiskError
from explorer.interrupts import is_ending
from explorer.notes import Notes, collecting
from explorer.refusals import refusal

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

T = TypeVar("T")
INCOMPLETE = 3  # exit code: done without what is damaged

# control characters, line separators, marks that reorder text, halves of surrogate pairs
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


@dataclass(frozen=True)
class OptionGroup:
    """Options that several commands share, and what one parameter of a command is built from.

    Args:
        options: for every option its type and default, as typer reads them.
        build: gives the parameter; it takes the options by name.
    """

    options: Mapping[str, tuple[Any, Any]]
    build: Callable[..., Any]

    @classmethod
    def of(cls, kind: Any) -> "OptionGroup":
        """One option for each field of a dataclass."""
        hints = get_type_hints(kind, include_extras=True)
        return cls({field.name: (hints[field.name], field.default) for field in fields(kind)}, kind)

    def parameters(self) -> list[Parameter]:
        """The options as parameters of a function."""
        return [
            Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for name, (kind, default) in self.options.items()
        ]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Make a function a command: errors are one line, groups of options are spelled out.

    An ExplorerError, and what the disk or the memory refuses, becomes one line on stderr and its
    exit code. Damage of a library is said at once, and what was done without the damaged part ends
    with exit code 3. A parameter that is a dataclass, or is annotated with an OptionGroup, becomes
    the options of that group.
    """
    hints = get_type_hints(function, include_extras=True)
    groups = {name: group for name, hint in hints.items() if (group := _group(hint))}
    shown = []
    for name, parameter in signature(function).parameters.items():
        if name in groups:
            shown += groups[name].parameters()
        else:
            shown.append(parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[name]))

    @functools.wraps(function)
    def wrapped(**values: object) -> None:
        try:
            for name, group in groups.items():
                values[name] = group.build(
                    **{option: values.pop(option) for option in group.options}
                )
            _run(function, values)
        except Exception as error:  # only what is refused is told in a sentence
            if is_ending():
                raise KeyboardInterrupt from None
            if (refused := refusal(error)) is None:
                raise
            say(f"unclip: {refused}", sys.stderr)
            raise typer.Exit(refused.exit_code) from None

    vars(wrapped)["__signature__"] = Signature(shown)
    wrapped.__annotations__ = {option.name: option.annotation for option in shown}
    return wrapped


@contextmanager
def _printing() -> Iterator[None]:
    """Say what refuses the output, while it can still be said.

    Raises:
        DiskError: the disk that the output goes to is full or refuses.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        with suppress(OSError, ValueError):  # or else it fails again when the process ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise DiskError(
            f"What is printed cannot be written: {error.strerror}. Files that the command writes "
            "are written. Send the output to another place, and run the same again."
        ) from error


def _run(function: Callable[..., None], values: Mapping[str, object]) -> None:
    """Run a command and print what was noted; damage says that the result is not all."""
    with warned() as notes:
        try:
            function(**values)
            with _printing():
                sys.stdout.flush()
        except typer.Exit as end:
            if not notes.damage or end.exit_code not in (0, 1):
                raise
    if notes.damage:
        raise typer.Exit(INCOMPLETE)


@contextmanager
def warned() -> Iterator[Notes]:
    """Print what is noted in the block: damage at once, the rest at its end."""
    with collecting(_warn) as notes:
        try:
            yield notes
        finally:
            for note in notes:
                _warn(note)


def _warn(sentence: str) -> None:
    say(f"unclip: warning: {sentence}", sys.stderr)


def _group(hint: Any) -> OptionGroup | None:
    marks = getattr(hint, "__metadata__", ())
    marked = (mark for mark in marks if isinstance(mark, OptionGroup))
    return next(marked, OptionGroup.of(hint) if is_dataclass(hint) else None)


def report(value: Any, as_json: bool, lines: Iterable[str]) -> None:
    """Print the value as JSON, or the lines for people."""
    if as_json:
        text = json.dumps(value, ensure_ascii=not _writes_unicode(sys.stdout))
        with _printing():
            print(_UNPRINTABLE.sub(lambda found: json.dumps(found[0])[1:-1], text))
    else:
        for line in lines:
            say(line)


def say(line: str, stream: TextIO | None = None) -> None:
    """Print one line: control characters are escaped, and what the terminal cannot write is ?."""
    stream = stream or sys.stdout
    coding = getattr(stream, "encoding", None) or "utf-8"
    with _printing() if stream is sys.stdout else nullcontext():
        print(printable(line).encode(coding, "replace").decode(coding), file=stream)


def printable(text: str) -> str:
    r"""Return text with control characters, and those that reorder a line, escaped.

    >>> printable("a\x1b]0;b\x07\nunclip: done")
    'a\\x1b]0;b\\x07\\nunclip: done'
    """
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def _writes_unicode(stream: TextIO) -> bool:
    coding = (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "")
    return coding.startswith("utf")


def progress_bar(*columns: "str | ProgressColumn") -> "Progress":
    """Return rich's bar on stderr, which goes when it is done; without a terminal, no bar."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    silent = not console.is_interactive  # or else rich ends with an empty line
    return Progress(*columns, console=console, transient=True, disable=silent)


def progress(items: Iterable[T], total: int | None, doing: str) -> Iterator[T]:
    """Pass items on while a bar on stderr counts them."""
    with progress_bar() as bar:
        task = bar.add_task(doing, total=total)
        for item in items:
            yield item
            bar.advance(task)


@contextmanager
def waiting(doing: str) -> Iterator[None]:
    """Show on a terminal's stderr that something takes a while."""
    if not (sys.stderr and sys.stderr.isatty()):  # or else it takes longer to import rich
        yield
        return
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(f"{doing} …"):
        yield


def plain(value: Any) -> str:
    """Say a value in words: yes and no, a dash for nothing."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "—"
    return str(value)

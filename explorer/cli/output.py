"""What every command shares: errors as one line, JSON or words, progress on stderr."""

import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from inspect import Parameter, Signature, signature
from typing import Any, TypeVar, get_type_hints

import typer

from explorer.errors import ExplorerError

T = TypeVar("T")


def door(command: Callable[..., None]) -> Callable[..., None]:
    """Make a function a command: errors are one line, groups of options are spelled out.

    An ExplorerError becomes one line on stderr and its exit code. A parameter that is a dataclass
    becomes one option for each of its fields, which several commands can so share.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    shown = []
    for name, parameter in signature(command).parameters.items():
        if name in groups:
            shown += _spelled(groups[name])
        else:
            shown.append(parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[name]))

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        try:
            command(**given)
        except ExplorerError as error:
            print(f"unclip: {error}", file=sys.stderr)
            raise typer.Exit(error.exit_code) from None

    vars(wrapped)["__signature__"] = Signature(shown)
    wrapped.__annotations__ = {option.name: option.annotation for option in shown}
    return wrapped


def _spelled(kind: Any) -> list[Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(kind)
    ]


def report(value: Any, as_json: bool, lines: Iterable[str]) -> None:
    """Print the value as JSON, or the lines for people."""
    if as_json:
        print(json.dumps(value, ensure_ascii=False))
    else:
        for line in lines:
            print(line)


def progress(items: Iterable[T], total: int | None, doing: str) -> Iterator[T]:
    """Pass items on while a bar on stderr counts them."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=total)
        for item in items:
            yield item
            bar.advance(task)


def plain(value: Any) -> str:
    """Say a value in words: yes and no, a dash for nothing."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "—"
    return str(value)

"""What every command shares: errors as one line, JSON or words, progress on stderr."""

import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ParamSpec, TypeVar

import typer

from explorer.errors import ExplorerError

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def door(command: Callable[P, R]) -> Callable[P, R]:
    """Turn an ExplorerError into one line on stderr and its exit code."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ExplorerError as error:
            print(f"unclip: {error}", file=sys.stderr)
            raise typer.Exit(error.exit_code) from None

    return wrapped


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

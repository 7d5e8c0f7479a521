"""Queries from stdin, one a line, answered without loading anything anew."""

import shlex
import sys
from collections.abc import Callable, Iterator

import typer

from explorer.cli.output import INCOMPLETE, say, warned
from explorer.refusals import refusal

PROMPT = "> "


def answer_lines(answer: Callable[[list[str]], None], *, apart: bool) -> None:
    """Answer every line of stdin that is not empty; what is wrong with one does not stop the rest.

    Quotes group words as in a shell.

    Args:
        apart: print an empty line after each answer.

    Raises:
        typer.Exit: at the end, with code 3 if an answer lacks what is damaged, or with code 1 if a
            line was refused or nothing was found for one.
    """
    complete, damaged = True, False
    for line in _lines():
        try:
            with warned() as notes:
                answer(_words(line))
        except typer.Exit as end:
            complete = complete and not end.exit_code
        except Exception as error:  # only what is refused is told and passed over
            if (refused := refusal(error)) is None:
                raise
            say(f"unclip: {refused}", sys.stderr)
            complete = False
        damaged = damaged or bool(notes.damage)
        if apart:
            say("")
        sys.stdout.flush()
    if damaged:
        raise typer.Exit(INCOMPLETE)
    if not complete:
        raise typer.Exit(1)


def _lines() -> Iterator[str]:
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    while True:
        if at_terminal:
            print(PROMPT, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.strip()


def _words(line: str) -> list[str]:
    """Split a line as a shell does; one with an open quote, as in rock'n'roll, is taken whole."""
    try:
        return shlex.split(line)
    except ValueError:
        return [line]

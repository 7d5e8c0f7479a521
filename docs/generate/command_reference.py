"""The page of all commands, written from the command line itself."""

import re
from collections.abc import Iterator
from typing import Any

import typer.main

from explorer.cli import unclip

HEAD = """# Commands

This page is written from the command line at each build; `unclip COMMAND --help` prints the same.

A query is an algebra: words and image files with `+`, `-` and weights, such as
`"2:cat" + ./dog.png - "night"`. Every command that reports takes `--json`.

A command takes the library that `--library` (`-l`) names; or its first argument, if that is an
existing library's folder; or the one of the environment variable `UNCLIP_LIBRARY`; or `library` in
`~/.config/unclip/config.toml`. `index` and `import` have other arguments, so they do not take it
first.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | a search found nothing, or `verify` found damage |
| 2 | wrong usage, or an error that is explained in one line |
| 3 | done without what is damaged in a library; a warning names it |
| 10 | there is no library |
| 11 | another process is writing to the library |
| 130 | interrupted |

"""


def commands() -> dict[str, Any]:
    """Return every command by its full name, such as "models get", in the order of the help."""
    return dict(_below(typer.main.get_command(unclip), ""))


def page() -> str:
    """Return the page as Markdown."""
    return HEAD + "\n".join(section(name, command) for name, command in commands().items())


def section(name: str, command: Any) -> str:
    """Return one command: what it does, how it is called, its arguments and options."""
    context = command.make_context(f"unclip {name}", [], resilient_parsing=True)
    usage = command.get_usage(context).removeprefix("Usage: ")
    text, examples = _examples(command.help or "")
    lines = "\n".join([" ".join(usage.split()), *examples])
    rows = [p.get_help_record(context) for p in command.params]
    table = "".join(f"| `{_code(row[0])}` | {_cell(row[1])} |\n" for row in rows if row)
    options = f"| argument or option | meaning |\n|---|---|\n{table}" if table else ""
    return f"## unclip {name}\n\n{_escaped(text)}\n\n```\n{lines}\n```\n\n{options}\n"


def _below(group: Any, above: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if command.hidden:
            continue
        yield above + name, command
        if hasattr(command, "commands"):
            yield from _below(command, f"{above}{name} ")


def _examples(text: str) -> tuple[str, list[str]]:
    """Split a help text into prose and the command lines that it gives as examples."""
    prose, _, examples = re.sub(r"\s*\n?Examples?: ", "\0", text, count=1).partition("\0")
    return prose.strip(), [" ".join(line.split()) for line in examples.split("·") if line.strip()]


def _escaped(text: str) -> str:
    return re.sub(r"([<>*_|])", r"\\\1", text)


def _cell(text: str) -> str:
    return _code(text).replace("<", "&lt;")


def _code(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

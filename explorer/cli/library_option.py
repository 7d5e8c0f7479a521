"""Which library a command takes: the one named, that of UNCLIP_LIBRARY, or the config file's.

Every command that has a library declares it with `library_option`. A library is named by --library,
or by the first argument where that is an existing library's folder.
"""

import difflib
import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from shlex import quote
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from explorer.cli.config_file import EXAMPLE, config_file, configured_library
from explorer.cli.output import OptionGroup, say
from explorer.errors import LibraryNotFound, QueryError
from explorer.places import is_published
from explorer.scale.address import Address

VARIABLE = "UNCLIP_LIBRARY"
SUFFIX = ".lib"  # of libraries in the documentation
FIRST, OPTION = "folder", "library"  # parameters: the first argument, and --library
NOT_NAMED = "\0"  # before a first argument that is no library; no argument holds it


@dataclass(frozen=True)
class Taken:
    """The library that a command takes.

    Args:
        origin: the variable or file that gave it; "" if the command line did.
    """

    folder: FilePath
    origin: str = ""


def library_option(
    about: str = "The library, instead of the first argument.",
    *,
    first: bool = True,
    required: bool = True,
    new: bool = False,
    told: bool = True,
) -> OptionGroup:
    """Return the parameters that give a command its library.

    Args:
        about: help of --library.
        first: the first argument may be the library.
        required: without any, the command fails; else it takes None.
        new: it may be one that does not exist yet.
        told: say which one came from elsewhere, and pass its folder on; else pass on a `Taken`.
    """
    kind = typer.Option("-l", "--library", metavar="<path>", help=about)
    options: dict[str, tuple[Any, Any]] = {OPTION: (Annotated[str | None, kind], None)}
    if first:
        text = f"A library's folder; default: {VARIABLE}, or that of the config file."
        place = typer.Argument(metavar="library", help=text)
        options = {FIRST: (Annotated[str | None, place], None), **options}
    return OptionGroup(options, partial(_build, required=required, new=new, told=told))


class LibraryCommand(TyperCommand):
    """A command whose first argument, a library's folder, may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, with a mark in front where the first is no library."""
        arguments = [each for each in self.params if each.param_type_name == "argument"]
        if ctx.resilient_parsing or not arguments or arguments[0].name != FIRST:
            return super().parse_args(ctx, args)
        seen = self.make_context(
            ctx.info_name, list(args), parent=ctx.parent, resilient_parsing=True
        )
        words: list[str] = []
        for argument in arguments:
            value = seen.params[argument.name]
            words += [value] if isinstance(value, str) else value or ()
        words += seen.args
        in_query = any(argument.nargs != 1 for argument in arguments)
        first_of_all = not in_query and len(words) >= len(arguments)
        named = seen.params[OPTION] is not None
        if words and not (first_of_all or _means_library(words[0], in_query, named)):
            args = [NOT_NAMED + words[0], *args]
        return super().parse_args(ctx, args)


def is_library(folder: str) -> bool:
    """Return whether a library is there, damaged or not; an address is taken for one."""
    if is_published(folder):
        return True
    place = os.path.expanduser(folder)
    if not folder or not os.path.isdir(os.path.join(place, "manifests")):
        return False
    from explorer.library.manifest import versions

    return bool(versions(FilePath(place)))


def _means_library(word: str, in_query: bool, named: bool) -> bool:
    """Return whether a first argument is a library, or a misspelt one, and not the next argument.

    Args:
        in_query: it could also be a word of a query.
        named: --library names the library.
    """
    return _looks_like_library(word, in_query) or (not named and is_library(word))


def _looks_like_library(word: str, in_query: bool) -> bool:
    if word.rstrip("/").lower().endswith(SUFFIX):
        return True
    if not in_query or os.path.isfile(os.path.expanduser(word)):
        return False
    from explorer.query import FILE_SUFFIXES

    if word.lower().endswith(FILE_SUFFIXES):
        return False  # the query says that there is no such image
    above = os.path.dirname(word.rstrip("/"))
    path = word.startswith(("/", "./", "../", "~/")) or word.endswith("/")
    return path or (bool(above) and os.path.isdir(above))


def _build(
    *, library: str | None, folder: str | None = None, required: bool, new: bool, told: bool
) -> FilePath | Taken | None:
    """Return the library that the two parameters, the environment or the config file give."""
    other = folder[1:] if folder is not None and folder.startswith(NOT_NAMED) else None
    named = [name for name in (library, folder if other is None else None) if name is not None]
    if len(named) > 1:
        raise QueryError(f"Two libraries are named, {named[0]} and {named[1]}: name one.")
    taken = Taken(_place(named[0])) if named else _from_elsewhere()
    if taken is None:
        if required:
            raise QueryError(_none_named(other))
        return None
    shown = named[0] if named else str(taken.folder)
    if new and is_published(shown):
        raise QueryError(
            f"{shown} is published and only read: add to a folder, then unclip publish it."
        )
    if not shown or not (new or is_library(shown)):
        raise LibraryNotFound(_not_there(shown, taken.origin))
    if not told:
        return taken
    if taken.origin:
        say(f"unclip: library {taken.folder} (from {taken.origin})", sys.stderr)
    return taken.folder


def _place(name: str) -> FilePath:
    """Return a library's folder, or its address as `Library.open` reads it."""
    return FilePath(str(Address.parse(name)) if is_published(name) else os.path.expanduser(name))


def _from_elsewhere() -> Taken | None:
    """Return the library of the environment or of the config file, if one of them names one."""
    if name := os.environ.get(VARIABLE):
        return Taken(_place(name), VARIABLE)
    folder = configured_library()
    return None if folder is None else Taken(folder, str(config_file()))


def _none_named(first: str | None) -> str:
    """Say that there is no library, and the ways to name one."""
    near = _nearest(first) if first else ""
    guess = f"{first!r} is no library; did you mean {near!r}? " if near else ""
    return (
        f"{guess}Name a library: with --library LIBRARY, or first where a command takes it there; "
        f"for all commands by the environment variable {VARIABLE}, or by {EXAMPLE} in "
        f"{config_file()}."
    )


def _not_there(name: str, origin: str) -> str:
    """Say that no library is in a folder, who named it, and which name is nearest."""
    if not name:
        return "The name of the library is empty: there is no library. Give its folder."
    near = _nearest(name)
    what = f"There is no library in {name}"
    if origin:
        what = f"{origin} names {name}, where there is no library"
    guess = f"; did you mean {near!r}? To make" if near else ". Correct the name; or make"
    return f"{what}{guess} a new one: unclip index FOLDER --library {quote(name)}"


def _nearest(name: str) -> str:
    """Return the library beside `name` whose own name is nearest to its; "" if none is near."""
    above, base = os.path.split(name.rstrip("/"))
    try:
        names = os.listdir(os.path.expanduser(above) or ".")
    except (OSError, ValueError):
        return ""
    near = difflib.get_close_matches(base, names, n=8)
    paths = (os.path.join(above, each) for each in near)
    return next((path for path in paths if is_library(path)), "")

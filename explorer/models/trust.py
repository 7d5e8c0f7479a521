"""Which folders of weights a library, a recipe or a decoder may name: those that a person named.

Data that somebody sends must not choose what is loaded. A folder that a person gives to `load`,
or to `--trust`, is remembered by the checksum of its files in the user's configuration folder.
"""

import hashlib
import json
import os
import shlex
from collections.abc import Callable
from contextlib import suppress
from os import PathLike
from pathlib import Path as FilePath

from explorer.errors import DiskError, UnknownModel, WeightsMissing
from explorer.files import collect_temporary, write_file
from explorer.models import MODELS
from explorer.models.shared.manifest import sha256
from explorer.places import config_folder
from explorer.refusals import explain_failure

READ = (".json", ".safetensors", ".txt", ".gz", ".model", ".jinja")
"""Suffixes of the files that loaders read; nothing else in a folder has an effect."""
MOST_FILES = 10_000


def check_named(what: str | PathLike[str], by: str) -> str:
    """Return the name of a model, decoder or prior that data gives, if it may be loaded.

    Args:
        what: as `load` takes it: a name of the registry, or a folder.
        by: the data that names it, for the message.

    Raises:
        WeightsMissing: it is a folder that no person has named or trusted; or it was changed.
    """
    name = os.fspath(what)
    if not isinstance(name, str) or "\0" in name:
        raise UnknownModel(f"{by} names no model that can be loaded ({name!r}).")
    folder = folder_in(name)
    if folder is None or not folder.is_dir() or is_trusted(folder):
        return name
    raise WeightsMissing(
        f"{by} names the weights in {folder}, which you have not trusted, or which changed since. "
        f"If you know where they come from, add to the command: --trust {shlex.quote(str(folder))}"
    )


def folder_in(name: str) -> FilePath | None:
    """Return the folder that a name of a model, decoder or prior gives; None for the registry's."""
    family, _, variant = name.partition(":")
    if family not in MODELS:
        return FilePath(name).expanduser().absolute() if name else None
    folder = os.path.expanduser(variant)
    if not variant or not (os.path.isdir(folder) or variant.startswith(("/", ".", "~"))):
        return None
    return FilePath(folder).absolute()


def is_trusted(folder: FilePath) -> bool:
    """Return whether a folder has the files of one that a person has named or trusted."""
    try:
        return (_place() / checksum(folder)).is_file()
    except OSError:
        return False


def remember(folder: str | PathLike[str]) -> None:
    """Trust a folder of weights, as it is now: data may name it from here on.

    Raises:
        WeightsMissing: it is not a folder that can be read.
        DiskError: it cannot be written down.
    """
    folder = FilePath(folder).expanduser().absolute()
    try:
        found = checksum(folder)
    except OSError as error:
        raise WeightsMissing(f"{folder} cannot be trusted: {error.strerror or error}.") from error
    if not (_place() / found).is_file():
        _write(_place() / found, os.fsencode(folder))


def remember_named(*names: str) -> None:
    """Remember the folders among the names that a person gave; if the disk allows it."""
    for name in names:
        folder = folder_in(name)
        if folder is not None and folder.is_dir():
            with suppress(DiskError, WeightsMissing):  # `--trust` would then say what failed
                remember(folder)


def checksum(folder: FilePath) -> str:
    """Return one sha256 for all files that loaders read; unchanged files are read once.

    Files count as unchanged as long as size, times and inode are those of the last full reading;
    the time of the last change of the inode cannot be set by an archive.

    Raises:
        OSError: the folder or a file cannot be read, or it has too many files.
    """
    if not folder.is_dir():
        raise NotADirectoryError(20, "it is not a folder")
    files = sorted(file for file in folder.rglob("*") if file.suffix in READ and file.is_file())
    if len(files) > MOST_FILES:
        raise OSError(7, f"it holds more than {MOST_FILES:,} files")
    names = [file.relative_to(folder).as_posix() for file in files]

    def read() -> str:
        each = [f"{name}\0{sha256(file)}" for name, file in zip(names, files, strict=True)]
        return hashlib.sha256("\n".join(each).encode("utf-8", "surrogateescape")).hexdigest()

    return _unless_seen(folder, files, names, read)


def check_intact(file: FilePath, name: str) -> None:
    """Check a file of the hub's cache against the sha256 that the hub gave; unchanged, once.

    Raises:
        WeightsMissing: it is damaged.
    """
    from explorer.models.shared.download import is_intact

    blob = file.resolve()
    if _unless_seen(blob, [blob], [blob.name], lambda: str(is_intact(file))) != "True":
        raise WeightsMissing(
            f"The weights of {name} in {blob.parent} are damaged: {file.name} does not have the "
            f"checksum that it was fetched with. Fetch it again: unclip models rm {name}; "
            f"unclip models get {name}"
        )


def _unless_seen(
    place: FilePath, files: list[FilePath], names: list[str], read: Callable[[], str]
) -> str:
    """Return what `read` finds in files, or what it found when they were last changed."""
    stats = [(s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for s in (f.stat() for f in files)]
    seen = hashlib.sha256(repr((str(place), names, stats)).encode("utf-8", "replace")).hexdigest()
    note = _place() / f"seen-{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}.json"
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        known = json.loads(note.read_text("utf-8"))
        if known["seen"] == seen:
            return str(known["checksum"])
    found = read()
    with suppress(DiskError):  # without it, the files are read again next time
        _write(note, json.dumps({"seen": seen, "checksum": found}).encode())
    return found


def _place() -> FilePath:
    return config_folder() / "trusted"


def _write(file: FilePath, content: bytes) -> None:
    with explain_failure(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    collect_temporary(file.parent)
    write_file(file, content)

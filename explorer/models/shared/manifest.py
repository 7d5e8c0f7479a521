"""The manifest of a folder of weights: its defaults, and the sha256 of every file."""

import hashlib
import json
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from explorer.errors import WeightsMissing


def read_manifest(file: FilePath, remedy: str) -> dict[str, Any]:
    """Read a manifest and compare every file beside it with its recorded sha256.

    Args:
        remedy: ends the messages; says where whole weights come from.

    Raises:
        WeightsMissing: a file is missing, or is not the one that was recorded.
    """
    try:
        manifest: dict[str, Any] = json.loads(file.read_text("utf-8"))
        recorded: dict[str, str] = manifest["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsMissing(
            f"{file.parent} holds no weights that can be used: {file.name} cannot be read "
            f"({error}). {remedy}"
        ) from error
    for name, digest in recorded.items():
        weights = file.parent / name
        if not weights.is_file() or sha256(weights) != digest:
            what = "differs from the one that was recorded" if weights.is_file() else "is missing"
            raise WeightsMissing(f"The weights file {weights} {what}. {remedy}")
    return manifest


def digest(*files: FilePath) -> str:
    """Sha256 of one file, or of the digests of several; a file is read again when it changes."""
    first, *others = (_remembered(file, file.stat().st_mtime_ns) for file in files)
    return hashlib.sha256("".join([first, *others]).encode()).hexdigest() if others else first


@cache
def _remembered(file: FilePath, _changed: int) -> str:
    return sha256(file)


def sha256(file: FilePath) -> str:
    """Hex digest of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

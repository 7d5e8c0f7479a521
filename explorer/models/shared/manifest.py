"""Manifest: the defaults of a folder of weights, and the sha256 of every file in it."""

import hashlib
import json
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from explorer.errors import WeightsMissing


def read_manifest(file: FilePath, remedy: str) -> dict[str, Any]:
    """Read a manifest and verify the sha256 of every file in its folder.

    Args:
        remedy: the end of the messages, which says where to get the weights.

    Raises:
        WeightsMissing: a file is missing or damaged.
    """
    try:
        manifest: dict[str, Any] = json.loads(file.read_text("utf-8"))
        recorded: dict[str, str] = manifest["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsMissing(
            f"{file.parent} has no valid weights: {file.name} cannot be read ({error}). {remedy}"
        ) from error
    if not isinstance(recorded, dict):
        raise WeightsMissing(f"{file} lists no checksums. {remedy}")
    for name, digest in recorded.items():
        weights = file.parent / name
        if not weights.is_file() or sha256(weights) != digest:
            reason = f"does not match {file.name}" if weights.is_file() else "is missing"
            raise WeightsMissing(f"The weights file {weights} {reason}. {remedy}")
    return manifest


def digest(*files: FilePath) -> str:
    """Return the sha256 of one file, or one hash for several; unchanged files are read once."""
    first, *others = (_cached_sha256(file, file.stat().st_mtime_ns) for file in files)
    return hashlib.sha256("".join([first, *others]).encode()).hexdigest() if others else first


@cache
def _cached_sha256(file: FilePath, _modified: int) -> str:
    return sha256(file)


def sha256(file: FilePath) -> str:
    """Return the sha256 of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

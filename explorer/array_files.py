"""Arrays in a folder: one file of safetensors, and a manifest with its checksum."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from explorer.errors import WeightsMissing
from explorer.files import file_sha256, make_folder, write_file

FORGED = (
    *(OSError, ValueError, LookupError, TypeError, ArithmeticError),
    *(RecursionError, AttributeError),
)
"""What a manifest or an array raises that is not what it should be."""


def write_arrays(
    folder: FilePath, name: str, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]
) -> None:
    """Write NAME.safetensors and NAME.json with these values, over those that are there.

    Raises:
        DiskError: the disk refuses.
    """
    from safetensors.numpy import save

    make_folder(folder)
    manifest, weights = folder / f"{name}.json", folder / f"{name}.safetensors"
    manifest.unlink(missing_ok=True)  # a mixture of old and new is never whole
    write_file(weights, save(dict(arrays)))
    told = {"kind": name, **values, "sha256": {weights.name: file_sha256(weights)}}
    write_file(manifest, (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode())


def read_arrays(folder: FilePath, name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read the values and the arrays that `write_arrays` wrote; use it within `usable`.

    Raises:
        ValueError: the arrays do not match the manifest.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    told = json.loads((folder / f"{name}.json").read_text("utf-8"))
    weights = folder / f"{name}.safetensors"
    content = weights.read_bytes()
    if hashlib.sha256(content).hexdigest() != told["sha256"][weights.name]:
        raise ValueError(f"{weights.name} does not match {name}.json")
    try:
        return told, load(content)
    except SafetensorError as error:
        raise ValueError(f"{weights.name} cannot be read ({error})") from error


@contextmanager
def usable(folder: FilePath, what: str, remedy: str) -> Iterator[None]:
    """Turn what a forged or damaged folder raises into one sentence.

    Raises:
        WeightsMissing: the block fails.
    """
    try:
        yield
    except FORGED as error:
        raise WeightsMissing(
            f"{folder} holds no {what} that can be used: {error}. {remedy}"
        ) from error

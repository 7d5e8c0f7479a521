"""A map on disk: a cache of places, with a number for each of its points, by which it can grow.

The content is a line that names the format, and then of all points: x and y, a number for the
vector, and whether it was placed later. Older files hold x and y only, and are read too.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt64

from explorer.cache_files import read_cache, read_key, write_cache
from explorer.errors import LibraryDamaged, LibraryError
from explorer.points import Points
from explorer.projection.fitting import Parameters
from explorer.projection.growth import digests

FILE_NAME = "projection"
KEY_VERSION = 1  # raise it when a map of the same parameters is no longer a good one
HEADER = b"unclip map 2\n"
BYTES = 8 + 8 + 1  # of one point


class Names:
    """What tells points from others, computed once: a hash of all, and a number for each.

    Args:
        points: N of them.
    """

    def __init__(self, points: Points) -> None:
        self.points = points

    @cached_property
    def digests(self) -> UInt64[np.ndarray, " N"]:
        """A number for each vector."""
        return digests(self.points)

    def key(self, parameters: Parameters) -> str:
        """Return what a file of the map of these points is known by."""
        digest = self._hashed.copy()
        digest.update(_settings(self.points, parameters))
        return digest.hexdigest()

    @cached_property
    def _hashed(self) -> Any:
        return hashlib.sha256(self.points.vectors.data)


@dataclass(frozen=True, eq=False)
class SavedMap:
    """Places of M points, a number for each, and which were placed later."""

    xy: Float[np.ndarray, "M 2"]
    digests: UInt64[np.ndarray, " M"]
    placed: Bool[np.ndarray, " M"]


def write(
    folder: FilePath,
    names: Names,
    xy: Float[np.ndarray, "N 2"],
    placed: Bool[np.ndarray, " N"] | None,
    parameters: Parameters,
) -> FilePath:
    """Write a map to `folder` and return the file."""
    late = np.zeros(len(xy), bool) if placed is None else placed
    parts = (xy.astype("<f4"), names.digests.astype("<u8"), late.astype("u1"))
    content = HEADER + _line(names.points, parameters) + b"".join(part.tobytes() for part in parts)
    file = folder / FILE_NAME
    write_cache(file, names.key(parameters), content)
    return file


def read_exactly(
    folder: FilePath, names: Names, parameters: Parameters
) -> tuple[Float[np.ndarray, "N 2"], Bool[np.ndarray, " N"] | None]:
    """Read the map of exactly these points and parameters; which were placed, None for none.

    Raises:
        LibraryError: there is none, or it is of other points or parameters.
        LibraryDamaged: the file is damaged.
    """
    file = folder / FILE_NAME
    try:
        content = read_cache(file, names.key(parameters))
    except FileNotFoundError:
        raise LibraryError(
            f"There is no map in {folder} yet; fit one with Projection.fit."
        ) from None
    except (OSError, LibraryDamaged) as error:
        raise LibraryDamaged(f"The map in {file} is damaged; fit it again.") from error
    if content is None:
        raise LibraryError(f"The map in {file} is of other points or settings; fit it again.")
    old = len(content) == 8 * len(names.points)  # an older file
    saved = None if old else _parsed(content)
    xy = np.frombuffer(content, "<f4").reshape(-1, 2) if saved is None else saved.xy
    if len(xy) != len(names.points):
        raise LibraryDamaged(f"The map in {file} has {len(xy)} places, not {len(names.points)}.")
    return xy, saved.placed if saved is not None and saved.placed.any() else None


def read_any(folder: FilePath, points: Points, parameters: Parameters) -> SavedMap | None:
    """Read the map that is there, if it is of this Space and these parameters; else None.

    An older file has no numbers: its points must be the first ones of `points`.
    """
    file = folder / FILE_NAME
    try:
        key = read_key(file)
        content = read_cache(file, key) or b""
        if content.startswith(HEADER + _line(points, parameters)):
            return _parsed(content)
    except (OSError, LibraryDamaged):
        return None
    count = len(content) // 8
    if content.startswith(HEADER) or not 0 < count < len(points):
        return None
    first = Names(points[:count])
    if key != first.key(parameters):
        return None
    xy = np.frombuffer(content, "<f4").reshape(-1, 2)
    return SavedMap(xy, first.digests, np.zeros(count, bool))


def _parsed(content: bytes) -> SavedMap:
    body = content[content.find(b"\n", len(HEADER)) + 1 :]
    count, rest = divmod(len(body), BYTES)
    if rest or not content.startswith(HEADER):
        raise LibraryDamaged("The file of the map is not as it was written; fit it again.")
    xy, names, late = body[: 8 * count], body[8 * count : 16 * count], body[16 * count :]
    places = np.frombuffer(xy, "<f4").reshape(-1, 2)
    return SavedMap(places, np.frombuffer(names, "<u8"), np.frombuffer(late, "u1") > 0)


def _line(points: Points, parameters: Parameters) -> bytes:
    return json.dumps([points.space.fingerprint, vars(parameters)]).encode() + b"\n"


def _settings(points: Points, parameters: Parameters) -> bytes:
    return json.dumps([KEY_VERSION, points.space.fingerprint, vars(parameters)]).encode()

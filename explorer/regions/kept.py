"""Kept: the crowds of a library's map and their names, found once and read from its cache."""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from explorer.cache_files import find_cache, write_cache
from explorer.errors import DiskError
from explorer.library import Library
from explorer.notes import collecting, note
from explorer.regions import PHRASES
from explorer.regions.crowds import Region, crowds, map_regions

FILE = "regions"
LEVELS = 2  # of crowds that have names
KEY_VERSION = 1  # raise it when the same map gets other crowds or other names


@dataclass(frozen=True, eq=False)
class MapCrowds:
    """The crowds of a map, and those that words tell from the others.

    Args:
        members: the rows of each crowd, as `crowds` gives them.
        regions: as `map_regions` gives them.
    """

    members: list[Int[np.ndarray, " K"]]
    regions: list[Region]


def map_crowds(library: Library, xy: Float[np.ndarray, "N 2"]) -> MapCrowds:
    """Return the crowds of a map and their names, from the library's cache where it has them.

    What is not as it should be, such as a model that is missing, is noted and not kept.

    Args:
        xy: as for `map_regions`.
    """
    file, key = library.cache_folder / FILE, _key(library, xy)
    content = find_cache(file, key)
    if content is not None and (known := _read(content, len(library))) is not None:
        return known
    with collecting() as notes:
        found = MapCrowds(crowds(xy), map_regions(library, xy, levels=LEVELS))
    for sentence in notes:
        note(sentence)
    if not notes:
        with suppress(DiskError):  # a cache: what the disk refuses is found again
            write_cache(file, key, _written(found))
    return found


def _key(library: Library, xy: Float[np.ndarray, "N 2"]) -> str:
    told = hashlib.sha256(np.ascontiguousarray(xy).data)
    told.update(PHRASES.read_bytes())
    return f"{KEY_VERSION} {library.cache_key} {LEVELS} {told.hexdigest()}"


def _written(found: MapCrowds) -> bytes:
    values = {
        "members": [rows.tolist() for rows in found.members],
        "regions": [asdict(each) | {"rows": each.rows.tolist()} for each in found.regions],
    }
    return json.dumps(values).encode()


def _read(content: bytes, count: int) -> MapCrowds | None:
    """Read what was written; None where it does not fit a library of so many rows."""
    with suppress(ValueError, LookupError, TypeError, RecursionError):
        values = json.loads(content)
        regions = [_region(each, count) for each in values["regions"]]
        return MapCrowds([_rows(each, count) for each in values["members"]], regions)
    return None


def _region(values: dict[str, Any], count: int) -> Region:
    x, y = map(float, values["middle"])
    rows = _rows(values["rows"], count)
    return Region(str(values["words"]), (x, y), rows, float(values["radius"]), int(values["level"]))


def _rows(values: list[int], count: int) -> Int[np.ndarray, " K"]:
    rows = np.array(values, dtype=np.int64)
    if not len(rows) or rows.min() < 0 or rows.max() >= count:
        raise ValueError("These are no rows of this library.")
    return rows

"""What may be imported: a file of vectors, or the folder that clip-retrieval writes."""

import os
import re
from os import fsdecode

from explorer.errors import QueryError
from explorer.images import name_of
from explorer.library.importing.arrays import faiss_part, npy_part, npz_part
from explorer.library.importing.beside import beside
from explorer.library.importing.columnar import columnar_part
from explorer.library.importing.parts import Part
from explorer.points import Side, Space

FORMS = (
    ".npy, .npz, .parquet, .arrow, .feather, .index or .faiss (flat), or clip-retrieval's folder"
)
_SHARD = {
    "image": re.compile(rb"img_emb_(\d+)\.npy"),
    "text": re.compile(rb"text_emb_(\d+)\.npy"),
}
_SHARD_FOLDER = {"image": b"img_emb", "text": b"text_emb"}


def parts_of(path: bytes, space: Space, side: Side, column: str | None) -> list[Part]:
    """Open what a person named, by its suffix.

    Raises:
        QueryError: there is no such file, or it is of no known kind.
    """
    if os.path.isdir(path):
        return _clip_retrieval(path, space, side)
    name = name_of(fsdecode(path))
    if not os.path.isfile(path):
        raise QueryError(f"There is no {name}. Import one of {FORMS}.")
    suffix = os.path.splitext(path.lower())[1]
    if suffix == b".npy":
        return [npy_part(path, path, space)]
    if suffix == b".npz":
        return [npz_part(path, path, space, column)]
    if suffix in (b".parquet", b".arrow", b".feather"):
        return [columnar_part(path, path, space, column)]
    if suffix in (b".index", b".faiss"):
        return [faiss_part(path, path, space)]
    raise QueryError(
        f"{name} is no file of vectors that is read here: pickles and tensors of torch are never "
        f"opened. Use {FORMS}."
    )


def _clip_retrieval(folder: bytes, space: Space, side: Side) -> list[Part]:
    """Open `img_emb_*.npy` (or `text_emb_*.npy`) with `metadata_*.parquet`, flat or in folders."""
    form = _SHARD[side]
    found: list[tuple[int, bytes, bytes]] = []
    for place in (folder, os.path.join(folder, _SHARD_FOLDER[side])):
        names = os.listdir(place) if os.path.isdir(place) else []
        numbers = [(number, name) for name in names if (number := form.fullmatch(name))]
        found += [(int(n[1]), os.path.join(place, name), n[1]) for n, name in numbers]
    if not found:
        other = "text" if side == "image" else "image"
        raise QueryError(
            f"{name_of(fsdecode(folder))} holds no {_SHARD_FOLDER[side].decode()}_*.npy, as "
            f"clip-retrieval writes them for --side {side} (the other is --side {other}). "
            "Name the files one by one."
        )
    return [_shard(folder, path, number, space) for _, path, number in sorted(found)]


def _shard(folder: bytes, path: bytes, number: bytes, space: Space) -> Part:
    part = npy_part(path, folder, space)
    name = b"metadata_" + number + b".parquet"
    for place in (os.path.dirname(path), folder, os.path.join(folder, b"metadata")):
        if os.path.isfile(os.path.join(place, name)):
            return part.with_table(beside(os.path.join(place, name)))
    return part

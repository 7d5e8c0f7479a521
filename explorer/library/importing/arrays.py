"""Vectors in .npy, .npz and flat FAISS files, or an array: plain reads, a chunk at a time.

Headers are parsed as data and checked against the size of the file before anything is allocated.
Files are read, not mapped: a mapped file that is cut off meanwhile kills the process.
"""

import hashlib
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from os import fsdecode
from typing import IO, Any

import numpy as np

from explorer.errors import QueryError
from explorer.images import name_of
from explorer.library.importing.parts import Chunk, Part, check_array, chunk_rows
from explorer.points import Space

MAX_HEADER_BYTES = 10_000
MAX_COLUMN_BYTES = 1_000_000_000  # of a 1-D array beside the vectors in an .npz
VECTOR_NAMES = ("vectors", "vector", "embeddings", "embedding", "image_embeddings", "arr_0")
_HEADER_ERRORS = (
    *(ValueError, SyntaxError, TypeError, OverflowError, MemoryError, RecursionError),
    tokenize.TokenError,  # of numpy's reader of headers
)
UNREADABLE = (  # what numpy raises on an .npz that is damaged or forged
    *(OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError),
    *(LookupError, AttributeError, struct.error, *_HEADER_ERRORS),
)
_FLAT = (b"IxFI", b"IxF2", b"IxFl")  # inner product, L2, and an older format


def array_part(array: np.ndarray, space: Space) -> Part:
    """Return an array as a part; its rows are known by its content."""
    check_array("The array", array.shape, array.dtype, space)
    step, digest = chunk_rows(space.dimension), hashlib.sha256()
    for start in range(0, len(array), step):
        digest.update(array[start : start + step].astype(np.float32).tobytes())
    name = f"array-{digest.hexdigest()[:16]}"

    def read(columns: bool) -> Iterator[Chunk]:  # noqa: ARG001
        for start in range(0, len(array), step):
            yield np.array(array[start : start + step], dtype=np.float32, order="C"), None

    return Part("The array", name.encode(), name.encode(), str(array.dtype), read)


def npy_part(path: bytes, source: bytes, space: Space, *, alone: bool = False) -> Part:
    """Open an .npy file.

    Args:
        alone: an array of one dimension is one vector.

    Raises:
        QueryError: it holds no vectors of the space.
    """
    name = _name(path)
    with open(path, "rb") as stream:
        shape, fortran, dtype = _header(stream, name)
        offset = stream.tell()
    if alone and len(shape) == 1:
        shape, fortran = (1, *shape), False
    check_array(name, shape, dtype, space)
    _check_size(path, shape, dtype, offset)

    def read(columns: bool) -> Iterator[Chunk]:  # noqa: ARG001
        return ((part, None) for part in _read_file(path, offset, shape, dtype, fortran))

    return Part(name, path, source, str(dtype), read)


def faiss_part(path: bytes, source: bytes, space: Space) -> Part:
    """Open a flat FAISS index: its vectors lie in the file as they are.

    Raises:
        QueryError: it is an index of another kind, or cut off.
    """
    name = _name(path)
    with open(path, "rb") as stream:
        kind = stream.read(4)
        if kind not in _FLAT:
            raise QueryError(
                f"{name} is no flat FAISS index (it starts with {kind!r}): other kinds hold no "
                "exact vectors. In FAISS: np.save(file, index.reconstruct_n(0, index.ntotal))."
            )
        fields = stream.read(4 + 8 + 16 + 1 + 4)  # d, ntotal, two unused, trained, metric
        if len(fields) < 33:
            raise _cut_off(name, os.path.getsize(path))
        dimension, count = struct.unpack("<iq", fields[:12])
        if struct.unpack("<i", fields[29:])[0] > 1:
            stream.read(4)  # the argument of a rarer metric
        stored = stream.read(8)
        offset = stream.tell()
    shape, dtype = (count, dimension), np.dtype("<f4")
    check_array(name, shape, dtype, space)
    _check_size(path, shape, dtype, offset)
    if len(stored) < 8 or struct.unpack("<Q", stored)[0] != count * dimension:
        raise QueryError(f"{name} is damaged: its header and its vectors disagree on their number.")

    def read(columns: bool) -> Iterator[Chunk]:  # noqa: ARG001
        return ((part, None) for part in _read_file(path, offset, shape, dtype, False))

    return Part(name, path, source, "float32", read)


def npz_part(path: bytes, source: bytes, space: Space, wanted: str | None) -> Part:
    """Open an .npz file: one array of vectors, and 1-D arrays of that length as columns.

    Raises:
        QueryError: which array holds the vectors is not clear, or it cannot be used.
    """
    name = _name(path)
    try:
        with zipfile.ZipFile(fsdecode(path)) as archive:
            arrays = {}
            for info in archive.infolist():
                if info.filename.endswith(".npy"):
                    with archive.open(info) as stream:
                        arrays[info.filename[:-4]] = (*_header(stream, name), info.file_size)
    except UNREADABLE as error:
        raise _unreadable(name, error) from None
    chosen = _choose(name, arrays, wanted)
    shape, fortran, dtype, size = arrays[chosen]
    inner = f"{name}, array {name_of(chosen)},"
    check_array(inner, shape, dtype, space)
    if size < shape[0] * shape[1] * dtype.itemsize:
        raise _too_short(inner, shape, dtype, size)
    if fortran:
        raise QueryError(f"{inner} is stored by columns: save np.ascontiguousarray of it.")
    beside = [
        other
        for other, (form, _, kind, length) in arrays.items()
        if form == shape[:1] and kind.kind in "USifub" and length <= MAX_COLUMN_BYTES
    ]

    def read(columns: bool) -> Iterator[Chunk]:
        return _read_npz(path, chosen, shape, dtype, beside if columns else [])

    return Part(name, path, source, str(dtype), read)


def _choose(name: str, arrays: dict[str, Any], wanted: str | None) -> str:
    flat = [key for key, (shape, *_) in arrays.items() if len(shape) == 2]
    named = [key for key in VECTOR_NAMES if key in flat]
    found = [wanted] if wanted in arrays else [] if wanted else flat if len(flat) == 1 else named
    if not found:
        known = ", ".join(name_of(key) for key in arrays) or "none"
        raise QueryError(
            f"{name} does not say which array holds the vectors; its arrays are {known}. "
            "Name one with --vector-column."
        )
    return str(found[0])


def _read_npz(
    path: bytes, chosen: str, shape: tuple[int, ...], dtype: np.dtype[Any], beside: list[str]
) -> Iterator[Chunk]:
    step, width = chunk_rows(shape[1]), shape[1] * dtype.itemsize
    try:
        with zipfile.ZipFile(fsdecode(path)) as archive:
            columns: dict[str, Any] = {}
            for key in beside:
                with archive.open(f"{key}.npy") as stream:
                    columns[key] = np.lib.format.read_array(stream, allow_pickle=False)
            with archive.open(f"{chosen}.npy") as stream:
                _header(stream, _name(path))
                for start in range(0, shape[0], step):
                    rows = min(step, shape[0] - start)
                    content = stream.read(rows * width)
                    array = np.frombuffer(content, dtype).reshape(rows, shape[1])
                    part = {k: v[start : start + rows].tolist() for k, v in columns.items()}
                    records = [
                        dict(zip(part, row, strict=True))
                        for row in zip(*part.values(), strict=True)
                    ]
                    yield _float32(array), records or None
    except UNREADABLE as error:
        raise _unreadable(_name(path), error) from None


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    form = np.lib.format
    readers = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}
    try:
        reader = readers[form.read_magic(stream)]
        return reader(stream, max_header_size=MAX_HEADER_BYTES)
    except (KeyError, *_HEADER_ERRORS):  # numpy's own words advise to unpickle it
        raise QueryError(
            f"{name} cannot be read as an array of numbers: its header is damaged, or not one that "
            "np.save writes for numbers. Write it again."
        ) from None


def _check_size(path: bytes, shape: tuple[int, ...], dtype: np.dtype[Any], offset: int) -> None:
    size = os.path.getsize(path)
    if size - offset < shape[0] * shape[1] * dtype.itemsize:
        raise _too_short(_name(path), shape, dtype, size)


def _read_file(
    path: bytes, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], fortran: bool
) -> Iterator[np.ndarray]:
    rows, dimension = shape
    step, item = chunk_rows(dimension), dtype.itemsize
    with open(path, "rb", buffering=0) as stream:
        for start in range(0, rows, step):
            count = min(step, rows - start)
            if fortran:
                array = np.empty((count, dimension), dtype)
                for column in range(dimension):
                    stream.seek(offset + (column * rows + start) * item)
                    array[:, column] = _numbers(path, stream, dtype, count)
            else:
                stream.seek(offset + start * dimension * item)
                array = _numbers(path, stream, dtype, count * dimension).reshape(count, dimension)
            yield _float32(array)


def _numbers(path: bytes, stream: IO[bytes], dtype: np.dtype[Any], count: int) -> np.ndarray:
    found = np.fromfile(stream, dtype, count)
    if len(found) < count:
        raise _cut_off(_name(path), os.path.getsize(path))
    return found


def _float32(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what becomes infinite is refused as such
        return np.asarray(array, dtype=np.float32)


def _name(path: bytes) -> str:
    return name_of(fsdecode(path))


def _too_short(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> QueryError:
    return QueryError(
        f"{name} claims {shape[0]:,} × {shape[1]:,} values of {dtype}, but has only {size:,} "
        "bytes: it is damaged or was cut off. Copy it again."
    )


def _cut_off(name: str, size: int) -> QueryError:
    return QueryError(f"{name} ends after {size:,} bytes, too early: it was cut off.")


def _unreadable(name: str, error: Exception) -> QueryError:
    if isinstance(error, QueryError):
        return error
    reason = name_of(" ".join(str(error).split())[:200]).rstrip(".")
    return QueryError(f"{name} cannot be read as an array of numbers: {reason}.")

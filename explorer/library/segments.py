"""Segments: immutable folders of vectors and rows, each `segments/<uuid>/`.

    vectors.npy      N × D, float16 or float32, raw
    rows.parquet     one row a vector: where the image is, what it was, the user's columns
    errors.parquet   what could not be read, with the reason; an empty reason withdraws a failure
    retired.npy      row numbers of earlier segments that are retired
    columns.parquet  values that were set for rows of earlier segments

A segment says what has changed since the one before; nothing in it is ever changed.
"""

import hashlib
import io
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from shlex import quote
from typing import Any

import numpy as np
from jaxtyping import Float

from explorer.errors import LibraryDamaged
from explorer.files import link_or_copy, writing_folder
from explorer.library.manifest import (
    COLUMNS,
    ERRORS,
    RETIRED,
    ROWS,
    VECTORS,
    DType,
    FileRecord,
    SegmentRecord,
)

Key = tuple[bytes, bytes]
"""What an item is known by: the absolute name of its file, and its name within a tar (or b"")."""

Content = Any
"""What a file of a segment is written from: a numpy array, or an Arrow table."""

OWN_COLUMNS = (
    *("item", "path", "member", "sha256", "width", "height", "size", "mtime_ns"),
    *("source", "offset"),
)
NO_IMAGE = -2  # the offset of a row that was imported as a vector without a file


@dataclass(frozen=True)
class Row:
    """One image as it is stored."""

    path: bytes  # absolute
    member: bytes  # within a tar, or b""
    item: str  # for people
    sha256: str  # of the image's bytes, or of the bytes of an imported vector
    width: int  # pixels, upright
    height: int
    size: int  # bytes
    mtime_ns: int
    source: str  # which source it came from
    offset: int  # of its bytes in the tar, or -1, or NO_IMAGE
    columns: dict[str, Any] = field(default_factory=dict)
    vector: Float[np.ndarray, " D"] = field(default_factory=lambda: np.zeros(0), repr=False)


@dataclass(frozen=True)
class Failure:
    """One item that could not be read, with its size and time then."""

    path: bytes
    member: bytes
    item: str
    reason: str  # "" withdraws an earlier failure
    source: str
    size: int
    changed_ns: int  # ctime, which a chmod changes too


def write_segment(
    folder: FilePath,
    first_row: int,
    dtype: DType,
    rows: Sequence[Row],
    failures: Sequence[Failure],
    retired: Sequence[int],
    columns: Any = None,
) -> SegmentRecord:
    """Write one segment durably; return its record with size and checksum of every file.

    Args:
        columns: an Arrow table of values that were set; see explorer/library/columns.py.
    """
    files: dict[str, Content] = {}
    if rows:
        vectors = np.stack([row.vector for row in rows]).astype(np.float32, copy=False)
        dtype = dtype if _fits(vectors, dtype) else "float32"
        files[VECTORS] = vectors.astype(dtype, copy=False)
        files[ROWS] = _row_table(rows)
    if failures:
        files[ERRORS] = failure_table(failures)
    if retired:
        files[RETIRED] = np.array(sorted(retired), dtype=np.int64)
    if columns is not None:
        files[COLUMNS] = columns
    return write_files(folder, first_row, len(rows), dtype, files)


def write_files(
    folder: FilePath,
    first_row: int,
    rows: int,
    dtype: DType,
    files: Mapping[str, Content],
    copied: SegmentRecord | None = None,
) -> SegmentRecord:
    """Write a segment of these files durably; return its record.

    Args:
        files: name → a numpy array or an Arrow table.
        copied: a segment whose other files the new one has too, under their recorded checksums.
    """
    identity = uuid.uuid4().hex
    records = dict(copied.files) if copied else {}
    with writing_folder(folder / "segments" / identity) as temporary:
        for name in records.keys() - files.keys():
            assert copied is not None
            link_or_copy(segment_file(folder, copied, name), temporary / name)
        for name, content in files.items():
            parts = _npy(content) if isinstance(content, np.ndarray) else [_parquet(content)]
            checksum = hashlib.sha256()
            with (temporary / name).open("wb") as stream:
                for part in parts:
                    checksum.update(part)
                    stream.write(part)
                records[name] = FileRecord(stream.tell(), checksum.hexdigest())
    return SegmentRecord(identity, first_row, rows, dtype, records)


def _fits(vectors: Float[np.ndarray, "N D"], dtype: DType) -> bool:
    """Check that `dtype` keeps every vector to 2⁻¹⁰ of its largest value: no overflow, no zero."""
    if dtype == "float32":
        return True
    with np.errstate(over="ignore", under="ignore"):
        error = np.abs(vectors.astype(dtype).astype(np.float32) - vectors).max(axis=1)
    return bool(np.all(error <= 2**-10 * np.abs(vectors).max(axis=1)))


def _npy(array: np.ndarray) -> list[bytes | memoryview]:
    """Return the parts of a .npy file; np.save itself loses why a disk refuses."""
    header, array = io.BytesIO(), np.ascontiguousarray(array)
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return [header.getvalue(), array.reshape(-1).view(np.uint8).data]


def _parquet(table: Any) -> bytes:
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


def _row_table(rows: Sequence[Row]) -> Any:
    import pyarrow as pa

    kinds = {"path": pa.binary(), "member": pa.binary(), "item": pa.string()}
    kinds |= {"sha256": pa.string(), "source": pa.string()}
    arrays = {
        name: pa.array([getattr(row, name) for row in rows], kinds.get(name, pa.int64()))
        for name in OWN_COLUMNS
    }
    names = dict.fromkeys(name for row in rows for name in row.columns)
    arrays |= {name: user_array([row.columns.get(name) for row in rows]) for name in names}
    return pa.table(arrays)


def user_array(values: list[Any]) -> Any:
    """Return values as an Arrow array; values of several types become text."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # values of several types
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def failure_table(failures: Sequence[Failure]) -> Any:
    """Return failures as an Arrow table."""
    import pyarrow as pa

    kinds = {"path": pa.binary(), "member": pa.binary(), "item": pa.string()}
    kinds |= {"reason": pa.string(), "source": pa.string()}
    kinds |= {"size": pa.int64(), "changed_ns": pa.int64()}
    return pa.table(
        {name: pa.array([getattr(f, name) for f in failures], kinds[name]) for name in kinds}
    )


def segment_file(folder: FilePath, segment: SegmentRecord, name: str) -> FilePath:
    """Return the path of one file of a segment."""
    return folder / "segments" / segment.id / name


def read_table(folder: FilePath, segment: SegmentRecord, name: str) -> Any:
    """Read a Parquet file of a segment, checked against its hash.

    Raises:
        LibraryDamaged: it is not what was written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    content = _read_checked(folder, segment, name)
    copy = (
        pa.BufferOutputStream()
    )  # Arrow's threads may let go of Python's bytes while Python ends,
    copy.write(content)  # which aborts the process
    stored = pa.BufferReader(copy.getvalue())  # parquet.read_table imports pyarrow.dataset: 0.4 s
    return parquet.ParquetFile(stored, page_checksum_verification=True).read()


def read_schema(folder: FilePath, segment: SegmentRecord, name: str) -> Any:
    """Return the columns of a Parquet file of a segment, and their types; rows are not read.

    Raises:
        LibraryDamaged: it cannot be read.
    """
    from pyarrow import parquet

    file = segment_file(folder, segment, name)
    try:
        with open(file, "rb") as handle:
            return parquet.ParquetFile(handle).schema_arrow
    except (OSError, ValueError) as error:
        raise LibraryDamaged(f"{file} cannot be read: {error}. {remedy(folder)}") from error


def read_retired(folder: FilePath, segment: SegmentRecord) -> np.ndarray:
    """Read the row numbers that a segment retires, checked against its hash."""
    return np.load(io.BytesIO(_read_checked(folder, segment, RETIRED)), allow_pickle=False)


def _read_checked(folder: FilePath, segment: SegmentRecord, name: str) -> bytes:
    file = segment_file(folder, segment, name)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise LibraryDamaged(
            f"{file} cannot be read: {error.strerror}. {remedy(folder)}"
        ) from error
    if hashlib.sha256(content).hexdigest() != segment.files[name].sha256:
        raise LibraryDamaged(
            f"{file} was changed after it was written: its checksum differs. {remedy(folder)}"
        )
    return content


def remedy(folder: FilePath) -> str:
    """Say what to type about a damaged library."""
    place = quote(str(folder))
    return f"To list all damage: unclip verify {place}; to set it aside: unclip repair {place}"

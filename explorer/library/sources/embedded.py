"""Images inside tables: Parquet and Arrow files, as Hugging Face's `datasets` writes them."""

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any

from explorer.errors import ImageError
from explorer.images import name_of
from explorer.images.remote import is_remote, open_file, status_of

SHARD_SUFFIXES = (".parquet", ".arrow")
_BYTES_COLUMNS = ("image", "img", "bytes", "image_bytes", "jpg", "jpeg", "png", "webp", "picture")
_BATCH_ROWS = 16


def image_column(file: bytes) -> str | None:
    """Return the column whose cells are images: bytes, or a struct of bytes and path; or None."""
    import pyarrow as pa

    with suppress(OSError, ValueError):
        for field in _schema(file):
            kind = field.type
            if pa.types.is_struct(kind):
                names = [kind.field(i).name for i in range(kind.num_fields)]
                if "bytes" in names and _is_binary(kind.field(names.index("bytes")).type):
                    return str(field.name)
            elif _is_binary(kind) and field.name.lower() in _BYTES_COLUMNS:
                return str(field.name)
    return None


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _schema(file: bytes) -> Any:
    if file.lower().endswith(b".parquet"):
        from pyarrow import parquet

        with open_file(file) as handle:
            return parquet.read_schema(handle)
    return _arrow(file, status_of(file).st_mtime_ns).schema


@lru_cache(maxsize=2)
def _arrow(file: bytes, _mtime_ns: int) -> Any:
    """Map an Arrow file or stream; nothing is read yet, unless it is at an address."""
    import pyarrow as pa

    def opened() -> Any:
        return open_file(file) if is_remote(file) else pa.memory_map(os.fsdecode(file))

    try:
        return pa.ipc.open_stream(opened()).read_all()
    except pa.ArrowInvalid:
        return pa.ipc.open_file(opened()).read_all()


def other_columns(file: bytes, column: str) -> Iterator[tuple[dict[str, Any], str, bool]]:
    """Yield each row's other columns, its image's path or "", and whether it has an image."""
    for batch in _batches(file):
        rest = batch.drop_columns([column]) if batch.num_columns > 1 else None
        rows = rest.to_pylist() if rest is not None else [{}] * batch.num_rows
        cells = batch.column(column)
        for number, row in enumerate(rows):
            cell = cells[number]
            path, there = "", cell.is_valid
            if there and hasattr(cell, "keys"):
                path = str(cell["path"].as_py() or "") if "path" in cell.keys() else ""  # noqa: SIM118
                there = cell["bytes"].is_valid
            yield row, path, there


def _batches(file: bytes) -> Iterator[Any]:
    if file.lower().endswith(b".parquet"):
        from pyarrow import parquet

        with open_file(file) as handle:
            yield from parquet.ParquetFile(handle).iter_batches(_BATCH_ROWS)
    else:
        table = _arrow(file, status_of(file).st_mtime_ns)
        for start in range(0, table.num_rows, _BATCH_ROWS):
            yield table.slice(start, _BATCH_ROWS).combine_chunks().to_batches()[0]


class _Rows:
    """A table's images, read on from row to row as long as rows ascend."""

    def __init__(self, file: bytes) -> None:
        column = image_column(file)
        if column is None:
            raise ImageError(f"{name_of(os.fsdecode(file))} has no column of images any more.")
        self._file, self._column = file, column
        self._restart()

    def _restart(self) -> None:
        self._batches: Iterator[Any] = _batches(self._file)
        self._batch: Any = None
        self._first = 0

    def read(self, row: int) -> bytes:
        if row < self._first:
            self._restart()
        while self._batch is None or row >= self._first + self._batch.num_rows:
            self._first += 0 if self._batch is None else self._batch.num_rows
            self._batch = next(self._batches, None)
            if self._batch is None:
                self._restart()
                raise ImageError(f"{name_of(os.fsdecode(self._file))} has no row {row} any more.")
        cell = self._batch.column(self._column)[row - self._first].as_py()
        content = cell.get("bytes") if isinstance(cell, dict) else cell
        return bytes(content or b"")


@lru_cache(maxsize=2)
def _rows(file: bytes, _mtime_ns: int) -> _Rows:
    return _Rows(file)


def read_row(file: bytes, row: int) -> bytes:
    """Return the image in one row of a table.

    Raises:
        ImageError: the table is gone, damaged or has changed.
    """
    try:
        return _rows(file, status_of(file).st_mtime_ns).read(row)
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{name_of(os.fsdecode(file))} cannot be read: {error}.") from None

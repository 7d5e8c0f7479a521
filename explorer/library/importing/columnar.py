"""Vectors in a column of a Parquet or Arrow file, batch by batch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import fsdecode
from typing import Any

import numpy as np

from explorer.errors import QueryError
from explorer.images import name_of
from explorer.library.importing.parts import Chunk, Part, check_dimension, chunk_rows
from explorer.library.segments import OWN_COLUMNS
from explorer.points import Space

VECTOR_NAMES = ("vector", "vectors", "embedding", "embeddings", "image_embedding", "img_emb")
_EXPORTED = set(OWN_COLUMNS) - {"offset"}  # what `unclip export` writes beside the user's columns
_DROPPED = _EXPORTED - {"path", "member"}

Batches = Callable[[list[str] | None], Iterator[Any]]


def columnar_part(path: bytes, source: bytes, space: Space, wanted: str | None) -> Part:
    """Open a .parquet, .arrow or .feather file that has a column of vectors.

    Raises:
        QueryError: it has none, or several and none of them was named.
    """
    name = name_of(fsdecode(path))
    batches = _parquet(path, space) if path.lower().endswith(b".parquet") else _arrow(path)
    with _explained(name):
        schema = _schema(path)
    chosen = _choose(name, schema, wanted)

    def read(columns: bool) -> Iterator[Chunk]:
        with _explained(name):
            first = 0
            for batch in batches(None if columns else [chosen]):
                if not batch.num_rows:
                    continue
                vectors = _matrix(batch.column(chosen), name, first, space)
                first += len(vectors)
                records = None
                if columns:
                    rest = batch.select(
                        [
                            f.name
                            for f in batch.schema
                            if f.name != chosen and not _is_content(f.type)
                        ]
                    )
                    records = _records(rest) if rest.num_columns else None
                yield vectors, records

    return Part(name, path, source, str(schema.field(chosen).type), read)


def _parquet(path: bytes, space: Space) -> Batches:
    from pyarrow import parquet

    def batches(columns: list[str] | None) -> Iterator[Any]:
        with parquet.ParquetFile(fsdecode(path)) as opened:
            yield from opened.iter_batches(chunk_rows(space.dimension), columns=columns)

    return batches


def _arrow(path: bytes) -> Batches:
    import pyarrow as pa

    def batches(columns: list[str] | None) -> Iterator[Any]:
        with pa.OSFile(fsdecode(path)) as stream:
            reader = _reader(stream)
            if hasattr(reader, "num_record_batches"):
                found = (reader.get_batch(i) for i in range(reader.num_record_batches))
            else:
                found = iter(reader)
            for batch in found:
                yield batch.select(columns) if columns else batch

    return batches


def _reader(stream: Any) -> Any:
    """Read either form of Arrow's files; both occur under .arrow."""
    import pyarrow as pa

    try:
        return pa.ipc.open_file(stream)
    except pa.ArrowInvalid:
        stream.seek(0)
        return pa.ipc.open_stream(stream)


def _schema(path: bytes) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    if path.lower().endswith(b".parquet"):
        return parquet.read_schema(fsdecode(path))
    with pa.OSFile(fsdecode(path)) as stream:
        return _reader(stream).schema


def _storage(kind: Any) -> Any:
    import pyarrow as pa

    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _is_vectors(kind: Any) -> bool:
    from pyarrow import types

    kind = _storage(kind)
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    return any(check(kind) for check in lists) and types.is_floating(kind.value_type)


def _is_content(kind: Any) -> bool:
    """Whether a column holds files, as data sets keep images: a struct with `bytes` in it."""
    from pyarrow import types

    return bool(types.is_struct(kind)) and any(part.name == "bytes" for part in kind)


def _choose(name: str, schema: Any, wanted: str | None) -> str:
    found = [field.name for field in schema if _is_vectors(field.type)]
    if wanted is not None:
        chosen = [wanted] if wanted in found else []
    else:
        chosen = found if len(found) == 1 else [one for one in VECTOR_NAMES if one in found]
    if not chosen or schema.names.count(chosen[0]) > 1:
        columns = ", ".join(f"{name_of(f.name)} ({f.type})" for f in schema) or "none"
        raise QueryError(
            f"{name} does not say which column holds the vectors (lists of floats); its columns "
            f"are {columns[:500]}. Name one with --vector-column."
        )
    return str(chosen[0])


def _matrix(column: Any, name: str, first: int, space: Space) -> np.ndarray:
    """Return a column of lists as N × D float32."""
    import pyarrow as pa
    from pyarrow import compute, types

    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if column.null_count:
        row = first + int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise QueryError(f"Row {row:,} of {name} has no vector: take such rows out.")
    if types.is_fixed_size_list(column.type):
        check_dimension(name, column.type.list_size, space)
    else:
        lengths = compute.list_value_length(column).to_numpy(zero_copy_only=False)
        other = np.flatnonzero(lengths != space.dimension)
        if len(other):
            check_dimension(f"Row {first + other[0]:,} of {name}", int(lengths[other[0]]), space)
    flat = column.flatten()
    with np.errstate(over="ignore"):
        numbers = flat.to_numpy(zero_copy_only=False).astype(np.float32)  # null becomes NaN
    return numbers.reshape(-1, space.dimension)


def _records(batch: Any) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = batch.to_pylist()
    if not _EXPORTED.issubset(batch.schema.names):
        return records
    for record in records:  # an image in a tar cannot be found again without its place there
        for own in _DROPPED:
            del record[own]
        if record.pop("member"):
            record["path"] = None
    return records


@contextmanager
def _explained(name: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except QueryError:
        raise
    except (OSError, ValueError, KeyError, MemoryError, pa.ArrowException) as error:
        reason = name_of(" ".join(str(error).split())[:200]).rstrip(".")
        raise QueryError(f"{name} cannot be read: {reason}.") from None

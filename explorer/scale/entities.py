"""Entities: rows of a library as Milvus stores them, and back.

One collection holds one version of a library. A row's number is its place in that version, its id
the checksum of its file's name and content; the collection's properties say what its points are.
"""

import base64
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from explorer.library.filters import as_text, is_missing
from explorer.library.segments import OWN_COLUMNS

MAX_TEXT = 65_535  # bytes of a VARCHAR
THUMBNAIL_QUALITIES = (80, 50, 25)
BINARY = ("path", "member")
SHOWN_COLUMNS = tuple(name for name in OWN_COLUMNS if name != "offset")
STORED = "unclip"  # the property that holds what `Library.info` tells, as JSON
COMPLETE = "unclip_complete"  # the property that says that all rows are there
BEFORE = "unclip_before"  # the property that names the collection that readers came from
APPROXIMATE_ROWS = 50_000  # from which on the server's index is HNSW
AT_ONCE = {"consistency_level": "Bounded"}
"""How readers read. A publication counts its rows by a strong read before readers see them, so that
they need not wait for the server's next tick of time, some 200 ms."""
EFFORTS = (64, 128, 256, 512, 1024, 2048, 4096)  # "ef", how much a search of HNSW looks at


def identity(record: Mapping[str, Any]) -> str:
    """Return the id of a row: the same for the same content under the same name, always."""
    named = hashlib.sha256()
    for part in (record["path"], record["member"], str(record["sha256"]).encode()):
        named.update(len(part).to_bytes(8, "big") + part)
    return named.hexdigest()[:32]


def create_collection(client: Any, name: str, dimension: int, rows: int) -> None:
    """Create the empty collection of one version."""
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=32)
    schema.add_field("row", DataType.INT64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    schema.add_field("record", DataType.JSON)
    schema.add_field("texts", DataType.JSON)
    schema.add_field("thumbnail", DataType.VARCHAR, max_length=MAX_TEXT)
    index = client.prepare_index_params()
    settings = {} if is_exact(rows) else {"M": 24, "efConstruction": 200}
    kind = "FLAT" if is_exact(rows) else "HNSW"
    index.add_index("vector", index_type=kind, metric_type="COSINE", params=settings)
    client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")


def is_exact(rows: int) -> bool:
    """Return whether the index of so many rows compares all of them."""
    return rows < APPROXIMATE_ROWS


def search_options(effort: int | None, limit: int) -> dict[str, Any]:
    """Return what a search of this many rows asks of the server, beside its filter.

    Args:
        effort: of HNSW; None is an exact index.
    """
    params = {} if effort is None else {"ef": max(effort, limit)}
    return {"limit": limit, "search_params": {"metric_type": "COSINE", "params": params}, **AT_ONCE}


def entity(
    row: int, record: Mapping[str, Any], vector: np.ndarray, thumbnail: str
) -> dict[str, Any]:
    """Return a row as it is stored."""
    shown = {name: value for name, value in record.items() if name != "offset"}
    texts = {name: as_text(value) for name, value in shown.items() if not is_missing(value)}
    return {
        "id": identity(record),
        "row": row,
        "vector": vector,
        "record": {name: _packed(value) for name, value in record.items()},
        "texts": texts,
        "thumbnail": thumbnail,
    }


def record_of(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's values from its stored record."""
    return {n: base64.b64decode(v) if n in BINARY else v for n, v in stored.items()}


def _packed(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return None if is_missing(value) else str(value)
    return value


def thumbnail_of(image: Image.Image, side: int) -> str:
    """Return an image as a small JPEG in base64, of at most `side` pixels."""
    small = image.copy()
    small.thumbnail((side, side))
    for quality in THUMBNAIL_QUALITIES:
        buffer = io.BytesIO()
        small.save(buffer, "jpeg", quality=quality)
        text = base64.b64encode(buffer.getvalue()).decode()
        if len(text) <= MAX_TEXT:
            return text
    return ""


def filter_of(column: str, values: Sequence[Any]) -> str:
    """Return Milvus' expression for rows that have one of the values in a column.

    >>> filter_of("style", ["noto", None])
    '(texts["style"] == "noto" or not exists texts["style"])'
    """
    field = f"texts[{json.dumps(column, ensure_ascii=False)}]"
    texts = [as_text(value) for value in values if not is_missing(value)]
    terms = [f"{field} == {json.dumps(text, ensure_ascii=False)}" for text in texts]
    if len(texts) < len(values):
        terms.append(f"not exists {field}")
    return f"({' or '.join(terms)})" if terms else "row < 0"

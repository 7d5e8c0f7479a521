"""An approximate index as bytes, and back; who keeps them adds a checksum."""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from explorer.index.approximate import PROMISE, ApproximateIndex
from explorer.index.checks import faiss_module
from explorer.index.codes import Codes
from explorer.index.effort import Effort
from explorer.index.held_out import HeldOut
from explorer.index.rotation import Rotation
from explorer.index.stored import Source

LONGEST_LINE = 1 << 24  # bytes


@dataclass(frozen=True)
class Summary:
    """What is told of a saved index without reading its codes.

    Args:
        of: names of what its rows come from, in their order.
        rows: that it holds, or was measured on.
        built_rows: of which it was built.
        kind: in FAISS's notation.
        recall: the lowest recall@10 of any kind of query by which nothing was chosen.
    """

    of: list[str]
    rows: int
    built_rows: int
    kind: str
    recall: float

    @property
    def kept(self) -> bool:
        """Whether its recall is enough; where it is not, no codes are saved."""
        return self.recall >= PROMISE


def pack(index: ApproximateIndex, of: Sequence[str], forced: bool = False) -> bytes:
    """Return an index as bytes; without its codes if its recall is too low and none is forced."""
    summary = Summary(list(of), len(index), index.built_rows, index.kind, index.recall)
    arrays = io.BytesIO()
    named: dict[str, Any] = {
        f"{name}{place}": array
        for place, held_out in enumerate(index.held_out)
        for name, array in [*held_out.arrays().items(), ("step", held_out.step)]
    }
    named |= {f"rotation{i}": matrix for i, matrix in enumerate(index.codes.rotation.matrices)}
    np.savez(arrays, **named)
    head = asdict(summary) | {"efforts": [asdict(effort) for effort in index.efforts]}
    head["arrays"] = arrays.tell()
    codes = (
        faiss_module().serialize_index(index.codes.faiss).data if summary.kept or forced else b""
    )
    return b"".join([json.dumps(head).encode(), b"\n", arrays.getvalue(), codes])


def summary_of(content: bytes) -> Summary:
    """Return what bytes of `pack` tell in their first line.

    Raises:
        ValueError: they are not such bytes; so do KeyError and TypeError.
    """
    head = json.loads(content[: content.index(b"\n", 0, LONGEST_LINE)])
    return Summary(**{field.name: head[field.name] for field in fields(Summary)})


def unpack(content: bytes, source: Source) -> ApproximateIndex | None:
    """Return the index that was packed; None if it was saved without its codes.

    Raises:
        ValueError: the bytes are not such an index, or not one of these vectors.
    """
    line = content.index(b"\n", 0, LONGEST_LINE)
    head, view = json.loads(content[:line]), memoryview(content)[line + 1 :]
    if len(view) == head["arrays"]:
        return None
    with np.load(io.BytesIO(view[: head["arrays"]]), allow_pickle=False) as arrays:
        held_out = _held_out(arrays, 0), _held_out(arrays, 1)
        names = sorted(name for name in arrays if name.startswith("rotation"))
        rotation = Rotation(tuple(arrays[name] for name in names))
    faiss = faiss_module()
    codes = faiss.deserialize_index(np.frombuffer(view[head["arrays"] :], dtype=np.uint8))
    if not isinstance(codes, faiss.IndexIVFPQFastScan) or rotation.dimension != source.dimension:
        raise ValueError("it is not an index of these vectors")
    one, other = (Effort(**effort) for effort in head["efforts"])
    return ApproximateIndex(
        source, Codes(codes, rotation), held_out, (one, other), head["built_rows"]
    )


def _held_out(arrays: Any, place: int) -> HeldOut:
    values = {field.name: arrays[f"{field.name}{place}"] for field in fields(HeldOut)}
    return HeldOut(**values | {"step": int(values["step"])})

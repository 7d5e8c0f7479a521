"""What every index refuses, and FAISS on first use."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from explorer.errors import QueryError


def check_vectors(vectors: Float[np.ndarray, "N D"], dimension: int, name: str) -> None:
    """Check that vectors are finite and N × `dimension`.

    Raises:
        QueryError: they are not.
    """
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise QueryError(
            f"{name} have shape {vectors.shape}, but this index has dimension "
            f"{dimension}: pass an array N × {dimension}. "
            "Encode both with the same model."
        )
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise QueryError(f"{name} must be finite, but row {row} holds NaN or infinity.")


def available(k: int, allowed: Bool[np.ndarray, " N"] | None, rows: int) -> int:
    """Return `k`, or the number of rows that may be found if there are fewer.

    Raises:
        QueryError: `k` is below 1, or `allowed` has another length than the index has rows.
    """
    if k < 1:
        raise QueryError(f"k is {k}, but must be 1 or more.")
    if allowed is not None and allowed.shape != (rows,):
        raise QueryError(
            f"`allowed` has shape {allowed.shape}, but must have one entry for each of the "
            f"{rows} rows."
        )
    return min(k, rows if allowed is None else int(np.count_nonzero(allowed)))


def faiss_module() -> Any:
    """Import FAISS on first use; its stubs do not know the arguments that its wrappers take."""
    import faiss

    return faiss

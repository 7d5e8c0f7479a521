"""A rotation of vectors, into fewer dimensions where those hold nearly all of their lengths."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float

LEFT_OUT = 0.035  # share of squared lengths that codes may leave out
MOST_KEPT = 0.75  # of the dimensions; where more are needed, all are kept
KEPT_MULTIPLE = 16  # dimensions


@dataclass(frozen=True, eq=False)
class Rotation:
    """A map that keeps scores, or nearly: orthogonal in D dimensions, or onto E of them.

    Args:
        matrices: one D × E, with orthonormal columns; or two, whose Kronecker product is
            orthogonal and whose cost grows as D ** 1.5.
    """

    matrices: tuple[Float[np.ndarray, "A B"], ...]

    @classmethod
    def of(cls, sample: Float[np.ndarray, "S D"], random: np.random.Generator) -> Self:
        """Keep the directions of a sample that hold nearly all of its squared lengths.

        What is left out of a score is less than codes of four bits blur anyway. Where all
        directions hold much, all are kept. Source: Jolliffe, Principal Component Analysis.
        """
        values, vectors = np.linalg.eigh(sample.T @ sample)
        left_out = np.cumsum(values.clip(0)) / values.clip(0).sum()
        kept = len(values) - int(np.searchsorted(left_out, LEFT_OUT))
        kept += -kept % KEPT_MULTIPLE
        if kept > MOST_KEPT * len(values):
            return cls.random(len(values), random)
        basis = vectors[:, -kept:].astype(np.float32)
        return cls((np.ascontiguousarray(basis @ _orthogonal(kept, random)),))

    @classmethod
    def random(cls, dimension: int, random: np.random.Generator) -> Self:
        """Draw an orthogonal one; a prime dimension takes a full matrix."""
        size = max(n for n in range(1, int(dimension**0.5) + 1) if dimension % n == 0)
        return cls(tuple(_orthogonal(n, random) for n in (size, dimension // size)))

    def __call__(self, vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N E"]:
        """Map vectors."""
        if len(self.matrices) == 1:
            return np.ascontiguousarray(vectors @ self.matrices[0])
        first, second = self.matrices
        a, b = len(first), len(second)
        turned = (vectors.reshape(-1, b) @ second).reshape(-1, a, b)
        return np.ascontiguousarray(first @ turned).reshape(-1, a * b)

    @property
    def dimension(self) -> int:
        """Return D."""
        return int(np.prod([len(matrix) for matrix in self.matrices]))


def _orthogonal(size: int, random: np.random.Generator) -> Float[np.ndarray, "A A"]:
    return np.linalg.qr(random.standard_normal((size, size)))[0].astype(np.float32)

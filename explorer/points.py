"""Space and Points: raw vectors, the embedding space they belong to, and their side.

Dimension letters, used in every annotation of the package:
    N points   D dimensions of the space   K neighbours   T frames   C H W channels, height, width

It works on numpy arrays; it knows no images, no models and no files.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from jaxtyping import Float

from explorer.errors import SideMismatch, SpaceMismatch

CHUNK = 16_384  # vectors whose lengths are computed at once
Side = Literal["image", "text"]


@dataclass(frozen=True)
class Space:
    """One embedding space, identified by architecture, weights and preprocessing.

    Two spaces of one dimension can be incompatible, so `fingerprint` hashes all three.

    >>> Space("toy", 4, "0f") == Space("toy", 4, "0f")
    True
    """

    name: str
    dimension: int
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.name} ({self.dimension} dimensions, {self.fingerprint[:8]})"

    def check(self, other: "Space", remedy: str = "Encode both with the same model.") -> None:
        """Raise SpaceMismatch, naming both spaces, unless `other` is this space."""
        if self != other:
            raise SpaceMismatch(
                f"These points are of different spaces, {self} and {other}. {remedy}"
            )


@dataclass(frozen=True, eq=False)
class Points:
    """N raw (not normalised) vectors of one Space, with a label each and their side.

    Args:
        vectors: N × D with N ≥ 1, kept as float32; finite and not zero.
        side: "image" or "text"; the two sides lie in different regions of the space.
        labels: one caption or file name per point; empty gives empty labels.

    Raises:
        ValueError: the vectors are empty, not finite, zero or of a wrong shape, the side is
            unknown, or the number of labels is wrong.

    >>> points = Points(np.eye(3)[:2], Space("toy", 3, "0f"), "image", ("cat.png", "dog.png"))
    >>> len(points), points[1].labels, points.norms.tolist()
    (2, ('dog.png',), [1.0, 1.0])
    """

    vectors: Float[np.ndarray, "N D"]
    space: Space
    side: Side
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        vectors = np.ascontiguousarray(self.vectors, dtype=np.float32)
        if vectors is self.vectors and vectors.flags.writeable:
            vectors = vectors.copy()  # the caller may change the array later
        if vectors.ndim != 2 or vectors.shape[1] != self.space.dimension or not len(vectors):
            raise ValueError(
                f"Vectors of {self.space} have shape N × {self.space.dimension} with N ≥ 1, "
                f"but these have shape {vectors.shape}."
            )
        norms = _lengths(vectors, np.float64)
        bad = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
        if len(bad):
            raise ValueError(
                f"Vector {bad[0]} is zero or not finite, so it has no direction. Remove it."
            )
        if self.side not in ("image", "text"):
            raise ValueError(f'The side must be "image" or "text", not {self.side!r}.')
        labels = tuple(self.labels) or ("",) * len(vectors)
        if len(labels) != len(vectors):
            raise ValueError(
                f"There are {len(vectors)} points but {len(labels)} labels: pass one per point."
            )
        vectors.flags.writeable = False
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "labels", labels)

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> Self:
        """Return a selection as Points, even for one index: `points[3]` has N = 1."""
        chosen = np.atleast_1d(np.arange(len(self))[index])
        return replace(
            self, vectors=self.vectors[chosen], labels=tuple(self.labels[i] for i in chosen)
        )

    def __iter__(self) -> Iterator[Self]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        shown = ", ".join(repr(label) for label in self.labels[:3])
        more = ", …" if len(self) > 3 else ""
        return f"Points({len(self)} on the {self.side} side of {self.space}: {shown}{more})"

    def _repr_html_(self) -> str:
        from explorer import html

        shown = [
            html.strip(vector, f"{label or i}, length {norm:.3g}")
            for i, (vector, label, norm) in enumerate(
                zip(self.vectors[: html.SHOWN], self.labels, self.norms, strict=False)
            )
        ]
        more = len(self) - len(shown)
        return html.card(repr(self), shown, f"and {more:,} more" if more else "")

    @property
    def norms(self) -> Float[np.ndarray, " N"]:
        """Return the lengths of the vectors."""
        return _lengths(self.vectors, np.float32)

    @property
    def unit(self) -> Float[np.ndarray, "N D"]:
        """Return the directions: vectors of length 1."""
        return self.vectors / self.norms[:, None]

    def with_vectors(self, vectors: Float[np.ndarray, "N D"]) -> Self:
        """Return points with these vectors and the same labels, side and space."""
        return replace(self, vectors=vectors)

    def with_labels(self, labels: Sequence[str]) -> Self:
        """Return the same points with these labels, one per point."""
        return replace(self, labels=tuple(labels))

    def as_image(self) -> Self:
        """Return the same vectors marked as image-side points, so that a decoder accepts them."""
        return replace(self, side="image")

    def require_image_side(self) -> None:
        """Raise SideMismatch unless the points lie on the image side."""
        if self.side != "image":
            raise SideMismatch(
                "These points are on the text side, but a decoder takes image-side points, which "
                "lie in another region of the space. Map the texts to the image side with "
                "prior.sample(texts), or decode the points unchanged with points.as_image()."
            )

    @classmethod
    def concat(cls, parts: "Sequence[Points]") -> "Points":
        """Concatenate points of one space and one side, in order.

        Raises:
            SpaceMismatch, SideMismatch: the spaces or the sides differ.
        """
        first = parts[0]
        for part in parts[1:]:
            first.space.check(part.space)
            if part.side != first.side:
                raise SideMismatch(
                    "Cannot concatenate text-side with image-side points. Map the texts to the "
                    "image side with prior.sample(texts), or mark them with .as_image()."
                )
        labels = tuple(label for part in parts for label in part.labels)
        return cls(np.concatenate([p.vectors for p in parts]), first.space, first.side, labels)


def _lengths(vectors: Float[np.ndarray, "N D"], dtype: type) -> Float[np.ndarray, " N"]:
    """Return the lengths of vectors, without a copy of all of them."""
    parts = range(0, max(1, len(vectors)), CHUNK)
    return np.concatenate(
        [np.linalg.norm(vectors[lo : lo + CHUNK].astype(dtype), axis=1) for lo in parts]
    )

"""Space and Points: raw vectors that know which embedding space they live in, and on which side.

Dimension letters, used in every annotation of the package:
    N points   D dimensions of the space   K neighbours   T frames   C H W channels, height, width

This room knows numpy and how points look in Jupyter; no images, no models, no files.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from jaxtyping import Float

from explorer import jupyter
from explorer.errors import SideMismatch, SpaceMismatch

Side = Literal["image", "text"]


@dataclass(frozen=True)
class Space:
    """One embedding space: two are the same only if architecture, weights and preprocessing are.

    `fingerprint` is a hash over these three, because spaces can share a dimension and still be
    incompatible.

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
            raise SpaceMismatch(f"These are points of two spaces, {self} and {other}. {remedy}")


@dataclass(frozen=True, eq=False)
class Points:
    """N raw (not normalised) vectors of one Space, with a label each and the side they lie on.

    Args:
        vectors: N × D, kept as float32; finite, none of length zero, N ≥ 1.
        side: "image" or "text": both live in one space but not in one region of it.
        labels: one word or file name a point, shown under its image.

    Raises:
        ValueError: empty, not finite, a zero vector, or a wrong shape.

    >>> p = Points(np.eye(3)[:2], Space("toy", 3, "0f"), "image", ("a", "b"))
    >>> len(p), p[1].labels, p.norms.tolist()
    (2, ('b',), [1.0, 1.0])
    """

    vectors: Float[np.ndarray, "N D"]
    space: Space
    side: Side
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        vectors = np.ascontiguousarray(self.vectors, dtype=np.float32)
        if vectors is self.vectors and vectors.flags.writeable:
            vectors = vectors.copy()  # the caller's array must not change us later
        if vectors.ndim != 2 or vectors.shape[1] != self.space.dimension or not len(vectors):
            raise ValueError(
                f"Points of {self.space} need an array N × {self.space.dimension} with N ≥ 1, "
                f"but this one has shape {vectors.shape}."
            )
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
        bad = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
        if len(bad):
            raise ValueError(
                f"Point {bad[0]} is not finite or has length zero, so it has no direction."
            )
        if self.side not in ("image", "text"):
            raise ValueError(f'A side is "image" or "text", not {self.side!r}.')
        labels = tuple(self.labels) or ("",) * len(vectors)
        if len(labels) != len(vectors):
            raise ValueError(f"{len(vectors)} points came with {len(labels)} labels.")
        vectors.flags.writeable = False
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "labels", labels)

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> Self:
        """Some of the points, always as Points: `points[3]` has N = 1."""
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
        shown = [
            jupyter.strip(vector, f"{label or i}, length {norm:.3g}")
            for i, (vector, label, norm) in enumerate(
                zip(self.vectors[: jupyter.SHOWN], self.labels, self.norms, strict=False)
            )
        ]
        more = len(self) - len(shown)
        return jupyter.card(repr(self), shown, f"and {more:,} more" if more else "")

    @property
    def norms(self) -> Float[np.ndarray, " N"]:
        """Lengths as the encoder gave them."""
        return np.linalg.norm(self.vectors, axis=1)

    @property
    def unit(self) -> Float[np.ndarray, "N D"]:
        """Directions: the vectors divided by their lengths."""
        return self.vectors / self.norms[:, None]

    def with_vectors(self, vectors: Float[np.ndarray, "N D"]) -> Self:
        """The same labels, side and space with other vectors."""
        return replace(self, vectors=vectors)

    def with_labels(self, labels: Sequence[str]) -> Self:
        """The same points under other labels."""
        return replace(self, labels=tuple(labels))

    def as_image(self) -> Self:
        """Treat these as image-side points without moving them: "I know what I do"."""
        return replace(self, side="image")

    def require_image_side(self) -> None:
        """Raise SideMismatch unless the points lie on the image side."""
        if self.side != "image":
            raise SideMismatch(
                "These points come from words; a decoder reads points of images, which lie in "
                "another region of the space. Carry them over with prior.sample(texts), or decode "
                "them as they are with points.as_image()."
            )

    @classmethod
    def concat(cls, parts: "Sequence[Points]") -> "Points":
        """One after the other; all of one space and one side.

        Raises:
            SpaceMismatch, SideMismatch: they are not.
        """
        first = parts[0]
        for part in parts[1:]:
            first.space.check(part.space)
            if part.side != first.side:
                raise SideMismatch(
                    "Text-side and image-side points cannot stand in one Points. Carry the texts "
                    "over with prior.sample, or say .as_image() on purpose."
                )
        labels = tuple(label for part in parts for label in part.labels)
        return cls(np.concatenate([p.vectors for p in parts]), first.space, first.side, labels)

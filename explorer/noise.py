"""Noise: where a reverse process starts, or what inversion arrives at; one latent an image.

Knows the shape of latents and nothing else: no points, no models, no images.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from explorer.errors import QueryError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Noise:
    """x_T, one latent an image: where a reverse process starts, or what inversion arrives at.

    Raises:
        QueryError: the array is not N × C × h × w with N ≥ 1, or not finite.
    """

    latents: Float[np.ndarray, "N C h w"]

    def __post_init__(self) -> None:
        latents = np.array(self.latents, dtype=np.float32)  # a copy: the caller's may change
        if latents.ndim != 4 or not len(latents) or not np.isfinite(latents).all():
            raise QueryError(
                f"Noise needs finite numbers, N × C × h × w with N ≥ 1, not shape {latents.shape}."
            )
        latents.flags.writeable = False
        object.__setattr__(self, "latents", latents)

    def __len__(self) -> int:
        return len(self.latents)

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> "Noise":
        """Some of the rows, always as Noise: `noise[3]` has N = 1."""
        return replace(self, latents=self.latents[np.atleast_1d(np.arange(len(self))[index])])

    def for_each(self, n: int, shape: tuple[int, int, int]) -> "Noise":
        """Give n rows: these, or the only one n times.

        Raises:
            QueryError: there are neither 1 nor n, or not of that shape.
        """
        if len(self) not in (1, n) or self.latents.shape[1:] != tuple(shape):
            raise QueryError(
                f"Noise of shape {self.latents.shape} came for {n} images. Needed are {n} (or 1, "
                f"for all) × {' × '.join(map(str, shape))}."
            )
        return self if len(self) == n else self[[0] * n]

    @classmethod
    def random(cls, seeds: Sequence[int], shape: tuple[int, int, int]) -> "Noise":
        """Draw what `decode` would start from with these seeds.

        Args:
            shape: C h w, a decoder's `latent_shape`.

        >>> Noise.random([1, 2, 1], (3, 8, 8)).latents.shape
        (3, 3, 8, 8)
        """
        return cls(draw(seeds, shape)[0])

    @classmethod
    def concat(cls, parts: "Sequence[Noise]") -> "Noise":
        """One after the other; all of one shape."""
        shapes = {part.latents.shape[1:] for part in parts}
        if len(shapes) != 1:
            raise QueryError(f"Noise of one shape is needed, not of {sorted(shapes)}.")
        return cls(np.concatenate([part.latents for part in parts]))

    @classmethod
    def slerp(cls, a: "Noise", b: "Noise", t: float | Sequence[float]) -> "Noise":
        """Go from a to b along the great circle, each latent taken as one vector over C·h·w.

        Direction turns at constant speed; length changes linearly. Rows are matched one to one;
        a single row, or a single t, goes with all the others.

        Args:
            t: 0 gives a, 1 gives b; or one value a row.

        Raises:
            QueryError: shapes differ, a row is all zeros, or two rows point opposite ways.

        Source: Shoemake 1985; as x_T of an interpolation, Ramesh et al. 2022, section 3.2.

        >>> a, b = Noise.random([1], (3, 8, 8)), Noise.random([2], (3, 8, 8))
        >>> len(Noise.slerp(a, b, [0, 0.5, 1]))
        3
        """
        fraction = np.atleast_1d(np.asarray(t, np.float64))[:, None]
        if (
            a.latents.shape[1:] != b.latents.shape[1:]
            or len({len(a), len(b), len(fraction)} - {1}) > 1
        ):
            raise QueryError(
                f"Noise of {a.latents.shape} and {b.latents.shape} with {len(fraction)} values of "
                "t do not match row by row."
            )
        flat = [n.latents.reshape(len(n), -1).astype(np.float64) for n in (a, b)]
        rows = _along_arc(flat[0], flat[1], fraction)
        return cls(rows.reshape(-1, *a.latents.shape[1:]))


def _along_arc(
    a: Float[np.ndarray, "A D"], b: Float[np.ndarray, "B D"], fraction: Float[np.ndarray, "T 1"]
) -> Float[np.ndarray, "N D"]:
    lengths = [np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, b)]
    if not all(length.all() for length in lengths):
        raise QueryError("A row of the noise is all zeros, so it has no direction.")
    u, v = a / lengths[0], b / lengths[1]
    # atan2 keeps its accuracy where acos loses it, near 0 and π
    angle = 2 * np.arctan2(*(np.linalg.norm(w, axis=1, keepdims=True) for w in (u - v, u + v)))
    if (angle > np.pi - 1e-6).any():
        raise QueryError("Two rows point opposite ways, so there is no one shortest arc.")
    near = angle < 1e-6
    sine = np.where(near, 1.0, np.sin(angle))
    at_a, at_b = (
        np.where(near, part, np.sin(part * angle) / sine) for part in (1 - fraction, fraction)
    )
    return ((1 - fraction) * lengths[0] + fraction * lengths[1]) * (at_a * u + at_b * v)


def draw(
    seeds: Sequence[int], shape: Sequence[int]
) -> "tuple[Float[np.ndarray, 'N C h w'], list[torch.Generator]]":
    """Draw x_T for every frame, each from its own generator, and hand over the generators.

    On the CPU, so that neither batch nor device matters. Noise for η comes from the same
    generators later, whether or not x_T is used: it never repeats x_T.
    """
    import torch

    generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
    noise = [torch.randn(tuple(shape), generator=g).numpy() for g in generators]
    return np.stack(noise), generators

"""Noise: x_T, from which denoising starts and at which inversion ends; one latent per image.

It knows the shape of latents; it knows no points, no models and no images.
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
    """x_T, one latent per image: the start of denoising, or the result of inversion.

    Args:
        latents: N × C × h × w with N ≥ 1, finite; kept as float32.

    Raises:
        QueryError: the array has another shape, or is not finite.

    >>> noise = Noise.random([0, 1], shape=(4, 8, 8))
    >>> len(noise), noise[0].latents.shape
    (2, (1, 4, 8, 8))
    """

    latents: Float[np.ndarray, "N C h w"]

    def __post_init__(self) -> None:
        latents = np.array(self.latents, dtype=np.float32)  # a copy: the caller may change theirs
        if latents.ndim != 4 or not len(latents) or not np.isfinite(latents).all():
            raise QueryError(
                f"Noise must be finite and N × C × h × w with N ≥ 1, but has shape {latents.shape}."
            )
        latents.flags.writeable = False
        object.__setattr__(self, "latents", latents)

    def __len__(self) -> int:
        return len(self.latents)

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> "Noise":
        """Return a selection as Noise, even for one index: `noise[3]` has N = 1."""
        return replace(self, latents=self.latents[np.atleast_1d(np.arange(len(self))[index])])

    def for_each(self, n: int, shape: tuple[int, int, int]) -> "Noise":
        """Return n rows; a single row is repeated n times.

        Args:
            shape: C h w, the decoder's `latent_shape`.

        Raises:
            QueryError: there are neither 1 nor n rows, or they have another shape.
        """
        if len(self) not in (1, n) or self.latents.shape[1:] != tuple(shape):
            raise QueryError(
                f"Noise of shape {self.latents.shape} does not match {n} images: pass {n} (or 1, "
                f"for all) × {' × '.join(map(str, shape))}."
            )
        return self if len(self) == n else self[[0] * n]

    @classmethod
    def random(cls, seeds: Sequence[int], shape: tuple[int, int, int]) -> "Noise":
        """Draw the noise that `decode` starts from with these seeds, one latent per seed.

        Args:
            shape: C h w, the decoder's `latent_shape`.

        >>> Noise.random([1, 2, 1], (3, 8, 8)).latents.shape
        (3, 3, 8, 8)
        """
        return cls(draw(seeds, shape)[0])

    @classmethod
    def concat(cls, parts: "Sequence[Noise]") -> "Noise":
        """Concatenate noise of one shape, in order.

        Raises:
            QueryError: the shapes differ.
        """
        shapes = {part.latents.shape[1:] for part in parts}
        if len(shapes) != 1:
            raise QueryError(f"Can only concatenate noise of one shape, not of {sorted(shapes)}.")
        return cls(np.concatenate([part.latents for part in parts]))

    @classmethod
    def slerp(cls, a: "Noise", b: "Noise", t: float | Sequence[float]) -> "Noise":
        """Interpolate from a to b along the great circle, each latent as one vector of C·h·w.

        The direction turns at constant speed, the length changes linearly. Rows are matched one to
        one; a single row or a single t broadcasts.

        Args:
            t: 0 returns a, 1 returns b; one value, or one per row.

        Raises:
            QueryError: shapes differ, a row is all zeros, or two rows are antipodal.

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
                f"Cannot broadcast noise of shapes {a.latents.shape} and {b.latents.shape} with "
                f"{len(fraction)} values of t: pass equal counts, or one."
            )
        flat = [n.latents.reshape(len(n), -1).astype(np.float64) for n in (a, b)]
        rows = _along_arc(flat[0], flat[1], fraction)
        return cls(rows.reshape(-1, *a.latents.shape[1:]))


def _along_arc(
    a: Float[np.ndarray, "A D"], b: Float[np.ndarray, "B D"], fraction: Float[np.ndarray, "T 1"]
) -> Float[np.ndarray, "N D"]:
    lengths = [np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, b)]
    if not all(length.all() for length in lengths):
        raise QueryError("A row of the noise is all zeros, so it has no direction; replace it.")
    u, v = a / lengths[0], b / lengths[1]
    # atan2 keeps its accuracy where acos loses it, near 0 and π
    angle = 2 * np.arctan2(*(np.linalg.norm(w, axis=1, keepdims=True) for w in (u - v, u + v)))
    if (angle > np.pi - 1e-6).any():
        raise QueryError(
            "Two rows of noise are antipodal, so the shortest arc is not unique; use another seed."
        )
    near = angle < 1e-6
    sine = np.where(near, 1.0, np.sin(angle))
    at_a, at_b = (
        np.where(near, part, np.sin(part * angle) / sine) for part in (1 - fraction, fraction)
    )
    return ((1 - fraction) * lengths[0] + fraction * lengths[1]) * (at_a * u + at_b * v)


def draw(
    seeds: Sequence[int], shape: Sequence[int]
) -> "tuple[Float[np.ndarray, 'N C h w'], list[torch.Generator]]":
    """Draw x_T for every image, each from its own generator; return it with the generators.

    It is drawn on the CPU, so that it depends on neither batch nor device. Noise for η > 0 comes
    from the same generators later, even if x_T is not used, so that it never repeats x_T.
    """
    import torch

    generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
    noise = [torch.randn(tuple(shape), generator=g).numpy() for g in generators]
    return np.stack(noise), generators

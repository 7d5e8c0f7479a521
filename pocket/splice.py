"""Spliced images: one part from one drawing, the rest from another, with a soft seam.

Their points lie where slerp midpoints lie (the cosine of a splice with the midpoint of its two
drawings is 0.78 in pocket's space), so a decoder that has seen them can draw what is between.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, UInt8

from explorer.training.decoder_network import Examples

COUNT = 20_000
SHARE = 0.25  # of the drawings that a training step sees
SEAM = 0.12  # widest half-width of the blend, as a part of the image


def with_splices(
    examples: Examples,
    embed: Callable[[UInt8[np.ndarray, "N H W C"]], Float[np.ndarray, "N D"]],
    seed: int,
    count: int = COUNT,
) -> Examples:
    """Add `count` splices of examples that are not held out.

    A splice's direction is its own; its length is the mean of its pair's, as on a path.

    Args:
        embed: from images to raw points.
    """
    rng = np.random.default_rng(seed)
    one, other = (rng.choice(len(examples.pixels), count, p=examples.weights) for _ in range(2))
    pixels = splice(examples.pixels[one], examples.pixels[other], seed)
    points = embed(pixels)
    lengths = np.linalg.norm(examples.points, axis=1)
    points *= ((lengths[one] + lengths[other]) / 2 / np.linalg.norm(points, axis=1))[:, None]
    return Examples(
        np.concatenate([examples.pixels, pixels]),
        np.concatenate([examples.points, points]),
        np.concatenate([(1 - SHARE) * examples.weights, np.full(count, SHARE / count)]),
    )


def splice(
    a: UInt8[np.ndarray, "N H W 3"], b: UInt8[np.ndarray, "N H W 3"], seed: int
) -> UInt8[np.ndarray, "N H W 3"]:
    """Splice each a with its b along a random straight line near the middle.

    >>> black, white = np.zeros((1, 8, 8, 3), np.uint8), np.full((1, 8, 8, 3), 255, np.uint8)
    >>> bool(0.2 < splice(black, white, seed=0).mean() / 255 < 0.8)
    True
    """
    rng = np.random.default_rng(seed)
    made = np.empty_like(a)
    for i in range(len(a)):
        share = _share(a.shape[1], a.shape[2], rng)[..., None]
        made[i] = np.round(share * a[i] + (1 - share) * b[i])
    return made


def _share(height: int, width: int, rng: np.random.Generator) -> Float[np.ndarray, "H W"]:
    """How much of each pixel comes from the first image: 1 on one side of a line, 0 beyond."""
    angle, seam = rng.uniform(0, 2 * np.pi), rng.uniform(0.01, SEAM)
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    distance = x * np.cos(angle) + y * np.sin(angle) + rng.uniform(-0.15, 0.15)
    share: np.ndarray = np.clip(0.5 + distance / (2 * seam), 0, 1)
    return share

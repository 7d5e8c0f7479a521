"""CutMix: images of which one part is from one drawing and the rest from another.

Along a straight line with a soft seam, instead of the paper's rectangle. Their points lie where
slerp midpoints lie (the cosine with the midpoint of the two drawings is 0.78 in pocket's space),
so that a decoder trained on them can decode what is between.

Source: Yun et al. 2019, "CutMix: regularization strategy to train strong classifiers".
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, UInt8

from explorer.training.examples import Examples

MIXED_IMAGES = 20_000
MIXED_SHARE = 0.25  # of the images of a training step
MAX_SEAM = 0.12  # half-width of the blend, as a part of the image


def with_cutmix(
    examples: Examples,
    embed: Callable[[UInt8[np.ndarray, "N H W C"]], Float[np.ndarray, "N D"]],
    seed: int,
    count: int = MIXED_IMAGES,
) -> Examples:
    """Add `count` mixes of examples that are not held out.

    The direction of a mix is what the encoder sees; its length is the mean of the pair, as on a
    path.

    Args:
        embed: from images to raw points.
    """
    rng = np.random.default_rng(seed)
    one, other = (rng.choice(len(examples.pixels), count, p=examples.weights) for _ in range(2))
    pixels = cutmix(examples.pixels[one], examples.pixels[other], seed)
    points = embed(pixels)
    lengths = np.linalg.norm(examples.points, axis=1)
    points *= ((lengths[one] + lengths[other]) / 2 / np.linalg.norm(points, axis=1))[:, None]
    return Examples(
        np.concatenate([examples.pixels, pixels]),
        np.concatenate([examples.points, points]),
        np.concatenate([(1 - MIXED_SHARE) * examples.weights, np.full(count, MIXED_SHARE / count)]),
    )


def cutmix(
    a: UInt8[np.ndarray, "N H W 3"], b: UInt8[np.ndarray, "N H W 3"], seed: int
) -> UInt8[np.ndarray, "N H W 3"]:
    """Mix each a with its b along a random straight line near the middle.

    >>> black, white = np.zeros((1, 8, 8, 3), np.uint8), np.full((1, 8, 8, 3), 255, np.uint8)
    >>> bool(0.2 < cutmix(black, white, seed=0).mean() / 255 < 0.8)
    True
    """
    rng = np.random.default_rng(seed)
    made = np.empty_like(a)
    for i in range(len(a)):
        share = _share(a.shape[1], a.shape[2], rng)[..., None]
        made[i] = np.round(share * a[i] + (1 - share) * b[i])
    return made


def _share(height: int, width: int, rng: np.random.Generator) -> Float[np.ndarray, "H W"]:
    """Return the share of the first image in each pixel: 1 on one side of a line, 0 beyond."""
    angle, seam = rng.uniform(0, 2 * np.pi), rng.uniform(0.01, MAX_SEAM)
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    distance = x * np.cos(angle) + y * np.sin(angle) + rng.uniform(-0.15, 0.15)
    share: np.ndarray = np.clip(0.5 + distance / (2 * seam), 0, 1)
    return share

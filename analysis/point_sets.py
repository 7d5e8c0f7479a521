"""Places: where points may come from, real and made, as several questions ask of them."""

import numpy as np
from jaxtyping import Int

from analysis.dataset import Dataset
from explorer.geometry import slerp
from explorer.points import Points
from explorer.projection import Projection

MAX_IMAGES = 3000  # images drawn; a map of more takes minutes
IMAGES = "images"
RANDOM = "random directions"


def split(dataset: Dataset, n: int) -> tuple[Int[np.ndarray, " N"], Int[np.ndarray, " M"]]:
    """Draw n rows to ask about, at most a third of those drawn, and others to judge them by."""
    drawn = dataset.draw(np.arange(len(dataset.library)), MAX_IMAGES)
    mixed = np.random.default_rng(dataset.seed).permutation(drawn)
    n = min(n, len(mixed) // 3)
    return mixed[:n], np.sort(mixed[n:])


def point_sets(dataset: Dataset, rows: Int[np.ndarray, " N"], n: int) -> dict[str, Points]:
    """Points to decode, by where they come from: first these images, then n or so of each kind.

    Points made of directions alone (words, random ones) get the mean length of the images. The
    random directions are a floor: nothing real lies there.
    """
    images, rng = dataset.library.points(rows), np.random.default_rng(dataset.seed)
    length, few = float(images.norms.mean()), slice(min(n, len(images)))
    made = {
        IMAGES: images,
        "half-way between two images": slerp(images[few], _next(images)[few], 0.5),
        "places on the map": _of_map(dataset, min(n, len(images)), rng),
    }
    told = dataset.draw(dataset.captions.index.to_numpy(), n)
    if len(told):
        captions = list(dataset.captions.loc[told])
        words = dataset.model.encoder.encode_text(captions).as_image()
        made["words as if an image"] = words.with_vectors(words.unit * length)
        if dataset.model.prior is not None:
            made["words by the prior"] = dataset.model.prior.sample(captions, seed=dataset.seed)
    noise = rng.normal(size=images[few].vectors.shape)
    noise *= length / np.linalg.norm(noise, axis=1, keepdims=True)
    return made | {RANDOM: Points(noise, images.space, "image")}


def _next(points: Points) -> Points:
    return points[np.roll(np.arange(len(points)), -1)]


def _of_map(dataset: Dataset, n: int, rng: np.random.Generator) -> Points:
    """Points mixed from a map's neighbours, at places drawn evenly from its whole rectangle."""
    points, _ = dataset.points(MAX_IMAGES)
    everything = len(points) == len(dataset.library)
    folder = dataset.library.cache_folder
    drawn = Projection.cached(folder, points) if everything else Projection.fit(points)
    corners = drawn.xy.min(0), drawn.xy.max(0)
    return drawn.inverse(rng.uniform(*corners, size=(n, 2)))

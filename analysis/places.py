"""Places: where points may come from, real and made, as several questions ask of them."""

import numpy as np
from jaxtyping import Int

from analysis.material import Material
from explorer.geometry import slerp
from explorer.points import Points
from explorer.projection import Projection

MOST = 3000  # images drawn; a map of more takes minutes
IMAGES = "images"
RANDOM = "random directions"


def split(material: Material, n: int) -> tuple[Int[np.ndarray, " N"], Int[np.ndarray, " M"]]:
    """Draw n rows to ask about, at most a third of those drawn, and others to judge them by."""
    drawn = material.draw(np.arange(len(material.library)), MOST)
    mixed = np.random.default_rng(material.seed).permutation(drawn)
    n = min(n, len(mixed) // 3)
    return mixed[:n], np.sort(mixed[n:])


def places(material: Material, rows: Int[np.ndarray, " N"], n: int) -> dict[str, Points]:
    """Points to decode, by where they come from: first these images, then n or so of each kind.

    Points made of directions alone (words, random ones) get the mean length of the images. The
    random directions are a floor: nothing real lies there.
    """
    images, rng = material.library.points(rows), np.random.default_rng(material.seed)
    length, few = float(images.norms.mean()), slice(min(n, len(images)))
    made = {
        IMAGES: images,
        "half-way between two images": slerp(images[few], _next(images)[few], 0.5),
        "places on the map": _of_map(material, min(n, len(images)), rng),
    }
    told = material.draw(material.captions.index.to_numpy(), n)
    if len(told):
        captions = list(material.captions.loc[told])
        words = material.model.encoder.encode_text(captions).as_image()
        made["words as if an image"] = words.with_vectors(words.unit * length)
        if material.model.prior is not None:
            made["words by the prior"] = material.model.prior.sample(captions, seed=material.seed)
    noise = rng.normal(size=images[few].vectors.shape)
    noise *= length / np.linalg.norm(noise, axis=1, keepdims=True)
    return made | {RANDOM: Points(noise, images.space, "image")}


def _next(points: Points) -> Points:
    return points[np.roll(np.arange(len(points)), -1)]


def _of_map(material: Material, n: int, rng: np.random.Generator) -> Points:
    """Points mixed from a map's neighbours, at places drawn evenly from its whole rectangle."""
    points, _ = material.points(MOST)
    everything = len(points) == len(material.library)
    folder = material.library.cache_folder
    drawn = Projection.cached(folder, points) if everything else Projection.fit(points)
    corners = drawn.xy.min(0), drawn.xy.max(0)
    return drawn.inverse(rng.uniform(*corners, size=(n, 2)))

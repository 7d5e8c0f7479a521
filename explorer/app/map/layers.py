"""Images that lie under the points of the map: what decodes where, and where round trips fail.

Each is asked for by name, decoded once with progress, coarse first, and kept. Round trips are seen
by the library's own encoder, or by that of another library of the same images, which did not train
with the decoder and so does not flatter it.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from PIL import Image, ImageFilter

from explorer.app import state
from explorer.app.map.layout import layout
from explorer.app.map.scatter import Ground
from explorer.app.server.decoding import Work, is_known, key_of, once
from explorer.edits import decode
from explorer.library import Library
from explorer.models import Model
from explorer.points import Points
from explorer.rendering import Rendering
from explorer.settings import Settings

CELLS = 14  # of the mosaic, along the longer side
BLOCKS = (4, 2, 1)  # cells along what one tile covers, until finer ones are there
TILE = 64  # pixels
SAMPLES = (12, 36, 96)  # images that are decoded to see where the decoder is blind
HEAT = 96  # pixels of the heat map's longer side
MIDDLE, WORST = 0.15, 0.6  # distances of a round trip that are half and fully red

Box = tuple[float, float, float, float]
NONE, MOSAIC, BLIND = "Nothing", "Decoded images", "Round-trip errors"
JUDGED = "Round-trip errors, by the other model"
HALF_CHANCE = 0.5  # of the distance of two images that have nothing to do with each other
PAIRS = 2000  # of images, drawn to find it
PREVIEW = Settings(preview=True)
LEGENDS = {  # what a layer shows, in words
    MOSAIC: "Each tile is what the decoder shows of the place in its middle. Where no image is "
    "near, there is none.",
    BLIND: f"Red: what is decoded there looks like something else, by a cosine distance of "
    f"{MIDDLE:g} (half red) to {WORST:g} (full red) between an image and its decoded point.",
    JUDGED: "Red: to the other model, which did not train with the decoder, what is decoded there "
    "is half as far from the image (half red) or as far (full red) as any other image is.",
}


@dataclass(frozen=True)
class Part:
    """A part of a layer, as `once` computes it."""

    asked: str
    work: Callable[[], Work[Any]]
    total: int
    doing: str

    def result(self) -> Any:
        """Compute it, if it is not there; None if it was cancelled."""
        return once(self.asked, self.work, self.total, self.doing)


@dataclass(frozen=True)
class Layer:
    """Parts, the coarse first, and what the results of the first few of them look like."""

    parts: list[Part]
    paint: Callable[[list[Any]], Ground]


def layer_of(name: str) -> Layer | None:
    """Return the layer of this name; None for no layer, and where there is no other model."""
    make = {MOSAIC: _mosaic, BLIND: _blindness, JUDGED: _judged}.get(name)
    return make() if make else None


def ground(layer: Layer) -> Ground | None:
    """Return a layer as fine as it is there, or else its first part; None if it was cancelled."""
    if (first := layer.parts[0].result()) is None:
        return None
    results = [first]
    for part in layer.parts[1:]:
        if not is_known(part.asked):
            break
        results.append(part.result())
    return layer.paint(results)


def refine(layer: Layer) -> bool:
    """Compute the next part of a layer; return whether there is more of it now."""
    part = next((part for part in layer.parts if not is_known(part.asked)), None)
    return part is not None and part.result() is not None


def layers() -> list[str]:
    """Return the names of what can be shown here, without loading a model."""
    if not state.has_decoder():
        return []
    return [MOSAIC, BLIND, *[JUDGED] * (_judge() is not None)]


def _judge() -> Library | None:
    """Return the first other library of the same images with another model."""
    for name in filter(state.is_library, state.config().compare):
        from analysis.questions.encoders import shared  # it imports matplotlib

        other = state.opened(name)
        if other.space != state.library().space and len(shared(state.library(), other)[0]) > 1:
            return other
    return None


def _mosaic() -> Layer:
    """Return the map in tiles, each decoded from its middle; empty where no point is near.

    A tile lies over its block of cells until those have their own.
    """
    from scipy.spatial import KDTree

    projection = layout()
    box, counts = _grid(projection.xy, CELLS)
    middles = _middles(box, counts)
    side = (box[2] - box[0]) / counts[0]
    near = KDTree(projection.xy).query(middles)[0] < side
    levels = [representatives(near.reshape(counts[::-1]), block) for block in BLOCKS]
    order = list(dict.fromkeys(cell for level in levels for cell in level.values()))
    ends = sorted({0, *map(len, levels)})
    parts = [_decoding(projection.inverse(middles[order[a:b]])) for a, b in pairwise(ends)]

    def paint(results: list[Rendering]) -> Ground:
        frames = dict(zip(order, chain(*results), strict=False))
        whole = [set(level.values()) <= frames.keys() for level in levels]
        finest = len(levels) - 1 - whole[::-1].index(True)
        tiles = {at: frames[cell] for at, cell in levels[finest].items()}
        return Ground(_png(_tiled(tiles, counts, BLOCKS[finest] * TILE)), box)

    return Layer(parts, paint)


def representatives(near: Bool[np.ndarray, "Y X"], block: int) -> dict[tuple[int, int], int]:
    """Return for each block of cells the cell, of those that are near, that is nearest its middle.

    Those of large blocks are also those of the small blocks that they lie in.
    """
    taken = set(representatives(near, 2 * block).values()) if block < max(BLOCKS) else set()
    best: dict[tuple[int, int], tuple[float, int]] = {}
    for y, x in np.argwhere(near).tolist():
        cell, at, middle = y * near.shape[1] + x, (y // block, x // block), (block - 1) / 2
        away = -1 if cell in taken else abs(y % block - middle) + abs(x % block - middle)
        best[at] = min(best.get(at, (np.inf, cell)), (away, cell))
    return {at: cell for at, (_, cell) in best.items()}


def _decoding(points: Points) -> Part:
    rendering = decode(state.model(), points, settings=PREVIEW)

    def work() -> Work[Rendering]:
        yield from rendering
        return rendering

    return Part(key_of(rendering), work, len(rendering), "Decoding the map")


def _tiled(
    tiles: dict[tuple[int, int], Image.Image], counts: tuple[int, int], side: int
) -> Image.Image:
    """Return tiles by row and column in one image, of so many cells; its outer edges are soft."""
    sheet = Image.new("RGB", (counts[0] * TILE, counts[1] * TILE))
    shown = Image.new("L", sheet.size)
    for (row, column), tile in tiles.items():
        at = (column * side, row * side)
        sheet.paste(tile.resize((side, side)), at)
        shown.paste(255, (*at, at[0] + side, at[1] + side))
    blurred = np.asarray(shown.filter(ImageFilter.BoxBlur(TILE // 4)), float)
    visible = np.minimum(np.clip(2 * blurred - 255, 0, 255), np.asarray(shown))
    sheet.putalpha(Image.fromarray(visible.astype(np.uint8)))
    return sheet


def _blindness() -> Layer:
    """Return how far decoded images lie from their points, as red where it is far."""
    rows = np.random.default_rng(0).permutation(len(layout().points))[: SAMPLES[-1]]
    parts = _distances(rows, state.model(), layout().points[rows])
    return Layer(parts, lambda found: _red(rows, np.concatenate(found), MIDDLE, WORST))


def _judged() -> Layer | None:
    """Return the same as the other model sees it, as parts of the distance of any two images."""
    from analysis.questions.encoders import shared

    other, rng = _judge(), np.random.default_rng(0)
    if other is None:
        return None
    rows, there = shared(state.library(), other)
    drawn = rng.permutation(len(rows))[: SAMPLES[-1]]
    parts = _distances(rows[drawn], state.model_of(other), other.points(there[drawn]))
    one, two = (other.points(rng.choice(there, PAIRS)).unit for _ in range(2))
    chance = max(1 - float(np.einsum("nd,nd->n", one, two).mean()), 1e-6)

    def paint(found: list[list[float]]) -> Ground:
        return _red(rows[drawn], np.concatenate(found) / chance, HALF_CHANCE, 1)

    return Layer(parts, paint)


def _distances(rows: Int[np.ndarray, " N"], judge: Model, known: Points) -> list[Part]:
    """Return parts that tell how far the decodes of rows lie from what an encoder saw in the images
    themselves.

    Args:
        known: the points of the rows in the space of the judge.
    """
    ends = [0, *(most for most in SAMPLES if most < len(rows)), len(rows)]
    spans = [slice(a, b) for a, b in pairwise(ends)]
    return [_distance(rows[span], judge, known[span]) for span in spans]


def _distance(rows: Int[np.ndarray, " N"], judge: Model, known: Points) -> Part:
    rendering = decode(state.model(), layout().points[rows], settings=PREVIEW)

    def distances() -> Work[list[float]]:
        found = []
        for point, frame in zip(known, rendering, strict=True):
            seen = judge.encoder.encode_images([frame])
            found.append(1 - float(point.unit[0] @ seen.unit[0]))
            yield None
        return found

    asked = f"blind {judge.space.fingerprint} {key_of(rendering)}"
    return Part(asked, distances, len(rows), "Measuring round trips")


def _red(
    rows: Int[np.ndarray, " N"], distances: Float[np.ndarray, " M"], half: float, full: float
) -> Ground:
    """Return distances of the first rows as red, half and full as is said, smoothed."""
    xy, rows = layout().xy, rows[: len(distances)]
    box, counts = _grid(xy, HEAT)
    heat, weight = smoothed(xy[rows], distances, _middles(box, counts))
    red = np.clip(heat / half * 0.5, 0, None)
    red = np.where(heat > half, 0.5 + (heat - half) / (full - half) * 0.5, red)
    pixels = np.zeros((len(heat), 4), np.uint8)
    pixels[:, 0] = 200
    pixels[:, 3] = (np.clip(red, 0, 1) * np.clip(weight * 2, 0, 1) * 200).astype(np.uint8)
    sheet = Image.fromarray(pixels.reshape(counts[1], counts[0], 4))
    return Ground(_png(sheet), box)


def smoothed(
    xy: Float[np.ndarray, "N 2"], values: Float[np.ndarray, " N"], places: Float[np.ndarray, "M 2"]
) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """Return the mean of values near each place, and how many are near, up to 1.

    Source: Nadaraya 1964, with a Gaussian of a twenty-fifth of the map's extent.
    """
    width = float(np.ptp(xy, axis=0).max()) / 25 or 1.0
    squares = ((places[:, None] - xy[None]) ** 2).sum(axis=2)
    kernel = np.exp(-squares / (2 * width**2))
    weight = kernel.sum(axis=1)
    return (kernel @ values) / np.maximum(weight, 1e-12), np.minimum(weight, 1)


def _grid(xy: Float[np.ndarray, "N 2"], most: int) -> tuple[Box, tuple[int, int]]:
    """Return a box around all points, of square cells, `most` along the longer side."""
    low, high = xy.min(axis=0).astype(float), xy.max(axis=0).astype(float)
    side = float((high - low).max()) * 1.02 / most or 1.0
    counts = np.maximum(1, np.ceil((high - low) * 1.02 / side - 1e-6)).astype(int)
    wide, tall = map(int, counts)
    left, bottom = ((low + high) / 2 - counts * side / 2).tolist()
    return (left, bottom, left + wide * side, bottom + tall * side), (wide, tall)


def _middles(box: Box, counts: tuple[int, int]) -> Float[np.ndarray, "M 2"]:
    """Return the middles of the cells, in rows from the top."""
    left, bottom, right, top = box
    x = left + (np.arange(counts[0]) + 0.5) * (right - left) / counts[0]
    y = top - (np.arange(counts[1]) + 0.5) * (top - bottom) / counts[1]
    return np.stack([a.ravel() for a in np.meshgrid(x, y)], axis=1)


def _png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "png")
    return content.getvalue()

"""Images that lie under the points of the map: what decodes where, and where round trips fail.

Each is asked for by name, decoded once with progress, and kept. Round trips are seen by the
library's own encoder, or by that of another library of the same images, which did not train with
the decoder and so does not flatter it.
"""

import io

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from explorer.app import state
from explorer.app.map.layout import layout
from explorer.app.map.scatter import Ground
from explorer.app.server.decoding import Work, decoded, key_of, once
from explorer.edits import decode
from explorer.library import Library
from explorer.models import Model
from explorer.points import Points
from explorer.settings import Settings

CELLS = 14  # of the mosaic, along the longer side
TILE = 64  # pixels
SAMPLE = 96  # images that are decoded to see where the decoder is blind
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


def ground(name: str) -> Ground | None:
    """Return the image of this name; None for none, or if it was cancelled."""
    make = {MOSAIC: _mosaic, BLIND: _blindness, JUDGED: _judged}.get(name)
    return make() if make else None


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


def _mosaic() -> Ground | None:
    """Return the map in tiles, each decoded from its middle; empty where no point is near."""
    from scipy.spatial import KDTree

    projection, model = layout(), state.model()
    box, counts = _grid(projection.xy, CELLS)
    middles = _middles(box, counts)
    side = (box[2] - box[0]) / counts[0]
    near, _ = KDTree(projection.xy).query(middles)
    cells = np.flatnonzero(near < side)
    points = projection.inverse(middles[cells])
    frames = decoded(decode(model, points, settings=PREVIEW), "Decoding the map")
    if frames is None:
        return None
    sheet = Image.new("RGBA", (counts[0] * TILE, counts[1] * TILE))
    for cell, frame in zip(cells, frames, strict=True):
        row, column = divmod(int(cell), counts[0])
        sheet.paste(frame.resize((TILE, TILE)), (column * TILE, row * TILE))
    return Ground(_png(sheet), box)


def _blindness() -> Ground | None:
    """Return how far decoded images lie from their points, as red where it is far."""
    rows = np.random.default_rng(0).permutation(len(layout().points))[:SAMPLE]
    found = _distances(rows, state.model(), layout().points[rows])
    return None if found is None else _red(rows, np.array(found), MIDDLE, WORST)


def _judged() -> Ground | None:
    """Return the same as the other model sees it, as parts of the distance of any two images."""
    from analysis.questions.encoders import shared

    other, rng = _judge(), np.random.default_rng(0)
    if other is None:
        return None
    rows, there = shared(state.library(), other)
    drawn = rng.permutation(len(rows))[:SAMPLE]
    found = _distances(rows[drawn], state.model_of(other), other.points(there[drawn]))
    if found is None:
        return None
    one, two = (other.points(rng.choice(there, PAIRS)).unit for _ in range(2))
    chance = 1 - float(np.einsum("nd,nd->n", one, two).mean())
    return _red(rows[drawn], np.array(found) / max(chance, 1e-6), HALF_CHANCE, 1)


def _distances(rows: Int[np.ndarray, " N"], judge: Model, known: Points) -> list[float] | None:
    """Return how far the decodes of rows lie from what an encoder saw in the images themselves.

    Args:
        known: the points of the rows in the space of the judge.
    """
    rendering = decode(state.model(), layout().points[rows], settings=PREVIEW)

    def distances() -> Work[list[float]]:
        found = []
        for point, frame in zip(known, rendering, strict=True):
            seen = judge.encoder.encode_images([frame])
            found.append(1 - float(point.unit[0] @ seen.unit[0]))
            yield None
        return found

    asked = f"blind {judge.space.fingerprint} {key_of(rendering)}"
    return once(asked, distances, len(rows), "Measuring round trips")


def _red(
    rows: Int[np.ndarray, " N"], distances: Float[np.ndarray, " N"], half: float, full: float
) -> Ground:
    """Return distances as red, half and full as is said, smoothed over the map."""
    xy = layout().xy
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

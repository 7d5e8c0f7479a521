"""Smoothness: how evenly decoded frames change along a path, and their re-timing to one speed.

Two distances between frames: the angle between the encoder's points of them, and the difference of
their pixels. LPIPS, which the source uses, would need weights that cannot be fetched here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image

from analysis.dataset import Dataset
from analysis.figures import lines, strip
from analysis.section import Section
from explorer.errors import QueryError
from explorer.geometry import angle
from explorer.path import Path, even_times
from explorer.points import Points

if TYPE_CHECKING:
    import pandas as pd

Way = tuple[Points, list[Image.Image]]  # what is seen in each frame, and the frames

QUESTION = "How evenly do decoded frames change along a path, and does re-timing even it out?"
SOURCE = (
    "Karras et al. 2019, “A style-based generator architecture”, section 4.1 (perceptual path "
    "length), with other distances than theirs"
)
FRAMES = 17
SHOWN = 9
EVEN, RETIMED = "equal times", "re-timed"
SPEED = "change a frame (radians)"


def pixel_distances(
    first: Sequence[Image.Image], second: Sequence[Image.Image]
) -> Float[np.ndarray, " N"]:
    """Root mean square of the difference of the pixels of each pair, 0 to 1.

    >>> black, white = (Image.new("RGB", (4, 4), colour) for colour in ("black", "white"))
    >>> pixel_distances([black, black], [white, black]).tolist()
    [1.0, 0.0]
    """
    pairs = zip(first, second, strict=True)
    return np.array([np.sqrt(((_values(a) - _values(b)) ** 2).mean()) for a, b in pairs])


def flicker(frames: Sequence[Image.Image]) -> float:
    """How far a frame departs from the mean of its two neighbours: RMS of pixels, averaged.

    0 where pixels change steadily; high where they jump to and fro.

    >>> black, white = (Image.new("RGB", (4, 4), colour) for colour in ("black", "white"))
    >>> flicker([black, white, black])
    1.0
    """
    values = [_values(frame) for frame in frames]
    jumps = [
        np.sqrt(((b - (a + c) / 2) ** 2).mean())
        for a, b, c in zip(values, values[1:], values[2:], strict=False)
    ]
    return float(np.mean(jumps))


def _values(image: Image.Image) -> Float[np.ndarray, "H W C"]:
    return np.asarray(image.convert("RGB"), dtype=np.float64) / 255


def path_length(distances: Float[np.ndarray, " T"]) -> float:
    """Perceptual path length: the mean square of the speed, distance by time.

    The time from end to end is 1. At one speed it is the squared length of the way; unevenness
    adds to it.

    Source: Karras et al. 2019, section 4.1, with the frames' own spacing as ε.

    >>> path_length(np.array([1.0, 1])), path_length(np.array([2.0, 0]))
    (4.0, 8.0)
    """
    return float((distances**2).mean() * len(distances) ** 2)


def unevenness(distances: Float[np.ndarray, " T"]) -> float:
    """The standard deviation of the changes as a part of their mean; 0 is one speed.

    >>> unevenness(np.array([1.0, 3]))
    0.5
    """
    mean = distances.mean()
    return float(distances.std() / mean) if mean else 0.0


def measures(seen: Points, frames: Sequence[Image.Image]) -> dict[str, float]:
    """All measures of one way, by frame and by what the encoder sees in each.

    `detour` is the length of the way as a multiple of the angle between its ends.
    """
    turns, pixels = angle(seen[:-1], seen[1:]), pixel_distances(frames[:-1], frames[1:])
    return {
        "length (radians)": float(turns.sum()),
        "detour": float(turns.sum() / max(float(angle(seen[0], seen[-1])[0]), 1e-12)),
        "path length (radians²)": path_length(turns),
        "unevenness": unevenness(turns),
        "path length (pixels²)": path_length(pixels),
        "unevenness of pixels": unevenness(pixels),
        "flicker (pixels)": flicker(frames),
    }


def both_timings(dataset: Dataset, path: Path) -> dict[str, Way]:
    """Decode a path at equal times, and re-timed by what the encoder sees in those frames."""
    times, ways = np.linspace(0, 1, FRAMES), {}
    for timing in (EVEN, RETIMED):
        points = Points.concat([path.at(t) for t in times])
        seen, _ = ways[timing] = dataset.seen(points, keep=FRAMES)
        times = even_times(angle(seen[:-1], seen[1:]), FRAMES)
    return ways


def section(dataset: Dataset) -> Section:
    """Answer it for great circles between images drawn from a library."""
    import pandas as pd

    dataset.require_decoder("Smoothness")
    points, rows = dataset.points(2 * max(1, dataset.count // (2 * FRAMES)))
    if len(points) < 2:
        raise QueryError("A path needs two images, and the library has one.")
    order = np.random.default_rng(dataset.seed).permutation(len(points))
    table: list[dict[str, Any]] = []
    first: dict[str, Way] = {}
    for a, b in order[: len(order) // 2 * 2].reshape(-1, 2):
        name = " → ".join(dataset.names(rows[[a, b]]))
        ways = both_timings(dataset, Path.slerp(points[a], points[b]))
        table += [{"path": name, "timing": t} | measures(*way) for t, way in ways.items()]
        first = first or ways
    found = pd.DataFrame(table)
    return Section(
        name="smoothness",
        question=QUESTION,
        finding=_finding(found),
        method=(
            f"{len(found) // 2} great circles between images drawn with seed {dataset.seed}, "
            f"{FRAMES} frames each, decoded from one noise; re-timed once, by the angles between "
            "what the encoder sees in the frames at equal times. Pixel distances are root mean "
            "squares from 0 to 1. No LPIPS: its weights cannot be fetched here. Over so few paths "
            "the means are rough."
        ),
        source=SOURCE,
        tables={"Paths": found},
        figures={
            "Change from frame to frame, first path": lines(
                _speeds(first), "frame", SPEED, by="timing"
            ),
            "The first path": _compared(first),
        },
    )


def _speeds(ways: dict[str, Way]) -> "pd.DataFrame":
    import pandas as pd

    rows = [
        (timing, i, turn)
        for timing, (seen, _) in ways.items()
        for i, turn in enumerate(angle(seen[:-1], seen[1:]), start=1)
    ]
    return pd.DataFrame(rows, columns=["timing", "frame", SPEED])


def _finding(found: "pd.DataFrame") -> str:
    mean = found.drop(columns="path").groupby("timing").mean()
    before, after = mean.loc[EVEN], mean.loc[RETIMED]
    return (
        f"At equal times the change from frame to frame varies by {100 * before['unevenness']:.0f} "
        f"% of its mean, re-timed by {100 * after['unevenness']:.0f} %; the decoded way is "
        f"{before['detour']:.1f} times as long as the angle between its ends; flicker is "
        f"{before['flicker (pixels)']:.3f} before and {after['flicker (pixels)']:.3f} after."
    )


def _compared(ways: dict[str, Way]) -> Figure:
    places = np.unique(np.linspace(0, FRAMES - 1, SHOWN).round().astype(int))
    images = [frames[i] for _, frames in ways.values() for i in places]
    return strip(images, columns=len(places), names=list(ways))

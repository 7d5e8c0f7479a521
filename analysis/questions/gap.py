"""Gap: points of words and of images share a space but not a region; what carries one over.

Measures how far apart the two sides lie, where the prior puts words, and what a decoder makes of
both: the three-way comparison of the DALL·E 2 paper's figure 8.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from PIL import Image

from analysis.dataset import Dataset
from analysis.figures import histogram, lines, strip
from analysis.section import Section
from explorer.errors import QueryError
from explorer.metrics import bootstrap, cosines, three_ways
from explorer.points import Points

if TYPE_CHECKING:
    import pandas as pd

QUESTION = "How far do words lie from images, and does the prior carry them over?"
SOURCE = (
    "Liang et al. 2022, “Mind the gap”; Ramesh et al. 2022, section 5.1 and figure 8; "
    "Dowson & Landau 1982 and Heusel et al. 2017 for the Fréchet distance"
)
MAX_IMAGES = 2000  # captioned images; encoding their words takes seconds
PAIRS = 20_000  # of a histogram
AXES = 32  # at most, for the Fréchet distance
SHOWN = 8  # images a row
TRIP = "round trip (median cosine)"


def modality_gap(images: Points, texts: Points) -> float:
    """The length of the difference between the mean directions of the two sides, 0 to 2.

    Source: Liang et al. 2022, section 3.

    >>> from explorer.points import Space
    >>> east, north = (Points(v, Space("plane", 2, "0f"), "image") for v in ([[1, 0]], [[0, 1]]))
    >>> round(modality_gap(east, north), 4)
    1.4142
    """
    return float(np.linalg.norm(images.unit.mean(0) - texts.unit.mean(0)))


def shifts(images: Points, texts: Points) -> "pd.DataFrame":
    """How far the mean of each dimension moves from words to images, the farthest first.

    `shift in deviations` divides by the spread within the sides (root mean of the two variances).
    """
    import pandas as pd

    sides = [points.unit.astype(np.float64) for points in (images, texts)]
    means = [rows.mean(0) for rows in sides]
    spread = np.sqrt(np.mean([rows.var(0) for rows in sides], axis=0))
    table = pd.DataFrame(
        {
            "dimension": np.arange(len(spread)),
            "mean of images": means[0],
            "mean of words": means[1],
            "shift": means[0] - means[1],
            "shift in deviations": (means[0] - means[1]) / np.maximum(spread, 1e-12),
        }
    )
    order = table["shift in deviations"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def within_and_between(
    images: Points, texts: Points, pairs: int = PAIRS, seed: int = 0
) -> dict[str, Float[np.ndarray, " P"]]:
    """Cosines of seeded pairs within each side and between the sides; row i belongs to row i."""
    if len(images) < 2:
        raise QueryError("Two captioned images or more are needed to compare pairs.")
    rng = np.random.default_rng(seed)
    first = rng.integers(len(images), size=pairs)
    second = (first + rng.integers(1, len(images), size=pairs)) % len(images)  # another one
    p, t = images.unit, texts.unit
    return {
        "an image and its caption": cosines(images, texts),
        "an image and another's caption": np.einsum("nd,nd->n", p[first], t[second]),
        "two images": np.einsum("nd,nd->n", p[first], p[second]),
        "two captions": np.einsum("nd,nd->n", t[first], t[second]),
    }


def positions(
    groups: dict[str, Points], images: Points, texts: Points, seed: int = 0
) -> "pd.DataFrame":
    """Where groups of points lie between the two sides; row i of each belongs to image i.

    `position` is 0 at the mean of the words and 1 at the mean of the images, along the line
    between them. The gap is to the images of the same rows; the interval is of the cosine.
    """
    import pandas as pd

    start, end = texts.unit.mean(0), images.unit.mean(0)
    table = []
    for name, points in groups.items():
        own = images[: len(points)]
        found = cosines(points, own)
        position = ((points.unit.mean(0) - start) @ (end - start)) / ((end - start) @ (end - start))
        apart = modality_gap(own, points)
        table.append(
            (name, len(points), apart, position, found.mean(), *bootstrap(found, seed=seed))
        )
    columns = ["points", "n", "gap to images", "position", "cosine with own image"]
    return pd.DataFrame(table, columns=[*columns, "low (95 %)", "high (95 %)"])


def decoded_three_ways(
    dataset: Dataset, images: Points, texts: Points, carried: Points
) -> tuple["pd.DataFrame", dict[str, list[Image.Image]]]:
    """Return the comparison of `explorer.metrics.three_ways`, and the first images of each way."""
    import pandas as pd

    shown: list[list[Image.Image]] = []

    def see(points: Points, **options: Any) -> Points:
        seen, first = dataset.seen(points, keep=SHOWN, **options)
        shown.append(first)
        return seen

    axes = max(1, min(AXES, len(images) // 4))
    scores = three_ways(see, images, texts, carried, images, np.arange(len(images)), axes)
    chance = min(1.0, 10 / len(images))
    table = [(way, *row.values(), chance) for way, row in scores.items()]
    columns = ["way", "Fréchet distance", TRIP, "caption among 10", "chance"]
    return pd.DataFrame(table, columns=columns), dict(zip(scores, shown, strict=True))


def section(dataset: Dataset) -> Section:
    """Answer it for the captioned images of a library."""
    rows = dataset.draw(dataset.require_captions("The gap").index.to_numpy(), MAX_IMAGES)
    rows = np.random.default_rng(dataset.seed).permutation(rows)  # its beginning is a draw too
    if len(rows) < 8:
        raise QueryError(f"The gap needs 8 captioned images or more, not {len(rows)}.")
    images = dataset.library.points(rows)
    texts = dataset.model.encoder.encode_text(list(dataset.captions.loc[rows]))
    pairs = within_and_between(images, texts, seed=dataset.seed)
    shift = shifts(images, texts)
    first = slice(max(4, dataset.count))  # covariances need some rows
    tables, figures, carried = _carried(dataset, rows[first], images[first], texts[first])
    halves = modality_gap(images[::2], images[1::2])
    means = {name: float(values.mean()) for name, values in pairs.items()}
    return Section(
        name="gap",
        question=QUESTION,
        finding=(
            f"The mean directions of words and of images lie {modality_gap(images, texts):.2f} "
            f"apart, two halves of the images {halves:.2f}; the mean cosine of an image with "
            f"its caption is {means['an image and its caption']:.2f}, with another image "
            f"{means['two images']:.2f}. {carried}"
        ),
        method=(
            f"{len(rows):,} captioned images drawn with seed {dataset.seed}, {PAIRS:,} pairs of "
            f"each kind; the prior and the decoder on {len(images[first])} of them, intervals by "
            "bootstrap over images. A gap is the length of the difference of mean unit vectors."
        ),
        source=SOURCE,
        tables={**tables, "Cosines of pairs": _summary(pairs), "Shift of each dimension": shift},
        figures={
            "Cosines within and between the sides": histogram(pairs, "cosine"),
            "How far each dimension shifts": _ranked(shift),
            **figures,
        },
    )


def _carried(
    dataset: Dataset, rows: Int[np.ndarray, " N"], images: Points, texts: Points
) -> tuple[dict[str, "pd.DataFrame"], dict[str, Figure], str]:
    """What the prior does to the gap, and the comparison of figure 8, as far as there are both."""
    groups = {"words": texts}
    title, prior = "Where the points lie", dataset.model.prior
    if prior is None:
        table = positions(groups, images, texts, dataset.seed)
        return {title: table}, {}, f"{dataset.model.name} has no prior that carries words over."
    carried = prior.sample(texts.labels, seed=dataset.seed)
    groups["words carried over by the prior"] = carried
    table = positions(groups, images, texts, dataset.seed)
    cosine = table["cosine with own image"]
    said = (
        f"The prior brings words to {table['position'].iloc[-1]:.2f} of the way, where their "
        f"cosine with their own image is {cosine.iloc[-1]:.2f} instead of {cosine.iloc[0]:.2f}."
    )
    if dataset.model.decoder is None:
        return {title: table}, {}, said
    compared, decodes = decoded_three_ways(dataset, images, texts, carried)
    score = dict(zip(compared["way"], compared[TRIP], strict=True))
    said += " Decoded, they reach a median cosine of " + ", ".join(
        f"{score[way]:.2f} ({way})" for way in score
    )
    shown = [*dataset.images(rows[:SHOWN]), *(p for row in decodes.values() for p in row)]
    names = ["the image", *decodes]
    columns = len(shown) // len(names)
    labels = [*texts.labels[:columns], *[""] * (len(shown) - columns)]
    figure = strip(shown, labels, columns=columns, names=names)
    tables = {title: table, "What the decoder makes of captions": compared}
    return tables, {"Captions decoded three ways": figure}, f"{said}."


def _summary(pairs: dict[str, Float[np.ndarray, " P"]]) -> "pd.DataFrame":
    import pandas as pd

    cuts = {name: np.quantile(values, (0.05, 0.5, 0.95)) for name, values in pairs.items()}
    table = [(name, len(v), v.mean(), *cuts[name]) for name, v in pairs.items()]
    return pd.DataFrame(table, columns=["pair", "n", "mean", "5 %", "median", "95 %"])


def _ranked(shift: "pd.DataFrame") -> Figure:
    """The dimensions' shifts, largest first: a few tall ones are the usual image of CLIP."""
    import pandas as pd

    x, y = "rank of the dimension", "shift (deviations)"
    size = shift["shift in deviations"].abs()
    return lines(pd.DataFrame({x: np.arange(1, len(size) + 1), y: size}), x, y)

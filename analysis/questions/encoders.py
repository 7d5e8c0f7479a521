"""Encoders: do two encoders arrange the same images alike, and can points cross between Spaces?

Asked of two libraries of the same files, each in its own Space. Images are matched by content.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.figure import Figure

from analysis.dataset import Dataset
from analysis.figures import histogram, strip
from analysis.questions.neighbours import nearest
from analysis.residuals import compared
from analysis.section import Section, percent
from explorer.errors import QueryError
from explorer.library import Library
from explorer.metrics import bootstrap, cosines, found, wilson
from explorer.points import Points, Space

if TYPE_CHECKING:
    import pandas as pd

QUESTION = "Do two encoders arrange the same images alike, and can points cross between Spaces?"
SOURCE = (
    "Kornblith et al. 2019 (linear CKA); Huh et al. 2024, “The platonic representation "
    "hypothesis” (mutual nearest neighbours); Schönemann 1966 (orthogonal Procrustes)"
)
MAX_IMAGES = 4000  # images drawn
K = 10  # neighbours
GROUPS = 20  # of the jackknife
SHOWN = 6


def shared(one: Library, other: Library) -> tuple[Int[np.ndarray, " N"], Int[np.ndarray, " N"]]:
    """Rows of both libraries that hold the same file, by its sha256, each file once."""
    here, there = (library.rows["sha256"].to_numpy(dtype=str) for library in (one, other))
    _, rows, other_rows = np.intersect1d(here, there, return_indices=True)
    return rows, other_rows


def cka(a: Float[np.ndarray, "N D"], b: Float[np.ndarray, "N E"]) -> float:
    """Linear centred kernel alignment of two tables of the same things: 0 to 1.

    ‖AᵀB‖² / (‖AᵀA‖ ‖BᵀB‖) with centred columns. Rotating or scaling either side leaves it. It is
    high by chance where there are few rows for the dimensions: compare with shuffled rows.

    Source: Kornblith et al. 2019, section 3.

    >>> round(cka(np.array([[1.0], [2], [3]]), np.array([[-2.0], [-4], [-6]])), 6)
    1.0
    """
    return _alignment(*_products(a - a.mean(0), b - b.mean(0)))


def _products(
    a: Float[np.ndarray, "N D"], b: Float[np.ndarray, "N E"]
) -> tuple[Float[np.ndarray, "D E"], Float[np.ndarray, "D D"], Float[np.ndarray, "E E"]]:
    return a.T @ b, a.T @ a, b.T @ b


def _alignment(
    between: Float[np.ndarray, "D E"],
    of_a: Float[np.ndarray, "D D"],
    of_b: Float[np.ndarray, "E E"],
) -> float:
    norms = float(np.linalg.norm(of_a) * np.linalg.norm(of_b))
    return float(np.linalg.norm(between) ** 2) / max(norms, 1e-12)


def cka_interval(
    a: Float[np.ndarray, "N D"], b: Float[np.ndarray, "N E"], groups: int = GROUPS
) -> tuple[float, float]:
    """Where the CKA of such images lies with 95 % confidence: a jackknife over groups of rows.

    Drawing rows again with replacement would count pairs of a row with itself, which raises CKA.

    Source: Efron & Tibshirani 1993, chapter 11, with groups of rows deleted.
    """
    a, b = a - a.mean(0), b - b.mean(0)
    whole = _products(a, b)
    parts = [slice(i, None, groups) for i in range(min(groups, len(a)))]
    left = np.array(
        [
            _alignment(*(w - p for w, p in zip(whole, _products(a[s], b[s]), strict=True)))
            for s in parts
        ]
    )
    error = np.sqrt((len(left) - 1) * left.var())
    middle = _alignment(*whole)
    return max(0.0, middle - 1.96 * error), min(1.0, middle + 1.96 * error)


def overlap(
    a: Float[np.ndarray, "N D"], b: Float[np.ndarray, "N E"], k: int = K
) -> Float[np.ndarray, " N"]:
    """The share of the k nearest others of each row that both tables agree on; chance k/(N - 1).

    Source: Huh et al. 2024 (mutual nearest neighbours).

    >>> line = np.array([[1.0, 0], [1, 0.1], [1, 1], [0.9, 1]])
    >>> overlap(line, line[[0, 2, 1, 3]], k=1).tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    rows = np.arange(len(a))
    (_, of_a), (_, of_b) = nearest(a, rows, k), nearest(b, rows, k)
    return (of_a[:, :, None] == of_b[:, None, :]).any(2).mean(1)


@dataclass(frozen=True, eq=False)
class Procrustes:
    """A map of points from one Space to another: a rotation of directions around their means.

    Angles survive it; if the Spaces differ in dimension, the smaller counts as a part of the
    larger. Every result has the same length, the mean of the points that it was fitted to.

    Source: Schönemann 1966; scale and shift as in Gower & Dijksterhuis 2004, chapter 4.
    """

    source: Space
    target: Space
    source_mean: Float[np.ndarray, " D"]
    target_mean: Float[np.ndarray, " E"]
    rotation: Float[np.ndarray, "D E"]
    length: float

    @classmethod
    def fit(cls, source: Points, target: Points) -> Self:
        """Fit the rotation that brings the directions of `source` nearest to those of `target`.

        Row i of one belongs to row i of the other.

        Raises:
            QueryError: there are not equally many.
        """
        if len(source) != len(target):
            raise QueryError(
                f"A rotation is fitted to pairs, not to {len(source)} and {len(target)} points."
            )
        a, b = source.unit.astype(np.float64), target.unit.astype(np.float64)
        means = a.mean(0), b.mean(0)
        a, b = a - means[0], b - means[1]
        left, weights, right = np.linalg.svd(a.T @ b, full_matrices=False)
        scale = weights.sum() / max((a**2).sum(), 1e-12)
        length = float(target.norms.mean())
        return cls(source.space, target.space, *means, scale * left @ right, length)

    def apply(self, points: Points) -> Points:
        """Carry points over.

        Raises:
            SpaceMismatch: they are not of the Space that the map starts from.
        """
        self.source.check(points.space, "The map starts from the other.")
        moved = self.target_mean + (points.unit - self.source_mean) @ self.rotation
        moved *= self.length / np.linalg.norm(moved, axis=1, keepdims=True)
        return Points(moved, self.target, points.side, points.labels)


def section(dataset: Dataset) -> Section:
    """Answer it for images that are in both libraries; the map goes to the first one's Space."""
    other = dataset.require_other("Encoders")
    rows, other_rows = shared(dataset.library, other)
    if len(rows) < 4 * K:
        raise QueryError(
            f"The libraries share {len(rows)} images, and {4 * K} are needed. Index the same "
            "files with both models; copies that were changed or resized do not count."
        )
    drawn = dataset.draw(np.arange(len(rows)), MAX_IMAGES)
    chosen = np.random.default_rng(dataset.seed).permutation(drawn)
    rows, half = rows[chosen], len(chosen) // 2
    own, others = dataset.library.points(rows), other.points(other_rows[chosen])
    fitted = Procrustes.fit(others[:half], own[:half])
    shuffled = Procrustes.fit(others[:half], own[np.roll(np.arange(half), 1)])
    crossed = fitted.apply(others[half:])
    errors = {"fitted to pairs": cosines(crossed, own[half:])}
    errors["fitted to shuffled pairs"] = cosines(shuffled.apply(others[half:]), own[half:])
    first = found(crossed.unit @ own[half:].unit.T, np.arange(len(crossed)), 1)
    table = _table(own, others, errors, first, dataset.seed)
    decoded, figures = _decoded(dataset, rows[half:], own[half:], crossed)
    unknown, ends = compared(dataset, rows, own, others)
    return Section(
        name="encoders",
        question=QUESTION,
        finding=_finding(table, f"{others.space} to {own.space}"),
        method=_method(len(rows), half, dataset.seed),
        source=SOURCE,
        tables={
            "How alike the Spaces are": table,
            "What one knows and the other does not": unknown,
            **decoded,
        },
        figures={
            "Cosine of a point that crossed with the image's own": histogram(errors, "cosine"),
            **figures,
            **ends,
        },
    )


def _method(images: int, half: int, seed: int) -> str:
    return (
        f"{images:,} images that both libraries hold, drawn with seed {seed}; directions only. The "
        f"rotation was fitted to {half:,} of them and measured on the others. Intervals: jackknife "
        "for CKA, Wilson for the share found, else bootstrap over images. By chance: with pairs "
        "shuffled. What one encoder knows and the other does not is what a bridge "
        "(`explorer.Bridge`), fitted to the same half, does not foretell."
    )


def _table(
    own: Points,
    others: Points,
    errors: dict[str, Float[np.ndarray, " M"]],
    first: Bool[np.ndarray, " M"],
    seed: int,
) -> "pd.DataFrame":
    """A row a measure: its value, its interval, and what it is by chance."""
    import pandas as pd

    a, b = own.unit, others.unit
    common, (held, chance) = overlap(a, b), errors.values()
    hits, n, m = int(first.sum()), len(a), len(first)
    rows = [
        ("linear CKA", n, cka(a, b), *cka_interval(a, b), cka(a, np.roll(b, 1, axis=0))),
        (f"share of {K} neighbours", n, common.mean(), *bootstrap(common, seed=seed), K / (n - 1)),
        ("cosine after crossing", m, held.mean(), *bootstrap(held, seed=seed), chance.mean()),
        ("own image found first after crossing", m, hits / m, *wilson(hits, m), 1 / m),
    ]
    columns = ["measure", "images", "value", "low (95 %)", "high (95 %)", "by chance"]
    return pd.DataFrame(rows, columns=columns)


def _finding(table: "pd.DataFrame", way: str) -> str:
    alike, common, held, first = table.itertuples(index=False, name=None)
    return (
        f"Linear CKA is {alike[2]:.2f} (by chance {alike[5]:.2f}); of an image's {K} neighbours "
        f"the two agree on {100 * common[2]:.3g} % (by chance {100 * common[5]:.2g} %). After a "
        f"rotation from {way} the mean cosine of held-out points with the image's own is "
        f"{held[2]:.2f} (by chance {held[5]:.2f}), and that is the nearest of {first[1]:,} in "
        f"{percent(round(first[2] * first[1]), first[1])}."
    )


def _decoded(
    dataset: Dataset, rows: Int[np.ndarray, " M"], own: Points, crossed: Points
) -> tuple[dict[str, "pd.DataFrame"], dict[str, Figure]]:
    """Some held-out images decoded from their own points and from those that crossed."""
    import pandas as pd

    if dataset.model.decoder is None:
        return {}, {}
    rows, own, crossed = rows[:SHOWN], own[:SHOWN], crossed[:SHOWN]
    names = dataset.names(rows)
    seen, images = dataset.seen(Points.concat([own, crossed]), keep=2 * SHOWN)
    error = cosines(crossed, own)
    table = pd.DataFrame(
        {
            "row": rows,
            "image": names,
            "cosine after crossing": error,
            "decode of own point: cosine with it": cosines(seen[: len(rows)], own),
            "decode of the point that crossed: cosine with own": cosines(seen[len(rows) :], own),
        }
    )
    labels = [*names, *[""] * len(rows), *(f"cosine {value:.2f}" for value in error)]
    lines = ["the image", "own point, decoded", "point that crossed, decoded"]
    figure = strip([*dataset.images(rows), *images], labels, columns=len(rows), names=lines)
    return {"Decoded through the map": table}, {"Held-out images decoded": figure}

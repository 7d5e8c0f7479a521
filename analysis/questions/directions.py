"""Directions: is a text diff one direction for all images, and what else changes on the way?

Measured on the points, on what is decoded from them, and on the columns of their neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image

from analysis import chords
from analysis.dataset import Dataset
from analysis.figures import lines, strip
from analysis.questions.arithmetic import SAME, pose
from analysis.section import Section
from explorer.errors import QueryError
from explorer.geometry import angle, text_diff
from explorer.library import Library
from explorer.metrics import bootstrap, steadiness
from explorer.path import Path
from explorer.points import Points

if TYPE_CHECKING:
    import pandas as pd

QUESTION = "Is a text diff the same direction for every image, and how much else changes?"
SOURCE = (
    "Ramesh et al. 2022, sections 3.2 and 3.3; Spearman 1904 for the rank correlation; what else "
    "changes: total variation between the neighbours' columns"
)
CHANGES = 3  # text diffs that are followed
IMAGES_PER_START = 60  # of `count`, for each image that a text diff starts from
STEPS = 5  # points on a path, both ends included
IMAGES_PER_PAIR = 25  # of `count`, for each pair that a chord goes between
K = 10  # neighbours
FRACTION = 0.5  # of the angle; Ramesh et al. 2022, section 3.3: "typically in [0.25, 0.50]"
SAME_CHANGE, ANOTHER = "same change (cosine)", "another change (cosine)"
GROWTH, ANY = "cosine with the text diff", "two images at random"
POINTS, DECODED = "the points", "their decodes"
INTERVAL = ("low (95 %)", "high (95 %)")


def differences(starts: Points, ends: Points) -> Float[np.ndarray, "N D"]:
    """Unit differences of directions, end minus start; zero where nothing changes."""
    change: Float[np.ndarray, "N D"] = ends.unit.astype(np.float64) - starts.unit
    sizes = np.linalg.norm(change, axis=1, keepdims=True)
    return np.divide(change, sizes, out=np.zeros_like(change), where=sizes > 1e-6)


def consistency(changes: Float[np.ndarray, "N D"]) -> float:
    """The mean cosine of two of these unit differences: 1 if all go the same way, 0 if any.

    >>> consistency(np.array([[1.0, 0], [1, 0], [0, 1]]))  # of three pairs, one agrees
    0.3333333333333333
    """
    n, total = len(changes), changes.sum(0)
    return float((total @ total - (changes**2).sum()) / (n * (n - 1)))


def rising(similarities: Float[np.ndarray, " T"]) -> tuple[float, float]:
    """Return how steadily a similarity grows: the share of steps that rise, and its steadiness.

    >>> rising(np.array([0.1, 0.3, 0.2, 0.4]))
    (0.6666666666666666, 0.8)
    """
    return float((np.diff(similarities) > 0).mean()), steadiness(similarities)


def variation(before: "pd.Series[str]", after: "pd.Series[str]") -> float:
    """Total variation between the shares of values: 0 for the same shares, 1 for no common value.

    >>> import pandas as pd
    >>> variation(pd.Series(["cat", "cat", "dog", "dog"]), pd.Series(["cat", "cat", "cat", "fox"]))
    0.5
    """
    one, other = (part.value_counts(normalize=True, dropna=False) for part in (before, after))
    return float(one.sub(other, fill_value=0).abs().sum() / 2)


def agreement(texts: Points, images: Points, questions: "pd.DataFrame") -> "pd.DataFrame":
    """Cosines between what changes from a to b and from c to d, where the same word is exchanged.

    Asked of words, of images, and of words (a and b) with images (c and d). `another change`
    is the mean cosine where the words differ.

    Args:
        questions: as made by `arithmetic.quadruples`.
    """
    import pandas as pd

    a, b, c, d = (questions[name].to_numpy() for name in "abcd")
    words = (questions["before"] + "\0" + questions["after"]).to_numpy()
    kinds = {
        "words": (texts, texts),
        "images": (images, images),
        "words and images": (texts, images),
    }
    table = []
    for kind, (first, second) in kinds.items():
        one, other = differences(first[a], first[b]), differences(second[c], second[d])
        same = np.einsum("nd,nd->n", one, other)
        another = np.einsum("nd,nd->n", one, np.roll(other, 1, axis=0))[words != np.roll(words, 1)]
        table.append((kind, len(a), same.mean(), *bootstrap(same), another.mean()))
    columns = ["differences of", "n", SAME_CHANGE, *INTERVAL, ANOTHER]
    return pd.DataFrame(table, columns=columns)


@dataclass(frozen=True, eq=False)
class Change:
    """One text diff and the images that it starts from, which their captions allow."""

    name: str
    direction: Points
    starts: Points

    @property
    def way(self) -> Points:
        """Each start turned by half of the angle to the text diff: starts × STEPS points."""
        turns = [Path.rotate(start, self.direction, fraction=FRACTION) for start in self.starts]
        return Points.concat([turn.sample(STEPS) for turn in turns])


def changes(texts: Points, images: Points, questions: "pd.DataFrame", count: int) -> list[Change]:
    """The words most often exchanged, each once, with `count` images whose captions hold them.

    Raises:
        QueryError: the encoder sees no difference between any of them.
    """
    exchanged = questions.groupby(["before", "after"])
    chosen: list[Change] = []
    used: set[str] = set()
    for _, rows in sorted(exchanged, key=lambda group: -len(group[1])):
        first = rows.iloc[0]
        words = {first["before"], first["after"]}
        a, b = texts[int(first["a"])], texts[int(first["b"])]
        if used & words or angle(a, b)[0] < SAME:
            continue
        starts = np.unique(rows[["a", "c"]].head(count).to_numpy())[:count]
        chosen.append(
            Change(f"{first['before']} → {first['after']}", text_diff(a, b), images[starts])
        )
        used |= words
    if not chosen:
        raise QueryError("The encoder sees no difference between captions that differ in a word.")
    return chosen[:CHANGES]


def along(seen: Points, direction: Points) -> Float[np.ndarray, "S T"]:
    """Cosines with a direction, one row a path of STEPS points."""
    return (seen.unit @ direction.unit[0]).reshape(-1, STEPS)


def followed(seen: Points, direction: Points) -> tuple[int, float, float, float, float]:
    """How a direction shows in what was seen on its paths.

    Gives the number of paths; the share of rising steps and Spearman's correlation, means over the
    paths; the consistency of the changes from start to end; their mean cosine with the direction.
    """
    rises = np.mean([rising(path) for path in along(seen, direction)], axis=0)
    change = differences(seen[::STEPS], seen[STEPS - 1 :: STEPS])
    towards = float((change @ direction.unit[0]).mean())
    return len(change), float(rises[0]), float(rises[1]), consistency(change), towards


def collateral(
    library: Library, starts: Points, ends: Points, columns: Sequence[str]
) -> list[float]:
    """How much the K nearest images change from starts to ends: mean variation of columns.

    0: they have the same values as before; 1: they have no value in common.
    """
    found = [library.search_many(points, K) for points in (starts, ends)]
    tables = [(before.table, after.table) for before, after in zip(*found, strict=True)]
    return [float(np.mean([variation(a[name], b[name]) for a, b in tables])) for name in columns]


def section(dataset: Dataset) -> Section:
    """Answer it for text diffs that the captions of a library give, and for its images."""
    rows, questions = pose(dataset, "A direction")
    images = dataset.library.points(rows)
    texts = dataset.model.encoder.encode_text(list(dataset.captions.loc[rows]))
    agreed = agreement(texts, images, questions)
    chosen = changes(texts, images, questions, max(2, dataset.count // IMAGES_PER_START))
    table, growth, drawn = _follow(dataset, chosen)
    order = np.random.default_rng(dataset.seed).permutation(len(images))
    n = min(max(2, dataset.count // IMAGES_PER_PAIR), len(order) // 2)
    pairs = images[order[:n]], images[order[n : 2 * n]]
    others = _others(dataset, chosen, pairs)
    return Section(
        name="directions",
        question=QUESTION,
        finding=_finding(agreed, table),
        method=(
            f"{len(questions):,} pairs of changes from captions that differ in one word, drawn "
            f"with seed {dataset.seed}, with bootstrap intervals. {len(chosen)} text diffs are "
            f"followed from {len(chosen[0].starts)} images in {STEPS} points, a turn by "
            f"{FRACTION:g} of the angle; an image's neighbours are the {K} nearest of the "
            f"library; chord and arc run between {n} pairs of images."
        ),
        source=SOURCE,
        tables={
            "Is the same change the same direction": agreed,
            "Text diffs from several images": table,
            "What else changes among the neighbours": others,
            **chords.tables(dataset, *pairs),
        },
        figures={
            "How the text diff grows on the way": lines(growth, "t", GROWTH, by="way"),
            **drawn,
        },
    )


def _follow(
    dataset: Dataset, chosen: Sequence[Change]
) -> tuple["pd.DataFrame", "pd.DataFrame", dict[str, Figure]]:
    """Walk every way, on the points and, if there is a decoder, in what it decodes from them."""
    import pandas as pd

    ways = Points.concat([change.way for change in chosen])
    stages, figures = {POINTS: ways}, {}
    if dataset.model.decoder is not None:
        stages[DECODED], images = dataset.seen(ways, keep=len(ways))
        figures["Decodes on the way"] = _strip(chosen, images)
    table, growth, first = [], [], 0
    for change in chosen:
        part = slice(first, first := first + len(change.starts) * STEPS)
        for stage, seen in stages.items():
            table.append((change.name, stage, *followed(seen[part], change.direction)))
            mean = along(seen[part], change.direction).mean(0)
            places = np.linspace(0, 1, STEPS)
            growth += [(f"{change.name}: {stage}", *row) for row in zip(places, mean, strict=True)]
    columns = ["text diff", "of", "paths", "rising steps (share)", "Spearman's ρ"]
    columns += ["consistency (cosine)", "with the text diff (cosine)"]
    return (
        pd.DataFrame(table, columns=columns),
        pd.DataFrame(growth, columns=["way", "t", GROWTH]),
        figures,
    )


def _strip(chosen: Sequence[Change], images: Sequence[Image.Image]) -> Figure:
    """The first path of every change."""
    firsts = np.cumsum([0, *(len(change.starts) * STEPS for change in chosen)])[:-1]
    shown = [images[i + step] for i in firsts for step in range(STEPS)]
    return strip(shown, columns=STEPS, names=[change.name for change in chosen])


def _others(
    dataset: Dataset, chosen: Sequence[Change], pairs: tuple[Points, Points]
) -> "pd.DataFrame":
    """What changes among the neighbours: a row a column, a column a text diff."""
    import pandas as pd

    columns = [name for name in dataset.library.columns if name != dataset.caption]
    ends = {c.name: (c.starts, c.way[STEPS - 1 :: STEPS]) for c in chosen} | {ANY: pairs}
    table = {name: collateral(dataset.library, *both, columns) for name, both in ends.items()}
    return pd.DataFrame({"column": columns, **table})


def _finding(agreed: "pd.DataFrame", table: "pd.DataFrame") -> str:
    told = ", ".join(
        f"{row[SAME_CHANGE]:.2f} between {row['differences of']} (another: {row[ANOTHER]:.2f})"
        for _, row in agreed.iterrows()
    )
    last = table[table["of"] == table["of"].iloc[-1]]
    steady = "; ".join(
        f"{row['text diff']} rises in {100 * row['rising steps (share)']:.0f} % of steps with "
        f"consistency {row['consistency (cosine)']:.2f}"
        for _, row in last.iterrows()
    )
    return (
        f"The same change in two places has a mean cosine of {told}. In {last['of'].iloc[0]}, "
        f"{steady}."
    )

"""Arithmetic: a is to b as c is to what, asked of words, of images, and of words on images.

The questions come from captions: a and b differ in one word, and c and d in the same word.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from analysis.dataset import Absent, Dataset
from analysis.figures import bars, strip
from analysis.questions.contrast import hits
from analysis.section import Section, percent
from explorer.errors import QueryError
from explorer.geometry import analogy, angle, rotate, text_diff
from explorer.points import Points

if TYPE_CHECKING:
    import pandas as pd

Method = Callable[[Points, Points, Points], Points]

QUESTION = "If a is to b as c is to d, does arithmetic on a, b and c find d?"
SOURCE = (
    "Mikolov et al. 2013, “Linguistic regularities in continuous space word representations”; "
    "Ramesh et al. 2022, section 3.3; Linzen 2016, “Issues in evaluating semantic spaces using "
    "word analogies”, for what needs no arithmetic"
)
MAX_CAPTIONS = 20_000  # captions that questions are made from
GALLERY = 2000  # captions and images that answers are looked for among, questions included
TRIALS = 500  # questions
TRIES = 20  # draws for each question before there are taken to be no more
KS = (1, 10)
SAME = 1e-3  # radians; nothing changes between two points that are closer
WORD = re.compile(r"[^\s,:]+")
ALONE, BOTH, SUM, CENTRED = "c alone", "b and c", "3CosAdd", "3CosAdd, mean-centred"
SHOWN = 8

METHODS: Mapping[str, Method] = {
    ALONE: lambda _a, _b, c: c,
    BOTH: lambda _a, b, c: c.with_vectors(b.unit + c.unit),
    SUM: lambda a, b, c: analogy(b, a, c),
    "text diff, added by half": lambda a, b, c: added(c, text_diff(a, b), 0.5),
    "text diff, turned by a quarter": lambda a, b, c: rotate(c, text_diff(a, b), fraction=0.25),
    "text diff, turned by half": lambda a, b, c: rotate(c, text_diff(a, b), fraction=0.5),
}


def added(start: Points, direction: Points, amount: float) -> Points:
    """Add a unit direction to the unit start, `amount` times; the length of start stays.

    It goes along the same great circle as `rotate`, only not equally far: an amount of 1 is a turn
    by half of the angle.

    >>> from explorer.points import Space
    >>> axes = Points(np.eye(2), Space("plane", 2, "0f"), "image")
    >>> added(axes[0], axes[1], 0.75).vectors.round(4).tolist()
    [[0.800000011920929, 0.6000000238418579]]
    """
    total = start.unit + amount * direction.unit
    lengths = start.norms / np.linalg.norm(total, axis=1)
    return start.with_vectors(total * lengths[:, None])


def quadruples(captions: Sequence[str], count: int = TRIALS, seed: int = 0) -> "pd.DataFrame":
    """Draw different questions from distinct captions: places a, b, c, d, and the words exchanged.

    A caption is drawn, one of its words, another word that stands in the same frame, and another
    frame that holds both words. Fewer are found if there are fewer.

    >>> quadruples(["red cat", "blue cat", "red dog", "blue dog"], 100).shape
    (8, 6)
    """
    import pandas as pd

    spots, frames, holding = _frames(captions)
    rng, drawn = np.random.default_rng(seed), {}
    for a in rng.integers(len(captions), size=TRIES * count):
        if not spots[a]:
            continue
        before, frame = spots[a][rng.integers(len(spots[a]))]
        after = list(frames[frame])[rng.integers(len(frames[frame]))]
        shared = np.intersect1d(holding[before], holding[after], assume_unique=True)
        other = frames[rng.choice(shared)]
        places = (int(a), frames[frame][after], other[before], other[after])
        if len(set(places)) == 4:
            drawn[places] = (before, after)
        if len(drawn) == count:
            break
    rows = [(*places, *words) for places, words in drawn.items()]
    return pd.DataFrame(rows, columns=["a", "b", "c", "d", "before", "after"])


def _frames(
    captions: Sequence[str],
) -> tuple[list[list[tuple[str, int]]], list[dict[str, int]], dict[str, list[int]]]:
    """The words of each caption with their frames; which captions fill a frame; a word's frames.

    A frame is a caption with one word blank.
    """
    numbers: dict[str, int] = {}
    frames: list[dict[str, int]] = []
    holding: dict[str, list[int]] = defaultdict(list)
    spots: list[list[tuple[str, int]]] = []
    for place, text in enumerate(captions):
        spots.append([])
        for word in WORD.finditer(text):
            blank = f"{text[: word.start()]}\0{text[word.end() :]}"
            number = numbers.setdefault(blank, len(frames))
            if number == len(frames):
                frames.append({})
            frames[number][word[0]] = place
            holding[word[0]].append(number)
            spots[place].append((word[0], number))
    return spots, frames, holding


def scores(
    method: Method, asked: Points, given: Points, questions: "pd.DataFrame"
) -> Float[np.ndarray, "Q N"]:
    """Cosines of each answer with all that is given; of a, b and c -∞, since they are no answers.

    Args:
        asked: where a and b are.
        given: where c and d are, in the same order as those.
    """
    a, b, c = (questions[name].to_numpy() for name in "abc")
    cosines = method(asked[a], asked[b], given[c]).unit @ given.unit.T
    for places in (a, b, c):
        cosines[np.arange(len(questions)), places] = -np.inf
    return cosines


def compare(asked: Points, given: Points, questions: "pd.DataFrame") -> "pd.DataFrame":
    """How often each method finds d among its k nearest, with a Wilson interval and chance.

    The first two need no arithmetic: they show what nearness gives by itself. Mean-centred means
    that the mean direction of what is asked, and of what is given, is taken away first.

    Raises:
        QueryError: nothing changes between any a and b.
    """
    import pandas as pd

    changed = angle(asked[questions["a"].to_numpy()], asked[questions["b"].to_numpy()]) > SAME
    if not changed.any():
        raise QueryError("Nothing changes between these points: the encoder sees them as one.")
    questions, right = questions[changed], questions["d"].to_numpy()[changed]
    found = {name: scores(method, asked, given, questions) for name, method in METHODS.items()}
    found[CENTRED] = scores(METHODS[SUM], centred(asked), centred(given), questions)
    parts = []
    for name, cosines in found.items():
        table = hits(cosines, right, KS)
        table["chance"] = np.minimum(table["k"] / (len(given) - 3), 1)
        table.insert(0, "method", name)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def centred(points: Points) -> Points:
    """Directions with their mean taken away."""
    return points.with_vectors(points.unit - points.unit.mean(0))


def section(dataset: Dataset) -> Section:
    """Answer it for the captions of a library and for their images."""
    import pandas as pd

    rows, questions = pose(dataset, "Arithmetic")
    images = dataset.library.points(rows)
    texts = dataset.model.encoder.encode_text(list(dataset.captions.loc[rows]))
    settings = {
        "words": (texts, texts),
        "images": (images, images),
        "words on an image": (texts, images),
    }
    tables = {name: compare(*points, questions) for name, points in settings.items()}
    told = pd.concat(tables, names=["asked of"]).reset_index(level=0)
    best = scores(METHODS[SUM], texts, images, questions)
    return Section(
        name="arithmetic",
        question=QUESTION,
        finding=_finding(tables, len(rows)),
        method=(
            f"{len(questions):,} questions from captions that differ in one word, drawn with seed "
            f"{dataset.seed}; answers among {len(rows):,} without a, b and c; 95 % Wilson "
            "intervals. “Words on an image”: a and b are words, c and d images; only one "
            "image of a caption is there."
        ),
        source=SOURCE,
        tables={
            "How often d is found": told.reset_index(drop=True),
            f"Words on an image: answers of {SUM}": _examples(dataset, rows, questions, best),
        },
        figures={
            **{f"Among the {KS[-1]} nearest: {n}": _figure(t) for n, t in tables.items()},
            f"Words on an image, {SUM}": _strip(dataset, rows, questions, best),
        },
    )


def pose(dataset: Dataset, who: str) -> tuple[Int[np.ndarray, " N"], "pd.DataFrame"]:
    """Draw rows of distinct captions, one each, and questions about their places in these rows.

    Args:
        who: asks, for the message.

    Raises:
        Absent: there are no captions, or none that differ in the same word.
    """
    captions = dataset.require_captions(who).drop_duplicates()
    rows = dataset.draw(captions.index.to_numpy(), MAX_CAPTIONS)
    questions = quadruples(list(captions.loc[rows]), TRIALS, dataset.seed)
    if questions.empty:
        raise Absent(
            f"{who} needs captions of which two and two differ in the same word, as “red cat” "
            f"and “blue cat”, “red dog” and “blue dog”; column {dataset.caption!r} has none. "
            "Name another with --caption."
        )
    places = questions[list("abcd")].to_numpy()
    used = np.unique(places)
    rest = dataset.draw(np.setdiff1d(np.arange(len(rows)), used), max(0, GALLERY - len(used)))
    kept = np.union1d(used, rest)
    return rows[kept], questions.assign(
        **dict(zip("abcd", np.searchsorted(kept, places).T, strict=True))
    )


def _finding(tables: Mapping[str, "pd.DataFrame"], n: int) -> str:
    told = []
    for name, table in tables.items():
        first = table[table["k"] == KS[0]].set_index("method")
        best = first.drop([ALONE, BOTH]).nlargest(1, "found").iloc[0]
        told.append(
            f"{name}: {percent(best['found'], best['n'])} by {best.name}, "
            f"{100 * first['share'][BOTH]:.3g} % by b and c without arithmetic"
        )
    return f"First of {n - 3:,} is d, asked of {'; '.join(told)}. Chance is {1 / (n - 3):.2g}."


def _examples(
    dataset: Dataset,
    rows: Int[np.ndarray, " N"],
    questions: "pd.DataFrame",
    cosines: Float[np.ndarray, "Q N"],
) -> "pd.DataFrame":
    """Each question in words, what is nearest to its answer, and the rank of d."""
    import pandas as pd

    names = np.array(dataset.names(rows), dtype=object)
    own = cosines[np.arange(len(questions)), questions["d"].to_numpy()]
    told = {name: names[questions[name].to_numpy()] for name in "abcd"}
    told |= {"found": names[cosines.argmax(1)], "rank of d": 1 + (cosines > own[:, None]).sum(1)}
    return pd.DataFrame(told)


def _strip(
    dataset: Dataset,
    rows: Int[np.ndarray, " N"],
    questions: "pd.DataFrame",
    cosines: Float[np.ndarray, "Q N"],
) -> Figure:
    """The first questions: c, what was found, and d."""
    asked = questions.head(SHOWN)
    found = rows[cosines[:SHOWN].argmax(1)]
    shown = [rows[asked["c"]], found, rows[asked["d"]]]
    exchanged = [f"{b} → {a}" for b, a in zip(asked["before"], asked["after"], strict=True)]
    labels = [*exchanged, *dataset.names(found), *dataset.names(shown[2])]
    images = dataset.images(np.concatenate(shown))
    return strip(images, labels, columns=len(asked), names=("c", "found", "d"))


def _figure(table: "pd.DataFrame") -> Figure:
    last = table[table["k"] == KS[-1]]
    level = (float(last["chance"].iloc[0]), "chance")
    return bars(last, "method", "share", interval=("low (95 %)", "high (95 %)"), level=level)

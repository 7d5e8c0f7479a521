"""Concepts: how much of an image few words keep, what groups are in words, and editing by words.

The nouns are in `vocabulary`, `sparse` and, for features that no words were given for,
`autoencoder`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from analysis import autoencoder
from analysis.dataset import Dataset
from analysis.figures import lines, strip
from analysis.questions.contrast import class_columns
from analysis.questions.neighbours import medoids
from analysis.section import Section
from analysis.sparse import Concepts, decompose, name
from analysis.vocabulary import Vocabulary, words_of
from explorer.errors import QueryError
from explorer.features import Features
from explorer.features.words import PENALTY, unit
from explorer.metrics import bootstrap, cosines
from explorer.points import Points

if TYPE_CHECKING:
    import pandas as pd

QUESTION = "Which words make up an image, and does it follow when they are exchanged?"
SOURCE = (
    "Bhalla et al. 2024, “Interpreting CLIP with sparse linear concept embeddings (SpLiCE)”; "
    "Gao et al. 2024 and Bussmann et al. 2025 for the learnt features"
)
PENALTIES = (0.05, 0.1, 0.2, 0.3, 0.4)
MAX_IMAGES = 2000  # images that means are taken of
CAPTIONS = 100_000  # that the vocabulary is made from
IMAGES_PER_EDIT = 25  # of `count`, for each image that is edited and decoded
IMAGES_PER_TURN = 8  # of `count`, for each image of which a learnt feature is turned
SHOWN = 8
FEWEST = 12  # images
WORDS, KEPT = "words an image", "cosine with the image"
INTERVAL = ("low (95 %)", "high (95 %)")


def fidelity(
    points: Points, vocabulary: Vocabulary, penalties: Sequence[float] = PENALTIES, seed: int = 0
) -> "pd.DataFrame":
    """How much of points a few words keep: cosine of the recomposed with the original.

    The last row has no words: the mean direction stands for every point.
    """
    import pandas as pd

    table = []
    for penalty in penalties:
        told = decompose(points, vocabulary, penalty)
        kept = cosines(told.recompose(), points)
        count = float((told.weights > 0).sum(1).mean())
        table.append((penalty, len(points), count, kept.mean(), *bootstrap(kept, seed=seed)))
    middle = vocabulary.middle_of(points)
    bare = points.unit @ (middle / np.linalg.norm(middle))
    table.append((np.inf, len(points), 0.0, bare.mean(), *bootstrap(bare, seed=seed)))
    return pd.DataFrame(table, columns=["penalty", "n", WORDS, KEPT, *INTERVAL])


def groups(
    points: Points, classes: "pd.DataFrame", vocabulary: Vocabulary, seed: int = 0
) -> "pd.DataFrame":
    """What groups of images are in words: every value of the columns, and clusters.

    Args:
        classes: of each point, a value or nothing in each column.
    """
    import pandas as pd

    centres = points.unit[medoids(points, seed=seed)["place"].to_numpy()]
    cluster = (points.unit @ centres.T).argmax(1) + 1
    table = []
    for column, values in classes.assign(cluster=cluster).items():
        for value in values.value_counts().index:
            rows = np.flatnonzero(values == value)
            leads = points.unit[rows].mean(0) - vocabulary.middle
            table.append((column, value, len(rows), *name(leads[None], vocabulary)))
    return pd.DataFrame(table, columns=["column", "value", "n", "in words"])


def section(dataset: Dataset) -> Section:
    """Answer it for a library, in the words of its captions."""
    captions = dataset.require_captions("Concepts")
    sample, rows = dataset.points(MAX_IMAGES)
    if len(rows) < FEWEST:
        raise QueryError(f"Concepts need {FEWEST} images or more, not {len(rows)}.")
    texts = captions.loc[dataset.draw(captions.index.to_numpy(), CAPTIONS)]
    vocabulary = Vocabulary.of(dataset.model.encoder, words_of(list(texts)), sample)
    order = np.random.default_rng(dataset.seed).permutation(len(rows))[: dataset.count]
    told, named = decompose(sample[order], vocabulary), rows[order]
    kept = fidelity(sample[order], vocabulary, seed=dataset.seed)
    columns = class_columns(dataset.library.rows, dataset.library.columns)
    known = groups(sample, dataset.library.rows.loc[rows, columns], vocabulary, dataset.seed)
    learnt, features = autoencoder.tables(sample, vocabulary, dataset.seed)
    edited, figures, said = _edited(dataset, told)
    return Section(
        name="concepts",
        question=QUESTION,
        finding=_finding(kept, learnt, said),
        method=(
            f"{len(vocabulary.words):,} words and pairs of words of the captions; {len(named)} "
            f"images drawn with seed {dataset.seed}; means, groups, features of {len(sample):,}; "
            f"bootstrap intervals. A penalty of {PENALTY:g} where no other is named."
        ),
        source=SOURCE,
        tables={
            "How much words keep": kept,
            "Images in words": _told(told, dataset.names(named)),
            "Groups in words": known,
            **edited,
            **_survival(dataset, sample),
            "How much learnt features keep": learnt,
            "Learnt features": features,
        },
        figures={
            "Images in words": _strip(told, dataset.images(named[:SHOWN])),
            "How much words keep": lines(kept, WORDS, KEPT, band=INTERVAL),
            **figures,
        },
    )


def _strip(told: Concepts, images: Sequence[Image.Image]) -> Figure:
    return strip(images, [", ".join(told.words(i, 3)) for i in range(len(images))])


def _told(told: Concepts, names: Sequence[str]) -> "pd.DataFrame":
    import pandas as pd

    words = [
        ", ".join(f"{word} {weight:.2f}" for word, weight in told.words(i).items())
        for i in range(len(names))
    ]
    return pd.DataFrame({"image": names, "in words (weight)": words})


def exchanges(told: Concepts) -> tuple[list[tuple[str, str]], Points]:
    """Give each image the next one's heaviest word, twice as heavy, for its own.

    Gives the pairs of words, and the points recomposed of words alone.

    Args:
        told: images that have a word.
    """
    tops = [next(iter(told.words(i, 1).items())) for i in range(len(told.points))]
    pairs, made = [], []
    for i, (old, weight) in enumerate(tops):
        new, _ = tops[(i + 1) % len(tops)]
        pairs.append((old, new))
        made.append(told[[i]].edit({old: 0, new: 2 * weight}).recompose())
    return pairs, Points.concat(made)


def _edited(
    dataset: Dataset, told: Concepts
) -> tuple[dict[str, "pd.DataFrame"], dict[str, Figure], str]:
    """Exchange a word in some images and decode them, if there is a decoder."""
    if dataset.model.decoder is None:
        return {}, {}, f"{dataset.model.name} has no decoder to show an exchange of words."
    some = np.flatnonzero(told.weights.any(1))[: max(2, dataset.count // IMAGES_PER_EDIT)]
    if not len(some):
        return {}, {}, "No image has a word to exchange."
    told = told[some]
    pairs, changed = exchanges(told)
    rows = {"decoded": told.points, "words alone": told.recompose(), "one word exchanged": changed}
    seen, images = dataset.seen(Points.concat([*rows.values()]), keep=len(rows) * len(some))
    table = _followed(seen[len(some) :], pairs, told.vocabulary)
    gain = (table["new word, after"] - table["new word, before"]).to_numpy()
    low, high = bootstrap(gain, seed=dataset.seed)
    labels = [*[""] * (2 * len(some)), *(f"{old} → {new}" for old, new in pairs)]
    figure = strip(images, labels, columns=len(some), names=list(rows))
    said = (
        f"Where a word is exchanged, the cosine of the decode with the new one grows by "
        f"{gain.mean():.2f} ({low:.2f} to {high:.2f})."
    )
    return {"Decodes: cosines with the words": table}, {"A word exchanged": figure}, said


def _survival(dataset: Dataset, points: Points) -> dict[str, "pd.DataFrame"]:
    """Turn learnt features of some images and decode them, if there is a decoder."""
    if dataset.model.decoder is None:
        return {}
    some = np.random.default_rng(dataset.seed).permutation(len(points))
    some = some[: max(8, dataset.count // IMAGES_PER_TURN)]
    features = Features.fit(points, seed=dataset.seed)
    table = autoencoder.survival(lambda p: dataset.seen(p)[0], features, points[some], dataset.seed)
    return {"Learnt features turned up, decoded and seen": table}


def _followed(
    seen: Points, pairs: Sequence[tuple[str, str]], vocabulary: Vocabulary
) -> "pd.DataFrame":
    """Cosines of what is seen before the exchange, then after it, with both words of a pair."""
    import pandas as pd

    apart = unit(seen.unit - vocabulary.middle)
    table = []
    for place, pair in enumerate(pairs):
        words = vocabulary.dictionary[[vocabulary.place(word) for word in pair]]
        table.append((*pair, *(apart[place :: len(pairs)] @ words.T).ravel()))
    columns = ["old word", "new word"]
    columns += [f"{word}, {when}" for when in ("before", "after") for word in columns]
    return pd.DataFrame(table, columns=columns)


def _finding(kept: "pd.DataFrame", learnt: "pd.DataFrame", said: str) -> str:
    row = kept[kept["penalty"] == PENALTY].iloc[0]
    last = learnt.iloc[-1]
    return (
        f"{row[WORDS]:.1f} words an image keep a cosine of {row[KEPT]:.2f} with it, no words "
        f"{kept[KEPT].iloc[-1]:.2f}. {said} {last['features an image']:.1f} features that the "
        f"library itself teaches keep {last['cosine from the middle']:.2f}, measured from the mean."
    )

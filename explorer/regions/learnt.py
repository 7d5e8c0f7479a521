"""The features that a library teaches, with the words that tell them; fitted once."""

import hashlib
from collections.abc import Generator, Sequence
from contextlib import suppress

import numpy as np
from jaxtyping import Int

from explorer.errors import DiskError, QueryError, WeightsMissing
from explorer.features import Features
from explorer.features.learning import exhausted
from explorer.library import Library
from explorer.regions import names_by_scores, tested_auc, word_scores

COUNT, ACTIVE, STEPS = 128, 8, 800  # the same in every entrance, which share what is kept
MIN_ROWS = 128
STRONG = 1.5  # times the usual activation, from which an image speaks for a feature
MAX_ROWS = 50_000  # that features are fitted to; more are sampled
MAX_TOLD_ROWS = 500  # that words are taken together for, some 10 ms each
MAX_NAMED_ROWS = 20_000  # that names are chosen and tested on
STRONGEST = 16  # images of a feature, which its name must tell too


def library_features(
    library: Library,
    *,
    count: int = COUNT,
    active: int = ACTIVE,
    steps: int = STEPS,
    seed: int = 0,
    words: Sequence[str] = (),
) -> Features:
    """Fit features to a library's images, and name them; both are kept in its cache.

    A feature is named by the word that tells the images in which it is strong from those of the
    other features, on images that did not choose the word, as `name_regions` does, and the (at
    most 16) images in which it is strongest from all others; else it has no name.

    Args:
        count: of features.
        active: how many of them a point may have.
        words: take these for features, and learn none; see `Features.of_words`.

    Raises:
        QueryError: fewer than 128 images and no words, or fewer than two words that differ.
        SideMismatch: the library holds text-side points.

    >>> import explorer as ex
    >>> features = ex.library_features(ex.sample_library())  # doctest: +SKIP
    >>> len(features)  # doctest: +SKIP
    128
    """
    return exhausted(
        learning_features(library, count=count, active=active, steps=steps, seed=seed, words=words)
    )


def learning_features(
    library: Library,
    *,
    count: int = COUNT,
    active: int = ACTIVE,
    steps: int = STEPS,
    seed: int = 0,
    words: Sequence[str] = (),
) -> Generator[None, None, Features]:
    """Do what `library_features` does, and yield after every 50 steps."""
    told = hashlib.sha256("\n".join(words).encode()).hexdigest()[:16] if words else ""
    key = f"{library.cache_key}-{told or f'{count}-{active}-{steps}'}-{seed}"
    folder = library.cache_folder / "features"
    with suppress(WeightsMissing):
        known = Features.load(folder)
        if known.made_from == key and known.space == library.space:
            return known
    if words:
        features = _of_words(library, words, seed)
    else:
        features = yield from _fitted(library, count, active, steps, seed)
    features = features.of_key(key)
    with suppress(DiskError):  # a cache: what the disk refuses is fitted again
        features.save(folder)
    return features


def _of_words(library: Library, words: Sequence[str], seed: int) -> Features:
    points = library.points(_drawn(library, MAX_TOLD_ROWS, seed))
    return Features.of_words(library.encoder.encode_text(list(words)), points)


def _fitted(
    library: Library, count: int, active: int, steps: int, seed: int
) -> Generator[None, None, Features]:
    if len(library) < MIN_ROWS:
        raise QueryError(
            f"Features need {MIN_ROWS} images or more, and {library.folder} has {len(library)}. "
            "Index more images, or give words."
        )
    points = library.points(_drawn(library, MAX_ROWS, seed))
    features = yield from Features.fitting(points, count, active, steps=steps, seed=seed)
    return features.with_names(_names(library, features, seed))


def _drawn(library: Library, most: int, seed: int) -> Int[np.ndarray, " K"]:
    return np.sort(np.random.default_rng(seed).permutation(len(library))[:most])


def _names(library: Library, features: Features, seed: int) -> list[str]:
    """Return the words of each feature, "" where none tells its images from the others."""
    rows = _drawn(library, MAX_NAMED_ROWS, seed)
    activations = features.of(library.points(rows))
    relative = activations / np.maximum(features.usual, 1e-12)
    strong = relative.max(1) > STRONG
    leading, codes = np.unique(relative.argmax(1)[strong], return_inverse=True)
    names = [""] * len(features)
    if len(leading) < 2:
        return names
    scores, words, least = word_scores(library, rows)
    found = names_by_scores(scores[strong], words, codes, len(leading), least)
    for place, name in zip(leading, found, strict=True):
        strongest = np.argsort(-activations[:, place], kind="stable")[:STRONGEST]
        inside = np.isin(np.arange(len(rows)), strongest) & (relative[:, place] > STRONG)
        if name and tested_auc(scores[:, words.index(name.words)], inside, least):
            names[place] = name.words
    return names

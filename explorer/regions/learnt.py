"""The features that a library teaches, with the words that tell them; fitted once."""

from contextlib import suppress

import numpy as np

from explorer.errors import DiskError, QueryError, WeightsMissing
from explorer.features import Features
from explorer.library import Library
from explorer.regions import names_by_scores, tested_auc, word_scores

MIN_ROWS = 128
STRONG = 1.5  # times the usual activation, from which an image speaks for a feature
MAX_ROWS = 50_000  # that features are fitted to; more are sampled
MAX_NAMED_ROWS = 20_000  # that names are chosen and tested on
STRONGEST = 16  # images of a feature, which its name must tell too


def library_features(
    library: Library, *, count: int = 128, active: int = 8, steps: int = 800, seed: int = 0
) -> Features:
    """Fit features to a library's images, and name them; both are kept in its cache.

    A feature is named by the word that tells the images in which it is strong from those of the
    other features, on images that did not choose the word, as `name_regions` does; if the word
    also tells the 16 images in which it is strongest, or fewer, from all others. Else it has no
    name.

    Args:
        count: of features.
        active: how many of them a point may have.

    Raises:
        QueryError: fewer than 128 images.
        SideMismatch: the library holds text-side points.

    >>> import explorer as ex
    >>> features = ex.library_features(ex.sample_library())  # doctest: +SKIP
    >>> len(features)  # doctest: +SKIP
    128
    """
    if len(library) < MIN_ROWS:
        raise QueryError(
            f"Features need {MIN_ROWS} images or more, and {library.folder} has {len(library)}. "
            "Index more images."
        )
    key = f"{library.cache_key}-{count}-{active}-{steps}-{seed}"
    folder = library.cache_folder / "features"
    with suppress(WeightsMissing):
        known = Features.load(folder)
        if known.made_from == key and known.space == library.space:
            return known
    rows = np.sort(np.random.default_rng(seed).permutation(len(library))[:MAX_ROWS])
    points = library.points(rows)
    features = Features.fit(points, count, active, steps=steps, seed=seed)
    features = features.with_names(_names(library, features, seed)).of_key(key)
    with suppress(DiskError):  # a cache: what the disk refuses is fitted again
        features.save(folder)
    return features


def _names(library: Library, features: Features, seed: int) -> list[str]:
    """Return the words of each feature, "" where none tells its images from the others."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(library))[:MAX_NAMED_ROWS])
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

"""The features that a library teaches, with the words that tell them; fitted once."""

from contextlib import suppress

import numpy as np

from explorer.errors import DiskError, QueryError, WeightsMissing
from explorer.features import Features
from explorer.library import Library
from explorer.regions import region_names

MIN_ROWS = 128
STRONG = 1.5  # times the usual activation, from which an image speaks for a feature
MAX_ROWS = 50_000  # that features are fitted to; more are sampled


def library_features(
    library: Library, *, count: int = 128, active: int = 8, steps: int = 800, seed: int = 0
) -> Features:
    """Fit features to a library's images, and name them; both are kept in its cache.

    A feature is named by the word that tells the images in which it is strong from those of the
    other features, on images that did not choose the word, as `name_regions` does; else it has no
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
    features = features.with_names(_names(library, features)).of_key(key)
    with suppress(DiskError):  # a cache: what the disk refuses is fitted again
        features.save(folder)
    return features


def _names(library: Library, features: Features) -> list[str]:
    """Return the words of each feature, "" where none tells its images from the others."""
    relative = features.of(library.points()) / np.maximum(features.usual, 1e-12)
    strongest, most = relative.argmax(1), relative.max(1)
    labels = [int(i) if m > STRONG else None for i, m in zip(strongest, most, strict=True)]
    if len({label for label in labels if label is not None}) < 2:
        return [""] * len(features)
    found = region_names(library, np.array(labels, dtype=object))
    named = {int(str(label)): name.words for label, name in found.items() if name}
    return [named.get(i, "") for i in range(len(features))]

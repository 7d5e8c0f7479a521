"""Groups of a library's images: near duplicates, clusters, and what a few examples have in common.

All three work on unit vectors, and give the same result whenever they are asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fsencode, path

import numpy as np
from jaxtyping import Bool, Float, Int

from explorer.errors import QueryError
from explorer.index import Index
from explorer.library import Library

NEIGHBOURS = 32  # of each image that may be its duplicates; identical files are any number
DEVIATIONS = 4.0  # of log distances below their median: nearer than that is no chance
LEAST_DISTANCE = 1e-6  # 1 - cosine; float32 tells no smaller ones
MOST_DISTANCE = 0.05  # farther apart, images are not called duplicates
USUAL_COSINE = 0.995  # with too few images to see what is usual
MIN_IMAGES = 30
MAX_FITTED = 10_000  # images that clusters are fitted on; all are assigned
CLUSTERS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
MIN_CLUSTER_IMAGES = 10  # on average
MAX_FOLDS = 100


@dataclass(frozen=True)
class Duplicates:
    """One image to keep, and others that are nearly the same; rows of the library.

    Args:
        cosines: of each of `others` with the one to keep.
    """

    keep: int
    others: tuple[int, ...]
    cosines: tuple[float, ...]


def find_duplicates(library: Library, threshold: float | None = None) -> list[Duplicates]:
    """Find images that are nearly the same, in groups, the largest group first.

    Of each group, the image of most pixels is kept, then of most bytes, then the first. Every other
    image of it has at least the threshold's cosine with that one, or is the same file.

    Args:
        threshold: the least cosine; None finds it from the library, see `duplicate_threshold`.

    Raises:
        QueryError: the threshold is not within 0 to 1.

    >>> import explorer as ex
    >>> ex.find_duplicates(ex.sample_library(), threshold=1.0)  # doctest: +SKIP
    []
    """
    if threshold is not None and not 0 < threshold <= 1:
        raise QueryError(f"The threshold is a cosine above 0 and up to 1, not {threshold}.")
    if len(library) < 2:
        return []
    unit = library.points().unit.astype(np.float32)
    firsts, content = _by_content(library)
    distinct = unit[firsts]
    cosines, near = Index(distinct, distinct.shape[1]).search(distinct, NEIGHBOURS + 1)
    least = _threshold(_nearest(cosines, near)) if threshold is None else threshold
    grouped: dict[int, dict[int, float]] = {}
    taken: set[int] = set()
    for at in _best_first(library, firsts):
        if at in taken:
            continue
        own = {int(a): float(c) for a, c in zip(near[at], cosines[at], strict=True)}
        own = {a: c for a, c in own.items() if c >= least and a not in taken}
        grouped[at] = own | {at: 1.0}
        taken |= {at, *own}
    groups = [_group(int(firsts[at]), own, content) for at, own in grouped.items()]
    return sorted(
        (group for group in groups if group.others), key=lambda g: (-len(g.others), g.keep)
    )


def duplicate_threshold(library: Library) -> float:
    """Return the cosine from which two images of this library are taken for duplicates.

    It is found from the distances (1 - cosine) of all images to their nearest: 4 robust standard
    deviations below the median of their logarithms, between 0.95 and 0.999999.

    Source: Leys et al. 2013 for the median absolute deviation.
    """
    if len(library) < 2:
        return USUAL_COSINE
    unit = library.points().unit.astype(np.float32)[_by_content(library)[0]]
    return _threshold(_nearest(*Index(unit, unit.shape[1]).search(unit, NEIGHBOURS + 1)))


def _by_content(library: Library) -> tuple[Int[np.ndarray, " M"], list[list[int]]]:
    """Return the first row of each file content, and all rows of it."""
    rows: dict[str, list[int]] = {}
    for row, digest in enumerate(library.rows["sha256"]):
        rows.setdefault(digest or f"row {row}", []).append(row)
    return np.array([own[0] for own in rows.values()]), list(rows.values())


def _nearest(
    cosines: Float[np.ndarray, "N K"], near: Int[np.ndarray, "N K"]
) -> Float[np.ndarray, " N"]:
    """Return the cosine of each image with its nearest other."""
    itself = near == np.arange(len(near))[:, None]
    return np.where(itself, -1, cosines).max(axis=1)


def _threshold(nearest: Float[np.ndarray, " N"]) -> float:
    if len(nearest) < MIN_IMAGES:
        return USUAL_COSINE
    logs = np.log(np.maximum(1 - nearest.astype(np.float64), LEAST_DISTANCE))
    middle = np.median(logs)
    deviation = 1.4826 * np.median(np.abs(logs - middle))
    distance = np.exp(middle - DEVIATIONS * deviation)
    return float(1 - np.clip(distance, LEAST_DISTANCE, MOST_DISTANCE))


def _best_first(library: Library, firsts: Int[np.ndarray, " M"]) -> list[int]:
    rows = library.rows.iloc[firsts]
    pixels = (rows["width"] * rows["height"]).to_numpy()
    return np.lexsort((firsts, -rows["size"].to_numpy(), -pixels)).tolist()


def _group(keep: int, own: dict[int, float], content: list[list[int]]) -> Duplicates:
    others = {row: cosine for at, cosine in own.items() for row in content[at] if row != keep}
    ordered = sorted(others, key=lambda row: (-others[row], row))
    return Duplicates(keep, tuple(ordered), tuple(min(1.0, others[row]) for row in ordered))


def cluster(library: Library, count: int | None = None, *, seed: int = 0) -> Int[np.ndarray, " N"]:
    """Group all images by k-means on unit vectors; return each row's cluster, 0 the largest.

    Args:
        count: of clusters; None takes the one of 2 to 48 with the best silhouette.

    Raises:
        QueryError: fewer images than clusters, or fewer than two clusters.

    Source: Rousseeuw 1987 for the silhouette. HDBSCAN left 70 to 86 % of the sample library's
    images without a cluster.

    >>> import explorer as ex
    >>> labels = ex.cluster(ex.sample_library(), 8)  # doctest: +SKIP
    >>> len(labels) == len(ex.sample_library()), int(labels.max())  # doctest: +SKIP
    (True, 7)
    """
    size = len(library)
    if size < 2 or (count is not None and not 2 <= count <= size):
        raise QueryError(
            f"{size:,} images cannot be put into {count or 2} clusters: choose from 2 up to the "
            "number of images."
        )
    unit = library.points().unit.astype(np.float32)
    sample = np.arange(size)
    if size > MAX_FITTED:
        sample = np.sort(np.random.default_rng(seed).choice(size, MAX_FITTED, replace=False))
    centres = _centres(unit[sample], count or _best_count(unit[sample], seed), seed)
    labels = (unit @ centres.T - (centres**2).sum(axis=1) / 2).argmax(axis=1)
    order = np.argsort(-np.bincount(labels, minlength=len(centres)), kind="stable")
    return np.argsort(order)[labels]


def _centres(unit: Float[np.ndarray, "N D"], count: int, seed: int) -> Float[np.ndarray, "K D"]:
    from sklearn.cluster import KMeans

    return KMeans(count, n_init=4, random_state=seed).fit(unit).cluster_centers_


def _best_count(unit: Float[np.ndarray, "N D"], seed: int) -> int:
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    fits = [k for k in CLUSTERS if k * MIN_CLUSTER_IMAGES <= len(unit)] or [2]
    if len(fits) == 1:
        return fits[0]
    random = np.random.default_rng(seed)
    unit = unit[random.permutation(len(unit))[:2000]]
    found = {k: KMeans(k, n_init=2, random_state=seed).fit_predict(unit) for k in fits}
    scores = {k: silhouette_score(unit, own) for k, own in found.items() if len(set(own)) > 1}
    return max(scores, key=lambda k: scores[k], default=2)


@dataclass(frozen=True, eq=False)
class Probe:
    """How much each image is like the positive examples and unlike the negative ones.

    Args:
        scores: one a row, 0 to 1.
        accuracy: mean of the shares of positive and of negative examples that are told rightly
            when left out of the fit; 0.5 is chance.
        folds: fits that this took; as many as examples if each was left out alone.
    """

    scores: Float[np.ndarray, " N"]
    accuracy: float
    folds: int


Examples = Sequence[int | str | PathLike[str]]


def probe(library: Library, positive: Examples, negative: Examples) -> Probe:
    """Fit a linear probe to examples, and score every image of the library by it.

    It is a logistic regression on unit vectors, with both classes weighted alike. Each example is
    left out once to see whether the others tell it; of over 100 examples, in at most 100 parts.

    Args:
        positive, negative: rows, or image files, in the library or not; two of each or more.

    Raises:
        QueryError: fewer than two of each, or one that is both.
        ImageError: a file cannot be read.

    >>> import explorer as ex
    >>> library = ex.sample_library()  # doctest: +SKIP
    >>> found = ex.probe(library, positive=[0, 1, 2], negative=[100, 200, 300])  # doctest: +SKIP
    >>> found.scores.shape == (len(library),), found.folds  # doctest: +SKIP
    (True, 6)
    """
    if min(len(positive), len(negative)) < 2:
        raise QueryError(
            f"A probe needs two positive and two negative examples at least; there are "
            f"{len(positive)} and {len(negative)}."
        )
    if both := set(map(str, positive)) & set(map(str, negative)):
        raise QueryError(f"{min(both)} is a positive and a negative example: choose one.")
    unit = np.concatenate([_units(library, positive), _units(library, negative)])
    truth = np.arange(len(unit)) < len(positive)
    return _fitted(unit, truth, library.points().unit)


def _fitted(
    unit: Float[np.ndarray, "E D"], truth: Bool[np.ndarray, " E"], all_units: np.ndarray
) -> Probe:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import LeaveOneOut, StratifiedKFold, cross_val_predict

    model = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)
    few = len(unit) <= MAX_FOLDS
    folds = len(unit) if few else min(MAX_FOLDS, int(min(truth.sum(), (~truth).sum())))
    split = LeaveOneOut() if few else StratifiedKFold(folds)
    guessed = cross_val_predict(model, unit, truth, cv=split)
    accuracy = (guessed[truth].mean() + (~guessed[~truth]).mean()) / 2
    scores = model.fit(unit, truth).predict_proba(all_units)[:, 1]
    return Probe(scores, float(accuracy), folds)


def _units(library: Library, examples: Examples) -> Float[np.ndarray, "N D"]:
    """Return unit vectors of rows and files; a file of the library is not embedded again."""
    known = {name: row for row, name in enumerate(library.rows["path"])}
    units = []
    for example in examples:
        if isinstance(example, int | np.integer):
            units.append(library.points([int(example)]).unit)
        elif (row := known.get(fsencode(path.abspath(example)))) is not None:
            units.append(library.points([row]).unit)
        else:
            units.append(library.encoder.encode_images(example).unit)
    return np.concatenate(units)

"""From points to places: few on their principal axes, more by UMAP, many from landmarks on."""

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from explorer.index import Index
from explorer.points import Points

TRANSFORM_NEIGHBOURS = 15  # in the space, for the coordinates of a new point
MIN_UMAP_POINTS = 6  # fewer points are projected on their two principal axes
MAX_WHOLE_POINTS = 30_000  # more are fitted from landmarks on
LANDMARKS = 20_000
MANY_POINTS = 10_000  # of which UMAP itself takes 200 epochs, and 500 of fewer
MANY_EPOCHS = 100  # trustworthiness 0.9928 beside 0.9933 after 200, of 20,000 points
LISTS = 256  # around centres, of many points that are searched
PROBED = 8  # lists of those that are searched for each point
GRAPH_PROBED = 16  # the same for UMAP's graph of neighbours
SAMPLED = 40  # points of each list from which the centres are learnt
ROUNDS = 5  # of k-means
FEW_POINTS = 8192  # up to which all are compared
FEW_QUERIES = 1000  # for which lists of landmarks are not worth making
CHUNK = 16_384  # points that are placed at once


@dataclass(frozen=True)
class Parameters:
    """What a map is fitted with, as `Projection.fit` explains."""

    neighbours: int = 15
    min_dist: float = 0.1
    seed: int = 0
    epochs: int | None = None


@dataclass(frozen=True, eq=False)
class Placer:
    """Gives unit vectors the mean places of what is near to them on a map; it can be pickled."""

    near: "Index | Lists"
    xy: Float[np.ndarray, "N 2"]

    def __call__(self, unit: Float[np.ndarray, "M D"]) -> Float[np.ndarray, "M 2"]:
        return among(self.xy, *self.near.search(unit, TRANSFORM_NEIGHBOURS))


Placing = Callable[[Placer, Iterable[np.ndarray]], Iterable[np.ndarray]]
"""Has parts of unit vectors placed, and gives their places in order, as `map` does here."""


def fit_places(
    points: Points, parameters: Parameters, placing: Placing = map
) -> Float[np.ndarray, "N 2"]:
    """Return the places of points on a map."""
    n = len(points)
    if n < MIN_UMAP_POINTS:
        return _principal_axes(points.unit)
    if n <= MAX_WHOLE_POINTS:
        return _umap(points, np.arange(n), parameters)
    chosen = np.sort(np.random.default_rng(parameters.seed).choice(n, LANDMARKS, replace=False))
    places = np.zeros((n, 2), np.float32)
    places[chosen] = _umap(points, chosen, parameters)
    others = np.delete(np.arange(n), chosen)
    placer = Placer(Lists(points, chosen), places[chosen])
    parts = np.array_split(others, -(-len(others) // CHUNK))
    places[others] = np.concatenate(list(placing(placer, (_unit(points, rows) for rows in parts))))
    return places


def place_among(
    points: Points,
    old: Int[np.ndarray, " N"],
    xy: Float[np.ndarray, "N 2"],
    new: Int[np.ndarray, " M"],
    placing: Placing = map,
) -> Float[np.ndarray, "M 2"]:
    """Return places of new rows of points among old ones, which lie at `xy` and stay there.

    Of more than 30,000 old points, a random 20,000 are looked at, as when a map is fitted.
    """
    if len(old) > MAX_WHOLE_POINTS:
        chosen = np.sort(np.random.default_rng(0).choice(len(old), LANDMARKS, replace=False))
        old, xy = old[chosen], xy[chosen]
    near = exact(points, old) if len(new) <= FEW_QUERIES else searched(points, old)
    return np.concatenate(list(placing(Placer(near, xy), _unit_parts(points, new))))


def among(
    xy: Float[np.ndarray, "N 2"],
    cosines: Float[np.ndarray, "M K"],
    rows: Int[np.ndarray, "M K"],
) -> Float[np.ndarray, "M 2"]:
    """Return the mean places of the half of the neighbours that is nearest to their median.

    The median stays in one cluster where the mean falls between two; the mean of what is there
    keeps points apart, which share few coordinates then.
    """
    middle = median_places(xy, cosines, rows)
    apart = np.linalg.norm(xy[rows] - middle[:, None], axis=2)
    weights = _weights(cosines) * (apart <= np.median(apart, axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("mk,mkd->md", weights, xy[rows]).astype(np.float32)


def median_places(
    xy: Float[np.ndarray, "N 2"],
    cosines: Float[np.ndarray, "M K"],
    rows: Int[np.ndarray, "M K"],
) -> Float[np.ndarray, "M 2"]:
    """Return the weighted median places of neighbours; the weights are 1 / distance²."""
    weights = _weights(cosines)
    return np.stack([_weighted_median(axis[rows], weights) for axis in xy.T], axis=1)


def _weights(cosines: Float[np.ndarray, "M K"]) -> Float[np.ndarray, "M K"]:
    return 1 / np.maximum(2 - 2 * cosines.astype(np.float64), 1e-6)


def _weighted_median(
    values: Float[np.ndarray, "N K"], weights: Float[np.ndarray, "N K"]
) -> Float[np.ndarray, " N"]:
    """Return the weighted median of each row, the lower one of two."""
    order = np.argsort(values, axis=1)
    below = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    middle = (below >= below[:, -1:] / 2).argmax(axis=1)
    return np.take_along_axis(values, order, axis=1)[np.arange(len(values)), middle]


def searched(
    points: Points, rows: Int[np.ndarray, " N"] | None = None, probed: int = PROBED
) -> "Index | Lists":
    """Return directions of points, or of some rows, to be searched: many in lists."""
    rows = np.arange(len(points)) if rows is None else rows
    return exact(points, rows) if len(rows) <= FEW_POINTS else Lists(points, rows, probed)


def exact(points: Points, rows: Int[np.ndarray, " N"]) -> Index:
    """Return directions of rows to be searched by comparing all."""
    return Index(_unit_parts(points, rows), points.space.dimension)


class Lists:
    """Directions of N rows of points in FAISS's inverted lists, which find nearly all of the near.

    A direction that is among them is found at once: it lies in the nearest list.
    """

    def __init__(self, points: Points, rows: Int[np.ndarray, " N"], probed: int = PROBED) -> None:
        import faiss

        dimension, lists = points.space.dimension, min(LISTS, len(rows))
        centres = faiss.IndexFlatIP(dimension)
        self._index = faiss.IndexIVFFlat(centres, dimension, lists, faiss.METRIC_INNER_PRODUCT)
        self._centres = centres  # the index does not own it
        settings = self._index.cp
        settings.niter, settings.spherical, settings.min_points_per_centroid = ROUNDS, True, 1
        sample = np.random.default_rng(0).permutation(len(rows))[: SAMPLED * lists]
        self._index.train(_unit(points, rows[np.sort(sample)]))
        for part in _unit_parts(points, rows):
            self._index.add(part)
        self._index.nprobe = probed

    def search(
        self, queries: Float[np.ndarray, "M D"], k: int
    ) -> tuple[Float[np.ndarray, "M K"], Int[np.ndarray, "M K"]]:
        """Return cosines and places among the rows of the nearest, as `Index.search` does.

        Where the lists hold fewer than `k`, the last ones have a cosine that gives them no weight.
        """
        return self._index.search(np.ascontiguousarray(queries), k)


def _unit_parts(points: Points, rows: Int[np.ndarray, " N"]) -> Iterator[Float[np.ndarray, "P D"]]:
    """Yield the unit vectors of rows, some at a time."""
    for start in range(0, len(rows), CHUNK):
        yield _unit(points, rows[start : start + CHUNK])


def _unit(points: Points, rows: Int[np.ndarray, " M"]) -> Float[np.ndarray, "M D"]:
    """Return the unit vectors of rows; to select them as points would copy and check them."""
    vectors = points.vectors[rows]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _principal_axes(unit: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N 2"]:
    left, scales, _ = np.linalg.svd(unit - unit.mean(axis=0), full_matrices=False)
    xy = np.zeros((len(unit), 2), dtype=np.float32)
    axes = min(2, len(scales))
    xy[:, :axes] = left[:, :axes] * scales[:axes]
    return xy


def _umap(
    points: Points, rows: Int[np.ndarray, " N"], parameters: Parameters
) -> Float[np.ndarray, "N 2"]:
    unit, k = _unit(points, rows), min(parameters.neighbours, len(rows) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numba and scikit-learn, which users cannot act on
        import umap

        _keep_compiled()
        epochs = parameters.epochs
        if epochs is None and len(rows) > MANY_POINTS:
            epochs = MANY_EPOCHS
        fitted = umap.UMAP(
            n_neighbors=k,
            min_dist=parameters.min_dist,
            n_epochs=epochs,
            random_state=parameters.seed,
            n_jobs=1,
            metric="cosine",
            init="pca",
            precomputed_knn=_neighbour_graph(unit, searched(points, rows, GRAPH_PROBED), k),
        )
        return np.asarray(fitted.fit_transform(unit), dtype=np.float32)


def _keep_compiled() -> None:
    """Let numba keep what it compiles of UMAP on disk, as it does of pynndescent's: 10 s a map."""
    from umap import layouts, umap_

    for module, name in (
        (umap_, "smooth_knn_dist"),
        (umap_, "compute_membership_strengths"),
        (layouts, "_nb_optimize_layout_euclidean_single_epoch"),
    ):
        with contextlib.suppress(AttributeError, RuntimeError):  # another version; nowhere to write
            getattr(module, name).enable_caching()


def _neighbour_graph(
    unit: Float[np.ndarray, "N D"], near: "Index | Lists", k: int
) -> tuple[Int[np.ndarray, "N K"], Float[np.ndarray, "N K"]]:
    """Return rows and cosine distances of the k nearest, each point itself first, as UMAP asks."""
    cosines, rows = near.search(unit, k)
    distances = np.clip(1 - cosines, 0, 2)
    itself = np.arange(len(unit))
    absent = ~(rows == itself[:, None]).any(axis=1)  # more than k copies of one image
    rows[absent, -1] = itself[absent]
    distances[rows == itself[:, None]] = -1
    order = np.argsort(distances, axis=1, kind="stable")
    rows = np.take_along_axis(rows, order, axis=1)
    return rows, np.maximum(np.take_along_axis(distances, order, axis=1), 0)

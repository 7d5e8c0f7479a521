"""Projection: a two-dimensional map of Points, and its inverse, from the map to Points.

It works on the directions of Points; it knows no images and no library. UMAP fits the map once. New
points, and the inverse, are weighted medians and means of the nearest fitted points.
"""

import contextlib
import hashlib
import json
import os
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Int

from explorer.cache_files import read_cache, write_cache
from explorer.errors import LibraryDamaged, LibraryError
from explorer.index import Index
from explorer.notes import note
from explorer.points import Points

FILE_NAME = "projection"
FORMAT_VERSION = 1  # raise it when the same parameters give another map
MIN_UMAP_POINTS = 6  # fewer points are projected on their two principal axes
TRANSFORM_NEIGHBOURS = 15  # in the space, for the coordinates of a new point
INVERSE_NEIGHBOURS = 8  # on the map, for the point at given coordinates


@dataclass(frozen=True)
class _Parameters:
    neighbours: int = 15
    min_dist: float = 0.1
    seed: int = 0
    epochs: int | None = None


@dataclass(frozen=True, eq=False)
class Projection:
    """A fitted two-dimensional map: points and their coordinates.

    Args:
        points: the N fitted points, in the order of `xy`.
        xy: N × 2, float32, in UMAP's units.

    >>> from explorer.points import Space
    >>> points = Points(np.eye(5), Space("toy", 5, "0f"), "image", tuple("abcde"))
    >>> projection = Projection.fit(points)
    >>> projection.xy.shape, projection.transform(points[:2]).shape
    ((5, 2), (2, 2))
    >>> bool(np.allclose(projection.inverse(projection.xy[:1]).vectors, points[:1].vectors))
    True
    """

    points: Points
    xy: Float[np.ndarray, "N 2"]
    parameters: _Parameters = field(default_factory=_Parameters, repr=False)

    @classmethod
    def fit(
        cls,
        points: Points,
        *,
        neighbours: int = 15,
        min_dist: float = 0.1,
        seed: int = 0,
        epochs: int | None = None,
    ) -> Self:
        """Fit a map with UMAP.

        Fewer than 6 points are projected on their two principal axes instead. The same points and
        seed give the same map on one machine, so UMAP runs in one thread. Importing UMAP takes
        10 to 30 s.

        Args:
            neighbours: of each point in UMAP's graph, at most N - 1; many preserve the global
                structure, few the local.
            min_dist: minimum distance of points on the map, 0 to 1.
            epochs: of UMAP's optimisation; None takes 500 below 10,000 points, else 200.

        Raises:
            ValueError: neighbours is below 2.

        Source: McInnes et al. 2018, on the graph of cosine neighbours that FAISS finds.
        """
        if neighbours < 2:
            raise ValueError(f"A map needs at least 2 neighbours per point, not {neighbours}.")
        parameters = _Parameters(neighbours, min_dist, seed, epochs)
        few = len(points) < MIN_UMAP_POINTS
        xy = _principal_axes(points.unit) if few else _umap(points.unit, parameters)
        return cls(points, xy, parameters)

    @classmethod
    def cached(cls, folder: str | os.PathLike[str], points: Points, **parameters: Any) -> Self:
        """Load the map of these points from `folder`, or fit and save it there.

        Args:
            parameters: as for `fit`.
        """
        try:
            return cls.load(folder, points, **parameters)
        except LibraryDamaged:
            note(f"The map in {os.fspath(folder)} was damaged, so it was fitted again.")
        except LibraryError:
            pass
        projection = cls.fit(points, **parameters)
        with contextlib.suppress(OSError):  # a read-only folder is no obstacle
            projection.save(folder)
        return projection

    def transform(self, points: Points) -> Float[np.ndarray, "N 2"]:
        """Compute coordinates of other points of the same Space, each independent of the others.

        Along each axis, a coordinate is the median of those of the 15 nearest fitted points by
        cosine, weighted by 1 / distance². A fitted point gets its own coordinates. The median stays
        in one cluster where the mean falls between two. For 500 held-out emoji, 60 % of the 15
        nearest on the map were among the 15 true ones; the same with UMAP's transform, which takes
        a hundred times as long; 54 % with the mean.

        Raises:
            SpaceMismatch: the points are of another Space.

        Source: Shepard 1968 for the weights.
        """
        self.points.space.check(points.space)
        cosines, rows = self._index.search(points.unit, TRANSFORM_NEIGHBOURS)
        weights = 1 / np.maximum(2 - 2 * cosines.astype(np.float64), 1e-6)
        return np.stack([_weighted_median(axis[rows], weights) for axis in self.xy.T], axis=1)

    def inverse(self, xy: Float[np.ndarray, "M 2"]) -> Points:
        """Compute the points at coordinates on the map.

        A direction is the normalised mean of those of the 8 nearest points on the map, weighted by
        1 / distance²; a length is the weighted mean of theirs. The coordinates of a fitted point
        give that point.

        Args:
            xy: M × 2.

        Raises:
            ValueError: not M × 2 finite numbers.

        Source: Shepard 1968. The leave-one-out cosine is 0.87; that of UMAP's inverse_transform is
        0.52.
        """
        places = np.atleast_2d(np.asarray(xy, dtype=np.float64))
        if places.shape[1:] != (2,) or not np.isfinite(places).all():
            raise ValueError(f"Coordinates must be an array M × 2 of finite numbers, not {xy!r}.")
        distances, rows = self._tree.query(
            places, k=np.arange(1, min(INVERSE_NEIGHBOURS, len(self.xy)) + 1)
        )
        weights = 1 / np.maximum(distances, 1e-9) ** 2
        weights /= weights.sum(axis=1, keepdims=True)
        directions = np.einsum("mk,mkd->md", weights, self.points.unit[rows])
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = (weights * self.points.norms[rows]).sum(axis=1)
        labels = tuple(f"({x:.2f}, {y:.2f})" for x, y in places)
        return Points(directions * lengths[:, None], self.points.space, self.points.side, labels)

    def save(self, folder: str | os.PathLike[str]) -> FilePath:
        """Write the map to `folder` as a cache and return the file; it is complete or absent."""
        file = FilePath(folder) / FILE_NAME
        content = np.ascontiguousarray(self.xy, dtype="<f4").tobytes()
        write_cache(file, _key(self.points, self.parameters), content)
        return file

    @classmethod
    def load(
        cls,
        folder: str | os.PathLike[str],
        points: Points,
        *,
        neighbours: int = 15,
        min_dist: float = 0.1,
        seed: int = 0,
        epochs: int | None = None,
    ) -> Self:
        """Read the map that `save` wrote for exactly these points and parameters.

        Raises:
            LibraryError: there is none, or it is of other points or parameters.
            LibraryDamaged: the file is damaged.
        """
        file = FilePath(folder) / FILE_NAME
        parameters = _Parameters(neighbours, min_dist, seed, epochs)
        try:
            content = read_cache(file, _key(points, parameters))
        except FileNotFoundError:
            raise LibraryError(
                f"There is no map in {folder} yet; fit one with Projection.fit."
            ) from None
        except (OSError, LibraryDamaged) as error:
            raise LibraryDamaged(f"The map in {file} is damaged; fit it again.") from error
        if content is None:
            raise LibraryError(f"The map in {file} is of other points or settings; fit it again.")
        return cls(points, np.frombuffer(content, "<f4").reshape(-1, 2), parameters)

    @cached_property
    def _index(self) -> Index:
        return Index(self.points.unit, self.points.space.dimension)

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import KDTree

        return KDTree(self.xy)


def _weighted_median(
    values: Float[np.ndarray, "N K"], weights: Float[np.ndarray, "N K"]
) -> Float[np.ndarray, " N"]:
    """Return the weighted median of each row, the lower one of two."""
    order = np.argsort(values, axis=1)
    below = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    middle = (below >= below[:, -1:] / 2).argmax(axis=1)
    return np.take_along_axis(values, order, axis=1)[np.arange(len(values)), middle]


def _key(points: Points, parameters: _Parameters) -> str:
    digest = hashlib.sha256(points.vectors.data)
    digest.update(json.dumps([FORMAT_VERSION, points.space.fingerprint, vars(parameters)]).encode())
    return digest.hexdigest()


def _principal_axes(unit: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N 2"]:
    left, scales, _ = np.linalg.svd(unit - unit.mean(axis=0), full_matrices=False)
    xy = np.zeros((len(unit), 2), dtype=np.float32)
    axes = min(2, len(scales))
    xy[:, :axes] = left[:, :axes] * scales[:axes]
    return xy


def _umap(unit: Float[np.ndarray, "N D"], parameters: _Parameters) -> Float[np.ndarray, "N 2"]:
    k = min(parameters.neighbours, len(unit) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numba and scikit-learn, which users cannot act on
        import umap

        fitted = umap.UMAP(
            n_neighbors=k,
            min_dist=parameters.min_dist,
            n_epochs=parameters.epochs,
            random_state=parameters.seed,
            n_jobs=1,
            metric="cosine",
            init="pca",
            precomputed_knn=_neighbour_graph(unit, k),
        )
        return np.asarray(fitted.fit_transform(unit), dtype=np.float32)


def _neighbour_graph(
    unit: Float[np.ndarray, "N D"], k: int
) -> tuple[Int[np.ndarray, "N K"], Float[np.ndarray, "N K"]]:
    """Return rows and cosine distances of the k nearest, each point itself first, as UMAP asks."""
    cosines, rows = Index(unit, unit.shape[1]).search(unit, k)
    distances = np.clip(1 - cosines, 0, 2)
    itself = np.arange(len(unit))
    absent = ~(rows == itself[:, None]).any(axis=1)  # more than k copies of one image
    rows[absent, -1] = itself[absent]
    distances[rows == itself[:, None]] = -1
    order = np.argsort(distances, axis=1, kind="stable")
    rows = np.take_along_axis(rows, order, axis=1)
    return rows, np.maximum(np.take_along_axis(distances, order, axis=1), 0)

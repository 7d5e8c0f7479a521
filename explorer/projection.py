"""Projection: a two-dimensional map of Points, and the way back from a place on it to a Point.

It works on the directions of Points; it knows no images and no library. UMAP draws the map once;
placing new points and coming back are weighted medians and means of the nearest known points.
"""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import warnings
import zipfile
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Int

from explorer.errors import LibraryDamaged, LibraryError
from explorer.files import writing
from explorer.index import Index
from explorer.points import Points

FILE = "projection.npz"
FORMAT = 1  # raise it when the same parameters come to give another map
SMALLEST = 6  # fewer points are projected on their two principal axes
ABROAD = 15  # neighbours that place a new point
AROUND = 8  # neighbours on the map that a place is mixed from


@dataclass(frozen=True)
class _Parameters:
    neighbours: int = 15
    min_dist: float = 0.1
    seed: int = 0
    epochs: int | None = None


@dataclass(frozen=True, eq=False)
class Projection:
    """A fitted map: `points`, and where each lies on it.

    Args:
        points: N of them, in the order of `xy`.
        xy: N × 2, float32, in UMAP's own units.
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
        """Draw a map that keeps neighbours together.

        Fewer than 6 points lie on their two principal axes instead, and fewer than `neighbours`
        + 1 points are all neighbours of each other. The same points and seed give the same map on
        one machine, which costs UMAP its second thread. Importing UMAP takes 10 to 30 s.

        Args:
            neighbours: how many each point pulls on; more show the large shape, fewer the small.
            min_dist: how close points may lie on the map, 0 to 1.
            epochs: rounds of UMAP's optimisation; None: 500 below 10,000 points, else 200.

        Raises:
            ValueError: neighbours below 2.

        Source: McInnes et al. 2018, on the graph of cosine neighbours that FAISS finds.
        """
        if neighbours < 2:
            raise ValueError(f"A map needs 2 neighbours a point or more, not {neighbours}.")
        parameters = _Parameters(neighbours, min_dist, seed, epochs)
        few = len(points) < SMALLEST
        xy = _principal_axes(points.unit) if few else _umap(points.unit, parameters)
        return cls(points, xy, parameters)

    @classmethod
    def cached(cls, folder: str | os.PathLike[str], points: Points, **parameters: Any) -> Self:
        """Load the map of these points from `folder`, or fit it and leave it there.

        Args:
            parameters: as of `fit`.
        """
        with contextlib.suppress(LibraryError):
            return cls.load(folder, points, **parameters)
        projection = cls.fit(points, **parameters)
        with contextlib.suppress(OSError):  # a library that cannot be written can still be mapped
            projection.save(folder)
        return projection

    def transform(self, points: Points) -> Float[np.ndarray, "N 2"]:
        """Place other points of the same Space on the map, each by itself.

        A point lands at the median, along each axis, of its 15 nearest by cosine, weighted by
        1 / distance². The median stays within one cluster where the mean falls between two, and a
        point that the map knows lands on its own place. Of 500 emoji left out, the 15 nearest on
        the map were 60 % the 15 true ones; also with UMAP's own transform, which needs its import
        and a hundred times the time; 54 % with the mean.

        Raises:
            SpaceMismatch: the points are of another Space.

        Source: Shepard 1968 for the weights.
        """
        self.points.space.check(points.space)
        cosines, rows = self._index.search(points.unit, ABROAD)
        weights = 1 / np.maximum(2 - 2 * cosines.astype(np.float64), 1e-6)
        return np.stack([_weighted_median(axis[rows], weights) for axis in self.xy.T], axis=1)

    def inverse(self, xy: Float[np.ndarray, "M 2"]) -> Points:
        """Come back from places on the map to Points.

        A direction is the spherical mean of the 8 points that lie nearest on the map, weighted by
        1 / distance²; a length is the weighted mean of theirs. A data point's place gives it back.

        Raises:
            ValueError: not M × 2 finite numbers.

        Source: Shepard 1968; leave-one-out cosine 0.87 where UMAP's inverse_transform has 0.52
        (guides/ecosystem.md, section 7).
        """
        places = np.atleast_2d(np.asarray(xy, dtype=np.float64))
        if places.shape[1:] != (2,) or not np.isfinite(places).all():
            raise ValueError(f"Places on a map are an array M × 2 of finite numbers, not {xy!r}.")
        distances, rows = self._tree.query(places, k=np.arange(1, min(AROUND, len(self.xy)) + 1))
        weights = 1 / np.maximum(distances, 1e-9) ** 2
        weights /= weights.sum(axis=1, keepdims=True)
        directions = np.einsum("mk,mkd->md", weights, self.points.unit[rows])
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = (weights * self.points.norms[rows]).sum(axis=1)
        labels = tuple(f"({x:.2f}, {y:.2f})" for x, y in places)
        return Points(directions * lengths[:, None], self.points.space, self.points.side, labels)

    def save(self, folder: str | os.PathLike[str]) -> pathlib.Path:
        """Leave the map in `folder` as a cache: the file is whole or not there."""
        file = pathlib.Path(folder) / FILE
        with writing(file) as temporary:
            np.savez(temporary, key=_key(self.points, self.parameters), xy=self.xy)
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
        """Read the map that `save` left for just these points and parameters.

        Raises:
            LibraryError: there is none, or it is of other points or parameters; fit it again.
            LibraryDamaged: the file is not what was written; fit it again.
        """
        file = pathlib.Path(folder) / FILE
        parameters = _Parameters(neighbours, min_dist, seed, epochs)
        try:
            with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as content:
                key, xy = str(content["key"]), content["xy"]
        except FileNotFoundError:
            raise LibraryError(f"There is no map in {folder} yet; fit one.") from None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise LibraryDamaged(
                f"The map in {file} is damaged ({error}); fit it again."
            ) from error
        if key != _key(points, parameters) or xy.shape != (len(points), 2):
            raise LibraryError(f"The map in {file} is of other points or settings; fit it again.")
        return cls(points, xy, parameters)

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
    """In each row the least value below which at least half of the weight lies."""
    order = np.argsort(values, axis=1)
    below = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    middle = (below >= below[:, -1:] / 2).argmax(axis=1)
    return np.take_along_axis(values, order, axis=1)[np.arange(len(values)), middle]


def _key(points: Points, parameters: _Parameters) -> str:
    digest = hashlib.sha256(points.vectors.data)
    digest.update(json.dumps([FORMAT, points.space.fingerprint, vars(parameters)]).encode())
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
        warnings.simplefilter("ignore")  # numba's and scikit-learn's, which no user can act on
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
    """Rows and cosine distances of the k nearest, every point itself first, as UMAP wants them."""
    cosines, rows = Index(unit, unit.shape[1]).search(unit, k)
    distances = np.clip(1 - cosines, 0, 2)
    itself = np.arange(len(unit))
    absent = ~(rows == itself[:, None]).any(axis=1)  # copies of one image can crowd it out
    rows[absent, -1] = itself[absent]
    distances[rows == itself[:, None]] = -1
    order = np.argsort(distances, axis=1, kind="stable")
    rows = np.take_along_axis(rows, order, axis=1)
    return rows, np.maximum(np.take_along_axis(distances, order, axis=1), 0)

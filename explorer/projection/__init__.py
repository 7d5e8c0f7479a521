"""Projection: a two-dimensional map of Points, and its inverse, from the map to Points.

It works on the directions of Points; it knows no images and no library. UMAP is used once, to fit
the map. New points, and the inverse, are weighted medians and means of the nearest fitted points.
"""

import contextlib
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from explorer.errors import LibraryDamaged, LibraryError
from explorer.index import Index
from explorer.notes import note
from explorer.points import Points
from explorer.projection.fitting import (
    MIN_UMAP_POINTS,
    TRANSFORM_NEIGHBOURS,
    Lists,
    Parameters,
    Placing,
    fit_places,
    median_places,
    place_among,
    searched,
)
from explorer.projection.growth import digests, drift_of, same_rows
from explorer.projection.saved import FILE_NAME as FILE_NAME
from explorer.projection.saved import Names, read_any, read_exactly, write

INVERSE_NEIGHBOURS = 8  # on the map, for the point at given coordinates
MAX_DRIFT = 0.03  # of trustworthiness, that is not worth a word


@dataclass(frozen=True, eq=False)
class Projection:
    """A fitted two-dimensional map: points and their coordinates.

    Args:
        points: the N fitted points, in the order of `xy`.
        xy: N × 2, float32, in UMAP's units.
        placed: which points were added to a map that was there; None if all were fitted together.

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
    parameters: Parameters = field(default_factory=Parameters, repr=False)
    placed: Bool[np.ndarray, " N"] | None = field(default=None, repr=False)

    @classmethod
    def fit(
        cls,
        points: Points,
        *,
        neighbours: int = 15,
        min_dist: float = 0.1,
        seed: int = 0,
        epochs: int | None = None,
        placing: Placing = map,
    ) -> Self:
        """Fit a map with UMAP.

        Fewer than 6 points are projected on their two principal axes instead. Of more than 30,000,
        a random 20,000 are fitted, and the others are placed among the nearest of these. The seed
        fixes this choice and UMAP's draws: the same points and seed give the same map on one
        machine, so UMAP runs in one thread. Importing UMAP takes seconds, and the first map of an
        installation 10 more, as its functions are compiled.

        Args:
            neighbours: of each point in UMAP's graph, at most N - 1; many preserve the global
                structure, few the local.
            min_dist: minimum distance of points on the map, 0 to 1.
            epochs: of UMAP's optimisation; None takes 500 up to 10,000 points, else 100.
            placing: places the others, as `RayEngine.placing` does by actors; `map` does here.

        Raises:
            ValueError: neighbours is below 2.

        Source: McInnes et al. 2018, on the graph of cosine neighbours that FAISS finds; landmarks,
        de Silva and Tenenbaum 2004.
        """
        if neighbours < 2:
            raise ValueError(f"A map needs at least 2 neighbours per point, not {neighbours}.")
        parameters = Parameters(neighbours, min_dist, seed, epochs)
        return cls(points, fit_places(points, parameters, placing), parameters)

    @classmethod
    def cached(
        cls,
        folder: str | os.PathLike[str],
        points: Points,
        *,
        refit: bool = False,
        placing: Placing = map,
        **parameters: Any,
    ) -> Self:
        """Load the map of these points from `folder`, or make it and save it there.

        If the map in `folder` is of at least half of these points, they stay exactly where they are
        and the others are placed among them, as `grown` does. If these lie much worse, a note says
        so. Otherwise a new map is fitted.

        Args:
            refit: fit a new map, whatever is there.
            placing, parameters: as for `fit`.
        """
        projection, names, place = None, Names(points), FilePath(folder)
        try:
            if not refit:
                return cls._read(place, names, Parameters(**parameters))
        except LibraryDamaged:
            note(f"The map in {os.fspath(folder)} was damaged, so it was fitted again.")
        except LibraryError:
            projection = cls._grown_from(place, names, Parameters(**parameters), placing)
        projection = projection or cls.fit(points, placing=placing, **parameters)
        with contextlib.suppress(OSError):  # a read-only folder is no obstacle
            write(place, names, projection.xy, projection.placed, projection.parameters)
        return projection

    def grown(self, points: Points) -> Self:
        """Return a map of `points`: those that this map has stay bitwise, the others are placed.

        A new point lies at the mean of the half of its nearest old points that lies together.

        Args:
            points: old and new ones, in any order; old ones may be missing.

        Raises:
            SpaceMismatch: the points are of another Space.
        """
        self.points.space.check(points.space)
        rows = same_rows(digests(self.points), digests(points))
        placed = np.zeros(len(self.xy), bool) if self.placed is None else self.placed
        return type(self)._grown(points, rows, self.xy, placed, self.parameters)

    @classmethod
    def _grown_from(
        cls, folder: FilePath, names: Names, parameters: Parameters, placing: Placing
    ) -> Self | None:
        """Return the map in `folder`, grown; None if it is of too few of these points."""
        points = names.points
        old = read_any(folder, points, parameters)
        if old is None or len(old.xy) < MIN_UMAP_POINTS:
            return None
        rows = same_rows(old.digests, names.digests)
        if 2 * np.count_nonzero(rows >= 0) < len(points):
            return None
        projection = cls._grown(points, rows, old.xy, old.placed, parameters, placing)
        projection._tell_drift()
        return projection

    @classmethod
    def _grown(
        cls,
        points: Points,
        rows: Int[np.ndarray, " N"],
        xy: Float[np.ndarray, "M 2"],
        placed: Bool[np.ndarray, " M"],
        parameters: Parameters,
        placing: Placing = map,
    ) -> Self:
        known, new = np.flatnonzero(rows >= 0), np.flatnonzero(rows < 0)
        places, late = np.zeros((len(points), 2), np.float32), np.ones(len(points), bool)
        places[known], late[known] = xy[rows[known]], placed[rows[known]]
        if len(new) and len(known):
            places[new] = place_among(points, known, places[known], new, placing)
        return cls(points, places, parameters, late)

    def drift(self) -> float:
        """Measure how much less trustworthy the places of points are that were added later.

        It is the trustworthiness of the points that were fitted together, less that of the others,
        for samples of 500 among 5,000; 0 if there are no others.

        Source: Venna and Kaski 2001 for trustworthiness.
        """
        return drift_of(self.points, self.xy, self.placed)

    def _tell_drift(self) -> None:
        late = 0 if self.placed is None else np.count_nonzero(self.placed)
        if (drift := self.drift()) > MAX_DRIFT:
            note(
                f"The {late:,} images that were added to the map lie less "
                f"truly on it than the others: their trustworthiness is lower by {drift:.2f}. "
                "`unclip map --refit` lays it out again, and so does Projection.cached(…, "
                "refit=True)."
            )

    def transform(self, points: Points) -> Float[np.ndarray, "N 2"]:
        """Compute coordinates of other points of the same Space, each independent of the others.

        Along each axis, a coordinate is the median of those of the 15 nearest fitted points by
        cosine, weighted by 1 / distance². A fitted point gets its own coordinates. The median stays
        in one cluster where the mean falls between two. For 500 held-out emoji, 60 % of the 15
        nearest on the map were among the 15 true ones; the same with UMAP's transform, which takes
        a hundred times as long; 54 % with the mean. Of more than 8,192 points the nearest are
        looked for in the lists of FAISS around few centres.

        Raises:
            SpaceMismatch: the points are of another Space.

        Source: Shepard 1968 for the weights.
        """
        self.points.space.check(points.space)
        return median_places(self.xy, *self._index.search(points.unit, TRANSFORM_NEIGHBOURS))

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
        near = self.points.vectors[rows]
        norms = np.linalg.norm(near, axis=2)
        directions = np.einsum("mk,mkd->md", weights / norms, near)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = (weights * norms).sum(axis=1)
        labels = tuple(f"({x:.2f}, {y:.2f})" for x, y in places)
        return Points(directions * lengths[:, None], self.points.space, self.points.side, labels)

    def save(self, folder: str | os.PathLike[str]) -> FilePath:
        """Write the map to `folder` as a cache and return the file; it is complete or absent."""
        return write(FilePath(folder), Names(self.points), self.xy, self.placed, self.parameters)

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
        parameters = Parameters(neighbours, min_dist, seed, epochs)
        return cls._read(FilePath(folder), Names(points), parameters)

    @classmethod
    def _read(cls, folder: FilePath, names: Names, parameters: Parameters) -> Self:
        xy, placed = read_exactly(folder, names, parameters)
        return cls(names.points, xy, parameters, placed)

    @cached_property
    def _index(self) -> Index | Lists:
        return searched(self.points)

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import KDTree

        return KDTree(self.xy)

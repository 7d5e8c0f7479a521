"""Features: directions of a space, few of them in any point; things to turn.

Learnt by a sparse autoencoder, or the directions of words. It works on vectors; it knows no image,
no model and no library.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path as FilePath
from typing import Self

import numpy as np
from jaxtyping import Float, Int

from explorer.array_files import read_arrays, usable, write_arrays
from explorer.errors import QueryError
from explorer.features.learning import exhausted, training
from explorer.features.words import PENALTY, distinct, leads, sparse
from explorer.points import Points, Space

NAME = "features"  # of its files
MANIFEST, WEIGHTS = f"{NAME}.json", f"{NAME}.safetensors"


@dataclass(frozen=True, eq=False)
class Features:
    """Features of the points of one space; made by `fit` or `of_words`.

    Args:
        middle: the mean direction of image-side points, taken away first.
        reading: what is read off a direction for each feature.
        offset: added to it.
        directions: of each feature, of length 1; the first ones are the coarsest.
        usual: the mean activation of each feature where it is active, of words the mean cosine;
            0 if it never is.
        active: the maximum number of features that are active in a point.
        names: of each feature, "" where it has none.
        made_from: what they were fitted to, if somebody said.
        penalty: of a sum of few directions, which is what is read of words; 0 for features that
            were learnt.

    >>> space = Space("toy", 4, "0f")
    >>> rng = np.random.default_rng(0)
    >>> points = Points(rng.normal(size=(300, 4)), space, "image")
    >>> features = Features.fit(points, 8, 2, steps=50)
    >>> activations = features.of(points)
    >>> activations.shape, int((activations > 0).sum(1).max()) <= 2
    ((300, 8), True)
    >>> features.edit(points[0], {3: 2}).space.name
    'toy'
    """

    space: Space
    middle: Float[np.ndarray, " D"]
    reading: Float[np.ndarray, "D F"]
    offset: Float[np.ndarray, " F"]
    directions: Float[np.ndarray, "F D"]
    usual: Float[np.ndarray, " F"]
    active: int
    names: tuple[str, ...] = ()
    made_from: str = ""
    penalty: float = 0.0

    @classmethod
    def fit(
        cls, points: Points, count: int = 256, active: int = 8, *, steps: int = 400, seed: int = 0
    ) -> Self:
        """Learn `count` features such that the `active` highest of a point sum to its direction.

        The first 1/8, 1/4 and 1/2 of them learn to do so by themselves too. It takes seconds.

        Args:
            points: image-side points, some hundreds or more.

        Raises:
            QueryError: `active` is not between 1 and `count`.
            SideMismatch: the points are on the text side.

        Source: Makhzani & Frey 2014 (k-sparse); Gao et al. 2024 (Top-k at scale); Bussmann et al.
        2025 (Matryoshka).
        """
        return exhausted(cls.fitting(points, count, active, steps=steps, seed=seed))

    @classmethod
    def fitting(
        cls, points: Points, count: int, active: int, *, steps: int, seed: int
    ) -> Generator[None, None, Self]:
        """Do what `fit` does, and yield after every 50 steps."""
        points.require_image_side()
        if not 1 <= active <= count:
            raise QueryError(f"Of {count} features 1 to {count} may be active, not {active}.")
        middle = points.unit.mean(0)
        rows = _apart(points, middle)
        reading, offset, directions = yield from training(rows, count, active, steps, seed)
        learnt = cls(points.space, middle, reading, offset, directions, offset, active)
        return replace(learnt, usual=_usual(learnt.of(points)))

    @classmethod
    def of_words(cls, words: Points, images: Points, penalty: float = PENALTY) -> Self:
        """Take words for features: a point is read as the sum of few of them, never negative.

        A word is left out if its direction from the words' mean has a cosine of 0.9 or more with
        one before it. For a word that no image has, what is usual is the mean of the other words.

        Args:
            words: text-side points, labelled with the words; the most important first.
            images: some hundreds of image-side points, for their mean and for what is usual.
            penalty: a higher one leaves fewer words in a point.

        Raises:
            QueryError: fewer than two words differ, or the penalty is not above 0.
            SpaceMismatch, SideMismatch: the words and images are of two spaces, or images are on
                the text side.

        Source: Bhalla et al. 2024 (SpLiCE).
        """
        images.require_image_side()
        words.space.check(images.space)
        kept = distinct(words)
        if len(kept) < 2 or not penalty > 0:
            raise QueryError(
                f"Of the words {len(kept)} differ, and the penalty is {penalty:g}: give two or "
                "more that differ, and a penalty above 0."
            )
        directions = leads(kept).astype(np.float32)
        none = np.zeros(len(kept), np.float32)
        made = cls(words.space, images.unit.mean(0), np.ascontiguousarray(directions.T), none,
                   directions, none, len(kept), kept.labels, penalty=penalty)  # fmt: skip
        rows = _apart(images, made.middle)  # of weights, the penalty takes some away
        usual = _usual(np.where(made._read(rows) > 0, np.maximum(rows @ made.reading, 0), 0))
        known = usual[usual > 0]
        return replace(
            made, usual=np.where(usual > 0, usual, known.mean() if len(known) else penalty)
        )

    def __len__(self) -> int:
        return len(self.directions)

    def of(self, points: Points) -> Float[np.ndarray, "N F"]:
        """How active each feature is in each point: the highest `active` above 0, others 0.

        Raises:
            SpaceMismatch: they are of another space.
            SideMismatch: they are on the text side.
        """
        self._check_points(points)
        return self._read(_apart(points, self.middle))

    def explained(self, points: Points, first: int | None = None) -> Float[np.ndarray, " N"]:
        """Cosine of each direction from the middle with what the features make of it.

        Args:
            first: use only this number of features, from the first; None uses all.
        """
        made = self.of(points)[:, :first] @ self.directions[:first]
        lengths = np.maximum(np.linalg.norm(made, axis=1), 1e-12)
        return np.einsum("nd,nd->n", made, _apart(points, self.middle)) / lengths

    def edit(self, points: Points, turns: Mapping[int | str, float]) -> Points:
        """Turn features up or down: 1 adds what is usual where the feature is active, -1 takes it.

        The rest of a point stays, what the features do not explain as well; so do its length and
        its distance from the middle, as in a rotation.

        Args:
            turns: number or name of a feature -> how far.

        Raises:
            QueryError: there is no such feature.
            SpaceMismatch: the points are of another space.
            SideMismatch: they are on the text side.
        """
        self._check_points(points)
        rows = points.unit.astype(np.float64) - self.middle
        far = np.linalg.norm(rows, axis=1, keepdims=True)
        moved = rows.copy()
        for which, amount in turns.items():
            place = self.place(which)
            moved += far * float(amount) * self.usual[place] * self.directions[place]
        moved *= far / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12)
        directions = self.middle + moved
        lengths = points.norms / np.linalg.norm(directions, axis=1)
        return points.with_vectors(directions * lengths[:, None])

    def place(self, which: int | str) -> int:
        """Return the number of a feature.

        Raises:
            QueryError: there is none of that number or name.
        """
        import difflib

        number = int(which) if isinstance(which, int) or which.isdecimal() else -1
        if 0 <= number < len(self):
            return number
        if which in self.names and which:
            return self.names.index(str(which))
        near = difflib.get_close_matches(str(which), [n for n in self.names if n], 5, 0)
        alike = f", or a name, as {', '.join(near)}" if near else ""
        raise QueryError(
            f"There is no feature {which!r}: take a number from 0 to {len(self) - 1}{alike}."
        )

    def with_names(self, names: Sequence[str]) -> Self:
        """Return the same features with these names, "" for none."""
        if len(names) != len(self):
            raise QueryError(f"{len(self)} features take {len(self)} names, not {len(names)}.")
        return replace(self, names=tuple(names))

    def of_key(self, made_from: str) -> Self:
        """Return the same features with a note of what they were fitted to."""
        return replace(self, made_from=made_from)

    def top(self, points: Points, feature: int | str, k: int = 8) -> Int[np.ndarray, " K"]:
        """Return the rows in which a feature is most active, at most k, the highest first."""
        activations = self.of(points)[:, self.place(feature)]
        order = np.argsort(-activations, kind="stable")[:k]
        return order[activations[order] > 0]

    def save(self, folder: str | PathLike[str]) -> None:
        """Write the features into a folder, over those that are there.

        Raises:
            DiskError: the disk refuses.
        """
        arrays = {name: np.asarray(getattr(self, name), np.float32) for name in _ARRAYS}
        values = {"space": asdict(self.space), "active": self.active,
                  "names": list(self.names), "made_from": self.made_from,
                  "penalty": self.penalty}  # fmt: skip
        write_arrays(FilePath(folder), NAME, arrays, values)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            WeightsMissing: there are none, or a file is damaged.
        """
        with usable(FilePath(folder), NAME, "Fit them again: unclip features LIBRARY"):
            told, arrays = read_arrays(FilePath(folder), NAME)
            found = cls(
                Space(**told["space"]),
                arrays["middle"],
                arrays["reading"],
                arrays["offset"],
                arrays["directions"],
                arrays["usual"],
                active=int(told["active"]),
                names=tuple(map(str, told["names"])),
                made_from=str(told["made_from"]),
                penalty=float(told["penalty"]),
            )
            found._check()
        return found

    def _read(self, rows: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N F"]:
        """Return the activations of unit directions from the middle."""
        if self.penalty:
            return sparse(rows, self.directions, self.penalty).astype(np.float32)
        read = np.maximum(rows @ self.reading + self.offset, 0)
        highest = np.argpartition(read, -self.active, axis=1)[:, -self.active :]
        activations = np.zeros_like(read)
        np.put_along_axis(activations, highest, np.take_along_axis(read, highest, 1), 1)
        return activations

    def _check_points(self, points: Points) -> None:
        self.space.check(points.space, "Features are those of one space.")
        points.require_image_side()

    def _check(self) -> None:
        """Refuse arrays that do not fit each other."""
        d, f = self.space.dimension, len(self.directions)
        shapes = {"middle": (d,), "reading": (d, f), "offset": (f,), "directions": (f, d),
                  "usual": (f,)}  # fmt: skip
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape or not np.isfinite(array).all():
                raise ValueError(f"{name} has another shape than its space, or no numbers")
        if (
            not 1 <= self.active <= f
            or len(self.names) not in (0, f)
            or not 0 <= self.penalty < np.inf
        ):
            raise ValueError("the counts do not fit")


_ARRAYS = ("middle", "reading", "offset", "directions", "usual")


def _usual(activations: Float[np.ndarray, "N F"]) -> Float[np.ndarray, " F"]:
    """Return the mean of each column where it is above 0; 0 if it never is."""
    return np.asarray(activations.sum(0) / np.maximum((activations > 0).sum(0), 1), np.float32)


def _apart(points: Points, middle: Float[np.ndarray, " D"]) -> Float[np.ndarray, "N D"]:
    """Directions of points from the middle, of length 1; float32."""
    rows = points.unit - middle
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return np.asarray(rows, dtype=np.float32)

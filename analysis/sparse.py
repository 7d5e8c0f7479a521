"""Sparse: a point as a sum of few words, to be read, edited and put together again.

Words and images have each their mean direction taken away first, so that the sum explains what
is special to an image and not that it is an image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from analysis.vocabulary import Vocabulary
from explorer.features.words import PENALTY, sparse, unit
from explorer.points import Points


@dataclass(frozen=True, eq=False)
class Concepts:
    """Points told in words; made by `decompose`.

    Args:
        weights: of every word in every point, 0 or more.
        rest: what the words leave of the direction from the middle.
    """

    points: Points
    vocabulary: Vocabulary
    weights: Float[np.ndarray, "N V"]
    rest: Float[np.ndarray, "N D"]

    def __getitem__(self, rows: "Sequence[int] | np.ndarray") -> "Concepts":
        """Some of the points."""
        chosen = self.points[rows], self.weights[rows], self.rest[rows]
        return replace(self, points=chosen[0], weights=chosen[1], rest=chosen[2])

    def words(self, row: int, most: int = 5) -> dict[str, float]:
        """The heaviest words of a point, with their weights."""
        return heaviest(self.weights[row], self.vocabulary, most)

    def edit(self, weights: Mapping[str, float]) -> "Concepts":
        """Give words other weights, in all points; 0 leaves a word out.

        Raises:
            QueryError: the vocabulary has no such word.
        """
        edited = self.weights.copy()
        for word, weight in weights.items():
            edited[:, self.vocabulary.place(word)] = weight
        return replace(self, weights=edited)

    def recompose(self, *, rest: bool = False) -> Points:
        """Put the points together again, each as far from the middle and as long as it was.

        Args:
            rest: keep what the words do not explain. Without edits this gives the points back;
                without the rest it gives what words alone make, as in the paper.
        """
        middle = self.vocabulary.middle_of(self.points)
        sums = self.weights @ self.vocabulary.dictionary
        if rest:
            sums = sums + self.rest
        else:
            sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        far = np.linalg.norm(self.points.unit - middle, axis=1, keepdims=True)
        directions = middle + far * sums
        lengths = self.points.norms / np.linalg.norm(directions, axis=1)
        return self.points.with_vectors(directions * lengths[:, None])


def decompose(points: Points, vocabulary: Vocabulary, penalty: float = PENALTY) -> Concepts:
    """Tell points in words; see `sparse`.

    Raises:
        SpaceMismatch: words and points live in two spaces.

    Source: Bhalla et al. 2024 (SpLiCE).
    """
    vocabulary.words.space.check(points.space)
    directions = unit(points.unit.astype(np.float64) - vocabulary.middle_of(points))
    weights = sparse(directions, vocabulary.dictionary, penalty)
    return Concepts(points, vocabulary, weights, directions - weights @ vocabulary.dictionary)


def heaviest(
    weights: Float[np.ndarray, " V"], vocabulary: Vocabulary, most: int = 5
) -> dict[str, float]:
    """The words of the highest weights above 0, the heaviest first."""
    order = np.argsort(-weights, kind="stable")[:most]
    return {vocabulary.words.labels[i]: float(weights[i]) for i in order if weights[i] > 0}


def name(
    directions: Float[np.ndarray, "N D"],
    vocabulary: Vocabulary,
    penalty: float = PENALTY,
    most: int = 3,
) -> list[str]:
    """Say in words where directions lead: differences of points, or means of groups less `middle`.

    A direction that no word comes near has no name.
    """
    rows = sparse(unit(directions.astype(np.float64)), vocabulary.dictionary, penalty)
    return [", ".join(heaviest(row, vocabulary, most)) for row in rows]

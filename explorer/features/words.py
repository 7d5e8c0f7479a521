"""A direction as a sum of few words."""

import numpy as np
from jaxtyping import Float

from explorer.points import Points

PENALTY = 0.2  # tells an image of pocket's in about ten words
ALIKE = 0.9  # a cosine of directions from which a word says nothing new beside one before it
SAME = 0.99  # the same of points: few words have no mean that tells them apart


def sparse(
    directions: Float[np.ndarray, "N D"],
    dictionary: Float[np.ndarray, "V D"],
    penalty: float = PENALTY,
) -> Float[np.ndarray, "N V"]:
    """Weigh the rows of a dictionary, never below 0, so that few of them sum up to a direction.

    Minimises |w·dictionary - direction|² + 2·penalty·Σw. A row takes part only if its product with
    what the others leave is above the penalty.

    Source: Bhalla et al. 2024 (SpLiCE), by scikit-learn's Lasso.

    >>> sparse(np.array([[0.6, 0.8]]), np.eye(2), 0.25).round(4).tolist()
    [[0.35, 0.55]]
    """
    from sklearn.linear_model import Lasso

    # scikit-learn divides the square by 2 D
    solver = Lasso(
        penalty / dictionary.shape[1], positive=True, fit_intercept=False, max_iter=100_000
    )
    return np.stack([solver.fit(dictionary.T, row).coef_ for row in directions])


def unit(vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    """Directions of vectors; a zero vector stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def distinct(words: Points) -> Points:
    """Return the words that say something new beside those before them; the first always does.

    What all words have in common says nothing, and how much that is differs from encoder to
    encoder: so it is their directions from their mean that are compared.
    """
    points, directions = words.unit, leads(words)
    kept: list[int] = []
    for i in range(len(words)):
        same = points[kept] @ points[i] >= SAME
        alike = directions[kept] @ directions[i] >= ALIKE
        if not (same | alike).any():
            kept.append(i)
    return words[kept]


def leads(words: Points) -> Float[np.ndarray, "V D"]:
    """Return the unit directions of words from their mean; float64."""
    rows = words.unit.astype(np.float64)
    return unit(rows - rows.mean(0))

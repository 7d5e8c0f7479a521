"""The features of the library, and the images in which each is strongest; found once for all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from explorer.app import examples, state
from explorer.app.server.decoding import Work, once
from explorer.features import Features
from explorer.features.learning import ROUND
from explorer.library import Library
from explorer.points import Points
from explorer.regions.learnt import (
    MAX_NAMED_ROWS,
    MAX_TOLD_ROWS,
    MIN_ROWS,
    STEPS,
    learning_features,
)

DEFAULT_WORDS = 24
TOP_IMAGES = 4
LEARNING = "Learning the features of the library, once"
READING = "Reading the words of the library"
EXAMPLES = 8  # features that an example is chosen from


@dataclass(frozen=True, eq=False)
class Featured:
    """Features, with what their sample of the library says of them.

    Args:
        share: of the images in which each is active.
        top: for each, the rows in which it is strongest, at most 4.
    """

    features: Features
    share: Float[np.ndarray, " F"]
    top: tuple[tuple[int, ...], ...]

    def key(self, place: int) -> int | str:
        """Return what `Features.edit` and the address call a feature: its word, else its number."""
        return self.features.names[place] if self.features.penalty else place

    def label(self, place: int) -> str:
        """Return what the page calls a feature."""
        name = self.features.names[place] if self.features.names else ""
        return name or f"feature {place}"

    def strongest(self, point: Points, count: int) -> list[int]:
        """Return the features that are active in a point, what stands out most first."""
        activations = self.features.of(point)[0]
        relative = activations / np.maximum(self.features.usual, 1e-12)
        order = np.argsort(-relative, kind="stable")[:count]
        return [int(place) for place in order if activations[place] > 0]

    def most_used(self, count: int) -> list[int]:
        """Return the features that most images have, those with a name first."""
        names = self.features.names or [""] * len(self.share)
        order = sorted(range(len(self.share)), key=lambda i: (not names[i], -self.share[i]))
        return [place for place in order if self.top[place]][:count]

    def example(self, rows: Sequence[int], amount: float) -> tuple[int, int]:
        """Return a row and a feature that turns it into something real.

        Of features that the image lacks, it is the one whose point, turned by `amount`, lies
        nearest to a real image in which the feature is active; those with a name go first.
        """
        library = state.library()
        points, chosen = library.points(np.array(rows)), self.most_used(EXAMPLES)
        chosen = [place for place in chosen if self._named(place)] or chosen
        best, found = -1.0, (rows[0], chosen[0])
        lacks = self.features.of(points)[:, chosen] == 0
        for i, j in zip(*np.nonzero(lacks), strict=True):
            place = chosen[int(j)]
            turned = self.features.edit(points[int(i)], {self.key(place): amount})
            (hit,) = library.search(turned, 1)
            score = float(hit["score"])
            if score > best and self.features.of(library.points([hit["row"]]))[0, place] > 0:
                best, found = score, (rows[int(i)], place)
        return found

    def _named(self, place: int) -> bool:
        return bool(self.features.names and self.features.names[place])


def learnable() -> bool:
    """Return whether the library has enough images to learn features from."""
    return len(state.library()) >= MIN_ROWS


def default_words() -> str:
    """Return the words that fit this library best, with commas between them."""
    return ", ".join(text for text, _ in examples.phrases(DEFAULT_WORDS))


def featured(words: tuple[str, ...]) -> Featured | None:
    """Return the features of the library: these words, or those that it teaches if there are none.

    They are found once for all sessions, under a bar; None if the person cancelled.

    Raises:
        QueryError: too few images, or fewer than two words that differ.
    """
    library = state.library()
    asked = repr(("features", words, str(library.folder), library.cache_key))
    doing = READING if words else LEARNING
    return once(asked, lambda: _featuring(library, words), STEPS // ROUND, doing)


def _featuring(library: Library, words: tuple[str, ...]) -> Work[Featured]:
    features = yield from learning_features(library, words=words)
    most = MAX_TOLD_ROWS if words else MAX_NAMED_ROWS
    rows = np.sort(np.random.default_rng(0).permutation(len(library))[:most])
    activations = features.of(library.points(rows))
    top = tuple(_top(activations[:, place], rows) for place in range(len(features)))
    return Featured(features, (activations > 0).mean(axis=0), top)


def _top(activations: Float[np.ndarray, " N"], rows: Int[np.ndarray, " N"]) -> tuple[int, ...]:
    highest = np.argsort(-activations, kind="stable")[:TOP_IMAGES]
    return tuple(map(int, rows[highest[activations[highest] > 0]]))

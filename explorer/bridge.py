"""Bridge: a map from the points of one space to those of another, learnt from the same images.

With it a decoder reads points of a CLIP that it was never trained for. It works on vectors; it
knows no model, no library and no image.
"""

import hashlib
from dataclasses import asdict, dataclass, field, replace
from os import PathLike
from pathlib import Path as FilePath
from typing import Any, Self

import numpy as np
from jaxtyping import Float

from explorer.array_files import read_arrays, usable, write_arrays
from explorer.errors import QueryError, SideMismatch
from explorer.points import Points, Space

NAME = "bridge"  # of its files
MANIFEST, WEIGHTS = f"{NAME}.json", f"{NAME}.safetensors"
MIN_PAIRS = 16
MAX_ANCHORS = 2048  # pairs near which the map may bend
MAX_CHOOSING = 1024  # pairs that the penalty and the width are chosen on
FOLDS = 4
PENALTIES = np.logspace(-6, 0, 13)  # a pair, where the inputs have variance 1 in all
WIDTHS = (0.0, 0.3, 1.0, 3.0)  # of the bend, in medians of the squared distance; 0: none
BLOCK = 8192  # rows that are mapped at once


@dataclass(frozen=True, eq=False)
class Bridge:
    """A map from image-side points of `source` to those of `target`.

    Directions and lengths are mapped together, by ridge regression on the direction and the log
    length of a point, and on how near it lies to each of some thousand anchors. The last part
    bends the map where images lie; far from all of them it is linear. It is left out where it
    does not help on images that were not fitted.

    Args:
        weights: the arrays of the map, by name.
        width: of the bend; 0 if there is none.
        figures: what was measured of it.
        models: names of the two models, as `load` takes them; "" if nobody said.

    >>> rng = np.random.default_rng(0)
    >>> a, b = Space("a", 8, "0a"), Space("b", 6, "0b")
    >>> vectors = rng.normal(size=(200, 8))
    >>> there = vectors @ rng.normal(size=(8, 6))
    >>> bridge = Bridge.fit(Points(vectors, a, "image"), Points(there, b, "image"))
    >>> bridge.apply(Points(vectors[:3], a, "image")).vectors.shape
    (3, 6)
    """

    source: Space
    target: Space
    weights: dict[str, Float[np.ndarray, "..."]]
    width: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)
    models: tuple[str, str] = ("", "")

    @classmethod
    def fit(cls, points_a: Points, points_b: Points, *, seed: int = 0) -> Self:
        """Fit to pairs: row i of both are points of the same image.

        In closed form; penalty and width are chosen by cross-validation, by the mean cosine. Some
        hundred pairs will do, some thousand do better. N pairs take about N × 2,000 × 4 bytes.

        Args:
            seed: of the folds, and of the choice of the anchors.

        Raises:
            QueryError: fewer than 16 pairs, or counts differ.
            SideMismatch: they are not on the image side.

        Source: Saunders et al. 1998 for ridge regression with a kernel, here linear + Gaussian;
        Williams & Seeger 2001 for its anchors (Nyström).
        """
        if len(points_a) != len(points_b) or len(points_a) < MIN_PAIRS:
            raise QueryError(
                f"A bridge needs {MIN_PAIRS} images or more that both models have seen, not "
                f"{len(points_a)} points and {len(points_b)}. Pass one point of each per image."
            )
        for points in (points_a, points_b):
            _check_side(points)
        order = np.random.default_rng(seed).permutation(len(points_a))
        inputs = _Inputs.of(points_a)
        x, y = inputs(points_a)[order], _outputs(points_b)[order]
        width, penalty = _chosen(x[:MAX_CHOOSING], y[:MAX_CHOOSING])
        weights = _fitted(x, y, width, penalty) | inputs.arrays()
        weights["lengths"] = np.array([y[:, -1].min(), y[:, -1].max()])
        weights["norms"] = np.array([points_a.norms.mean(), points_a.norms.std()])
        weights = {name: np.asarray(each, np.float32) for name, each in weights.items()}
        return cls(points_a.space, points_b.space, weights, width)

    def apply(self, points: Points) -> Points:
        """Map image-side points, labels kept.

        Raises:
            SpaceMismatch: they are not of `source`.
            SideMismatch: they are on the text side, which the bridge has not seen.
        """
        other = f'load("{self.models[0]}").encoder' if self.models[0] else "the encoder of its own"
        self.source.check(points.space, f"This bridge begins elsewhere: encode with {other}.")
        _check_side(points)
        rows = range(0, len(points), BLOCK)
        mapped = np.concatenate([self._mapped(points[i : i + BLOCK]) for i in rows])
        return Points(mapped, self.target, "image", points.labels)

    def _mapped(self, points: Points) -> Float[np.ndarray, "N E"]:
        w = self.weights
        x = _Inputs(w["mean"], float(w["scale"]), w["log_length"])(points)
        y = x @ w["linear"] + w["offset"]
        if self.width:
            y += _nearness(x, w["anchors"], self.width) @ w["bend"]
        direction = y[:, :-1] / np.linalg.norm(y[:, :-1], axis=1, keepdims=True)
        return direction * np.exp(np.clip(y[:, -1:], *w["lengths"]))

    @property
    def norms(self) -> tuple[float, float]:
        """Mean and deviation of the lengths of the points that it was fitted to."""
        mean, deviation = self.weights["norms"].tolist()
        return mean, deviation

    @property
    def fingerprint(self) -> str:
        """A checksum of the map, in hex."""
        arrays = [self.weights[name].tobytes() for name in sorted(self.weights)]
        return hashlib.sha256(b"".join(arrays)).hexdigest()

    def with_figures(self, figures: dict[str, Any], models: tuple[str, str]) -> Self:
        """Return the same bridge with what was measured of it, and the names of its models."""
        return replace(self, figures=figures, models=models)

    def save(self, folder: str | PathLike[str]) -> None:
        """Write the bridge into a folder, over one that is there.

        Raises:
            DiskError: the disk refuses.
        """
        values = {
            "model": self.models[0], "space": asdict(self.source),
            "target_model": self.models[1], "target": asdict(self.target),
            "width": self.width, "figures": self.figures,
        }  # fmt: skip
        write_arrays(FilePath(folder), NAME, self.weights, values)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            WeightsMissing: there is none, or a file is damaged.
        """
        remedy = f"Make one: unclip train bridge LIBRARY --to MODEL -o {folder}"
        with usable(FilePath(folder), "bridge", remedy):
            told, weights = read_arrays(FilePath(folder), NAME)
            source, target = (Space(**told[name]) for name in ("space", "target"))
            models = (str(told["model"]), str(told["target_model"]))
            bridge = cls(source, target, weights, float(told["width"]), told["figures"], models)
            bridge._check()
        return bridge

    def _check(self) -> None:
        """Refuse arrays of shapes that do not fit, by mapping one point."""
        numbers = [*self.weights.values(), np.array([*self.norms, self.width])]
        if not all(np.isfinite(each).all() for each in numbers) or self.width < 0:
            raise ValueError("its numbers are not finite")
        point = Points(np.eye(1, self.source.dimension), self.source, "image")
        if self.apply(point).vectors.shape != (1, self.target.dimension):
            raise ValueError("its weights have other shapes than its spaces")


@dataclass(frozen=True)
class _Inputs:
    """What the regression reads: centred directions and the log length, of variance 1 in all."""

    mean: Float[np.ndarray, " D"]
    scale: float
    log_length: Float[np.ndarray, " 2"]  # mean, and what it is divided by

    @classmethod
    def of(cls, points: Points) -> "_Inputs":
        mean = points.unit.mean(0)
        spread = float(np.sqrt(((points.unit - mean) ** 2).sum(1).mean())) or 1.0
        logs = np.log(points.norms)
        width = float(logs.std()) * points.space.dimension**0.5
        return cls(mean, spread, np.array([logs.mean(), max(width, 1e-3)]))

    def arrays(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean, "scale": np.array(self.scale), "log_length": self.log_length}

    def __call__(self, points: Points) -> Float[np.ndarray, "N D+1"]:
        directions = (points.unit - self.mean) / self.scale
        logs = (np.log(points.norms) - self.log_length[0]) / self.log_length[1]
        return np.concatenate([directions, logs[:, None]], 1).astype(np.float64)


def _outputs(points: Points) -> Float[np.ndarray, "N E+1"]:
    """Directions, and log lengths in the last column."""
    return np.concatenate([points.unit, np.log(points.norms)[:, None]], 1).astype(np.float64)


def _chosen(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the width and penalty with the highest mean cosine on pairs that were not fitted."""
    scores = np.zeros((len(WIDTHS), len(PENALTIES)))
    for held in np.array_split(np.arange(len(x)), FOLDS):
        kept = np.setdiff1d(np.arange(len(x)), held)
        middle = y[kept].mean(0)
        right = y[held, :-1]
        for i, width in enumerate(WIDTHS):
            kernel = x @ x[kept].T + (_nearness(x, x[kept], width) if width else 0.0)
            values, axes = np.linalg.eigh(kernel[kept])
            towards, back = kernel[held] @ axes, axes.T @ (y[kept] - middle)
            for j, penalty in enumerate(PENALTIES):
                ridge = np.maximum(values, 0) + penalty * len(kept)
                guess = (towards @ (back / ridge[:, None]) + middle)[:, :-1]
                lengths = np.linalg.norm(guess, axis=1) * np.linalg.norm(right, axis=1)
                scores[i, j] += ((guess * right).sum(1) / lengths).sum() / len(x)
    best, penalty = np.unravel_index(scores.argmax(), scores.shape)
    return WIDTHS[int(best)], float(PENALTIES[int(penalty)])


def _fitted(x: np.ndarray, y: np.ndarray, width: float, penalty: float) -> dict[str, np.ndarray]:
    """Solve the ridge regression on the inputs and, with a width, on their nearness to anchors."""
    anchors = x[:MAX_ANCHORS] if width else x[:0]
    whiten = _inverse_root(_nearness(anchors, anchors, width)) if width else np.zeros((0, 0))
    bent = _nearness(x, anchors, width) @ whiten if width else np.zeros((len(x), 0))
    rows = np.concatenate([x, bent], 1)
    middle, level = rows.mean(0), y.mean(0)
    rows -= middle
    ridge = penalty * len(x) * np.eye(rows.shape[1])
    solved = np.linalg.solve(rows.T @ rows + ridge, rows.T @ (y - level))
    split = x.shape[1]
    return {
        "linear": solved[:split],
        "bend": whiten @ solved[split:],
        "anchors": anchors,
        "offset": level - middle @ solved,
    }


def _nearness(x: np.ndarray, anchors: np.ndarray, width: float) -> Float[np.ndarray, "N M"]:
    """Gaussian kernel; inputs have variance 1, so that two of them are 2 apart, squared."""
    squares = (x**2).sum(1)[:, None] + (anchors**2).sum(1) - 2 * x @ anchors.T
    near: np.ndarray = np.exp(-np.maximum(squares, 0) / (2 * width))
    return near


def _inverse_root(kernel: np.ndarray) -> np.ndarray:
    values, axes = np.linalg.eigh(kernel)
    return axes / np.sqrt(np.maximum(values, 1e-8 * values[-1])) @ axes.T


def _check_side(points: Points) -> None:
    if points.side != "image":
        raise SideMismatch(
            "A bridge maps image-side points, and these are on the text side. Encode the words "
            "with the other model, or turn an image's point by them before the bridge."
        )

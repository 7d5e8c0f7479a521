"""What one encoder knows that another does not: what a bridge from the other cannot carry over."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from analysis.dataset import Dataset
from analysis.figures import strip
from explorer.bridge import Bridge
from explorer.metrics import bootstrap, leading_axes
from explorer.points import Points

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 4  # images at each end of an axis


@dataclass(frozen=True, eq=False)
class Residual:
    """What is left of directions when a bridge has told all that it can, of images not fitted.

    Args:
        left: of each image, its direction less the one that was foretold.
        spread: of each image, its direction less the mean.
    """

    left: Float[np.ndarray, "N D"]
    spread: Float[np.ndarray, "N D"]

    @classmethod
    def of(cls, known: Points, from_other: Points) -> "Residual":
        """Fit a bridge to the first half of these pairs, and look at the second."""
        half = len(known) // 2
        bridge = Bridge.fit(from_other[:half], known[:half])
        right, foretold = known[half:].unit, bridge.apply(from_other[half:]).unit
        return cls(right - foretold, right - known[:half].unit.mean(0))

    @property
    def unknown(self) -> float:
        """The share of the variance that the other encoder does not know: 0 all known, 1 none."""
        return _share(self._squares)

    def interval(self, seed: int) -> tuple[float, float]:
        """Where `unknown` lies with 95 % confidence: a bootstrap over images."""
        return bootstrap(self._squares, _share, seed=seed)

    @property
    def _squares(self) -> Float[np.ndarray, "N 2"]:
        return np.stack([(self.left**2).sum(1), (self.spread**2).sum(1)], 1)

    def ends(self, count: int = SHOWN) -> tuple[Int[np.ndarray, " K"], Int[np.ndarray, " K"]]:
        """Rows at both ends of the axis along which most is left."""
        order = np.argsort(self.left @ leading_axes(self.left, 1)[:, 0])
        return order[:count], order[::-1][:count]


def _share(squares: Float[np.ndarray, "N 2"]) -> float:
    left, spread = squares.sum(0)
    return float(left / max(spread, 1e-12))


def compared(
    dataset: Dataset, rows: Int[np.ndarray, " N"], own: Points, others: Points
) -> tuple["pd.DataFrame", dict[str, Figure]]:
    """Ask it both ways of the same images; show what lies at the ends of what is left.

    Args:
        rows: of the dataset's library, one a pair.
    """
    import pandas as pd

    table, figures, half = [], {}, len(rows) // 2
    for known, other in ((own, others), (others, own)):
        residual = Residual.of(known, other)
        name = f"{known.space.name} beyond {other.space.name}"
        table.append((name, len(residual.left), residual.unknown, *residual.interval(dataset.seed)))
        low, high = (rows[half:][end] for end in residual.ends())
        shown = np.concatenate([low, high])
        figures[f"What {known.space.name} tells apart and {other.space.name} does not"] = strip(
            dataset.images(shown),
            dataset.names(shown),
            columns=SHOWN,
            names=["one end", "the other"],
        )
    columns = ["what is not known", "images", "share of variance", "low (95 %)", "high (95 %)"]
    return pd.DataFrame(table, columns=columns), figures

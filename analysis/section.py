"""Section: what one question answers, ready for a report or a notebook."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from explorer.metrics import wilson

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Section:
    """One answer.

    Args:
        name: of the module, such as "gap".
        question: one sentence with a question mark.
        finding: what was found, one or two plain sentences with numbers.
        method: how it was measured: of how many, which seed, which interval.
        source: the paper or papers that the measures come from.
        tables: title → table; its columns say their units.
        figures: title → figure.
    """

    name: str
    question: str
    finding: str
    method: str
    source: str
    tables: "dict[str, pd.DataFrame]" = field(default_factory=dict)
    figures: "dict[str, Figure]" = field(default_factory=dict)

    def _repr_html_(self) -> str:
        """Show in Jupyter what the report shows."""
        from analysis.page import part

        return part(self.name, self, {})


def percent(hits: int, n: int) -> str:
    """Write a share with its Wilson interval.

    >>> percent(5, 10)
    '50 % (23.7 to 76.3 %)'
    """
    low, high = wilson(hits, n)
    return f"{100 * hits / max(n, 1):.3g} % ({100 * low:.3g} to {100 * high:.3g} %)"

"""Section: what one question answers, ready for a report or a notebook."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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

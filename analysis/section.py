"""Section: what one question answers, ready for a report or a notebook, and its HTML."""

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from analysis.figures import as_png
from explorer.metrics import wilson

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_MAX_ROWS = 15  # of a table that are shown; its file holds all


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

    def html(self, files: Mapping[str, str] | None = None) -> str:
        """Return one <section>, its figures inside, everything that is text escaped.

        Args:
            files: title of a table → the file that holds all of it; without one, the table says
                only how many rows are left out.
        """
        files = files or {}
        parts = [
            f'<section id="{escape(self.name)}">',
            f"<h2>{escape(self.name)}</h2>",
            f'<p class="question">{escape(self.question)}</p>',
            f'<p class="finding">{escape(self.finding)}</p>',
            *(_figure(title, figure) for title, figure in self.figures.items()),
            *(_table(title, table, files.get(title, "")) for title, table in self.tables.items()),
            f'<p class="how">How it was measured: {escape(self.method)}</p>',
            f'<p class="how">Source: {escape(self.source)}</p>',
            "</section>",
        ]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        """Show in Jupyter what the report shows."""
        return self.html()


def percent(hits: int, n: int) -> str:
    """Write a share with its Wilson interval.

    >>> percent(5, 10)
    '50 % (23.7 to 76.3 %)'
    """
    low, high = wilson(hits, n)
    return f"{100 * hits / max(n, 1):.3g} % ({100 * low:.3g} to {100 * high:.3g} %)"


def _figure(title: str, figure: "Figure") -> str:
    content = base64.b64encode(as_png(figure)).decode()
    image = f'<img src="data:image/png;base64,{content}" alt="{escape(title)}" loading="lazy">'
    return f"<figure>{image}<figcaption>{escape(title)}</figcaption></figure>"


def _table(title: str, table: "pd.DataFrame", file: str) -> str:
    numeric = [kind.kind in "iuf" for kind in table.dtypes]
    head = "".join(_cell("th", name, right) for name, right in zip(table, numeric, strict=True))
    shown = table.head(_MAX_ROWS).itertuples(index=False, name=None)
    rows = [
        "<tr>" + "".join(map(_cell, ["td"] * len(row), row, numeric)) + "</tr>" for row in shown
    ]
    more = len(table) - _MAX_ROWS
    note = f"{more:,} more rows" if more > 0 else ""
    if file:
        note += f'{" are in " * bool(note)}<a href="{escape(file)}">{escape(file)}</a>'
    return (
        f"<h3>{escape(title)}</h3>\n"
        f'<div class="table"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{chr(10).join(rows)}</tbody></table></div>\n"
        f'<p class="how">{note}</p>'
    )


def _cell(tag: str, value: Any, right: bool) -> str:
    style = ' class="number"' if right else ""
    return f"<{tag}{style}>{escape(_text(value))}</{tag}>"


def _text(value: Any) -> str:
    """A cell's value for people: three digits, and a dash where nothing is."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "—"
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"

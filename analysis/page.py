"""Page: answers as one HTML page that needs nothing else; `page.html` beside it is its frame.

Everything that is written into it is escaped: captions are a user's.
"""

import base64
import math
from collections.abc import Mapping
from html import escape
from pathlib import Path as FilePath
from string import Template
from typing import TYPE_CHECKING, Any

from analysis.figures import as_png
from analysis.section import Section

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_FRAME = FilePath(__file__).with_name("page.html")
_MOST_ROWS = 15  # of a table; the rest is in its file


def page(
    answers: Mapping[str, Section | str],
    facts: Mapping[str, str],
    files: Mapping[tuple[str, str], str],
) -> str:
    """Write the page.

    Args:
        answers: question → its section, or the reason why there is none.
        facts: what the page says at its top.
        files: question and title of a table → the file that holds the whole of it.
    """
    contents = [
        f'<li><a href="#{escape(name)}">{escape(name)}</a>: {escape(_line(answer))}</li>'
        for name, answer in answers.items()
    ]
    return Template(_FRAME.read_text(encoding="utf-8")).substitute(
        title="What the library and its model show",
        facts="\n".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items()),
        contents="\n".join(contents),
        sections="\n".join(part(name, answer, files) for name, answer in answers.items()),
    )


def _line(answer: Section | str) -> str:
    return "not asked" if isinstance(answer, str) else answer.question


def part(name: str, answer: Section | str, files: Mapping[tuple[str, str], str]) -> str:
    """One answer of the page; a table without a file says only how many rows are left out."""
    head = f'<section id="{escape(name)}">\n<h2>{escape(name)}</h2>'
    if isinstance(answer, str):
        reason = f'<p class="finding absent">This was not asked: {escape(answer)}</p>'
        return f"{head}\n{reason}\n</section>"
    parts = [
        head,
        f'<p class="question">{escape(answer.question)}</p>',
        f'<p class="finding">{escape(answer.finding)}</p>',
        *(_figure(title, figure) for title, figure in answer.figures.items()),
        *(_table(title, table, files.get((name, title))) for title, table in answer.tables.items()),
        f'<p class="how">How it was measured: {escape(answer.method)}</p>',
        f'<p class="how">Source: {escape(answer.source)}</p>',
        "</section>",
    ]
    return "\n".join(parts)


def _figure(title: str, figure: "Figure") -> str:
    content = base64.b64encode(as_png(figure)).decode()
    image = f'<img src="data:image/png;base64,{content}" alt="{escape(title)}" loading="lazy">'
    return f"<figure>{image}<figcaption>{escape(title)}</figcaption></figure>"


def _table(title: str, table: "pd.DataFrame", file: str | None) -> str:
    numeric = [kind.kind in "iuf" for kind in table.dtypes]
    head = "".join(_cell("th", name, right) for name, right in zip(table, numeric, strict=True))
    shown = table.head(_MOST_ROWS).itertuples(index=False, name=None)
    rows = [
        "<tr>" + "".join(map(_cell, ["td"] * len(row), row, numeric)) + "</tr>" for row in shown
    ]
    more = len(table) - _MOST_ROWS
    note = f"{more:,} more rows" if more > 0 else ""
    if file is not None:
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

"""Page: answers as one HTML page that needs nothing else; `page.html` beside it is its frame.

Everything that is written into it is escaped: captions are a user's.
"""

from collections.abc import Mapping
from html import escape
from pathlib import Path as FilePath
from string import Template

from analysis.section import Section

Answer = Section | str  # or the reason why the question could not be asked

_FRAME = FilePath(__file__).with_name("page.html")


def page(
    answers: Mapping[str, Answer],
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
        sections="\n".join(_section(name, answer, files) for name, answer in answers.items()),
    )


def _line(answer: Answer) -> str:
    return "not asked" if isinstance(answer, str) else answer.question


def _section(name: str, answer: Answer, files: Mapping[tuple[str, str], str]) -> str:
    if isinstance(answer, Section):
        return answer.html({title: files.get((name, title), "") for title in answer.tables})
    return (
        f'<section id="{escape(name)}">\n<h2>{escape(name)}</h2>\n'
        f'<p class="finding absent">This was not asked: {escape(answer)}</p>\n</section>'
    )

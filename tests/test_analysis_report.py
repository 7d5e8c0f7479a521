import base64
import importlib
import pkgutil
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path as FilePath

import emoji
import numpy as np
import pandas as pd
import pytest
from coloured import dataset
from PIL import Image

import analysis
from analysis import __main__ as door
from analysis import figures, questions, report
from analysis.page import page
from analysis.questions import QUESTIONS, contrast
from analysis.section import Section, percent
from explorer.errors import QueryError

EVIL = "<script>alert('&')</script>"


def answer(**changes):
    given = {
        "name": "gap",
        "question": "How far?",
        "finding": "Far.",
        "method": "By eye.",
        "source": "Me.",
    }
    return Section(**(given | changes))


class Page(HTMLParser):
    """What a page holds: its tags with their attributes, in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_has_a_module_that_answers_it_and_a_line_in_the_docstring(name):
    assert callable(importlib.import_module(f"analysis.questions.{name}").section)
    assert re.search(rf"^    {name} +\w", analysis.__doc__, re.MULTILINE)


def test_every_module_of_questions_is_asked_and_every_helper_is_described():
    assert sorted(QUESTIONS) == sorted(m.name for m in pkgutil.iter_modules(questions.__path__))
    helpers = {m.name for m in pkgutil.iter_modules(analysis.__path__)} - {"questions", "__main__"}
    assert {name for name in helpers if not re.search(rf"\b{name}\b", analysis.__doc__)} == set()


def test_a_report_holds_its_figures_and_refers_to_its_tables(tmp_path):
    table = pd.DataFrame({"word": ["a"] * 20, "cosine": np.linspace(0, 1, 20)})
    section = answer(tables={"All words": table}, figures={"A strip": figures.strip([TILE] * 3)})
    answers = {"gap": section, "pca": "There is no decoder."}
    files = report.write(answers, {"seed": "0"}, tmp_path / "new" / "report")
    assert [file.name for file in files] == ["gap-1-all-words.csv", "index.html"]
    text = files[1].read_text()
    shown = Page(text)
    assert shown.open == []
    (image,) = shown.all("img")
    content = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))
    assert content.startswith(b"\x89PNG")
    assert image["alt"] == "A strip"
    assert [link["href"] for link in shown.all("a")] == ["#gap", "#pca", "gap-1-all-words.csv"]
    assert {s["id"] for s in shown.all("section")} == {"gap", "pca"}
    assert "5 more rows" in text
    assert "This was not asked: There is no decoder." in text
    assert pd.read_csv(files[0]).equals(pd.read_csv(files[0]).assign(**table))


def test_a_page_needs_nothing_from_elsewhere():
    shown = Page(page({"gap": answer()}, {}, {}))
    assert "http" not in str([attributes for tag, attributes in shown.tags if tag != "meta"])
    assert not shown.all("script") + shown.all("link")


def test_what_users_wrote_is_escaped():
    table = pd.DataFrame({EVIL: [EVIL]})
    evil = answer(finding=EVIL, tables={EVIL: table}, figures={EVIL: figures.strip([TILE], [EVIL])})
    text = page({"gap": evil, "pca": EVIL}, {EVIL: EVIL}, {("gap", EVIL): EVIL})
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 8


def test_numbers_have_three_digits_and_nothing_is_a_dash():
    table = pd.DataFrame({"n": [7, 12345], "x": [0.123456, np.nan], "w": ["a", None], "y": 1234.5})
    text = page({"gap": answer(tables={"t": table})}, {}, {("gap", "t"): "t.csv"})
    cells = re.findall(r"<td[^>]*>(.*?)</td>", text)
    assert cells == ["7", "0.123", "a", "1,234", "12345", "—", "—", "1,234"]


TILE = Image.new("RGB", (8, 8), "navy")
AWKWARD = ["", r"cost $\oops$", "日本語の説明", "a" * 80, "two\nlines"]


@pytest.mark.parametrize(
    "figure",
    [
        figures.strip([TILE] * 5, AWKWARD, columns=3, names=["$a$", "b"]),
        figures.matrix(np.eye(5), AWKWARD, AWKWARD, unit="$"),
        figures.matrix(np.eye(5), AWKWARD, [TILE] * 5, unit="cosine"),
        figures.matrix(np.ones((30, 30), dtype=int), AWKWARD * 6, AWKWARD * 6, unit="count"),
        figures.bars(pd.DataFrame({"w": AWKWARD, "x": range(5)}), "w", "x", level=(2, "chance")),
        figures.lines(pd.DataFrame({"k": range(5), "x": range(5), "b": AWKWARD}), "k", "x", by="b"),
        figures.histogram({"$a": np.arange(9.0), "b": np.ones(3)}, "cosine"),
        figures.histogram({"": np.ones(3, dtype=int)}, "times", bins=2),
    ],
    ids=range(8),
)
def test_figures_are_drawn_whatever_the_labels(figure):
    assert figures.as_png(figure).startswith(b"\x89PNG")


def test_figures_leave_nothing_global_behind():
    import sys

    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_a_strip_shows_its_images_in_their_colours():
    import io

    figure = figures.strip([Image.new("RGB", (4, 4), c) for c in ("red", "lime")], columns=2)
    drawn = Image.open(io.BytesIO(figures.as_png(figure))).convert("RGB")
    quarter, middle = drawn.width // 4, drawn.height // 2
    assert drawn.getpixel((quarter, middle)) == (255, 0, 0)
    assert drawn.getpixel((3 * quarter, middle)) == (0, 255, 0)


def test_questions_that_cannot_be_asked_give_their_reason(tmp_path):
    answers = list(report.ask(dataset(tmp_path, captions=False), ["gap", "contrast"]))
    assert all("--caption" in text for text in answers)


def test_a_report_that_cannot_be_written_says_why(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(QueryError, match="cannot be written"):
        report.write({}, {}, tmp_path / "file")


def test_the_command_writes_a_report_of_a_library(tmp_path, pocket, sample, capsys):
    emoji.dataset(tmp_path, pocket, sample, 12)
    words = [str(tmp_path / "lib"), "-o", str(tmp_path / "out"), "--only", "contrast"]
    assert door.main(words) == 0
    said = capsys.readouterr()
    assert said.out.startswith(str(tmp_path / "out" / "index.html"))
    assert "[1/1] contrast" in said.err
    text = FilePath(tmp_path / "out" / "index.html").read_text()
    assert "column “caption”" in text
    assert "first of 12" in text


def test_the_command_explains_errors_in_one_line(tmp_path, capsys):
    assert door.main([str(tmp_path / "none"), "-o", str(tmp_path / "out")]) == 10
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SystemExit, match="2"):
        door.main([str(tmp_path), "-o", "x", "--only", "astrology"])
    assert "astrology" in capsys.readouterr().err


def test_an_answer_shows_itself_in_jupyter_as_in_the_report(tmp_path):
    given = contrast.section(dataset(tmp_path))
    html = given._repr_html_()
    assert html.count("<img") == len(given.figures) > 0
    assert html.count("<table") == len(given.tables) > 0
    told = replace(given, figures={})
    assert told._repr_html_() in page({"contrast": told}, {}, {})


def test_a_share_is_written_with_its_interval():
    assert percent(81, 263) == "30.8 % (25.5 to 36.6 %)"

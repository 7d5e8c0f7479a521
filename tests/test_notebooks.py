"""The notebooks run from top to bottom, and each .ipynb is its .py with outputs."""

import ast
import json
import re
import sys
from pathlib import Path

import jupytext
import pytest
from nbformat.v4 import new_output

import explorer

FOLDER = Path(__file__).parent.parent / "notebooks"
sys.path.insert(0, str(FOLDER))

import pair  # noqa: E402

SOURCES = pair.sources()
MAX_BYTES = 6_000_000  # of all notebooks together
ANALYSIS = {  # public in analysis, until analysis itself lists it
    "analysis.autoencoder",
    "analysis.questions.binding",
    "analysis.questions.gap",
    "analysis.questions.typography",
    "analysis.scenes",
    "analysis.sparse.decompose",
    "analysis.sparse.name",
    "analysis.vocabulary.Vocabulary",
    "analysis.vocabulary.words_of",
}
each = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


def committed(source):
    return jupytext.read(source.with_suffix(".ipynb"))


def outputs(cells):
    return [output for cell in cells for output in cell.get("outputs", [])]


def images(cells):
    data = [output.get("data", {}) for output in outputs(cells)]
    return [d for d in data if "image/png" in d or "<img" in d.get("text/html", "")]


def below_public(text):
    """Return what a notebook imports or reaches of explorer and analysis that is not public."""
    tree, found = ast.parse(text), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            of_package = isinstance(node.value, ast.Name) and node.value.id == "ex"
            if of_package or node.attr.startswith("_"):
                found.append(f"explorer.{node.attr}")
    public = {"explorer", *(f"explorer.{name}" for name in explorer.__all__)} | ANALYSIS
    ours = [name for name in found if name.split(".")[0] in ("explorer", "analysis", "pocket")]
    return [name for name in ours if name not in public]


def test_there_are_eight():
    assert [source.stem[:2] for source in SOURCES] == [f"{i:02}" for i in range(1, 9)]


@each
def test_a_notebook_is_its_source(source):
    kept, made = committed(source), pair.notebook(source)
    assert [(c.cell_type, c.id, c.source) for c in kept.cells] == [
        (c.cell_type, c.id, c.source) for c in made.cells
    ]
    assert kept.metadata == made.metadata


@each
def test_a_notebook_opens_with_its_question_and_ends_with_what_was_learned(source):
    cells = pair.notebook(source).cells
    assert re.match(r"# .*\?\n", cells[0].source)
    assert cells[-1].source.startswith("**What we learned.**")


@each
def test_a_notebook_is_committed_with_what_it_shows(source):
    kept = committed(source)
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert len(images(code)) >= 2
    assert any(output.get("name") == "stdout" for output in outputs(code)), "no figure is printed"
    assert not [output for output in outputs(code) if output.output_type == "error"]


@each
def test_what_is_committed_does_not_tell_where_it_was_run(source):
    text = json.dumps(outputs(committed(source).cells))
    text = re.sub(r"[A-Za-z0-9+/=]{200,}", "", text)  # images
    assert not re.findall(r"(?:/home/|/root|/tmp|/Users/)[^\s\"]*| at 0x[0-9a-f]+", text)
    assert pair.WIDGET not in text


def test_the_notebooks_are_small():
    assert sum(source.with_suffix(".ipynb").stat().st_size for source in SOURCES) <= MAX_BYTES


@each
def test_a_notebook_uses_public_names_only(source):
    assert below_public(source.read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "from explorer.sample_library import IMAGES",
        "import explorer.models",
        "from explorer import sampler",
        "import explorer as ex\nex.geometry.angle",
        "from analysis.report import report",
        "library._store",
        "import pocket.train",
    ],
)
def test_what_lies_below_the_public_names_is_found(text):
    assert below_public(text)


def test_outputs_lose_what_only_one_run_or_one_machine_has(tmp_path):
    shown = [
        new_output("stream", name="stderr", text="a warning"),
        new_output("stream", name="stdout", text=f"1 %\r100 %\n\x1b[1m{tmp_path}/a.png\x1b[0m\n"),
        new_output("display_data", {pair.WIDGET: {}, "text/plain": "VBox()"}),
        new_output(
            "display_data", {"image/png": "abc", "image/jpeg": "d", "text/plain": "<Image>"}
        ),
        new_output("display_data", {"text/html": "<b>1</b>", "text/plain": "1"}),
    ]
    kept = pair.tidy(shown, tmp_path)
    assert kept[0].text == "100 %\na.png\n"
    assert [output.data for output in kept[1:]] == [{"image/png": "abc"}, {"text/html": "<b>1</b>"}]


def test_a_cell_of_only_widgets_says_so(tmp_path):
    shown = [new_output("display_data", {pair.WIDGET: {}, "text/plain": "VBox()"})]
    assert [output.data for output in pair.tidy(shown, tmp_path)] == [
        {"text/plain": pair.WIDGET_NOTE}
    ]


def test_a_text_that_changed_keeps_the_outputs_of_the_other_cells(tmp_path, monkeypatch):
    source = tmp_path / "1_story.py"
    source.write_text("# %%\n1 + 1\n\n# %%\n2 + 2\n")
    monkeypatch.setattr(pair, "HERE", tmp_path)
    made = pair.notebook(source)
    for cell in made.cells:
        cell.outputs = [new_output("stream", name="stdout", text=cell.source)]
    jupytext.write(made, source.with_suffix(".ipynb"))
    source.write_text("# %%\n1 + 1\n\n# %%\n2 + 3\n")
    pair.update([])
    assert [len(cell.outputs) for cell in committed(source).cells] == [1, 0]


@each
def test_a_notebook_runs(source, tmp_path):
    made = pair.run(source, tmp_path, MINUTES="0.1")
    assert len(images(made.cells)) == len(images(committed(source).cells))

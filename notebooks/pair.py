"""Run the notebooks: `python notebooks/pair.py --execute` writes each .ipynb from its .py.

The .py (jupytext, percent format) is what is edited and reviewed; the .ipynb beside it is the same
text with what it shows. Without `--execute` nothing runs: cells that changed lose their outputs.
`--render FOLDER` writes each .ipynb as an HTML page. Names choose notebooks: `--execute 02 05`.
"""

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

HERE = Path(__file__).parent
LANGUAGE = {"display_name": "Python 3", "language": "python", "name": "python3"}
WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_NOTE = "A widget: run this notebook in Jupyter to use it."
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # of a terminal
INLINE = "module://matplotlib_inline.backend_inline"


def sources(names: list[str] | None = None) -> list[Path]:
    """Return the notebooks in their order, or those whose names start with one of `names`."""
    found = sorted(HERE.glob("[0-9]*.py"))
    return [source for source in found if not names or source.stem.startswith(tuple(names))]


def notebook(source: Path) -> NotebookNode:
    """Return the notebook of a .py, without outputs; the same text gives the same notebook."""
    made = jupytext.read(source)
    made.metadata = {"kernelspec": LANGUAGE, "jupytext": {"formats": "ipynb,py:percent"}}
    for number, cell in enumerate(made.cells):
        cell.id, cell.metadata = f"cell-{number}", {}
        cell.source = cell.source.strip("\n")  # the two lines before a function
    return made


def run(source: Path, folder: Path, **variables: str) -> NotebookNode:
    """Return the notebook with its outputs, run from top to bottom inside `folder`.

    One thread computes, so that sums are added in the same order on every machine.

    Args:
        variables: of the environment, such as MINUTES="0.1" for a shorter training.
    """
    from nbclient import NotebookClient

    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", **variables}
    environment["MPLBACKEND"] = INLINE  # Jupyter's own, which one that is set here would replace
    made = notebook(source)
    client = NotebookClient(
        made, timeout=1200, kernel_name="python3", record_timing=False, store_widget_state=False
    )
    client.execute(cwd=str(folder), env=environment)
    made.metadata.pop("language_info", None)  # names the version of Python
    for cell in made.cells:
        if cell.cell_type == "code":
            cell.outputs = tidy(cell.outputs, folder)
    return made


def tidy(outputs: list[NotebookNode], folder: Path) -> list[NotebookNode]:
    """Leave in the outputs of a cell what is the same on every machine, each image once.

    The standard error goes. So do widgets, which only a running notebook can show.
    """
    kept: list[NotebookNode] = []
    for output in outputs:
        data = output.get("data", {})
        if output.get("name") == "stderr" or WIDGET in data:
            continue
        if output.output_type == "stream":
            output.text = local(printed(output.text), folder)
            if kept and kept[-1].output_type == "stream":
                kept[-1].text += output.text
                continue
        elif "image/png" in data:
            output.data = {"image/png": data["image/png"]}
        else:
            kinds = [kind for kind in ("text/html", "text/plain") if kind in data][:1]
            output.data = {kind: local(data[kind], folder) for kind in kinds}
        kept.append(output)
    if outputs and not kept and any(WIDGET in output.get("data", {}) for output in outputs):
        kept.append(nbformat.v4.new_output("display_data", {"text/plain": WIDGET_NOTE}))
    return kept


def printed(text: str) -> str:
    """Return what a terminal would show at last: no colours, and no line that was overwritten."""
    lines = ESCAPES.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rsplit("\r", 1)[-1] for line in lines)


def local(text: str, folder: Path) -> str:
    """Write paths short: from `folder`, from the repository, or from the home folder on."""
    for place in (folder, folder.resolve(), HERE.parent):
        text = text.replace(f"{place}{os.sep}", "")
    return text.replace(str(Path.home()), "~")


def execute(names: list[str]) -> None:
    """Run notebooks and write each .ipynb with its outputs."""
    for source in sources(names):
        with tempfile.TemporaryDirectory() as work:
            nbformat.write(run(source, Path(work)), source.with_suffix(".ipynb"))
        sys.stdout.write(f"{source.with_suffix('.ipynb')}\n")
        sys.stdout.flush()


def update(names: list[str]) -> None:
    """Write the text of each .py into its .ipynb; cells that are the same keep their outputs."""
    for source in sources(names):
        made, file = notebook(source), source.with_suffix(".ipynb")
        old = nbformat.read(file, 4).cells if file.exists() else []
        known = {cell.source: cell for cell in old if cell.cell_type == "code"}
        for cell in made.cells:
            if cell.cell_type == "code" and cell.source in known:
                cell.outputs = known[cell.source].outputs
                cell.execution_count = known[cell.source].execution_count
        nbformat.write(made, file)


def render(folder: Path, names: list[str]) -> None:
    """Write each .ipynb as one page that opens offline, with the outputs that it has."""
    from nbconvert import HTMLExporter

    folder.mkdir(parents=True, exist_ok=True)
    for source in sources(names):
        page, _ = HTMLExporter().from_filename(str(source.with_suffix(".ipynb")))
        (folder / f"{source.stem}.html").write_text(page)
        sys.stdout.write(f"{folder / source.stem}.html\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--execute", action="store_true", help="run, and write each .ipynb")
    parser.add_argument("--render", type=Path, metavar="FOLDER", help="write HTML pages there")
    parser.add_argument("names", nargs="*", help="such as 02; all notebooks without")
    given = parser.parse_args()
    if given.execute:
        execute(given.names)
    else:
        update(given.names)
    if given.render is not None:
        render(given.render, given.names)

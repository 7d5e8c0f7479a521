"""Write every notebook's .ipynb from its .py, without outputs: `python notebooks/pair.py`.

The .py (jupytext, percent format) is what is edited and reviewed. With `--render FOLDER` the
notebooks are run, and written as pages with all they show.
"""

import argparse
import sys
from pathlib import Path

import jupytext
from nbformat import NotebookNode

HERE = Path(__file__).parent
LANGUAGE = {"display_name": "Python 3", "language": "python", "name": "python3"}


def sources() -> list[Path]:
    """All notebooks, in their order."""
    return sorted(HERE.glob("[0-9]*.py"))


def notebook(source: Path) -> NotebookNode:
    """The notebook of a .py, without outputs; the same text gives the same notebook."""
    made = jupytext.read(source)
    made.metadata = {"kernelspec": LANGUAGE, "jupytext": {"formats": "ipynb,py:percent"}}
    for number, cell in enumerate(made.cells):
        cell.id, cell.metadata = f"cell-{number}", {}
    return made


def run(source: Path, folder: Path) -> NotebookNode:
    """The notebook with its outputs, run from top to bottom inside `folder`."""
    from nbclient import NotebookClient

    made = notebook(source)
    NotebookClient(made, timeout=600, kernel_name="python3").execute(cwd=str(folder))
    return made


def render(folder: Path) -> None:
    """Run all notebooks, and write each as one page that opens offline."""
    import tempfile

    from nbconvert import HTMLExporter

    folder.mkdir(parents=True, exist_ok=True)
    for source in sources():
        with tempfile.TemporaryDirectory() as work:
            page, _ = HTMLExporter().from_notebook_node(run(source, Path(work)))
        (folder / f"{source.stem}.html").write_text(page)
        sys.stdout.write(f"{folder / source.stem}.html\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--render", type=Path, metavar="FOLDER", help="run, and write pages there")
    given = parser.parse_args()
    if given.render:
        render(given.render)
    else:
        for source in sources():
            jupytext.write(notebook(source), source.with_suffix(".ipynb"))

"""The Python that people read: it imports public names only, and what is marked to run, runs."""

import ast
import re
import shutil

import pytest
from documents import DOCUMENTS, PAGES, README, ROOT, blocks

import explorer
from explorer.video import read_frames

PUBLIC_MODULES = {"explorer", "explorer.edits"}  # and all of analysis, which has no other names


def private_imports(source):
    """What a piece of Python imports below the public names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module]
            if node.module == "explorer":
                names = {alias.name for alias in node.names}
                yield from names - set(explorer.__all__) - {"__version__"}
        else:
            continue
        for module in modules:
            if module.split(".")[0] in ("explorer", "pocket") and module not in PUBLIC_MODULES:
                yield module


def pieces_of_python():
    for document in DOCUMENTS:
        for number, block in enumerate(blocks("python", document.read_text())):
            yield pytest.param(block, id=f"{document.relative_to(ROOT)}:{number}")
    for notebook in sorted((ROOT / "notebooks").glob("[0-9]*.py")):
        yield pytest.param(notebook.read_text(), id=notebook.relative_to(ROOT).as_posix())


@pytest.mark.parametrize("source", list(pieces_of_python()))
def test_what_people_read_imports_public_names_only(source):
    assert sorted(set(private_imports(source))) == []


def test_a_private_import_is_seen():
    source = (
        "import explorer.library\nfrom explorer.edits import decode\nfrom explorer import files"
    )
    assert sorted(private_imports(source)) == ["explorer.library", "files"]


@pytest.fixture
def at_home(tmp_path, monkeypatch, sample):
    """A folder that looks like the repository to a reader's example, with few images."""
    images = tmp_path / "explorer" / "sample" / "images"
    for style, glyphs in (
        ("3d", "1f4*"),
        ("flat", "1f468-200d-1f33e"),
        ("noto", "1f431"),
        ("flat", "1f42e"),
    ):
        (images / style).mkdir(parents=True, exist_ok=True)
        for file in (sample / style).glob(f"{glyphs}.png"):
            shutil.copy(file, images / style)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*pieces):
    names = {}
    for piece in pieces:
        exec(compile(piece, "an example", "exec"), names)
    return names


def test_the_readmes_example_runs(at_home):
    (example,) = blocks("python", README)
    names = run(example)
    assert len(names["library"]) == len(list(at_home.rglob("explorer/**/*.png"))) > 100
    assert len(list(read_frames(at_home / "edit.mp4"))) == 24
    assert explorer.open_image(at_home / "heart.png").size == (64, 64)


def test_the_readmes_example_has_ten_lines_at_most():
    (example,) = blocks("python", README)
    assert len([line for line in example.splitlines() if line]) <= 10


RUNNABLE = [page for page in PAGES if "<!-- run -->" in page.read_text()]


@pytest.mark.timeout(600)  # the tutorial takes 80 s of a core
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.stem)
def test_the_examples_of_a_page_run_in_order(page, at_home):
    pattern = re.compile(r"^<!-- run -->\n```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
    run(*pattern.findall(page.read_text()))
    assert list(at_home.glob("*.png")), "it wrote nothing"


def test_the_tutorial_runs():
    assert "tutorial" in [page.stem for page in RUNNABLE]

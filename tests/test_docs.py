"""The documents say what is so: tree, links, commands, names, examples; the help texts."""

import ast
import re
import shlex
import sys

import pytest
import typer.main
from documents import ARCHITECTURE, DOCUMENTS, PAGES, README, ROOT, blocks

import explorer
from analysis.report import QUESTIONS
from explorer.cli import unclip

sys.path.insert(0, str(ROOT / "docs" / "generate"))

import command_reference
import offline_check
import python_reference

COMMANDS = typer.main.get_command(unclip).commands
each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda file: file.relative_to(ROOT).as_posix()
)


def tree_of(text):
    """Every path of an annotated tree, with its description."""
    found, above = {}, []
    for line in text.splitlines():
        branch, name, description = re.fullmatch(r"([│├└─ ]*)(\S+) *(.*)", line).groups()
        above[len(branch) // 4 :] = [name.strip("/")]
        found["/".join(above) + "/" * name.endswith("/")] = description
    return found


TREE = tree_of(blocks("tree", ARCHITECTURE)[0])


def there(depth):
    """The files and folders below explorer/ down to a depth, folders with a slash."""
    for thing in (ROOT / "explorer").rglob("*"):
        within = thing.relative_to(ROOT / "explorer")
        if len(within.parts) > depth or "__pycache__" in within.parts or thing.name[0] == ".":
            continue
        if thing.is_file() or any(thing.iterdir()):
            yield thing.relative_to(ROOT).as_posix() + "/" * thing.is_dir()


def described(file):
    if not file.endswith(".py"):
        return file
    docstring = ast.get_docstring(ast.parse((ROOT / file).read_text())) or "no docstring"
    return f"{file}  {docstring.splitlines()[0]}"


def test_the_tree_lists_every_file_and_folder_of_explorer_two_levels_deep():
    data = {file for file in there(2) if file.startswith(("explorer/sample/", "explorer/weights/"))}
    missing = set(there(1)) | (set(there(2)) - data) - {"explorer/"}
    assert [described(file) for file in sorted(missing - set(TREE))] == []


def test_all_that_the_tree_lists_exists():
    assert [file for file in TREE if not (ROOT / file).exists()] == []


def test_folders_end_with_a_slash_in_the_tree():
    assert [f for f in TREE if (ROOT / f).is_dir() != f.endswith("/")] == []


def test_the_tree_describes_every_line_in_its_own_words():
    descriptions = list(TREE.values())
    assert all(descriptions)
    assert len(set(descriptions)) == len(descriptions)


def test_a_tree_is_read_as_it_is_drawn():
    drawn = "a/    one\n├── b/    two\n│   └── c.py    three\n└── d.py    four"
    assert tree_of(drawn) == {"a/": "one", "a/b/": "two", "a/b/c.py": "three", "a/d.py": "four"}


def command_lines():
    """Every `unclip …` line in the documents, with where it stands."""
    for document in DOCUMENTS:
        text = document.read_text()
        found = [line for block in blocks("", text) for line in block.splitlines()]
        found += re.findall(r"`(unclip [^`\n]*\.[^`\n]*)`", text)
        for line in found:
            if line.startswith("unclip ") and line != "unclip COMMAND --help":
                yield pytest.param(line, id=f"{document.stem}: {line}")


@pytest.mark.parametrize("line", list(command_lines()))
def test_a_command_line_in_a_document_is_understood(line):
    words = shlex.split(line, comments=True)[1:]
    command = typer.main.get_command(unclip)
    while hasattr(command, "commands"):
        if not words:
            return
        name = words.pop(0)
        assert name in command.commands, line
        command = command.commands[name]
    command.make_context(name, words)


def test_the_tutorial_and_the_how_to_pages_use_every_command():
    named = {line.values[0].split()[1] for line in command_lines()}
    assert set(COMMANDS) - named - {"demo", "invert", "inpaint"} == set()


def test_the_reference_covers_every_command_with_its_options():
    page = command_reference.page()
    for name, command in command_reference.commands().items():
        section = page.partition(f"## unclip {name}\n")[2].partition("\n## ")[0]
        assert section, name
        for parameter in command.params:
            assert parameter.opts[0] in section, f"{name} {parameter.name}"
    assert {name.split()[0] for name in command_reference.commands()} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_does(name):
    assert re.match(r"[A-Z].{10,}?[.:?]", COMMANDS[name].help)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_explained_and_none_like_another(name):
    helps = {parameter.name: parameter.help for parameter in COMMANDS[name].params}
    assert all(helps.values()), helps
    assert len(set(helps.values())) == len(helps), helps


def test_the_python_reference_has_every_public_name_once():
    names = [name for _, names in python_reference.PAGES.values() for name in names]
    assert sorted(names) == sorted(explorer.__all__)


def test_the_page_of_the_report_explains_every_question_in_order():
    page = (ROOT / "docs" / "report.md").read_text().partition("## The questions")[2]
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(QUESTIONS)


def test_the_sentence_is_the_same_everywhere():
    texts = (README, ARCHITECTURE, (ROOT / "docs/index.md").read_text(), explorer.__doc__)
    plain = [text.replace("**", "").replace("\n", " ") for text in texts]
    sentences = [re.search(r"A Model gives one CLIP Space.*?into images\.", t) for t in plain]
    assert len({sentence.group(0) for sentence in sentences}) == 1


GENERATED = {"architecture.md", "changelog.md", "contributing.md", "model-card.md"}
GENERATED |= {"reference/commands.md"}
GENERATED |= {f"reference/python/{page}.md" for page in ("index", *python_reference.PAGES)}
GENERATED |= {f"notebooks/{file.stem}.md" for file in (ROOT / "notebooks").glob("[0-9]*.ipynb")}


def anchors(file):
    """The addresses of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).strip().replace(" ", "-") for each in headings}


def goes_somewhere(document, link):
    target, _, anchor = link.partition("#")
    file = (document.parent / target).resolve() if target else document
    docs = ROOT / "docs"
    if file.is_relative_to(docs) and file.relative_to(docs).as_posix() in GENERATED:
        return document.is_relative_to(docs)  # elsewhere there is no such file
    return file.exists() and (not anchor or anchor in anchors(file))


@each_document
def test_links_and_files_named_in_a_document_exist(document):
    text = document.read_text()
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    files = re.findall(
        r"`((?:explorer|analysis|pocket|tests|docs)/[\w/.]+|constraints\.txt)`", text
    )
    assert [link for link in links if not goes_somewhere(document, link)] == []
    placeholders = {file for file in files if "NAME" in file}
    assert [file for file in set(files) - placeholders if not (ROOT / file).exists()] == []


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text()
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in PAGES]
    assert [page for page in pages if f": {page}\n" not in navigation] == []


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 120


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/css">',
        '<img src="http://example.org/badge.svg">',
        '<img src="a.png" srcset="a.png 1x, https://example.org/b.png 2x">',
    ],
)
def test_what_a_page_would_fetch_elsewhere_is_found(html, tmp_path):
    (tmp_path / "page.html").write_text(html)
    assert [page for page, _ in offline_check.external(tmp_path)] == ["page.html"]


def test_links_and_local_files_are_not_taken_for_fetches(tmp_path):
    (tmp_path / "page.html").write_text(
        '<a href="https://example.org">x</a><img src="a.png">'
        '<link rel="canonical" href="https://example.org"><script src="../b.js"></script>'
    )
    (tmp_path / "style.css").write_text("body { background: url(data:image/png;base64,AA==) }")
    assert list(offline_check.external(tmp_path)) == []

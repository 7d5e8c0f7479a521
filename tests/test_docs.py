"""The documents say what is so: the README's tree, commands, names and example; the help texts."""

import ast
import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer.main

import explorer
from explorer.cli import unclip
from explorer.video import read_frames

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = typer.main.get_command(unclip).commands


def blocks(kind, text=README):
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def tree_of(text):
    """Every path of an annotated tree, with its description."""
    found, above = {}, []
    for line in text.splitlines():
        branch, name, description = re.fullmatch(r"([│├└─ ]*)(\S+) *(.*)", line).groups()
        above[len(branch) // 4 :] = [name.strip("/")]
        found["/".join(above) + "/" * name.endswith("/")] = description
    return found


TREE = tree_of(blocks("tree")[0])


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


def rows_of_commands():
    return dict(re.findall(r"^\| `unclip (\w+)` \|.*\| `(unclip [^`]*)` \|$", README, re.MULTILINE))


def test_the_readme_shows_every_command_and_no_other():
    assert set(rows_of_commands()) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readmes_command_line_is_understood(name):
    words = shlex.split(rows_of_commands()[name])
    assert words[:2] == ["unclip", name]
    COMMANDS[name].make_context(name, words[2:])


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_does(name):
    assert re.match(r"[A-Z].{10,}?[.:?]", COMMANDS[name].help)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_explained_and_none_like_another(name):
    helps = {parameter.name: parameter.help for parameter in COMMANDS[name].params}
    assert all(helps.values()), helps
    assert len(set(helps.values())) == len(helps), helps


def test_the_readme_names_all_public_names():
    names = re.search(r"public names are `([^`]*)`", README).group(1).split()
    assert sorted(names) == explorer.__all__


def test_the_sentence_is_the_same_everywhere():
    plain = [
        text.replace("**", "").replace("\n", " ")
        for text in (README, (ROOT / "ARCHITECTURE.md").read_text(), explorer.__doc__)
    ]
    sentences = [re.search(r"A Model gives one CLIP Space.*?into images\.", t) for t in plain]
    assert len({sentence.group(0) for sentence in sentences}) == 1


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md"])
def test_links_and_files_named_in_a_document_exist(document):
    text = (ROOT / document).read_text()
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    files = re.findall(r"`(explorer/[\w/.]+|tests/[\w/.]+|constraints\.txt)`", text)
    assert [file for file in links + files if not (ROOT / file).exists()] == []


def test_the_readmes_example_runs(tmp_path, monkeypatch, sample):
    images = tmp_path / "explorer" / "sample" / "images"
    shutil.copytree(sample / "3d", images / "3d")
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("python")
    names = {}
    exec(compile(example, "the README's example", "exec"), names)
    assert len(names["library"]) == len(list(images.rglob("*.png"))) > 100
    assert len(list(read_frames(tmp_path / "dog.mp4"))) == 24
    assert explorer.open_image(tmp_path / "heart.png").size == (64, 64)


def test_the_example_has_ten_lines():
    (example,) = blocks("python")
    assert len([line for line in example.splitlines() if line]) == 10

"""One place for the library in every command: named, UNCLIP_LIBRARY, or the config file."""

import json
import os
import shutil

import pytest
from fakes import coloured
from typer.testing import CliRunner

from docs.generate.command_reference import commands
from explorer import cli
from explorer.cli.library_option import FIRST, OPTION
from explorer.library import Library

OTHERS = {  # what else a command needs; one that is not here needs nothing
    "index": ["images"],
    "import": ["vectors.npy"],
    "search": ["a cat"],
    "diff": ["a cat", "--to", "a dog", "-o", "a.png"],
    "walk": ["a cat", "a dog", "-o", "a.png"],
    "map": ["-o", "map.html"],
    "export": ["-o", "vectors.npy"],
    "publish": ["--to", "milvus://published.db/images"],
    "forget": ["images"],
    "moved": ["images", "elsewhere"],
    "probe": ["--positive", "a.png", "--negative", "b.png"],
    "train decoder": ["-o", "trained"],
    "train prior": ["-o", "trained"],
    "train bridge": ["--to", "pocket"],
    "turn": ["a cat", "--feature", "0=1", "-o", "a.png"],
}
HAVE = {
    name: {each.name for each in command.params}
    for name, command in commands().items()
    if OPTION in {each.name for each in command.params}
}
PLACED = [name for name in HAVE if FIRST in HAVE[name]]
OPTIONAL = {"diff", "walk", "app"}  # they do something without a library too
FORMS = ("first", "--library", "-l", "environment", "config")


def unclip(*words):
    return CliRunner().invoke(cli.unclip, [str(word) for word in words])


def configure(text, monkeypatch, folder):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    (folder / "unclip").mkdir(parents=True, exist_ok=True)
    (folder / "unclip" / "config.toml").write_text(text)


def run(name, form, library, others, monkeypatch, folder):
    """Run a command with its library in one form; other commands' libraries are not there."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "nothing"))
    given = {"first": [library], "--library": ["--library", library], "-l": ["-l", library]}
    if form == "environment":
        monkeypatch.setenv("UNCLIP_LIBRARY", str(library))
    if form == "config":
        configure(f"library = {json.dumps(str(library))}", monkeypatch, folder / "config")
    return unclip(*name.split(), *given.get(form, []), *others)


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A library that no command can open, so that every command says at once which it took."""
    folder = tmp_path_factory.mktemp("broken")
    Library.create(folder / "b.lib", coloured())
    for file in (folder / "b.lib" / "manifests").iterdir():
        file.write_text("{}")
    (folder / "images").mkdir()
    return folder


@pytest.fixture(scope="module")
def kept(emoji, emoji_images, tmp_path_factory):
    """A folder with a library of emoji, photos.lib, and an empty one of another model, e.lib."""
    folder = tmp_path_factory.mktemp("kept")
    shutil.copytree(emoji, folder / "photos.lib")
    Library.create(folder / "e.lib", coloured())
    os.symlink(emoji_images, folder / "images")
    return folder


def test_the_commands_with_a_library_are_these():
    assert set(OTHERS) | OPTIONAL | {"info", "verify", "repair", "duplicates", "cluster"} <= set(
        HAVE
    )
    assert set(HAVE) - set(PLACED) == {"index", "import"}
    for name in HAVE:
        option = next(each for each in commands()[name].params if each.name == OPTION)
        assert set(option.opts) == {"-l", "--library"}, name


def forms_of(name):
    return FORMS if name in PLACED else FORMS[1:]


@pytest.mark.parametrize(("name", "form"), [(n, form) for n in HAVE for form in forms_of(n)])
def test_every_command_takes_the_library_in_every_form(name, form, broken, monkeypatch):
    library = broken / "b.lib"
    result = run(name, form, library, OTHERS.get(name, []), monkeypatch, broken)
    assert result.exit_code == 2, result.output
    assert f"No manifest of the library {library} can be trusted" in result.stderr
    origin = {"environment": "UNCLIP_LIBRARY", "config": broken / "config/unclip/config.toml"}
    if form in origin and name not in OPTIONAL - {"app"}:  # an edit says it once it is opened
        assert result.stderr.startswith(f"unclip: library {library} (from {origin[form]})\n")
    else:
        assert "(from" not in result.stderr
    assert set(os.listdir(broken)) <= {"b.lib", "images", "config"}


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("search", ["images/3d/1f431.png", "-", "a cat", "--where", "style=flat"]),
        ("info", []),
        ("verify", ["--read-data"]),
        ("duplicates", ["--threshold", "0.9"]),
        ("export", ["-o", "vectors.npy"]),
        ("index", ["images", "--workers", "0"]),
        ("repair", []),
    ],
)
def test_all_forms_give_the_same_result(name, others, kept, emoji_images, monkeypatch):
    others = [str(emoji_images) if each == "images" else each for each in others]
    results = []
    for form in forms_of(name):
        with monkeypatch.context() as patch:
            result = run(name, form, kept / "photos.lib", [*others, "--json"], patch, kept)
        assert result.exit_code == 0, result.output
        results.append(json.loads(result.stdout))
    assert results == results[:1] * len(results) and results[0] not in ([], {}, None)


@pytest.mark.parametrize("name", [name for name in HAVE if name not in OPTIONAL])
def test_without_a_library_the_ways_to_name_one_are_said(name, tmp_path, monkeypatch):
    result = run(name, "none", None, OTHERS.get(name, []), monkeypatch, tmp_path)
    assert result.exit_code == 2, result.output
    ways = "--library LIBRARY", "UNCLIP_LIBRARY", str(tmp_path / "nothing/unclip/config.toml")
    assert all(way in result.stderr for way in ways)
    assert result.stderr.count("\n") == 1 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["first", "--library", "environment", "config"])
@pytest.mark.parametrize("name", PLACED)
def test_a_misspelt_library_is_an_error_with_the_nearest_name(name, form, kept, monkeypatch):
    wrong = kept / "photso.lib"
    if form in ("first", "--library"):
        wrong = "photso.lib"
        monkeypatch.setenv("UNCLIP_LIBRARY", str(kept / "photos.lib"))
    result = run(name, form, wrong, OTHERS.get(name, []), monkeypatch, kept)
    assert result.exit_code == 10, result.output
    assert "photos.lib'" in result.stderr and "did you mean" in result.stderr
    assert not (kept / "photso.lib").exists()


def rows(*words):
    return json.loads(unclip("info", *words, "--json").stdout)["rows"]


def test_a_named_library_comes_first_then_the_environment_then_the_config(kept, monkeypatch):
    monkeypatch.chdir(kept)
    configure(f'library = "{kept}/e.lib"', monkeypatch, kept / "config")
    assert rows() == 0
    monkeypatch.setenv("UNCLIP_LIBRARY", "photos.lib")
    assert rows() == 14
    assert rows("e.lib") == rows("-l", "e.lib") == rows("--library", "./e.lib") == 0
    monkeypatch.setenv("UNCLIP_LIBRARY", "")
    assert rows() == 0


def test_two_libraries_are_refused(kept, monkeypatch):
    monkeypatch.chdir(kept)
    for words in (["info"], ["search", "a cat"], ["forget", "images"], ["verify"]):
        result = unclip(words[0], "photos.lib", *words[1:], "-l", "e.lib")
        assert result.exit_code == 2, result.output
        assert "Two libraries are named, e.lib and photos.lib" in result.stderr


def test_words_of_a_query_are_no_library(kept, monkeypatch):
    """A folder that is no library, long words, signs, and a library's name where -l names one."""
    monkeypatch.chdir(kept)
    (kept / "cat").mkdir(exist_ok=True)
    if not (kept / "dog").exists():
        shutil.copytree(kept / "e.lib", kept / "dog")
    monkeypatch.setenv("UNCLIP_LIBRARY", "photos.lib")
    wholes = ["cat"], ["2:cat", "+", "dog"], ["~cat"], ["black/white"], ["a " * 150], ['"x.lib"']
    for words in (
        *wholes,
        ["images/3d/1f431.png"],
        ["-l", "photos.lib", "dog"],
        ["--json", "--", "cat"],
    ):
        found = unclip("search", "-k", "1", "--json", *words)
        assert found.exit_code == 0 and len(json.loads(found.stdout)) == 1, (words, found.output)
    for words in (["./photos", "cat"], ["images/3d/cat/", "cat"], ["/x/photos", "cat"]):
        found = unclip("search", *words)
        assert found.exit_code == 10 and "no library in" in found.stderr, words
    assert "'./photos.lib'" in unclip("search", "./photos", "cat").stderr
    assert "unclip index" in unclip("search", "dog").stderr  # and no query: that library is empty
    assert "no library in photso.lib" in unclip("search", "photso.lib").stderr
    gone = unclip("search", "./cta.png")
    assert gone.exit_code == 2 and "no file './cta.png'" in gone.stderr


def test_an_empty_name_is_no_library(kept, monkeypatch):
    monkeypatch.chdir(kept)
    monkeypatch.setenv("UNCLIP_LIBRARY", "photos.lib")
    for words in (["info", ""], ["forget", "", "images"], ["index", "images", "--library", ""]):
        result = unclip(*words)
        assert result.exit_code == 10 and "name of the library is empty" in result.stderr


def test_sources_stay_sources(kept, monkeypatch):
    monkeypatch.chdir(kept)
    monkeypatch.setenv("UNCLIP_LIBRARY", "photos.lib")
    result = unclip("index", "e.lib", "images")
    assert result.exit_code == 2 and "e.lib is a library" in result.stderr
    result = unclip("forget", "./gone")
    assert result.exit_code == 2 and "no source of" in result.stderr


def test_an_edit_is_not_measured_against_a_library_of_another_model(kept, monkeypatch):
    """Unless it was named for this edit: then it is refused."""
    monkeypatch.chdir(kept)
    edit = ["walk", "a cat", "a dog", "--noise-from", "seed", "--frames", "2", "--steps", "1"]
    edit += ["-o", "walk.png", "--json"]
    monkeypatch.setenv("UNCLIP_LIBRARY", "e.lib")
    result = unclip(*edit)
    assert result.exit_code == 0, result.output
    assert "e.lib (from UNCLIP_LIBRARY) is not measured against" in result.stderr
    assert "nearest" not in json.loads(result.stdout)[0]
    monkeypatch.setenv("UNCLIP_LIBRARY", "photos.lib")
    result = unclip(*edit)
    assert result.exit_code == 0 and "library photos.lib (from" in result.stderr
    assert "nearest" in json.loads(result.stdout)[0]
    assert unclip(*edit, "--library", "e.lib").exit_code == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('libary = "/x"', "'libary', which means nothing; the keys there are: library"),
        ('library = "photos.lib"', "whole path"),
        ("library = 3", "whole path"),
        ("library = ", "cannot be read"),
    ],
)
def test_a_config_file_that_means_nothing_is_refused(text, said, kept, monkeypatch):
    configure(text, monkeypatch, kept / "config")
    result = unclip("info")
    assert result.exit_code == 2 and said in result.stderr
    assert str(kept / "config/unclip/config.toml") in result.stderr
    assert rows(kept / "photos.lib") == 14  # what is named needs no config file


def test_info_is_said_in_words_and_its_keys_are_for_programs(kept):
    """Once the names of the JSON's keys stood before a colon each, and dashes for nothing."""
    shown, keys = (
        unclip("info", kept / "photos.lib").stdout,
        json.loads(unclip("info", kept / "photos.lib", "--json").stdout),
    )
    assert f"{keys['rows']:,} images in {keys['dimension']} dimensions, by pocket" in shown
    assert keys["fingerprint"] in shown and "search: exact, recall 1.0" in shown
    assert "—" not in shown and not [key for key in keys if "_" in key and key in shown]


def test_a_tilde_is_the_home_folder_in_every_form(kept, monkeypatch):
    monkeypatch.setenv("HOME", str(kept))
    assert rows("~/photos.lib") == rows("-l", "~/photos.lib") == 14
    configure('library = "~/photos.lib"', monkeypatch, kept / "config")
    assert rows() == 14
    monkeypatch.setenv("UNCLIP_LIBRARY", "~/e.lib")
    assert rows() == 0


def test_one_image_is_told_as_one(tmp_path, sample):
    one, kept = tmp_path / "one", tmp_path / "one.lib"
    one.mkdir()
    shutil.copy(sample / "flat" / "1f34e.png", one)
    told = [unclip("index", one, "--library", kept, "--model", "pocket"), unclip("info", kept)]
    told.append(unclip("duplicates", kept))
    assert all(run.exit_code == 0 for run in told), told
    lines = "".join(run.output for run in told)
    assert "1 image (1 embedded" in lines and "1 image in 256" in lines
    assert "1 images" not in lines and "1 groups" not in lines
    assert ": 1 image in " in repr(Library.open(kept))

"""Whatever opens a library says what of it is damaged: every command, every page."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
from app_pages import open_page
from damage import DAMAGES, make_library
from typer.testing import CliRunner

from analysis.__main__ import main as analyse
from explorer import cli
from explorer.app.main import PAGES
from explorer.app.server import launch

SHORT = ["--frames", "2", "--steps", "1"]
DOORS = {  # command → its words; L is the library, I an image, N an unused name, R a recipe
    "index": "index I --library L",
    "import": "import V.npy --library L",
    "search": "search L cat",
    "diff": "diff I --to dog -o N.mp4 --library L --frames 2 --steps 1",
    "walk": "walk I I -o N.mp4 --library L --frames 2 --steps 1",
    "replay": "replay R.png -o N.png",
    "map": "map L -o N.parquet",
    "duplicates": "duplicates L",
    "cluster": "cluster L",
    "probe": "probe L --positive I --positive I --negative I --negative I",
    "train decoder": "train decoder L -o N --minutes 0.01",
    "train prior": "train prior L -o N --minutes 0.01",
    "train bridge": "train bridge L --to pocket -o N",
    "features": "features L",
    "turn": "turn L I --feature 0=1 -o N.mp4 --frames 2 --steps 1",
    "info": "info L",
    "export": "export L -o N.npy",
    "publish": "publish L --to milvus://new.db/new",
    "verify": "verify L",
    "repair": "repair L",
    "moved": "moved L D D",
    "forget": "forget L I",
    "compact": "compact L",
    "app": "app L --no-browser",
    "demo": "demo --out D",
    "analysis": "analysis L -o N --only neighbours",
}
OF_EACH = ("info",)  # meets each damage in the short run, the others one


@pytest.fixture(scope="module")
def whole(tmp_path_factory, pocket, sample):
    folder = tmp_path_factory.mktemp("damage")
    make_library(folder / "sample.lib", pocket, sorted((sample / "flat").iterdir()))
    return folder


@pytest.fixture
def place(whole, tmp_path):
    """A library of one's own, an image, vectors, and a working folder."""
    shutil.copytree(whole / "sample.lib", tmp_path / "sample.lib")
    shutil.copy(next((whole / "sample.lib-0").iterdir()), tmp_path / "image.png")
    np.save(tmp_path / "vectors.npy", np.ones((1, 256), np.float32))
    return tmp_path


def unclip(words):
    """Run a command as the command line does; output and exit code."""
    if words[0] == "analysis":
        raise AssertionError("analysis is no command of unclip")
    ran = CliRunner().invoke(cli.unclip, words)
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran.output, ran.exit_code


def words_of(door, place):
    names = {"L": "sample.lib", "I": "image.png", "V.npy": "vectors.npy", "R.png": "recipe.png"}
    names |= {"D": "", "N": "new", "N.mp4": "new.mp4", "N.png": "new.png"}
    names |= {"N.parquet": "new.parquet", "N.npy": "new.npy"}
    return [str(place / names[w]) if w in names else w for w in DOORS[door].split()]


def cases(doors, of_each):
    """Each door with each damage; those beyond one a door are slow."""
    for at, door in enumerate(doors):
        for number, damage in enumerate(DAMAGES):
            short = door in of_each or number == at % len(DAMAGES)
            marks = [] if short else [pytest.mark.slow]
            yield pytest.param(door, damage, id=f"{door}-{damage}", marks=marks)


def test_every_command_that_takes_a_library_is_listed():
    found = set()

    def look(command, name):
        for word, below in getattr(command, "commands", {}).items():
            look(below, f"{name} {word}".strip())
        if any(parameter.name == "library" for parameter in command.params):
            found.add(name)

    look(typer.main.get_command(cli.unclip), "")
    assert found == set(DOORS) - {"replay", "demo", "analysis"}  # which open one without the option


@pytest.mark.parametrize(("door", "damage"), list(cases(DOORS, OF_EACH)))
def test_every_command_says_what_is_damaged(place, monkeypatch, capsys, door, damage):
    monkeypatch.setattr(launch, "serve", lambda *_, **__: None)  # it would not return
    monkeypatch.chdir(place)
    words = words_of(door, place)
    if door == "replay":
        path = [*words_of("diff", place)[:-6], "--library", str(place / "sample.lib")]
        path[path.index("-o") + 1] = str(place / "recipe.png")
        assert unclip([*path, *SHORT])[1] == 0
    DAMAGES[damage](place / "sample.lib")
    if door == "analysis":
        code = analyse(words[1:])
        said = capsys.readouterr().err
    else:
        said, code = unclip(words)
    assert "unclip repair" in said or (door == "repair" and "quarantine" in said), said
    assert code in {"verify": (1,), "repair": (0,)}.get(door, (2, 3)), said
    if damage != "flipped manifest" and door not in ("verify", "repair"):
        assert "2 of 5 stored rows are left out" in said


@pytest.mark.parametrize(("name", "damage"), list(cases(PAGES, ())))
def test_every_page_says_what_is_damaged(place, monkeypatch, name, damage):
    DAMAGES[damage](place / "sample.lib")
    page = open_page(monkeypatch, name, place / "sample.lib")
    assert not page.exception
    said = " ".join(each.value for each in [*page.warning, *page.error])
    assert "unclip repair" in said
    again = open_page(monkeypatch, name, place / "sample.lib")  # the library is open already
    assert "unclip repair" in " ".join(each.value for each in again.warning)


def test_a_whole_library_is_said_nothing_of(place):
    said, code = unclip(["search", str(place / "sample.lib"), "cat"])
    assert code == 0 and "damaged" not in said and "repair" not in said


def test_damaged_rows_are_left_out_and_the_exit_code_says_so(place):
    DAMAGES["flipped vectors"](place / "sample.lib")
    said, code = unclip(["search", str(place / "sample.lib"), "cat", "--json"])
    assert code == 3
    assert said.count('"rank"') == 3 and said.count("stored rows are left out") == 1
    assert Path(place / "sample.lib").exists()

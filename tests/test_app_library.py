"""The page Library: what it holds, adding to it, verifying it."""

import shutil

import pandas as pd
import pytest
from app_pages import button, captions, errors, offered, open_page
from typer.testing import CliRunner

from explorer.app import browsing
from explorer.app.pages import library as library_page
from explorer.app.server.uploads import Upload
from explorer.cli import unclip
from explorer.groups import find_duplicates
from explorer.library import Library


@pytest.fixture
def own(emoji, tmp_path):
    """A copy of the library that a test may change."""
    return shutil.copytree(emoji, tmp_path / "own.lib")


def test_it_says_what_the_library_holds(monkeypatch, emoji):
    page = open_page(monkeypatch, "library", emoji)
    assert errors(page) == []
    assert [each.value for each in page.metric][:3] == ["14", "pocket", "256"]
    assert any("cat face" in text for text in captions(page))


def test_verify_finds_a_flipped_byte(monkeypatch, own):
    page = open_page(monkeypatch, "library", own)
    assert "match their checksums" in button(page, "Verify").click().run().success[0].value
    vectors = next(own.glob("segments/*/*.npy"))
    content = bytearray(vectors.read_bytes())
    content[-1] ^= 1
    vectors.write_bytes(content)
    assert len(errors(button(page, "Verify").click().run())) >= 1


def test_new_images_of_its_folders_are_taken_in(
    monkeypatch, tmp_path, emoji_images, pocket, sample
):
    images = shutil.copytree(emoji_images / "3d", tmp_path / "images")
    library = Library.create(tmp_path / "new.lib", pocket)
    library.add([images], workers=0)
    page = open_page(monkeypatch, "library", library.folder)
    shutil.copy(sample / "flat" / "1f0cf.png", images)
    page = button(page, "Look for new images").click().run()
    assert errors(page) == []
    assert page.success[0].value.startswith("Added 1 image; 7 were there already")
    assert page.metric[0].value == "8"


def test_uploads_lie_beside_the_library_under_our_names(monkeypatch, tmp_path, own, sample):
    ours = tmp_path / "0123.png"
    shutil.copy(sample / "flat" / "1f0cf.png", ours)
    given = [Upload(ours, "../../evil <b>.exe.png")]
    monkeypatch.setattr(library_page, "uploaded", lambda *_, **__: given)
    page = open_page(monkeypatch, "library", own)
    assert page.button(key="add-uploads").label == "Add 1 image"
    page = page.button(key="add-uploads").click().run()
    assert errors(page) == []
    library = Library.open(own)
    row = library.rows.iloc[-1]
    assert row["item"] == str(tmp_path / "own.lib-uploads" / "0123.png")
    assert row["caption"] == "evil <b>.exe"
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        *("0123.png", "own.lib", "own.lib-uploads")
    ]


def test_strangers_cannot_add(monkeypatch, emoji):
    page = open_page(monkeypatch, "library", emoji, "--read-only")
    assert errors(page) == []
    assert {each.label for each in page.button} == {"Open", "Verify"}
    assert "read-only" in page.info[0].value


def test_all_images_are_browsed_by_name_and_column(monkeypatch, emoji):
    monkeypatch.setattr(browsing, "PAGE_IMAGES", 5)
    pages = [captions(open_page(monkeypatch, "library", emoji, page=str(i))) for i in (1, 2, 3)]
    assert list(map(len, pages)) == [5, 5, 4]
    named = open_page(monkeypatch, "library", emoji, named="CAT", columns="style", is_style="flat")
    assert len(captions(named)) == 1 and "cat face" in captions(named)[0]
    none = open_page(monkeypatch, "library", emoji, named="no such name")
    assert captions(none) == [] and "remove words" in none.info[0].value


def test_a_source_is_forgotten(monkeypatch, own):
    page = open_page(monkeypatch, "library", own)
    (source,) = Library.open(own).sources
    page = page.selectbox(key="source").select(source).run()
    page = button(page, "Forget this source").click().run()
    assert errors(page) == [] and len(Library.open(own)) == 0
    assert "Forgot 14 images" in page.success[0].value


def test_duplicates_are_shown_in_groups_and_taken_away_as_a_table(monkeypatch, tmp_path, emoji):
    library = Library.open(emoji)
    groups = find_duplicates(library, 0.7)
    assert groups
    address = {"duplicates": "true", "alike": "0.7"}
    shown = captions(open_page(monkeypatch, "library", emoji, **address))[len(library) :]
    assert len(shown) == sum(1 + min(7, len(group.others)) for group in groups)
    assert [text.startswith("keep") for text in shown].count(True) == len(groups)
    write, rest = offered(monkeypatch, "library", emoji, **address)["duplicates.csv"]
    write(tmp_path / "duplicates.csv")
    table = pd.read_csv(tmp_path / "duplicates.csv")
    others = [row for group in groups for row in group.others]
    assert table["row"][~table["keep"]].tolist() == others
    told = CliRunner().invoke(unclip, rest["command"][1:])
    items = library.rows["item"]
    assert told.output.splitlines() == [items.iloc[row] for row in others]

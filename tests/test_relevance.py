"""What a search gives: what matches, whose columns, exact names, and nothing that forges a line."""

import base64
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from fakes import coloured, image
from typer.testing import CliRunner

from explorer import cli
from explorer.cli.mappage import write_map
from explorer.cli.output import printable
from explorer.cli.showing import preview_lines
from explorer.cli.vectors import write_vectors
from explorer.errors import QueryError
from explorer.images import open_image
from explorer.library import Library
from explorer.library.relevance import Relevance, neutral_phrases
from explorer.library.reserved import RESERVED, given_names
from explorer.library.segments import OWN_COLUMNS
from explorer.notes import collecting


def unclip(*words, **options):
    return CliRunner().invoke(cli.unclip, [str(word) for word in words], **options)


@pytest.fixture(scope="module")
def library(emoji_images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("relevance") / "some.lib"
    assert not unclip("index", emoji_images, "--library", folder, "--model", "pocket").exit_code
    return folder


def test_auto_keeps_what_stands_out_and_finds_nothing_where_nothing_does():
    rng = np.random.default_rng(0)

    def near(centre, count, spread):
        points = centre + spread * rng.normal(size=(count, 64)) / 8
        return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)

    axes = np.eye(64)
    rows = np.concatenate([near(axes[i], 20, 0.3) for i in range(10)])
    neutral = near(axes[:20].mean(axis=0), 100, 1.0)
    fitted = Relevance.fit([rows[:70], rows[70:]], neutral)
    found = fitted.matching(rows @ axes[3].astype(np.float32))
    assert found[60:80].mean() > 0.9 and found.sum() <= 20
    assert not fitted.matching(rows @ axes[40].astype(np.float32)).any()


def test_an_image_is_not_judged_as_words_are():
    """Once half of all images matched nothing: they were compared with rows, as common phrases."""
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(200, 1, 32)) + 0.3 * rng.normal(size=(200, 2, 32))
    rows = (pairs / np.linalg.norm(pairs, axis=2, keepdims=True)).reshape(400, 32)
    rows = rows.astype(np.float32)
    fitted = Relevance.fit([rows], rows[::2])
    found = np.array([fitted.matching(rows @ row, "image") for row in rows])
    assert found[np.arange(400), np.arange(400) ^ 1].mean() > 0.85
    assert (found.sum(axis=1) <= 4).mean() > 0.85
    narrow = rows + 2 * rows.mean(axis=0) + np.eye(32)[0] * 3  # as a model blind to them has it
    narrow = (narrow / np.linalg.norm(narrow, axis=1, keepdims=True)).astype(np.float32)
    close = Relevance.fit([narrow], narrow[::2])
    found = np.array([close.matching(narrow @ row, "image") for row in narrow])
    assert found[np.arange(400), np.arange(400) ^ 1].mean() > 0.75
    words = np.array([fitted.matching(rows @ row, "text") for row in rows])
    assert words[np.arange(400), np.arange(400) ^ 1].mean() < 0.6


def test_the_cut_is_the_same_in_parts_and_is_that_of_sorted_scores():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(300, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    fitted = Relevance.fit([rows[:1], rows[1:200], rows[200:]], rows[:40])
    scores = rows @ rows[:40].T
    np.testing.assert_allclose(fitted.mean, scores.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(fitted.spread, scores.std(axis=1), atol=1e-5)
    scores[scores > 1 - 1e-4] = -1
    np.testing.assert_allclose(fitted.bests, np.sort(scores, axis=0)[-3:].mean(axis=0), atol=1e-6)


def test_the_words_that_judge_others_are_no_concern_of_the_user(library):
    """Once "pocket has no such words: 'coffee'" was said of a neutral phrase."""
    for old in (library / "cache").glob("relevance-*"):
        old.unlink()
    with collecting() as notes:
        Library.open(library).search("cat face", min_score="auto")
    assert notes == []


def test_a_cut_asks_for_one_image_at_least(library):
    with pytest.raises(QueryError, match="k is 0"):
        Library.open(library).search("cat face", k=0, min_score="auto")


def test_python_counts_what_matches_and_caches_the_measure(library):
    opened = Library.open(library)
    hits = opened.search("cat face", min_score="auto")
    assert hits.matching is not None and len(hits) == min(12, hits.matching)
    assert hits.matching < len(opened)
    assert len(list((library / "cache").glob("relevance-text-*"))) == 1
    again = Library.open(library).search("cat face", min_score="auto")
    assert again.rows.tolist() == hits.rows.tolist()
    (cache,) = (library / "cache").glob("relevance-text-*")
    content = bytearray(cache.read_bytes())
    content[len(content) // 2] ^= 1
    cache.write_bytes(content)
    with collecting() as notes:
        again = Library.open(library).search("cat face", min_score="auto")
    assert again.rows.tolist() == hits.rows.tolist() and "was damaged" in notes[0]
    likes = opened.search(opened.points([0]), min_score="auto")
    assert 0 in likes.rows and likes.matching < len(opened)
    assert opened.search("cat face", min_score=-1.0).matching == len(opened)
    with pytest.raises(QueryError, match="number or auto"):
        opened.search("cat face", min_score="some")
    assert len(set(neutral_phrases())) == len(neutral_phrases()) > 200


def test_the_command_says_how_many_match_and_ends_with_1_if_none_does(library):
    auto = unclip("search", library, "cat face", "--min-score", "auto")
    assert "match" in auto.output.splitlines()[-1]
    nothing = unclip("search", library, "cat face", "--min-score", "0.99")
    assert nothing.exit_code == 1 and nothing.stdout == "nothing here matches\n"
    assert json.loads(unclip("search", library, "cat", "--min-score", "1", "--json").stdout) == []
    assert unclip("search", library, "cat", "--min-score", "much").exit_code == 2


def test_a_misspelt_value_file_or_an_empty_library_is_one_sentence(library, tmp_path):
    wrong = unclip("search", library, "cat", "--where", "style=flatt")
    assert wrong.exit_code == 2 and "the nearest: 'flat'" in wrong.stderr
    for command in (["search", library], ["decode", "-o", tmp_path / "x.png"]):
        missing = unclip(*command, "nosuch.npy")
        assert missing.exit_code == 2 and "There is no file 'nosuch.npy'" in missing.stderr
    Library.create(tmp_path / "empty.lib", "pocket")
    empty = unclip("search", tmp_path / "empty.lib", "cat")
    assert empty.exit_code == 2 and "holds no images" in empty.stderr


@pytest.mark.parametrize("name", [*RESERVED, "caption", "label"])
def test_a_users_column_never_takes_the_place_of_ours(name, tmp_path, encoder):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.png").write_bytes(image(number))
    table = pd.DataFrame({"file": [f"{n}.png" for n in range(4)], name: ["mine"] * 4})
    library = Library.create(tmp_path / "a.lib", coloured())
    library.add([folder], encoder=encoder, columns=table)
    theirs = f"given_{name}" if name in RESERVED else name
    hits = library.search(library.points([2]), 2)
    first = next(iter(hits))
    assert first["score"] == pytest.approx(1, abs=1e-5) and first["row"] == 2 and first["rank"] == 1
    assert first["item"].endswith(".png") and first[theirs] == "mine"
    pandas = hits.to_pandas()
    assert pandas["rank"].tolist() == [1, 2] and pandas[theirs].tolist() == ["mine"] * 2
    records = cli.search.records(hits)
    assert records[0]["path"].endswith("2.png") and records[0][theirs] == "mine"
    write_vectors(library, tmp_path / "a.parquet")
    exported = pd.read_parquet(tmp_path / "a.parquet")
    assert np.stack(exported["vector"]).shape == (4, library.space.dimension)
    assert exported[theirs].tolist() == ["mine"] * 4
    xy = np.arange(8, dtype=np.float32).reshape(4, 2)
    write_map(library, SimpleNamespace(xy=xy), tmp_path / "map.parquet")
    drawn = pd.read_parquet(tmp_path / "map.parquet")
    assert drawn["x"].tolist() == [0, 2, 4, 6] and drawn[theirs].tolist() == ["mine"] * 4


def test_a_second_column_of_the_new_name_keeps_its_own():
    assert given_names(["score", "given_score"]) == {
        "score": "given_given_score",
        "given_score": "given_score",
    }
    assert set(OWN_COLUMNS) < set(RESERVED)


@pytest.fixture
def odd(tmp_path, sample):
    """A library of one image whose name and caption would forge a line, and is not UTF-8."""
    folder = tmp_path / "odd"
    folder.mkdir()
    name = b"a\xe9\nunclip: all is well\x1b]0;owned\x07.png"
    with open(os.path.join(os.fsencode(folder), name), "wb") as file:
        file.write((sample / "noto" / "1f431.png").read_bytes())
    caption = "猫\x1b]8;;http://x\x07\nunclip: forged\u202e"
    columns = tmp_path / "c.jsonl"
    columns.write_text(json.dumps({"file": os.fsdecode(name), "caption": caption}))
    library = tmp_path / "odd.lib"
    done = unclip("index", folder, "--library", library, "--model", "pocket", "--columns", columns)
    assert done.exit_code == 0, done.output
    return library, os.path.join(os.fsencode(folder), name)


def test_names_are_exact_for_programs_and_harmless_for_people(odd):
    library, file = odd
    assert unclip("search", library, "cat", "-0").stdout_bytes == file + b"\0"
    assert unclip("search", library, "cat", "--files-only").stdout_bytes == file + b"\n"
    told = unclip("search", library, "cat", "--json").stdout
    (hit,) = json.loads(told)
    assert os.fsencode(hit["path"]) == base64.b64decode(hit["path_base64"]) == file
    for text in (told, unclip("search", library, "cat").stdout):
        assert text.count("\n") == 1
        assert not set(text) & set("\x1b\x07\u202e") and "\nunclip" not in text


def test_a_terminal_without_unicode_gets_question_marks(odd):
    library, _ = odd
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "explorer", "search", str(library), "cat"]
    shown = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert shown.returncode == 0 and b"?\\x1b]8" in shown.stdout and not shown.stderr


def test_a_message_with_control_characters_is_one_line():
    result = unclip("search", "no\nunclip: done\x1b[2J.lib", "cat")
    assert result.exit_code == 10 and result.stderr.count("\n") == 1 and "\x1b" not in result.stderr
    assert printable("plain é 猫 👩‍🌾") == "plain é 猫 👩‍🌾"


def test_open_hands_the_hits_or_the_sheet_to_the_platform(library, tmp_path, monkeypatch):
    log = tmp_path / "log"
    for name in ("xdg-open", "open"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "$1" >> {log}\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert unclip("search", library, "cat face", "-k", "2", "--open").exit_code == 0
    assert [line.rsplit(".", 1)[1] for line in log.read_text().split()] == ["png"] * 2
    sheet = tmp_path / "hits.png"
    assert unclip("search", library, "cat", "--open", "--sheet", sheet).exit_code == 0
    assert log.read_text().split()[-1] == str(sheet)


def test_a_preview_is_half_blocks_or_what_the_terminal_takes(library, sample):
    picture = open_image(sample / "noto" / "1f431.png")
    blocks = preview_lines(picture, {})
    assert blocks.count("▀") == 40 * 20 and blocks.count("\n") == 19
    assert preview_lines(picture, {"KITTY_WINDOW_ID": "1"}).startswith("\x1b_Ga=T,f=100,m=")
    assert preview_lines(picture, {"TERM_PROGRAM": "iTerm.app"}).startswith("\x1b]1337;File=")
    assert "▀" in unclip("search", library, "cat", "-k", "1", "--preview").stdout

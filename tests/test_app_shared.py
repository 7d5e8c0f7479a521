"""What all pages and sessions share: turns to decode, what is kept, uploads, safe text, errors."""

import io
import os
import re
import shlex
import threading
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from app_pages import captions, errors, open_page
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from explorer.app.outputs import escaped, sentences
from explorer.app.server import decoding, launch, uploads
from explorer.app.server.decoding import ResultCache, once
from explorer.app.state import AppConfig
from explorer.errors import ImageError, QueryError

ROOT = Path(__file__).parent.parent


@pytest.fixture
def store(monkeypatch):
    """A store of this test's own, in place of the server's."""
    own = ResultCache()
    monkeypatch.setattr(decoding, "result_cache", lambda: own)
    return own


def png(*size):
    content = io.BytesIO()
    Image.new("RGB", size or (9, 9), "red").save(content, "png")
    return content.getvalue()


def test_what_was_computed_is_not_computed_again(store):
    made = []

    def make():
        made.append(1)
        yield from "abc"
        return list("abc")

    assert once("it", make, 3, "Doing") == once("it", make, 3, "Doing") == ["a", "b", "c"]
    assert len(made) == 1


def test_many_sessions_decode_one_at_a_time(store):
    busy, most = [], []

    def make():
        busy.append(1)
        most.append(len(busy))
        time.sleep(0.01)
        yield 1
        busy.pop()
        return "done"

    threads = [
        threading.Thread(target=once, args=(str(i), make, 1, "Doing"), daemon=True)
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert most == [1] * 8


class Stopped(BaseException):
    """As Streamlit ends a script whose page was left."""


def test_a_script_that_ends_closes_the_decoding_and_gives_its_turn_back(store, monkeypatch):
    closed = []

    class Bar:
        def progress(self, *_):
            raise Stopped

    def make():
        try:
            yield from range(100)
        finally:
            closed.append(1)

    monkeypatch.setattr(decoding.st, "progress", lambda *_: Bar())
    with pytest.raises(Stopped):
        once("it", make, 100, "Doing")
    assert closed == [1]
    assert store.turn.acquire(timeout=0)
    assert store.size == 0


def test_what_is_kept_stays_within_its_bound():
    image = Image.new("RGB", (10, 10))
    store = ResultCache(max_bytes=1000)
    for name in "abcde":
        store.put(name, [image])
        store.get("a")
    assert store.size == 900
    assert store.get("a") == [image]
    assert [name for name in "abcde" if store.get(name)] == ["a", "d", "e"]


def test_the_same_key_again_counts_once():
    store = ResultCache(max_bytes=1000)
    for _ in range(5):
        store.put("a", [Image.new("RGB", (10, 10))])
    assert store.size == 300


@given(some.text())
def test_escaped_text_has_no_mark_that_markdown_reads(text):
    """Every mark has its backslash, and without those it is the text, on one line."""
    plain = escaped(text)
    while plain:
        if plain.startswith("\\"):
            plain = plain[2:]
        else:
            assert not (plain[0].isascii() and plain[0] in "\\`*_{}[]()#+-.!|<>~$:&^=\"'")
            plain = plain[1:]
    restored = escaped(text).replace("\u2060", "").replace("\\", "")
    assert restored == " ".join(text.split()).replace("\u2060", "").replace("\\", "")


def test_links_in_text_are_no_links():
    for link in ("https://a.b", "www.a.b", "me@a.b"):
        assert "\u2060" in escaped(link)


def test_a_fault_of_ours_is_a_sentence_with_a_number(monkeypatch, caplog):
    told = []
    monkeypatch.setattr("streamlit.error", told.append)

    def page():
        raise ZeroDivisionError("/home/secret")

    sentences(page)()
    (sentence,) = told
    number = sentence.split("number ")[1].split()[0]
    assert "secret" not in sentence
    assert number in caplog.text
    assert "ZeroDivisionError" in caplog.text


def upload(monkeypatch, emoji, name, content):
    page = open_page(monkeypatch, "search", emoji, q0_kind="Upload")
    return page.file_uploader[0].set_value((name, content, "image/png")).run()


def test_an_uploaded_image_finds_itself_and_its_name_opens_nothing(
    monkeypatch, emoji, emoji_images
):
    content = (emoji_images / "flat" / "1f436.png").read_bytes()
    page = upload(monkeypatch, emoji, "dog <b>.png", content)
    assert errors(page) == []
    assert "dog face" in captions(page)[0].replace("\\", "")
    command = shlex.split(page.code[1].value)
    assert "./dog-b.png" in command
    (file,) = page.session_state[uploads.FOLDER].place.iterdir()
    assert re.fullmatch(r"[0-9a-f]{32}\.png", file.name)


@pytest.mark.parametrize("content", [b"MZ\x90 not an image", png()[:40], b""])
def test_what_is_no_image_is_refused_by_its_name(monkeypatch, emoji, content):
    (error,) = errors(upload(monkeypatch, emoji, "evil.png", content))
    assert "evil" in error


def test_what_a_killed_dashboard_left_goes_after_a_week(tmp_path):
    left, fresh = (tmp_path / f"{uploads.PREFIX}{name}" for name in "ab")
    for folder in (left, fresh, tmp_path / "unclip-mine"):
        folder.mkdir()
        (folder / "0.png").write_bytes(b"")
    for folder in (left, tmp_path / "unclip-mine"):
        os.utime(folder, (0, 0))
    uploads.collect_left(tmp_path)
    assert not left.exists() and len(list(tmp_path.iterdir())) == 2


def test_too_large_files_are_refused_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(uploads, "open_image", lambda _: pytest.fail("it was decoded"))
    with pytest.raises(QueryError, match="21 MB"):
        uploads.checked(bytes(21_000_000), "a.png")


def test_a_header_of_too_many_pixels_is_refused():
    header = bytearray(png())
    header[16:24] = (60_000).to_bytes(4, "big") * 2
    with pytest.raises(ImageError):
        uploads.checked(bytes(header), "bomb.png")


@pytest.mark.parametrize(
    "asked",
    [
        *(AppConfig(), AppConfig("a b.lib"), AppConfig(decoder="d")),
        AppConfig("-odd", "mine", "words", True, "6GB"),
        AppConfig(compare=("a b.lib", "-odd")),
    ],
)
def test_what_the_dashboard_is_started_with_reaches_its_script(asked):
    if asked.library.startswith("-"):
        asked = replace(asked, library="./-odd")
    assert AppConfig.read(asked.words()) == asked


def test_only_this_machine_is_served_unless_it_is_allowed():
    assert launch.settings_for("127.0.0.1", None, False)["server.address"] == "127.0.0.1"
    for host in ("0.0.0.0", "::", "192.168.0.7", "example.org"):
        with pytest.raises(QueryError, match="--allow-remote"):
            launch.settings_for(host, 80, False)
        with pytest.raises(QueryError, match="--allowed-host photos.example"):
            launch.settings_for(host, 80, True)
        settings = launch.settings_for(host, 80, True, ["Photos.example", "[::1]"])
        assert settings["server.address"] == host
        assert settings["server.allowedHosts"] == ["photos.example", "::1"]


@pytest.mark.parametrize("name", ["http://a", "a:80", "*", "*.a", "a/b", "", "a b"])
def test_an_allowed_host_is_a_name(name):
    with pytest.raises(QueryError, match="is no name of a machine"):
        launch.settings_for("0.0.0.0", 80, True, [name])


def test_allowed_hosts_go_with_allow_remote():
    with pytest.raises(QueryError, match="goes with --allow-remote"):
        launch.settings_for("127.0.0.1", 80, False, ["photos.example"])


def test_who_waits_for_others_is_told_so_and_too_many_are_sent_away(store):
    said = []
    store.turn.acquire()
    store.busy = 2

    def wait(others):
        said.append(others)
        store.turn.release()

    with decoding._our_turn(store, wait):
        assert store.busy == 3
    assert said == [2] and store.busy == 2
    store.busy = decoding.MAX_WAITING + 1
    with (
        pytest.raises(QueryError, match="Busy: 17 others are decoding or waiting"),
        decoding._our_turn(store, wait),
    ):
        pass
    assert store.busy == decoding.MAX_WAITING + 1


def test_the_script_of_the_dashboard_lies_in_the_wheel_and_nothing_beside_the_packages():
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert wheel["targets"]["wheel"] == {"packages": ["explorer", "analysis"]}
    assert launch.SCRIPT.is_file()
    assert launch.SCRIPT.is_relative_to(ROOT / "explorer")


def test_streamlit_run_gets_the_same_settings():
    written = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    flat = {f"{part}.{name}": v for part, values in written.items() for name, v in values.items()}
    assert flat == launch.SETTINGS

"""Files at https:// addresses, from a real server that refuses, hangs up, or is down.

fsspec's package for them, aiohttp, is no dependency of ours, but one of the tests.
"""

import http.server
import threading
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
from fakes import ColourEncoder, coloured, image, make_tar

from explorer.images import remote
from explorer.library import Library, presence


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, as long as `answer` says nothing else."""

    answer = None  # a status, or "hang up"
    answered: ClassVar = ("GET", "HEAD")  # with it

    def _refused(self):
        if self.answer is None or self.command not in self.answered:
            return False
        self.close_connection = True
        if self.answer != "hang up":
            self.send_error(self.answer)
        return True

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        """Answer with the part that is asked for, which the class above does not."""
        if self._refused():
            return
        content, start, end = Path(self.translate_path(self.path)).read_bytes(), 0, None
        if asked := self.headers.get("Range", "").removeprefix("bytes="):
            start, end = (int(each) for each in asked.split("-"))
        part = content[start : None if end is None else end + 1]
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(part)

    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path):
    """A folder on a server; gives the handler, the address, and what takes the server down."""
    (tmp_path / "www" / "new").mkdir(parents=True)
    for number in range(3):
        (tmp_path / "www" / "new" / f"{number}.png").write_bytes(image(number))
    make_tar(tmp_path / "www" / "a.tar", [(f"{n}.png", image(n)) for n in range(10, 14)])
    handler = type("Own", (Handler,), {})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(handler, directory=str(tmp_path / "www"))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    down = threading.Event()

    def take_down():
        if not down.is_set():
            down.set()
            server.shutdown()
            server.server_close()
            thread.join()

    yield handler, f"http://127.0.0.1:{server.server_port}", take_down
    take_down()


def listed(tmp_path, base):
    table = tmp_path / "list.csv"
    table.write_text("file\n" + "".join(f"{base}/new/{n}.png\n" for n in range(3)) + "here.png\n")
    (tmp_path / "here.png").write_bytes(image(9))
    return table


@pytest.mark.parametrize("answer", [401, 403, 500, 503, "hang up", "down"])
def test_only_what_the_server_says_is_not_there_is_gone(answer, served, tmp_path):
    handler, base, take_down = served
    library, table = Library.create(tmp_path / "a.lib", coloured()), listed(tmp_path, base)
    done = library.add(table, encoder=ColourEncoder(), workers=0)
    assert (done.embedded, done.failed) == (4, 0), library.errors
    file = f"{base}/new/0.png".encode()
    if answer == "down":
        take_down()
    handler.answer = answer
    assert not presence.is_gone(file)
    with pytest.raises(OSError) as told:
        remote.status_of(file)
    assert not isinstance(told.value, FileNotFoundError)
    done = library.add(table, encoder=ColourEncoder(), workers=0)
    assert (done.removed, done.failed, len(library)) == (0, 0, 4)
    assert "3 rows of" in library.warnings[-1] and "could not be looked at" in library.warnings[-1]


@pytest.mark.parametrize("answer", [404, 410])
def test_what_the_server_says_is_not_there_is_gone(answer, served, tmp_path):
    handler, base, _ = served
    handler.answer = answer
    assert presence.is_gone(f"{base}/new/0.png".encode())


@pytest.mark.parametrize("answer", [503, "hang up", "down"])
def test_what_fails_in_the_middle_of_a_file_is_an_oserror(answer, served):
    handler, base, take_down = served
    file = f"{base}/a.tar".encode()
    opened = remote.open_file(file)
    if answer == "down":
        take_down()
    handler.answer = answer
    for call in (opened.read, lambda: remote.open_file(file)):
        with pytest.raises(OSError, match=r"503|isconnected|connect"):
            call()


@pytest.mark.parametrize("answer", [503, "hang up"])
def test_a_tar_that_is_seen_but_not_read_is_told_as_an_error(answer, served, tmp_path):
    handler, base, _ = served
    library = Library.create(tmp_path / "a.lib", coloured())
    assert library.add(f"{base}/a.tar", encoder=ColourEncoder(), workers=0).embedded == 4
    handler.answer, handler.answered = answer, ("GET",)
    other = Library.create(tmp_path / "b.lib", coloured())
    assert other.add(f"{base}/a.tar", encoder=ColourEncoder(), workers=0).failed == 1
    assert "cannot be read to its end" in other.errors["reason"][0]
    done = library.add(f"{base}/a.tar", encoder=ColourEncoder(), workers=0)
    assert (done.removed, len(library)) == (0, 4)

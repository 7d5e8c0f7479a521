"""File systems by fsspec, with a stand-in for those that need a server.

`test_remote_http.py` tries the same with a real server of HTTP.
"""

import io
from email.utils import formatdate
from typing import ClassVar

import fsspec
import pytest
from fake_s3 import TIME
from fakes import ColourEncoder, coloured
from test_remote_sources import contents

from explorer.images import remote
from explorer.library import Library, presence


class Web(fsspec.AbstractFileSystem):
    """Names files by their whole addresses, as http does, and needs the host, as sftp does."""

    protocol = "web"
    files: ClassVar = {}  # address → content, or the status or error that the server gives
    refused: ClassVar = ()  # folders that may not be listed

    def __init__(self, host, **more):
        super().__init__(**more)
        if host != "host":
            raise RuntimeError(f"{host} lets nobody in")  # as paramiko's error, which is no OSError

    @classmethod
    def _strip_protocol(cls, path):
        return path

    @staticmethod
    def _get_kwargs_from_urls(path):
        return {"host": path.split("/")[2]}

    def info(self, path, **_):
        content = self.files.get(path, 404)
        if isinstance(content, Exception):
            raise FileNotFoundError(path) from content
        if isinstance(content, int):
            refused = RuntimeError("refused")
            refused.status = content
            raise FileNotFoundError(path) from refused
        return {
            "name": path, "size": len(content), "type": "file",
            "Last-Modified": formatdate(TIME, usegmt=True),
        }  # fmt: skip

    def isdir(self, path):
        return path not in self.files

    def ls(self, path, **_):
        if path in self.refused:
            raise PermissionError(13, "Permission denied", path)
        below = [each.removeprefix(path + "/") for each in self.files if each.startswith(path)]
        files = [self.info(f"{path}/{name}") for name in below if "/" not in name]
        folders = {name.partition("/")[0] for name in below if "/" in name}
        return files + [{"name": f"{path}/{n}", "size": 0, "type": "directory"} for n in folders]

    def _open(self, path, *_, **__):
        return io.BytesIO(self.files[path])


def test_a_file_system_that_names_files_by_their_addresses_is_read(tmp_path, monkeypatch):
    fsspec.register_implementation("web", Web, clobber=True)
    files = {f"web://host/{key}": content for key, content in contents(tmp_path).items()}
    monkeypatch.setattr(Web, "files", files)
    remote._by_fsspec.cache_clear()
    assert remote.status_of(b"web://host/a.tar").st_mtime_ns == TIME * 10**9
    library = Library.create(tmp_path / "a.lib", coloured())
    photos = [row for row, _ in remote.walk_remote(b"web://host/photos")]
    assert photos == sorted(f.encode() for f in files if "/photos/" in f)
    sources = ["web://host/a.tar", "web://host/photos/a b/000 ü.png"]
    assert library.add(sources, encoder=ColourEncoder(), workers=0).embedded == 5
    monkeypatch.setattr(Web, "refused", ("web://host/photos/a b",))
    with pytest.raises(PermissionError):
        list(remote.walk_remote(b"web://host/photos"))
    for answer in (503, ConnectionError("refused"), RuntimeError("refused by a proxy")):
        files["web://host/a.tar"] = answer
        assert not presence.is_gone(b"web://host/a.tar")
        with pytest.raises(OSError, match="refused"):
            remote.status_of(b"web://host/a.tar")
    files["web://host/a.tar"] = KeyError("a.tar")
    assert presence.is_gone(b"web://host/a.tar")
    del files["web://host/a.tar"]
    assert presence.is_gone(b"web://host/a.tar")


def test_a_server_that_lets_nobody_in_says_nothing_of_its_files():
    fsspec.register_implementation("web", Web, clobber=True)
    with pytest.raises(OSError, match="elsewhere lets nobody in"):
        remote.status_of(b"web://elsewhere/a.png")
    assert not presence.is_gone(b"web://elsewhere/a.png")

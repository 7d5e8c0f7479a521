"""A hub on this machine, as huggingface_hub asks for it; all its repositories hold the same."""

import contextlib
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants


def commit_of(repository):
    """The only commit of "owner/name"."""
    return hashlib.sha1(repository.encode()).hexdigest()


class Hub(ThreadingHTTPServer):
    """Serves files {path: content} for any repository; counts the bytes that it sends."""

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.sent, self.stop_after, self.damage = files, 0, None, None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        path = self.path.partition("?")[0]
        named = re.search("/[0-9a-f]{40}(/|$)", path)
        repository = "/".join(path.removeprefix("/api/models").split("/")[1:3])
        self.commit = named[0].strip("/") if named else commit_of(repository)
        if "/resolve/" in path:
            return self.file(path.partition("/resolve/")[2].partition("/")[2], body)
        if "/tree/" in path:
            return self.json([described(*item) for item in self.server.files.items()])
        card = {"license": "mit"}
        about = {"id": "some/thing", "sha": self.commit, "siblings": [], "cardData": card}
        return self.json(about)

    def json(self, value):
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def file(self, path, body):
        content = self.server.files[path]
        whole = len(content)
        first = int((self.headers.get("Range") or "bytes=0-")[6:].partition("-")[0])
        self.send_response(206 if first else 200)
        self.send_header("ETag", f'"{etag(path, content)}"')
        self.send_header("X-Repo-Commit", self.commit)
        self.send_header("Content-Length", str(whole - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{whole - 1}/{whole}")
        self.end_headers()
        if body:
            if self.server.damage == path:
                content = content[:-1] + b"!"
            end = whole if self.server.stop_after is None else self.server.stop_after
            self.server.sent += len(content[first:end])  # before the client can go on
            self.wfile.write(content[first:end])


def etag(path, content):
    """As the hub: the sha256 of a large file, git's name for any other."""
    if path.endswith(".safetensors"):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def described(path, content):
    entry = {"type": "file", "path": path, "size": len(content), "oid": "0" * 40}
    if path.endswith(".safetensors"):
        lfs = {"oid": etag(path, content), "size": len(content), "pointerSize": 100}
        return entry | {"oid": "1" * 40, "lfs": lfs}
    return entry | {"oid": etag(path, content)}


@contextlib.contextmanager
def hub_of(files, cache):
    """Be online with this hub alone while the block runs."""
    with Hub(files) as hub, pytest.MonkeyPatch.context() as patch:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.url)
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr(constants, "ENDPOINT", hub.url)
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()

"""An S3 server of one bucket, as far as reading goes: list, look, get a range."""

import datetime
import threading
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

TIME = 1_700_000_000


@contextmanager
def serving(files):
    """Serve key → content as the bucket `bucket`; gives the address of the server.

    `files` may be changed meanwhile, with (content, time) for another time, or the status with
    which a file is refused.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.answer()

        def do_GET(self):
            self.answer()

        def answer(self):
            address = urlsplit(self.path)
            bucket, _, key = unquote(address.path).lstrip("/").partition("/")
            query = parse_qs(address.query, keep_blank_values=True)
            if bucket != "bucket":
                self.send(404, b"<Error><Code>NoSuchBucket</Code></Error>")
            elif "list-type" in query:
                self.send(200, listing(files, query))
            elif key not in files and key:
                self.send(404, b"<Error><Code>NoSuchKey</Code></Error>")
            elif isinstance(files.get(key), int):
                self.send(files[key], b"<Error><Code>Refused</Code></Error>")
            else:
                self.send_part(*entry(files, key) if key else (b"", TIME))

        def send_part(self, content, time):
            headers = {"Last-Modified": formatdate(time, usegmt=True), "ETag": '"0"'}
            wanted = self.headers.get("Range")
            if wanted:
                first, last = wanted.removeprefix("bytes=").split("-")
                end = min(int(last) + 1, len(content)) if last else len(content)
                headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(content)}"
                content = content[int(first) : end]
            self.send(206 if wanted else 200, content, headers)

        def send(self, code, content, headers=None):
            self.send_response(code)
            for name, value in {"Content-Type": "application/xml", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def entry(files, key):
    found = files[key]
    return found if isinstance(found, tuple) else (found, TIME)


def listing(files, query):
    prefix, delimiter = (query.get(name, [""])[0] for name in ("prefix", "delimiter"))
    most = int(query.get("max-keys", ["1000"])[0])
    keys = sorted(key for key in files if key.startswith(prefix))
    common = sorted(
        {prefix + k[len(prefix) :].split("/")[0] + "/" for k in keys if "/" in k[len(prefix) :]}
    )
    if delimiter:
        keys = [key for key in keys if "/" not in key[len(prefix) :]]
    shown = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>{len(entry(files, key)[0])}</Size>"
        f"<LastModified>{stamp(entry(files, key)[1])}</LastModified><ETag>0</ETag></Contents>"
        for key in keys[:most]
    )
    folders = "".join(
        f"<CommonPrefixes><Prefix>{escape(p)}</Prefix></CommonPrefixes>" for p in common
    )
    return (
        '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>bucket</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(keys)}</KeyCount>"
        f"<MaxKeys>{most}</MaxKeys><IsTruncated>false</IsTruncated>{shown}"
        f"{folders if delimiter else ''}</ListBucketResult>"
    ).encode()


def stamp(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")

"""Fetching: the images that a table names by URL, once, with limits of time and size."""

import hashlib
import os
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from http.client import HTTPException
from pathlib import Path as FilePath
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit

from explorer.files import collect_temporary, make_folder, write_file
from explorer.images.formats import is_image, suffix_of

MAX_FETCHED_BYTES = 50_000_000  # of one image
MAX_SECONDS = 30.0  # of one image
_SILENCE_SECONDS = 10.0
_AT_ONCE = 8


Fetched = tuple[bytes, str]  # the file, and why it is missing or ""


def fetch_all(urls: Sequence[str], folder: bytes) -> Generator[tuple[str, Fetched]]:
    """Fetch URLs into files of `folder`; yield each as soon as it is settled, in any order.

    A file that is there already is not fetched again. Closing the iterator stops the rest.
    """
    make_folder(FilePath(os.fsdecode(folder)))
    collect_temporary(FilePath(os.fsdecode(folder)))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            waiting = {pool.submit(_fetch_once, url, folder): url for url in urls}
            for settled in as_completed(waiting):
                yield waiting[settled], settled.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _fetch_once(url: str, folder: bytes) -> Fetched:
    name = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    try:
        suffix = suffix_of(unquote(urlsplit(url).path))
        file = os.path.join(folder, os.fsencode(name + (suffix if is_image(suffix) else ".img")))
        if os.path.exists(file):
            return file, ""
        write_file(FilePath(os.fsdecode(file)), _fetch(url))
    except HTTPError as error:
        return os.path.join(folder, name.encode()), f"HTTP {error.code} {error.reason}"
    except (URLError, TimeoutError) as error:
        reason = getattr(error, "reason", None) or error or "it took too long"
        return os.path.join(folder, name.encode()), str(reason)
    except (OSError, ValueError, HTTPException) as error:
        return os.path.join(folder, name.encode()), str(error) or type(error).__name__
    return file, ""


class _OnlyWeb(request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        _check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check(url: str) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("only http and https are fetched")


def _fetch(url: str) -> bytes:
    _check(url)
    opener = request.OpenerDirector()
    for handler in (request.ProxyHandler, request.HTTPHandler, request.HTTPSHandler, _OnlyWeb):
        opener.add_handler(handler())
    opener.add_handler(request.HTTPDefaultErrorHandler())
    opener.add_handler(request.HTTPErrorProcessor())
    asked = request.Request(url, headers={"User-Agent": "unclip-explorer"})
    end, parts, size = time.monotonic() + MAX_SECONDS, [], 0
    with opener.open(asked, timeout=_SILENCE_SECONDS) as answer:
        while part := answer.read1(1 << 16):
            parts.append(part)
            size += len(part)
            if size > MAX_FETCHED_BYTES:
                raise ValueError(f"it has over {MAX_FETCHED_BYTES // 10**6} MB")
            if time.monotonic() > end:
                raise TimeoutError(f"it took over {MAX_SECONDS:g} s")
    return b"".join(parts)

"""Caches on disk: files that may be deleted at any time, and are never trusted unchecked.

A cache is one line of JSON, with the key of what it was computed from and a checksum of key and
content, and the content. A file without the right checksum is damaged: its owner computes it again.
A checksum does not say who wrote a cache: what only this user may have written is sealed too, at
its end, by an HMAC of the SHA-256 of key and content.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from os import PathLike, fspath, fstat
from pathlib import Path as FilePath
from typing import TypeAlias

from explorer.errors import LibraryDamaged
from explorer.files import make_folder, write_file, writing
from explorer.notes import note
from explorer.places import caches_folder

LONGEST_HEADER = 4096  # bytes
SEAL = 32  # bytes
Digest: TypeAlias = "hashlib._Hash"


def write_cache(file: FilePath, key: str, content: bytes) -> None:
    """Write `content`, computed from what `key` stands for; a cache that was there is replaced.

    Raises:
        DiskError: the disk is full or refuses; no half cache is left.
    """
    with writing(file) as temporary, temporary.open("wb") as handle:
        handle.write(_header(key, _digest(key, content)))
        handle.write(content)


def read_cache(file: str | PathLike[str], key: str) -> bytes | None:
    """Read the content of a cache; None if it is of another key.

    Raises:
        FileNotFoundError: there is none.
        LibraryDamaged: it does not match its checksum.
    """
    with open(file, "rb") as handle:
        header, content = handle.readline(LONGEST_HEADER), handle.read()
    found = _key_of(header)
    _check(file, header, found, _digest(found, content))
    return content if found == key else None


def read_key(file: str | PathLike[str]) -> str:
    """Read the key of a cache, unchecked; empty if it has none.

    Raises:
        FileNotFoundError: there is none.
    """
    with open(file, "rb") as handle:
        return _key_of(handle.readline(LONGEST_HEADER))


def find_cache(file: FilePath, key: str) -> bytes | None:
    """Read the content of a cache; None if it must be made again, with a note if it is damaged."""
    return _found(file, lambda: read_cache(file, key))


def write_sealed(file: FilePath, key: str, content: bytes) -> None:
    """Write a cache that `find_sealed` gives to this user on this machine only.

    Raises:
        DiskError: the disk is full or refuses, here or in the user's cache; no half cache is left.
    """
    digest = _digest(key, content)
    seal = _seal(digest, _secret(make=True))
    digest.update(seal)
    with writing(file) as temporary, temporary.open("wb") as handle:
        handle.write(_header(key, digest))
        handle.write(content)
        handle.write(seal)


def find_sealed(file: FilePath, key: str) -> bytes | None:
    """Read the content of a sealed cache; None if it must be made again, as `find_cache`."""
    return _found(file, lambda: _read_sealed(file, key))


def _read_sealed(file: FilePath, key: str) -> bytes | None:
    """Read content and seal; the content is hashed once, for its checksum and its seal.

    Raises:
        FileNotFoundError: there is none.
        LibraryDamaged: it does not match its checksum.
    """
    with file.open("rb") as handle:
        header = handle.readline(LONGEST_HEADER)
        content = handle.read(max(0, fstat(handle.fileno()).st_size - len(header) - SEAL))
        seal = handle.read()
    found, secret = _key_of(header), _secret(make=False)
    digest = _digest(found, content)
    mine = bool(secret) and hmac.compare_digest(seal, _seal(digest, secret))
    digest.update(seal)
    _check(file, header, found, digest)
    return content if mine and found == key else None


def _found(file: FilePath, read: Callable[[], bytes | None]) -> bytes | None:
    try:
        return read()
    except LibraryDamaged:
        note(f"The cache {file} was damaged, so it is made again.")
    except OSError:
        pass
    return None


def _seal(digest: Digest, secret: bytes) -> bytes:
    return hmac.digest(secret, digest.digest(), "sha256")


def _secret(make: bool) -> bytes:
    """Return the user's secret, which no library holds; empty if there is none to read."""
    file = caches_folder() / "seal.key"
    with suppress(OSError):
        found = file.read_bytes()
        if len(found) == SEAL:
            return found
    if not make:
        return b""
    made = secrets.token_bytes(SEAL)
    make_folder(file.parent)
    write_file(file, made)
    file.chmod(0o600)
    return made


def _key_of(header: bytes) -> str:
    try:
        return str(json.loads(header)["key"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _digest(key: str, content: bytes) -> Digest:
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass") + b"\0")
    digest.update(content)
    return digest


def _header(key: str, digest: Digest) -> bytes:
    return json.dumps({"key": key, "checksum": digest.hexdigest()}).encode() + b"\n"


def _check(file: str | PathLike[str], header: bytes, key: str, digest: Digest) -> None:
    if header != _header(key, digest):
        raise LibraryDamaged(f"The cache {fspath(file)} is damaged. Delete it; it is made again.")

"""Caches on disk: files that may be deleted at any time, and are never trusted unchecked.

A cache is one line of JSON, with the key of what it was computed from and a checksum of key and
content, and the content. A file without the right checksum is damaged: its owner computes it again.
A checksum does not say who wrote a cache: what only this user may have written is sealed too.
"""

import hashlib
import hmac
import json
import secrets
from contextlib import suppress
from os import PathLike, fspath
from pathlib import Path as FilePath

from explorer.errors import LibraryDamaged
from explorer.files import make_folder, write_file, writing
from explorer.notes import note
from explorer.places import caches_folder

LONGEST_HEADER = 4096  # bytes
SEAL = 32  # bytes


def write_cache(file: FilePath, key: str, content: bytes) -> None:
    """Write `content`, computed from what `key` stands for; a cache that was there is replaced.

    Raises:
        DiskError: the disk is full or refuses; no half cache is left.
    """
    with writing(file) as temporary, temporary.open("wb") as handle:
        handle.write(_header(key, content))
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
    if header != _header(found, content):
        raise LibraryDamaged(f"The cache {fspath(file)} is damaged. Delete it; it is made again.")
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
    try:
        return read_cache(file, key)
    except LibraryDamaged:
        note(f"The cache {file} was damaged, so it is made again.")
    except OSError:
        pass
    return None


def write_sealed(file: FilePath, key: str, content: bytes) -> None:
    """Write a cache that `find_sealed` gives to this user on this machine only.

    Raises:
        DiskError: the disk is full or refuses, here or in the user's cache; no half cache is left.
    """
    write_cache(file, key, _seal(key, content, _secret(make=True)) + content)


def find_sealed(file: FilePath, key: str) -> bytes | None:
    """Read the content of a sealed cache; None if it must be made again, as `find_cache`."""
    content, secret = find_cache(file, key), _secret(make=False)
    if content is None or not secret:
        return None
    seal, content = content[:SEAL], content[SEAL:]
    return content if hmac.compare_digest(seal, _seal(key, content, secret)) else None


def _seal(key: str, content: bytes, secret: bytes) -> bytes:
    signed = hmac.new(secret, key.encode("utf-8", "surrogatepass") + b"\0", "sha256")
    signed.update(content)
    return signed.digest()


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


def _header(key: str, content: bytes) -> bytes:
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass") + b"\0")
    digest.update(content)
    return json.dumps({"key": key, "checksum": digest.hexdigest()}).encode() + b"\n"

"""Webdataset tars: images by key, with the text and JSON beside them as columns.

Members are read in place and never unpacked, so a member called ../x is just a name.
"""

import hashlib
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from explorer.errors import ImageError
from explorer.images import name_of
from explorer.library.sources.columns import clean
from explorer.library.sources.folders import is_image

SIDECAR_BYTES = 1_000_000  # larger than any caption


@dataclass
class Member:
    """One image in a tar."""

    name: bytes
    offset: int  # of its bytes in the tar
    size: int
    columns: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


@dataclass
class TarListing:
    """The images of a tar, and the problem that ended the listing early, if any."""

    members: list[Member] = field(default_factory=list)
    problem: str = ""


def list_tar(tar: bytes) -> TarListing:
    """List the images of a tar; a truncated one is listed up to the damage."""
    listing, name = TarListing(), name_of(os.fsdecode(tar))
    columns: dict[str, dict[str, Any]] = {}
    keys: dict[int, str] = {}
    try:
        size = os.path.getsize(tar)
        with tarfile.open(tar, "r:", errors="surrogateescape") as archive:
            for member in _members(archive):
                key, _, suffix = member.name.rpartition("/")[2].partition(".")
                key = f"{member.name.rpartition('/')[0]}/{key}"
                if member.offset_data + member.size > size:
                    listing.problem = f"{name} is truncated: it is read up to {member.name!r}."
                    break
                if not member.isreg():
                    continue
                if is_image(os.fsencode(member.name)):
                    keys[len(listing.members)] = key
                    listing.members.append(_image(member))
                elif suffix.lower() in ("txt", "json") and member.size <= SIDECAR_BYTES:
                    columns.setdefault(key, {}).update(_sidecar(archive, member, suffix.lower()))
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        listing.problem = f"{name} cannot be read to its end: {error}."
    for position, member_key in keys.items():
        listing.members[position].columns = clean(columns.get(member_key, {}))
    return listing


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (member := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined]  # it keeps all of them otherwise
        yield member
    if not _ends_properly(archive):
        raise EOFError("its end mark is missing")


def _ends_properly(archive: tarfile.TarFile) -> bool:
    """Check for the end mark, which a tar truncated between two members lacks."""
    assert archive.fileobj is not None
    archive.fileobj.seek(archive.offset)
    return archive.fileobj.read(tarfile.BLOCKSIZE) == tarfile.NUL * tarfile.BLOCKSIZE


def _image(member: tarfile.TarInfo) -> Member:
    name = os.fsencode(member.name)
    problem = f"{name_of(member.name)} is a sparse file." if member.issparse() else ""
    return Member(name, member.offset_data, member.size, problem=problem)


def _sidecar(archive: tarfile.TarFile, member: tarfile.TarInfo, suffix: str) -> dict[str, Any]:
    handle = archive.extractfile(member)
    text = handle.read().decode("utf-8", "replace").strip() if handle else ""
    if suffix == "txt":
        return {"caption": text}
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def read_member(record: Mapping[str, Any]) -> bytes:
    """Read the bytes of a stored row's image in place.

    Raises:
        ImageError: the tar is gone or has changed.
    """
    try:
        with open(record["path"], "rb") as handle:
            handle.seek(record["offset"])
            content = handle.read(record["size"])
    except OSError as error:
        raise ImageError(f"{record['item']} cannot be read: {error.strerror}.") from None
    if hashlib.sha256(content).hexdigest() != record["sha256"]:
        raise ImageError(f"{record['item']} has changed; add its tar to the library again.")
    return content

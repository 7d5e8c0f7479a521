"""Webdataset tars: images by key, with the text and JSON beside them as columns.

Members are read in place and never unpacked, so a member called ../x is just a name.
"""

import gzip
import json
import os
import sys
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from explorer.images import name_of
from explorer.images.formats import is_image, suffix_of
from explorer.images.reading import MAX_BYTES
from explorer.images.remote import open_file, status_of
from explorer.library.sources.columns import clean
from explorer.library.sources.exclusion import Exclusion

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
    left_out: Counter[str] = field(default_factory=Counter)  # suffix → members that are no images


def list_tar(tar: bytes, exclusion: Exclusion) -> TarListing:
    """List the images of a tar or tar.gz; a truncated one is listed up to the damage."""
    listing, name = TarListing(), name_of(os.fsdecode(tar))
    columns: dict[str, dict[str, Any]] = {}
    keys: dict[int, str] = {}
    try:
        packed = tar.lower().endswith((b".gz", b".tgz"))
        size = status_of(tar).st_size if not packed else sys.maxsize
        with (
            open_file(tar) as stored,
            gzip.GzipFile(fileobj=stored) if packed else nullcontext(stored) as unpacked,
            tarfile.open(None, "r:", unpacked, errors="surrogateescape") as archive,
        ):
            for member in _members(archive):
                key, _, suffix = member.name.rpartition("/")[2].partition(".")
                key = f"{member.name.rpartition('/')[0]}/{key}"
                if member.offset_data + member.size > size:
                    listing.problem = f"{name} is truncated: it is read up to {member.name!r}."
                    break
                if not member.isreg() or exclusion.excludes_member(os.fsencode(member.name)):
                    continue
                if is_image(os.fsencode(member.name)):
                    keys[len(listing.members)] = key
                    listing.members.append(_image(member))
                elif suffix.lower() in ("txt", "json") and member.size <= SIDECAR_BYTES:
                    columns.setdefault(key, {}).update(_sidecar(archive, member, suffix.lower()))
                else:
                    listing.left_out[suffix_of(member.name)] += 1
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
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
    if member.size > MAX_BYTES:
        problem = f"{name_of(member.name)} is too large: {member.size / 1e6:.0f} MB."
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

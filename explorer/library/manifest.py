"""The manifest: which segments make up one version of the library, and what their bytes must be.

A manifest is one JSON file, never changed once written. It holds its own SHA-256 and those of all
files that it names, so a reader can tell a whole library from a damaged one.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path as FilePath
from typing import Any, Literal, Self

from explorer.errors import LibraryDamaged
from explorer.files import write_file
from explorer.points import Side, Space

FORMAT = 1
KEPT_MANIFESTS = 3
DType = Literal["float32", "float16"]
VECTORS, ROWS, ERRORS, RETIRED = ("vectors.npy", "rows.parquet", "errors.parquet", "retired.npy")
COLUMNS = "columns.parquet"


@dataclass(frozen=True)
class FileRecord:
    """What a stored file must be."""

    size: int  # bytes
    sha256: str


@dataclass(frozen=True)
class SegmentRecord:
    """One immutable folder of rows, numbered `first_row` and on."""

    id: str
    first_row: int
    rows: int
    dtype: DType
    files: dict[str, FileRecord]

    def __post_init__(self) -> None:
        known = {VECTORS, ROWS, ERRORS, RETIRED, COLUMNS}
        if not re.fullmatch("[0-9a-f]{32}", self.id) or not known.issuperset(self.files):
            raise ValueError(f"segment {self.id!r} has a name that this version does not write")


@dataclass(frozen=True)
class SourceRecord:
    """Where images came from: a folder, file, tar, table or vectors, by its absolute name."""

    kind: Literal["folder", "file", "tar", "table", "vectors"]
    path: str  # os.fsdecode, so that any name survives
    unit: bool = False  # vectors of length 1: the encoder's lengths are lost


@dataclass(frozen=True)
class Manifest:
    """One version of a library."""

    version: int
    space: Space
    model: str
    dtype: DType
    rows: int = 0  # that can be found: written and not retired
    next_row: int = 0  # row numbers are never used twice
    created: str = ""
    sources: tuple[SourceRecord, ...] = ()
    segments: tuple[SegmentRecord, ...] = ()
    side: Side = "image"  # of all its points
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)  # source → suffix → files
    sha256: str = field(default="", compare=False)

    def encode(self) -> bytes:
        """Return the file's content: JSON with the hash of the manifest that it holds."""
        body = {"format": FORMAT, **asdict(self)}
        del body["sha256"]
        _leave_out_defaults(body)
        checksum = hashlib.sha256(_canonical(body)).hexdigest()
        return _canonical({"sha256": checksum, "manifest": body}) + b"\n"

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """Read the content of a manifest file.

        Raises:
            LibraryDamaged: it is not, byte for byte, what `encode` returns.
        """
        try:
            read = json.loads(content)
            body = read["manifest"]
            if body["format"] != FORMAT:
                raise ValueError(f"it has format {body['format']}; this version reads {FORMAT}")
            manifest = cls._from_body(body, read["sha256"])
            if manifest.encode() != content:
                raise ValueError("its checksum does not match")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise LibraryDamaged(f"the manifest cannot be trusted: {error}") from None
        return manifest

    @classmethod
    def _from_body(cls, body: dict[str, Any], sha256: str) -> Self:
        segments = tuple(
            SegmentRecord(
                **{
                    **segment,
                    "files": {n: FileRecord(**file) for n, file in segment["files"].items()},
                }
            )
            for segment in body["segments"]
        )
        plain = {k: v for k, v in body.items() if k not in ("format", "segments")}
        plain["space"] = Space(**body["space"])
        plain["sources"] = tuple(SourceRecord(**source) for source in body["sources"])
        return cls(**plain, segments=segments, sha256=sha256)


def manifest_file(folder: FilePath, version: int) -> FilePath:
    """Return the path of one version's manifest."""
    return folder / "manifests" / f"{version:08d}.json"


def versions(folder: FilePath) -> list[int]:
    """List the versions that have a manifest, newest first, damaged or not."""
    try:
        names = [file.stem for file in (folder / "manifests").glob("*.json")]
    except OSError:
        return []
    return sorted((int(name) for name in names if name.isdecimal()), reverse=True)


def read_manifest(folder: FilePath, version: int) -> Manifest:
    """Read one version's manifest.

    Raises:
        LibraryDamaged: its content does not match its checksum.
        FileNotFoundError: it is gone.
    """
    manifest = Manifest.decode(manifest_file(folder, version).read_bytes())
    if manifest.version != version:
        raise LibraryDamaged(f"the manifest cannot be trusted: it is of version {manifest.version}")
    return manifest


def readable_manifests(folder: FilePath) -> Iterator[Manifest]:
    """Read the manifests, newest first, leaving out those that cannot be trusted."""
    for version in versions(folder):
        with suppress(LibraryDamaged, OSError):
            yield read_manifest(folder, version)


def write_manifest(folder: FilePath, manifest: Manifest) -> Manifest:
    """Write a manifest durably, delete all but the newest three, return it with its checksum."""
    content = manifest.encode()
    write_file(manifest_file(folder, manifest.version), content)
    kept = 0
    for version in versions(folder):
        with suppress(LibraryDamaged, OSError):
            if kept >= KEPT_MANIFESTS:
                manifest_file(folder, version).unlink()
            else:
                read_manifest(folder, version)
                kept += 1
    return Manifest.decode(content)


def _leave_out_defaults(body: dict[str, Any]) -> None:
    """Leave out later fields where they say nothing, so that earlier manifests keep their hash."""
    if body["side"] == "image":
        del body["side"]
    if not body["left_out"]:
        del body["left_out"]
    for source in body["sources"]:
        if not source["unit"]:
            del source["unit"]


def _canonical(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, indent=1).encode("ascii")

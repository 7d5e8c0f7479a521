"""Renaming: the names in stored rows once files lie elsewhere; pure, and nothing is written."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import fsdecode
from typing import Any

from explorer.images import name_of, remote
from explorer.library.segments import NO_IMAGE
from explorer.library.sources.members import display_name

NO_OFFSET = -1  # of what is no member of a tar


def absolute(name: str | bytes | os.PathLike[str]) -> bytes:
    """Return the absolute name or address of a file or folder, as sources are kept."""
    return remote.absolute(os.path.expanduser(os.fsencode(name)))


def lies_in(path: bytes, folder: bytes) -> bool:
    """Whether `path` is `folder` or lies below it."""
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")


@dataclass
class Renaming:
    """What each stored name becomes.

    Args:
        old, new: the absolute names of the place where files were, and where they are.
        kinds: source → kind.
        staying: files in the old place that keep their names.
        sources: source → its new name.
    """

    old: bytes
    new: bytes
    kinds: Mapping[str, str]
    staying: set[bytes] = field(default_factory=set)
    sources: dict[str, str] = field(default_factory=dict)

    def target(self, path: bytes) -> bytes | None:
        """Return where a file of the old place would be now; None for files elsewhere."""
        if not lies_in(path, self.old):
            return None
        rest = path[len(self.old) :].lstrip(b"/")
        return os.path.join(self.new, rest) if rest else self.new

    def path(self, path: bytes) -> bytes:
        """Return the name of a file now."""
        return path if path in self.staying else self.target(path) or path

    def member(self, path: bytes, member: bytes, offset: int) -> bytes:
        """Return the name of a part now: that of an imported vector begins with its file's."""
        before, after = (os.path.basename(name) + b"[" for name in (path, self.path(path)))
        is_vector = offset == NO_IMAGE and member.startswith(before)
        return after + member[len(before) :] if is_vector else member

    def source(self, source: str, path: bytes) -> str:
        """Return the source of a row now, whose file had this name.

        A file that left its folder for good belongs to the new place.
        """
        if path in self.staying:
            return source
        if source in self.sources:
            return self.sources[source]
        left = self.kinds.get(source) in ("folder", "file") and not lies_in(
            self.path(path), os.fsencode(source)
        )
        return fsdecode(self.new) if left and self.target(path) is not None else source

    def table(self, table: Any) -> Any:
        """Return an Arrow table of rows, failures or set columns with the names of now."""
        names = [n for n in ("item", "path", "member", "offset", "source", "reason")
                 if n in table.column_names]  # fmt: skip
        before = table.select(names).to_pylist()
        after = [self._record(record) for record in before]
        for name in names:
            if any(b[name] != a[name] for b, a in zip(before, after, strict=True)):
                table = _with(table, name, [record[name] for record in after])
        return table

    def _record(self, record: dict[str, Any]) -> dict[str, Any]:
        path, member = record["path"], record["member"]
        now = self.path(path), self.member(path, member, record.get("offset", NO_OFFSET))
        new = record | {"path": now[0], "member": now[1]}
        if "source" in record:
            new["source"] = self.source(record["source"], path)
        if "item" in record and now != (path, member):
            new["item"] = _item(record["item"], (path, member), now)
        if "reason" in record and now != (path, member):
            new["reason"] = record["reason"].replace(record["item"], new["item"], 1)
        return new


def _item(item: str, before: tuple[bytes, bytes], after: tuple[bytes, bytes]) -> str:
    """Return how an item is named for people, if it was named after its file."""
    for name in (_in_tar, _of_file, _beside):
        if name(*before) == item:
            return name(*after)
    return item


def _in_tar(path: bytes, member: bytes) -> str:
    return display_name(path, member, 0)


def _of_file(path: bytes, member: bytes) -> str:
    return display_name(path, member, NO_OFFSET)


def _beside(path: bytes, member: bytes) -> str:
    return name_of(fsdecode(os.path.join(os.path.dirname(path), member)))


def _with(table: Any, name: str, values: list[Any]) -> Any:
    import pyarrow as pa

    position = table.column_names.index(name)
    return table.set_column(position, name, pa.array(values, table.schema.field(name).type))

"""Folders: list the images below one, each real file and each real folder once."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from explorer.images import name_of
from explorer.images.formats import is_image
from explorer.library.sources.exclusion import Exclusion

Found = tuple[bytes, os.stat_result | None, str]
"""A file's absolute path and its status, or None and the reason why there is none."""


class Walk:
    """Iterate over the images below a folder, in the order of their names.

    What `exclusion` names is skipped, other files are noted. Links are followed last, and only to
    files and folders not yet seen: a loop ends, and an image keeps its real path where it has one
    below this folder.
    """

    def __init__(self, root: bytes, library: bytes, exclusion: Exclusion) -> None:
        self._root = root
        self._exclusion = exclusion
        self.texts: list[bytes] = []
        self.others: list[bytes] = []  # files that are no images, texts too
        self._seen: set[tuple[int, int]] = set()
        self._linked_files: list[bytes] = []
        self._linked_folders: list[bytes] = []
        self.unreadable: list[bytes] = []
        with suppress(OSError):  # skip the library's own cache
            self._is_new(os.stat(library))

    def __iter__(self) -> Iterator[Found]:
        waiting = [self._root]
        while waiting or self._linked_folders:
            folder = waiting.pop() if waiting else self._linked_folders.pop(0)
            try:
                if not self._is_new(os.stat(folder)):
                    continue
                with os.scandir(folder) as handle:
                    entries = sorted(handle, key=lambda entry: entry.name)
            except OSError as error:
                self.unreadable.append(folder)
                yield folder, None, _reason(folder, error)
                continue
            yield from self._files(entries)
            waiting.extend(reversed(self._folders(entries)))
        for path in self._linked_files:
            yield from self._look(path, linked=True)

    def _is_new(self, status: os.stat_result) -> bool:
        identity = status.st_dev, status.st_ino
        new = identity not in self._seen
        self._seen.add(identity)
        return new

    def _folders(self, entries: list[os.DirEntry[bytes]]) -> list[bytes]:
        real = []
        for entry in entries:
            if _is_folder(entry) and not self._is_excluded(entry.path, folder=True):
                if entry.is_symlink():
                    self._linked_folders.append(entry.path)
                else:
                    real.append(entry.path)
        return real

    def _files(self, entries: list[os.DirEntry[bytes]]) -> Iterator[Found]:
        for entry in entries:
            if _is_folder(entry) or self._is_excluded(entry.path):
                continue
            if not is_image(entry.name):
                self._note_other(entry)
            elif entry.is_symlink():
                self._linked_files.append(entry.path)
            else:
                yield from self._look(entry.path, linked=False)

    def _is_excluded(self, path: bytes, folder: bool = False) -> bool:
        return self._exclusion.excludes(os.path.relpath(path, self._root), folder=folder)

    def _note_other(self, entry: os.DirEntry[bytes]) -> None:
        with suppress(OSError):
            if entry.is_file():
                self.others.append(entry.path)
                if entry.name.lower().endswith(b".txt"):
                    self.texts.append(entry.path)

    def _look(self, path: bytes, linked: bool) -> Iterator[Found]:
        try:
            status = os.stat(path)
        except OSError as error:
            yield path, None, _reason(path, error)
            return
        plain = stat.S_ISREG(status.st_mode)
        # Two hard links are two images: neither is more real than the other.
        if plain and (self._is_new(status) or not linked):
            yield path, status, ""


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to where we may not look
        return False


def _reason(path: bytes, error: OSError) -> str:
    return f"{name_of(os.fsdecode(path))} cannot be read: {error.strerror}."

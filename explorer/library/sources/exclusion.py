"""Exclusion: what is left out of folders and tars by its name, and how much of it there was."""

import os
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase

DEFAULT_EXCLUDED = ("@eaDir", "node_modules", "__MACOSX")


class Exclusion:
    """Decide by name what a source leaves out.

    Args:
        patterns: globs, for a base name or for a path within the source.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self.patterns = tuple(pattern.rstrip("/") for pattern in patterns)
        self.counts: Counter[str] = Counter()

    def excludes(self, relative: bytes, *, folder: bool = False) -> bool:
        """Return whether a path within a source is left out, and count it if so."""
        reason = self._reason(os.fsdecode(relative), folder)
        if reason:
            self.counts[reason] += 1
        return bool(reason)

    def excludes_member(self, name: bytes) -> bool:
        """Return whether a member of a tar is left out, for its own name or a folder's."""
        parts = [part for part in name.split(b"/") if part not in (b"", b".", b"..")]
        paths = [b"/".join(parts[: depth + 1]) for depth in range(len(parts))]
        return any(self.excludes(p, folder=p is not paths[-1]) for p in paths)

    def _reason(self, path: str, folder: bool) -> str:
        name = os.path.basename(path)
        for pattern in self.patterns:
            if fnmatchcase(name, pattern) or fnmatchcase(path, pattern):
                return pattern
        if name in DEFAULT_EXCLUDED:
            return name
        if name.startswith("._"):
            return "._*"
        if name.startswith("."):
            return "dot folders" if folder else "dot files"
        return ""

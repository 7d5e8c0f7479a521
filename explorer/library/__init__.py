"""Library: a durable folder of images' points; add to it, search it, verify it.

What is acknowledged is on disk: segments are immutable, the manifest is swapped atomically, one
writer holds a lock, readers need none. A Library stays at the version that it was opened at until
it adds or refreshes. It keeps vectors and names, not the images themselves.
"""

from collections.abc import Generator, Sequence
from os import PathLike
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from explorer.encoder import Encoder
from explorer.errors import LibraryNotFound
from explorer.jupyter import progress
from explorer.library.adding import Progress, add
from explorer.library.checking import repair, verify
from explorer.library.hits import Hits
from explorer.library.manifest import DType
from explorer.library.reader import Reader
from explorer.library.sources.columns import join_table
from explorer.library.sources.scan import AnySource
from explorer.library.store import Store, create_store, summary
from explorer.points import Space

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Hits", "Library", "Progress"]

Folder = str | PathLike[str]


class Library(Reader):
    """A folder of items and their points; make one with `create`, `open` or `open_or_create`.

    `library.warnings` lists what was skipped or odd when it was opened or added to.
    """

    @classmethod
    def create(
        cls, folder: Folder, space: Space, *, dtype: DType = "float32", model: str = "pocket"
    ) -> "Library":
        """Make an empty library in a new or empty folder.

        Args:
            dtype: "float16" halves the size; vectors that it cannot hold are kept as float32.
            model: the name that `load` knows the space's encoder by.

        Raises:
            LibraryError: there is a library already, or the folder holds other files.
        """
        return cls(create_store(FilePath(folder), space, dtype, model))

    @classmethod
    def open(cls, folder: Folder) -> "Library":
        """Open the newest version that verifies; `warnings` name what was skipped.

        Raises:
            LibraryNotFound: there is none.
            LibraryDamaged: there is one, but no version of it can be trusted.
        """
        return cls(Store(FilePath(folder)))

    @classmethod
    def open_or_create(
        cls, folder: Folder, space: Space, *, dtype: DType = "float32", model: str = "pocket"
    ) -> "Library":
        """Open the library there, checking its space, or make one.

        Raises:
            SpaceMismatch: there is one of another space.
        """
        try:
            library = cls.open(folder)
        except LibraryNotFound:
            return cls.create(folder, space, dtype=dtype, model=model)
        library._check(space)
        return library

    def refresh(self) -> None:
        """Go to the newest version, which another process may have written."""
        self._store.refresh()

    def add(
        self,
        sources: Sequence[AnySource] | AnySource,
        encoder: Encoder,
        *,
        columns: "str | PathLike[str] | pd.DataFrame | None" = None,
        workers: int | None = None,
    ) -> Generator[Progress]:
        """Bring the library up to date with the sources; iterate to make it happen.

        New and changed images are embedded; unchanged and moved ones are not embedded again;
        those that are gone from a source are retired. An image that cannot be read is listed in
        `errors` and tried again only once it has changed. Closing the iterator, or Ctrl-C, keeps
        what is done, and the same call goes on from there; `Progress.committed` is on disk.

        Args:
            sources: folders, images, webdataset tars, or tables of paths (CSV, TSV, Parquet,
                JSON lines); one or several.
            columns: a table whose file column names the images, relative to the table's folder
                or to the source, or by file name; its other columns become the library's. A
                captions.* or metadata.* at the top of a folder is used by itself.
            workers: see `Encoder.embed`.

        Raises:
            SpaceMismatch: the encoder is of another space.
            QueryError: a source does not exist, or a table cannot be used.
            LibraryLocked: another process is writing.
            LibraryError: the disk is full or refuses; what was committed is safe.
        """
        self._check(encoder.space)
        given = None if columns is None else join_table(columns)
        steps = add(self._store, sources, encoder, given, workers)
        return progress(steps, 0, "indexing", lambda step: (step.done, step.total))

    def verify(self, read_data: bool = False) -> list[str]:
        """List what is damaged, nothing if all is well.

        Args:
            read_data: also read all files and compare their checksums (slow, finds every flip).
        """
        return verify(self._store, read_data)

    def repair(self) -> list[str]:
        """Move damaged segments and manifests to `quarantine/`, and say what was moved.

        Add the images again afterwards to embed anew those that were lost.

        Raises:
            LibraryLocked: another process is writing.
        """
        return repair(self._store)

    def info(self) -> dict[str, Any]:
        """Summarise the library in plain values, ready for JSON."""
        return summary(self._store, self.columns)

"""Library: a durable folder of images' points; add to it, search it, verify it.

What is acknowledged is on disk: segments are immutable, the manifest is swapped atomically, one
writer holds a lock, readers need none. A Library stays at the version that it was opened at until
it adds or refreshes. It keeps vectors and names, not the images themselves.
"""

import importlib
import os
from collections.abc import Generator, Mapping, Sequence
from os import PathLike
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from explorer.encoder import Encoder
from explorer.errors import LibraryError, LibraryLocked, LibraryNotFound
from explorer.library.adding import Added, AddOptions, AddSettings, Progress, add
from explorer.library.asked import Asked, own_encoder
from explorer.library.care import Care
from explorer.library.columns import set_columns
from explorer.library.hits import Hits
from explorer.library.importing.adder import Imported, VectorAdder
from explorer.library.manifest import DType, versions
from explorer.library.relevance import neutral_phrases
from explorer.library.search_index import Kind
from explorer.library.searching import MinScore, Searcher
from explorer.library.sources.columns import join_table
from explorer.library.sources.items import AnySource
from explorer.library.store import Store, create_store, left_out
from explorer.library.unlike import note_query
from explorer.library.widget import Mapped
from explorer.places import is_published
from explorer.points import Points, Side
from explorer.query import Query

if TYPE_CHECKING:
    import pandas as pd

    from explorer.models import Model

__all__ = ["Added", "Hits", "Imported", "Library", "Progress"]

Folder = str | PathLike[str]
PUBLISHED = "explorer.scale.published"  # opens what lies in no folder


class Library(VectorAdder, Searcher, Care, Mapped):
    """A folder of items and their points; make one with `create`, `open` or `open_or_create`.

    `library.warnings` lists what was skipped or odd when it was opened or added to.

    >>> import tempfile
    >>> import explorer as ex
    >>> library = ex.Library.create(tempfile.mkdtemp(), "pocket")
    >>> len(library), library.model
    (0, 'pocket')
    """

    memory: str | int | None = None  # what the networks of its model may take, as for `load`
    _encoder: Encoder | None = None

    @classmethod
    def create(
        cls,
        folder: Folder,
        model: "Model | str",
        *,
        dtype: DType = "float32",
        side: Side = "image",
    ) -> "Library":
        """Create an empty library in a new or empty folder.

        Args:
            model: the model that embeds its images, or its name as `load` takes it.
            dtype: "float16" halves the size; vectors that it cannot hold are kept as float32.
            side: "text" makes a library of texts, which `add_vectors` fills.

        Raises:
            LibraryError: there is a library already, or the folder holds other files.
            UnknownModel, WeightsMissing: as `load`.
        """
        model = _loaded(model)
        library = cls(create_store(FilePath(folder), model.space, dtype, model.name, side))
        library._encoder = model.encoder
        return library

    @classmethod
    def open(cls, folder: Folder) -> "Library":
        """Open the newest version that verifies; `warnings` name what was skipped.

        Args:
            folder: or the address of a library that was published: `milvus://HOST:PORT/NAME`.

        Raises:
            LibraryNotFound: there is none.
            LibraryDamaged: there is one, but no version of it can be trusted.
        """
        if is_published(folder):
            return importlib.import_module(PUBLISHED).open_published(os.fspath(folder))
        return cls(Store(FilePath(folder)))

    @classmethod
    def open_or_create(
        cls, folder: Folder, model: "Model | str", *,
        dtype: DType = "float32", side: Side = "image",
    ) -> "Library":  # fmt: skip
        """Open the library there, checking that it is of this model, or `create` one.

        Raises:
            SpaceMismatch: there is one of another space.
            LibraryLocked: another process is creating one there.
        """
        try:
            library = cls.open(folder)
        except LibraryNotFound:
            model = _loaded(model)
            try:
                return cls.create(folder, model, dtype=dtype, side=side)
            except LibraryLocked:
                raise
            except LibraryError:
                if not versions(FilePath(folder)):
                    raise
                library = cls.open(folder)  # another process has created it meanwhile
        model = _loaded(model)
        library.check_space(model.space)
        library._encoder = model.encoder
        return library

    @property
    def encoder(self) -> Encoder:
        """The encoder of its model, which is loaded when it is first asked for.

        The model is not downloaded for it. Where it was loaded here before, words are read without
        it, and it is loaded for the first image.

        Raises:
            UnknownModel, WeightsMissing: the model cannot be loaded here.
            SpaceMismatch: the library was made with other weights of it.
        """
        if self._encoder is None:
            encoder = own_encoder(
                self.folder, self.model, self.space, lambda n: _loaded(n, self.memory).encoder
            )
            self.check_space(encoder.space)
            self._encoder = encoder
        return self._encoder

    def refresh(self) -> None:
        """Go to the newest version, which another process may have written."""
        self._store.refresh()

    def add(
        self,
        sources: Sequence[AnySource] | AnySource,
        *,
        encoder: Encoder | None = None,
        columns: "str | PathLike[str] | pd.DataFrame | None" = None,
        **options: Unpack[AddOptions],
    ) -> Added:
        """Bring the library up to date with the sources, and return what was done.

        New and changed images are embedded; unchanged and moved ones are not embedded again;
        those that are gone from a source are retired. An image that cannot be read is listed in
        `errors` and tried again only once it has changed. After Ctrl-C what is done is kept, and
        the same call goes on from there.

        Args:
            sources: folders, images, videos, webdataset tars, tables of paths or URLs (CSV,
                TSV, Parquet, JSON lines, COCO), or Parquet and Arrow files with the images
                inside; one or several.
            encoder: None takes that of the library's own model.
            columns: a table whose file column names the images, relative to the table's folder
                or to the source, or by file name; its other columns become the library's. A
                captions.* or metadata.* at the top of a folder is used by itself.
            workers: see `Encoder.embed`.
            exclude: globs of names or paths within a source that are left out.
            every: seconds between frames of videos; None leaves videos out.
            max_megapixels: see `open_image`.
            engine: embeds elsewhere, as `RayEngine` does; None embeds in this process.

        Raises:
            SpaceMismatch: the encoder is of another space.
            QueryError: a source does not exist, or a table cannot be used.
            LibraryLocked: another process is writing.
            LibraryError: the disk is full or refuses; what was committed is safe.
        """
        *_, last = self.adding(sources, encoder=encoder, columns=columns, **options)
        return Added(last.embedded, last.unchanged, last.failed, last.removed, last.total)

    def adding(
        self,
        sources: Sequence[AnySource] | AnySource,
        *,
        encoder: Encoder | None = None,
        columns: "str | PathLike[str] | pd.DataFrame | None" = None,
        **options: Unpack[AddOptions],
    ) -> Generator[Progress]:
        """Do what `add` does, and yield how far it is, at least once.

        Closing the iterator keeps what is done; `Progress.committed` is on disk. Arguments and
        errors are those of `add`.
        """
        settings = AddSettings(**options)
        if encoder is not None or settings.engine is None:
            encoder = encoder or self.encoder
            self.check_space(encoder.space)
        given = None if columns is None else join_table(columns)
        return add(self._store, sources, encoder, given, settings)

    def search(
        self,
        query: Points | Query | str,
        k: int = 12,
        *,
        where: Mapping[str, Any] | None = None,
        exclude: Sequence[int] | None = None,
        min_score: MinScore = None,
        index: Kind = "auto",
    ) -> Hits:
        """Find the `k` images nearest to a query, by cosine; fewer if there are fewer.

        Args:
            query: one point, or words and images as `Query` reads them, which the library's own
                model encodes.
            where: column → wanted value, or list of values; all columns must match.
            exclude: rows that must not be found.
            min_score: the lowest cosine; "auto" finds what matches, judged by how common phrases
                (or, for images, other rows) score in this library. `Hits.matching` counts them.
            index: "exact" compares all rows, which "auto" does while they are few; of a large
                library it reads the rows that codes in memory find, if these find 99 % of the
                nearest in a test of their own. "approximate" does so in any case. Scores are exact.

        Raises:
            QueryError: more than one point (use `search_many`), or no such column or value.
            SpaceMismatch: the point is of another space.
        """
        if not isinstance(query, Points):
            parsed = query if isinstance(query, Query) else Query.parse(query)
            asked = Asked(self.space, self.cache_folder, lambda: self.encoder)
            query = parsed.points(asked)
            note_query(self, query, parsed.files)
        return super().search(
            query, k, where=where, exclude=exclude, min_score=min_score, index=index
        )

    def _neutral(self, side: Side) -> np.ndarray:
        if side == "image":
            return super()._neutral(side)
        return self.encoder.encode_text(neutral_phrases()).unit

    def set_columns(self, columns: Mapping[str, Sequence[Any] | np.ndarray | None]) -> None:
        """Keep columns in the library: clusters, scores, tags; all of them, or none.

        They are in `rows`, hits, `where`, maps and exports. A value stays with its image if more is
        added; with the file's name if the image changes, and with the content if the file moves.

        Args:
            columns: name → one value a row, in the order of `rows`, None where there is none. A
                column that was set before is replaced; None in place of the values removes it.

        Raises:
            QueryError: a count that is not that of the rows, or a name that is taken.
            LibraryLocked: another process is writing.
            LibraryError: the disk is full or refuses; nothing has changed then.

        >>> import tempfile
        >>> import explorer as ex
        >>> library = ex.Library.create(tempfile.mkdtemp(), "pocket")
        >>> library.set_columns({"tag": []})
        >>> library.columns
        ['tag']
        """
        set_columns(self._store, columns)

    @property
    def excluded(self) -> dict[str, int]:
        """How many files and folders the last `add` passed over, by the pattern that says so."""
        return self._store.excluded

    @property
    def left_out(self) -> dict[str, int]:
        """How many files of each suffix its sources hold that are not read."""
        return left_out(self._store.manifest)


def _loaded(model: "Model | str", memory: str | int | None = None) -> "Model":
    from explorer.models import load

    return load(model, memory=memory) if isinstance(model, str) else model

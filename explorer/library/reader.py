"""Reader: one version of a library, to look at."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from os import fsdecode
from pathlib import Path as FilePath
from shlex import quote
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from explorer import html
from explorer.errors import ImageError, QueryError, SpaceMismatch
from explorer.files import collect_temporary
from explorer.images import open_image
from explorer.library.columns import column_names, living_table
from explorer.library.contents import Contents, Vectors
from explorer.library.few_rows import HIDDEN, RowSource, SegmentRows, TableRows, labels_of
from explorer.library.hits import images_of
from explorer.library.presence import FileGone, is_gone
from explorer.library.segments import NO_IMAGE
from explorer.library.sources.members import read_member
from explorer.library.store import Store
from explorer.library.unlike import unlike_library
from explorer.notes import counted, note
from explorer.points import Points, Side, Space

if TYPE_CHECKING:
    import pandas as pd


ROWS_READ_AT_ONCE = 20_000  # whose whole table is read


class Reader:
    """The reading half of `Library`. Rows are counted from 0, in the version that is open."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._derived: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self._store.contents.living)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r}: {counted(len(self))} in {self.space})"

    def _repr_html_(self) -> str:
        spread = np.linspace(0, max(len(self) - 1, 0), min(len(self), html.SHOWN)).astype(int)
        names = self.rows["item"].iloc[spread]
        columns = f"columns: {', '.join(self.columns) or 'none'}"
        cells = images_of(self.open_image, spread, list(names), list(names))
        return html.card(repr(self), cells, columns)

    @property
    def folder(self) -> FilePath:
        """Where it is."""
        return self._store.folder

    @property
    def space(self) -> Space:
        """The space of its points."""
        return self._store.manifest.space

    @property
    def dtype(self) -> str:
        """How its vectors are stored: "float32" or "float16"."""
        return self._store.manifest.dtype

    @property
    def side(self) -> Side:
        """Which side all its points are of: "image", or "text" for imported texts."""
        return self._store.manifest.side

    @property
    def model(self) -> str:
        """The name that `load` knows its encoder by."""
        return self._store.manifest.model

    @property
    def warnings(self) -> list[str]:
        """What was skipped or odd when it was opened or last added to."""
        return list(self._store.warnings)

    @property
    def cache_key(self) -> str:
        """Change whenever the content does: what is derived from it belongs to this key."""
        manifest = self._store.manifest
        return f"{manifest.version:08d}-{manifest.sha256[:16]}-{len(manifest.segments)}"

    @property
    def cache_folder(self) -> FilePath:
        """A folder for what can be made again; it may be deleted at any time."""
        folder = self.folder / "cache"
        with suppress(OSError):  # a library on a read-only disk has no cache, and needs none
            folder.mkdir(exist_ok=True)
            collect_temporary(folder)
        return folder

    @property
    def rows(self) -> "pd.DataFrame":
        """Where every image is, what it was when it was read, and the user's columns."""
        return self._derive("rows", self._read_rows)

    def _read_rows(self) -> "pd.DataFrame":
        return self._table.to_pandas(integer_object_nulls=True)

    @property
    def _table(self) -> Any:
        """All that `rows` holds, as an Arrow table, which takes a tenth of the time and memory."""
        return self._table_later()()

    def _table_later(self) -> Callable[[], Any]:
        """Return what reads `_table` of the version at hand, once for all who ask."""
        contents = self._store.contents
        derived = self._of_version()

        def read() -> Any:
            if "table" not in derived:
                derived["table"] = living_table(contents).drop_columns([HIDDEN])
            return derived["table"]

        return read

    @property
    def columns(self) -> list[str]:
        """The names of the user's columns."""
        return column_names(self._store.contents)

    @property
    def errors(self) -> "pd.DataFrame":
        """What could not be read: item and reason."""
        import pandas as pd

        failures = self._store.contents.failures.values()
        records = [(failure.item, failure.reason) for failure in failures]
        return pd.DataFrame(records, columns=["item", "reason"])

    @property
    def vectors(self) -> Vectors:
        """The raw vectors, one a row, read only where they are asked for."""
        return Vectors(self._store.contents, self.space.dimension)

    def points(self, rows: Sequence[int] | np.ndarray | None = None) -> Points:
        """Give the points of these rows, or of all, labelled by file name; of its `side`.

        Raises:
            QueryError: there is no such row, or the library is empty.
        """
        chosen = np.arange(len(self)) if rows is None else self._checked(rows)
        if not len(chosen):
            raise QueryError(self._store.nothing if rows is None else "No rows were asked for.")
        return self._points_later(chosen)()

    def _points_later(self, rows: np.ndarray) -> Callable[[], Points]:
        """Return what reads the points of these rows, of the version at hand."""
        vectors, source, space, side = self.vectors, self._few_rows, self.space, self.side
        return lambda: Points(vectors[rows], space, side, labels_of(source, rows))

    @property
    def _few_rows(self) -> RowSource:
        """What few rows are read from: of a large library, the segments that hold them."""
        return self._derive("few rows", self._find_few_rows)

    def _find_few_rows(self) -> RowSource:
        contents = self._store.contents
        if len(self) <= ROWS_READ_AT_ONCE or contents.set_columns:
            return TableRows(living_table(contents))
        return SegmentRows(contents)

    def _stored_rows(self, rows: np.ndarray) -> Any:
        """Return all that is stored of these rows but their vectors, as an Arrow table."""
        import pyarrow as pa

        return living_table(self._store.contents).take(pa.array(rows, from_pandas=False))

    def unlike(self) -> str:
        """Say in one sentence if most images are unlike those of its model's training, else ""."""
        return unlike_library(self)

    def note_unlike(self) -> None:
        """Note what `unlike` says."""
        if sentence := self.unlike():
            note(sentence)

    def open_image(self, row: int) -> Image.Image:
        """Open the image of a row, upright RGB, from its file or tar.

        Raises:
            ImageError: it is no longer there, or cannot be read.
        """
        return open_row(self._store.contents, int(self._checked([row])[0]))

    def _of_version(self) -> dict[str, Any]:
        """Return what was derived of the version at hand."""
        contents = self._store.contents
        if self._derived.get("contents") is not contents:
            self._derived = {"contents": contents}
        return self._derived

    def _derive(self, name: str, make: Any) -> Any:
        """Make something from the version at hand once, and again only for another version."""
        derived = self._of_version()
        if name not in derived:
            derived[name] = make()
        return derived[name]

    def check_space(self, space: Space) -> None:
        """Raise SpaceMismatch, saying what to do, unless points of `space` are of the library's."""
        mine = self.space
        if space == mine:
            return
        made, asked = mine.fingerprint[:8], space.fingerprint[:8]
        if space.name != mine.name:
            raise SpaceMismatch(
                f"{self.folder} was made with {mine.name} ({mine.dimension}-d, {made}), asked "
                f"{space.name} ({space.dimension}-d, {asked}). Use load({self.model!r}), or make "
                "another library."
            )
        sources = [quote(record.path) for record in self._store.manifest.sources]
        again = ["unclip", "index", *(sources or ["FOLDER"]), "--library", "NEW", "--model"]
        raise SpaceMismatch(
            f"The weights of {mine.name} have changed since {self.folder} was made ({made} then, "
            f"{asked} now). Index its images again: {' '.join([*again, quote(self.model)])}"
        )

    def _checked(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        chosen = np.asarray(rows, dtype=np.int64).reshape(-1)
        bad = chosen[(chosen < 0) | (chosen >= len(self))]
        if len(bad):
            raise QueryError(f"There is no row {bad[0]}: the library has {len(self)} rows, from 0.")
        return chosen


def open_row(contents: Contents, row: int) -> Image.Image:
    """Open the image of a row of one version; see `Reader.open_image`."""
    position = int(np.flatnonzero(contents.live)[row])
    record = contents.table.slice(position, 1).to_pylist()[0]
    if record["offset"] == NO_IMAGE:
        raise ImageError(
            f"{record['item']} has no image here: it was imported as a vector without a file."
        )
    if is_gone(record["path"]):
        raise FileGone(f"{record['item']} is no longer there.")
    source = read_member(record) if record["member"] else fsdecode(record["path"])
    return open_image(source, max_megapixels=megapixels_of(record))


def megapixels_of(record: Mapping[str, Any]) -> float | None:
    """Return what `open_image` may take for a stored row: what was indexed may be opened."""
    megapixels = record["width"] * record["height"] / 1e6
    # of any format: some take five times the memory of their pixels
    return 5 * megapixels if megapixels > 16 else None

"""Reader: one version of a library, to look at and to search."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from os import fsdecode
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from explorer import html
from explorer.errors import ImageError, QueryError, SpaceMismatch
from explorer.files import collect_temporary
from explorer.images import name_of, open_image
from explorer.index import Index
from explorer.library.columns import with_set_columns
from explorer.library.contents import Vectors
from explorer.library.hits import Hits, images_of, load_index, matching
from explorer.library.presence import FileGone, is_gone, missing_rows
from explorer.library.relevance import NEUTRAL_ROWS, PART_ROWS, RELEVANCE_VERSION, Relevance
from explorer.library.segments import NO_IMAGE, OWN_COLUMNS
from explorer.library.sources.members import read_member
from explorer.library.store import Store
from explorer.library.unlike import unlike_library
from explorer.notes import collecting, note
from explorer.points import Points, Side, Space
from explorer.refusals import explain_failure

if TYPE_CHECKING:
    import pandas as pd

MinScore = float | Literal["auto"] | None


class Reader:
    """The reading half of `Library`. Rows are counted from 0, in the version that is open."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._derived: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self._store.contents.living)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r}: {len(self):,} images in {self.space})"

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
        contents = self._store.contents
        table = with_set_columns(contents.table, contents).filter(contents.live)
        return table.drop_columns(["offset"]).to_pandas(integer_object_nulls=True)

    @property
    def columns(self) -> list[str]:
        """The names of the user's columns."""
        return [name for name in self.rows.columns if name not in OWN_COLUMNS]

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
        paths, members = (self.rows[name].to_numpy()[chosen] for name in ("path", "member"))
        labels = tuple(_label(p, m) for p, m in zip(paths, members, strict=True))
        return Points(self.vectors[chosen], self.space, self.side, labels)

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
        contents = self._store.contents
        position = int(np.flatnonzero(contents.live)[self._checked([row])[0]])
        record = contents.table.slice(position, 1).to_pylist()[0]
        if record["offset"] == NO_IMAGE:
            raise ImageError(
                f"{record['item']} has no image here: it was imported as a vector without a file."
            )
        if is_gone(record["path"]):
            raise FileGone(f"{record['item']} is no longer there.")
        source = read_member(record) if record["member"] else fsdecode(record["path"])
        megapixels = record["width"] * record["height"] / 1e6  # what was indexed may be opened
        # of any format: some take five times the memory of their pixels
        return open_image(source, max_megapixels=5 * megapixels if megapixels > 16 else None)

    def search(
        self,
        query: Points,
        k: int = 12,
        *,
        where: Mapping[str, Any] | None = None,
        exclude: Sequence[int] | None = None,
        min_score: MinScore = None,
    ) -> Hits:
        """Find the `k` images nearest to one point; see `Library.search`."""
        if len(query) != 1:
            raise QueryError(f"search takes one point, not {len(query)}; use search_many.")
        return self.search_many(query, k, where=where, exclude=exclude, min_score=min_score)[0]

    def search_many(
        self,
        points: Points,
        k: int = 12,
        *,
        where: Mapping[str, Any] | None = None,
        exclude: Sequence[int] | None = None,
        min_score: MinScore = None,
    ) -> list[Hits]:
        """Find the `k` nearest images of every point; see `search`."""
        self._check(points.space)
        allowed = None
        if where or exclude is not None:
            excluded = None if exclude is None else self._checked(exclude)
            allowed = matching(self.rows, where or {}, excluded)
        index = self._derive("index", self._load_index)
        if min_score is None:
            scores, rows = index.search(points.unit, k, allowed)
            return [self._hits(s, r) for s, r in zip(scores, rows, strict=True)]
        if k < 1:
            raise QueryError(f"k is {k}, but must be 1 or more.")
        found = []
        for unit in points.unit:
            scores = index.scores(unit)
            enough = self._enough(scores, points.side, min_score)
            rows = np.flatnonzero(enough if allowed is None else enough & allowed)
            best = rows[np.argsort(-scores[rows], kind="stable")[:k]]
            found.append(self._hits(scores[best], best, len(rows)))
        return found

    def _enough(self, scores: np.ndarray, side: Side, min_score: MinScore) -> np.ndarray:
        """Say which rows reach the lowest score."""
        if not isinstance(min_score, str):
            return np.asarray(scores >= np.float32(min_score or 0))
        if min_score != "auto":
            raise QueryError(f"The lowest score is a number or auto, not {min_score!r}.")
        return self._relevance(side).matching(scores, side) if len(scores) else scores > 1

    def _relevance(self, side: Side) -> Relevance:
        return self._derive(f"relevance-{side}", lambda: self._measure(side))

    def _measure(self, side: Side) -> Relevance:
        key = f"relevance-{side}-{RELEVANCE_VERSION}-{self._store.contents.points_key}"
        file = self.cache_folder / key
        if (found := Relevance.load(file, key)) is not None:
            return found
        vectors = self._derive("index", self._load_index).vectors
        parts = (vectors[i : i + PART_ROWS] for i in range(0, len(vectors), PART_ROWS))
        with collecting():  # what a neutral phrase lacks in the model is not the user's concern
            measured = Relevance.fit(parts, self._neutral(side))
        with suppress(OSError):  # a cache: what the disk refuses is measured again
            for old in self.cache_folder.glob(f"relevance-{side}-*"):
                old.unlink(missing_ok=True)
            measured.save(file, key)
        return measured

    def _neutral(self, side: Side) -> np.ndarray:
        """Queries that stand for any: on the image side rows, spread over the library."""
        del side
        chosen = np.linspace(0, len(self) - 1, min(NEUTRAL_ROWS, len(self))).astype(int)
        return self.points(chosen).unit

    def _hits(self, scores: np.ndarray, rows: np.ndarray, count: int | None = None) -> Hits:
        table = self.rows.iloc[rows].reset_index(drop=True)
        points = self.points(rows) if len(rows) else None
        items = tuple(table["item"])
        gone = partial(missing_rows, self._store.contents)
        return Hits(scores, rows, items, table, points, self.open_image, count, gone)

    def save_index(self) -> None:
        """Write the search index to the cache folder. Building an exact one is about as fast."""
        index = self._derive("index", self._load_index)
        with explain_failure(self.cache_folder):
            for file in self.cache_folder.glob("index-*"):
                file.unlink(missing_ok=True)
        index.save(self._index_file, self._store.contents.points_key)

    @property
    def _index_file(self) -> FilePath:
        return self.cache_folder / f"index-v2-{self._store.contents.points_key}"

    def _load_index(self) -> Index:
        return load_index(self._index_file, self._store.contents.points_key, self.vectors)

    def _derive(self, name: str, make: Any) -> Any:
        """Make something from the version at hand once, and again only for another version."""
        contents = self._store.contents
        if self._derived.get("contents") is not contents:
            self._derived = {"contents": contents}
        if name not in self._derived:
            self._derived[name] = make()
        return self._derived[name]

    def _check(self, space: Space) -> None:
        mine = self.space
        if space != mine:
            raise SpaceMismatch(
                f"This library was made with {mine.name} ({mine.dimension}-d, "
                f"{mine.fingerprint[:8]}), asked {space.name} ({space.dimension}-d, "
                f"{space.fingerprint[:8]}). Use load({self.model!r}), or make another library."
            )

    def _checked(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        chosen = np.asarray(rows, dtype=np.int64).reshape(-1)
        bad = chosen[(chosen < 0) | (chosen >= len(self))]
        if len(bad):
            raise QueryError(f"There is no row {bad[0]}: the library has {len(self)} rows, from 0.")
        return chosen


def _label(path: bytes, member: bytes) -> str:
    is_part = member.startswith((b"@", b"#"))  # a frame, or a row of a table
    return name_of(fsdecode(os.path.basename(path + member if is_part else member or path)))

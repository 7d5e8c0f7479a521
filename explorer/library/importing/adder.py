"""VectorAdder: the half of `Library` that imports vectors."""

from abc import abstractmethod
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

from explorer.encoder import Encoder
from explorer.errors import QueryError
from explorer.library.importing import AnyVectors, ImportProgress, VectorImport, plan
from explorer.library.importing.agreement import Agreement, check
from explorer.library.reader import Reader

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Imported:
    """What `Library.add_vectors` did, in vectors.

    Args:
        added: new, or changed since an earlier import.
        unchanged: there already.
        repeated: name an image that an earlier row names, and were left out.
        unit: all have length 1; the library says so in `info`.
        agreement: how they compare with what the model encodes; None if that was not asked.
    """

    added: int
    unchanged: int
    repeated: int
    unit: bool
    agreement: Agreement | None


class VectorAdder(Reader):
    """What `Library` is, less the adding of images."""

    @property
    @abstractmethod
    def encoder(self) -> Encoder:
        """The encoder of the library's model."""

    def add_vectors(
        self,
        vectors: Sequence[AnyVectors] | AnyVectors,
        *,
        table: "str | PathLike[str] | pd.DataFrame | None" = None,
        images: str | PathLike[str] | None = None,
        columns: Mapping[str, str] | None = None,
        check_model: bool = True,
    ) -> Imported:
        """Import raw or unit vectors of the model and `side` of the library, N × D, as rows.

        Up to 16 images (captions, on the text side) are encoded again and compared. The same
        import again adds nothing, and goes on where an earlier one was interrupted.

        Args:
            vectors: an array, or files: .npy, .npz, .parquet, .arrow, .feather, a flat FAISS index
                (.index, .faiss), or a folder as clip-retrieval writes it; one or several.
            table: one row for each vector, in order, whose columns become the library's.
            images: the folder that relative names of images start from; None: that of the table.
            columns: {"vector": …, "path": …, "caption": …} where the names do not tell.
            check_model: False imports vectors that do not agree, too.

        Raises:
            QueryError: a file cannot be used, or the vectors are not of the model.
            LibraryError: as `add`.

        >>> import tempfile
        >>> import explorer as ex
        >>> library = ex.Library.create(tempfile.mkdtemp(), "pocket")
        >>> library.add_vectors(library.encoder.encode_text(["a"]).vectors).added, len(library)
        (1, 1)
        """
        about = self.space, self.side
        planned = plan(vectors, *about, table=table, images=images, columns=columns)
        agreement = check(planned, self.encoder, self.model) if check_model else None
        if agreement and not agreement.passed:
            raise QueryError(f"{agreement} To import them all the same: check_model=False.")
        *_, last = self.importing_vectors(planned)
        return Imported(last.added, last.unchanged, last.repeated, planned.unit, agreement)

    def importing_vectors(self, planned: VectorImport) -> Generator[ImportProgress]:
        """Write planned vectors, and yield how far it is; what is committed is on disk."""
        self.space.check(planned.space)
        return planned.run(self._store)

"""Looking after a library: damage, sources that moved or go, files that are gone, its size."""

from os import PathLike

from explorer.library.checking import repair, verify
from explorer.library.compacting import Compacted, compact
from explorer.library.forgetting import forget
from explorer.library.moving import Moved, moved
from explorer.library.presence import FilesChecked, check_files
from explorer.library.store import Store


class Care:
    """The part of a Library that looks after its files."""

    _store: Store

    def verify(self, read_data: bool = False) -> list[str]:
        """List what is damaged, nothing if all is well.

        Args:
            read_data: read all files and compare their checksums (slow, finds every flip). Without
                it, those that changed since their last full check, or had none for 30 days.
        """
        return verify(self._store, read_data)

    @property
    def sources(self) -> dict[str, str]:
        """What was added, by its absolute name: folder, file, tar, table or vectors."""
        return {record.path: record.kind for record in self._store.manifest.sources}

    def repair(self) -> list[str]:
        """Move damaged segments and manifests to `quarantine/`, and say what was moved.

        Add the images again afterwards; those that were lost are embedded again.

        Raises:
            LibraryLocked: another process is writing.
        """
        return repair(self._store)

    def forget(self, source: str | PathLike[str]) -> int:
        """Remove the rows of a source, in one version, and return how many they were.

        The images themselves are not touched; adding the source again embeds them again.

        Args:
            source: a folder, tar, table or file as `add` was given it.

        Raises:
            QueryError: it is no source of this library.
            LibraryLocked: another process is writing.
            LibraryError: the disk is full or refuses; nothing has changed then.

        >>> import tempfile
        >>> import explorer as ex
        >>> from PIL import Image
        >>> images = tempfile.mkdtemp()
        >>> Image.new("RGB", (64, 64), "red").save(f"{images}/red.png")
        >>> library = ex.Library.create(tempfile.mkdtemp(), "pocket")
        >>> library.add(images, workers=0).embedded
        1
        >>> library.forget(images), len(library)
        (1, 0)
        """
        return forget(self._store, source)

    def moved(
        self,
        old: str | PathLike[str],
        new: str | PathLike[str],
        *,
        dry: bool = False,
    ) -> Moved:
        """Rewrite the names of files that lie elsewhere now, in one version; embed nothing.

        Columns, captions and vectors stay with their images. A file that is in neither place gets
        its new name too; one that is still in the old place alone keeps its name.

        Args:
            old: a folder or file where images were when they were indexed; it need not exist.
            new: where they are now.
            dry: only look, and return what would be done.

        Raises:
            QueryError: no image of the library lies in `old`, or none of the files is in `new`.
            LibraryLocked: another process is writing.
            LibraryError: the disk is full or refuses; nothing has changed then.

        >>> import pathlib, tempfile
        >>> import explorer as ex
        >>> from PIL import Image
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> (folder / "a").mkdir()
        >>> Image.new("RGB", (64, 64), "red").save(folder / "a" / "red.png")
        >>> library = ex.Library.create(folder / "lib", "pocket")
        >>> _ = library.add(folder / "a", workers=0)
        >>> _ = (folder / "a").rename(folder / "b")
        >>> library.moved(folder / "a", folder / "b").rows
        1
        >>> library.add(folder / "b", workers=0).unchanged
        1
        """
        return moved(self._store, old, new, dry)

    def compact(self) -> Compacted:
        """Write few large segments in place of many small ones, in one version.

        Rows that were replaced, removed or forgotten are dropped for good: an image of theirs that
        comes back is embedded again. All else is equal before and after. The old segments are
        deleted once no version that is kept names them.

        Raises:
            LibraryLocked: another process is writing.
            LibraryDamaged: something is damaged, which is not copied.
            LibraryError: the disk is full or refuses; nothing has changed then.

        >>> import tempfile
        >>> import explorer as ex
        >>> print(ex.Library.create(tempfile.mkdtemp(), "pocket").compact())
        nothing to compact: 0 segments, no row to drop
        """
        return compact(self._store)

    def check_files(self, seconds: float | None = None) -> FilesChecked:
        """Count the files of its images, and those that are no longer there.

        Args:
            seconds: to stop after; what was checked then is a random sample. None: no limit.

        >>> import tempfile
        >>> import explorer as ex
        >>> ex.Library.create(tempfile.mkdtemp(), "pocket").check_files().missing
        0
        """
        return check_files(self._store.contents, seconds)

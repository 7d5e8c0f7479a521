"""Looking after a library: what is damaged, setting it aside, and forgetting a source."""

from os import PathLike

from explorer.library.checking import repair, verify
from explorer.library.forgetting import forget
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

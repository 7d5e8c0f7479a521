"""What a published library does not do: it is written by publishing another version."""

import shlex
from typing import Any, NoReturn

from explorer.errors import LibraryError
from explorer.library import Library
from explorer.library.presence import FilesChecked


class ReadOnly(Library):
    """A library of which everything that writes is refused in one sentence."""

    def _refuse(self) -> NoReturn:
        raise LibraryError(
            f"{self._store.address} is published and only read: change the library that it came "  # type: ignore[attr-defined]
            "from, then publish that again."
        )

    def publish_instead(self, to: str) -> str:
        """Return the sentence for who would publish it once more."""
        folder = shlex.quote(str(self._store.stored["folder"]))  # type: ignore[attr-defined]
        return (
            f"{self._store.address} is published already: publish the library that it came "  # type: ignore[attr-defined]
            f"from, unclip publish {folder} --to {to}"
        )

    def add(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse()

    def adding(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse()

    def add_vectors(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse()

    def importing_vectors(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse()

    def set_columns(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse()

    def repair(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse()

    def forget(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse()

    def moved(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse()

    def compact(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse()

    def save_index(self) -> None:
        """Do nothing: the index is the server's."""

    def update_index(self) -> bool:
        """Do nothing: the index is the server's."""
        return False

    def check_files(self, seconds: float | None = None) -> FilesChecked:  # noqa: ARG002
        """Look at no files: they are of the machine that published."""
        return FilesChecked(0, 0, 0)

"""Images that a person uploads: few, small, checked before they are decoded, and renamed.

They lie as PNG in a temporary folder of the session, under their checksums, and go with it.
"""

import hashlib
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import ClassVar

import streamlit as st
from PIL import Image

from explorer.app.outputs import escaped
from explorer.errors import ImageError, QueryError
from explorer.images import FORMATS, name_of, open_image, save_image
from explorer.images.budget import give_back
from explorer.interrupts import at_end

MAX_FILE_MEGABYTES = 20
MAX_SESSION_IMAGES = 24  # a session; the oldest is dropped
SCRIPT = FilePath(__file__).with_name("paste.js")
FOLDER = "uploads"  # of the session
PREFIX = "unclip-uploads-"  # of temporary folders
LEFT_SECONDS = 7 * 86_400.0  # after which what a killed process left is removed


@dataclass(frozen=True)
class Upload:
    """An image that was uploaded.

    Args:
        file: where it lies on the server, under a name of ours.
        name: what the person calls it; never a path to open.
    """

    file: FilePath
    name: str


def uploaded(label: str, *, key: str, several: bool = False) -> list[Upload]:
    """Ask for images, to be chosen, dropped or pasted.

    What cannot be read is said below the field, and left out.
    """
    kinds = [*(kind.lower() for kind in FORMATS), "jpg", "tif", "heic", "jp2"]
    files = st.file_uploader(label, kinds, key=key, accept_multiple_files=several,
                             max_upload_size=MAX_FILE_MEGABYTES)  # fmt: skip
    pasting = st.components.v2.component(
        "unclip-paste",
        html="<small>An image can be pasted as well.</small>",
        js=SCRIPT.read_text("utf-8"),
    )
    pasting(key=f"{key}-paste")
    images = []
    for file in filter(None, files if isinstance(files, list) else [files]):
        try:
            images.append(checked(file.getvalue(), file.name))
        except (ImageError, QueryError) as error:
            st.error(escaped(error))
    return images


def checked(content: bytes, name: str) -> Upload:
    """Look at the size and the header, then decode, and put it in the session's folder.

    Raises:
        QueryError: it is too large.
        ImageError: it is no image, damaged, or of too many pixels.
    """
    name = name_of(name)
    if len(content) > MAX_FILE_MEGABYTES * 1_000_000:
        size = f"{len(content) / 1e6:.0f} MB; at most {MAX_FILE_MEGABYTES}"
        raise QueryError(f"{name} is too large to be uploaded: {size}. Make it smaller.")
    try:
        return Upload(kept(content, lambda: open_image(content)), name)
    except ImageError as error:
        raise ImageError(str(error).replace("This image", name, 1)) from None
    finally:
        give_back()


class _Folder:
    """A temporary folder that goes with this object, and so with the session that holds it."""

    of_all: ClassVar["weakref.WeakSet[_Folder]"] = weakref.WeakSet()

    def __init__(self) -> None:
        collect_left(FilePath(tempfile.gettempdir()))
        self.place = FilePath(tempfile.mkdtemp(prefix=PREFIX))
        self.remove = weakref.finalize(self, shutil.rmtree, self.place, ignore_errors=True)
        at_end(_remove_folders)
        self.of_all.add(self)


def _remove_folders() -> None:
    for folder in list(_Folder.of_all):
        folder.remove()


def collect_left(place: FilePath) -> None:
    """Remove the uploads of dashboards that were killed, a week after the last of them."""
    before = time.time() - LEFT_SECONDS
    for folder in place.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if folder.stat().st_mtime < before:
                shutil.rmtree(folder)


def kept(identity: bytes, image: Callable[[], Image.Image]) -> FilePath:
    """Return the session's file of this identity, written from `image` if it is not there."""
    if FOLDER not in st.session_state:
        st.session_state[FOLDER] = _Folder()
    folder: FilePath = st.session_state[FOLDER].place
    file = folder / f"{hashlib.sha256(identity).hexdigest()[:32]}.png"
    if file.exists():
        file.touch()
    else:
        save_image(image(), file)
    for old in sorted(folder.iterdir(), key=lambda each: each.stat().st_mtime)[
        :-MAX_SESSION_IMAGES
    ]:
        old.unlink()
    return file

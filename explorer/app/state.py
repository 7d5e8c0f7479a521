"""What the dashboard was started with, and what all its sessions share, read-only."""

import argparse
import atexit
import gc
import io
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as FilePath

import streamlit as st
from PIL import Image

from explorer.device.amounts import parse_memory
from explorer.device.quantization import check_weights
from explorer.errors import ExplorerError, QueryError
from explorer.images import fitted
from explorer.library import Library
from explorer.library.captions import label_of
from explorer.library.manifest import versions
from explorer.library.sheet import tile
from explorer.models import Model, load, module_of
from explorer.models.shared.on_word import named_by
from explorer.models.shared.short_names import long_name
from explorer.models.trained import bridge_beside, is_bridge, space_of
from explorer.models.trust import check_named, is_trusted
from explorer.places import is_published
from explorer.samples import sample_library
from explorer.scale.address import Address
from explorer.scale.published_store import PublishedStore

THUMBNAIL_SIDE = 192  # pixels of the longer side
MIN_SIDE = 8  # pixels; scaled to a tile's width, what is thinner has no height
TEXTS = ("decoder", "prior", "memory", "weights")  # options of the script with a text
MAX_THUMBNAILS = 4096  # about 8 kB each, over all sessions


@dataclass(frozen=True)
class AppConfig:
    """Options: what stands after the name of the script.

    Args:
        library: a folder; "" is the sample library.
        decoder: as `load` takes it; "" is the model's own.
        prior: likewise.
        read_only: nobody may add to the library, because others than its owner may come.
        memory: as `load` takes it; "" is what the accelerator has free.
        weights: as `load` takes it; "" leaves them as they are.
        compare: libraries of the same images, or decoders, for the page Compare.

    Raises:
        QueryError, ExplorerError: `memory` or `weights` is not right.
    """

    library: str = ""
    decoder: str = ""
    prior: str = ""
    read_only: bool = False
    memory: str = ""
    weights: str = ""
    compare: tuple[str, ...] = ()

    @classmethod
    @lru_cache(maxsize=1)
    def read(cls, words: tuple[str, ...]) -> "AppConfig":
        """Read the arguments of the script.

        Raises:
            QueryError: there are others than `words` gives.
        """
        parser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
        parser.add_argument("library", nargs="?", default="")
        for name in TEXTS:
            parser.add_argument(f"--{name}", default="")
        parser.add_argument("--read-only", action="store_true")
        parser.add_argument("--compare", action="append", default=[])
        try:
            values, unknown = parser.parse_known_args(words)
        except argparse.ArgumentError as error:
            raise QueryError(
                f"The dashboard cannot start: {error}. See `unclip app --help`."
            ) from None
        if unknown:
            raise QueryError(f"The dashboard knows no {unknown[0]!r}; see `unclip app --help`.")
        values.compare = tuple(values.compare)
        return cls(**vars(values))

    def __post_init__(self) -> None:
        parse_memory(self.memory or 1)  # refused now, not at the first image
        check_weights(self.weights)

    def words(self) -> tuple[str, ...]:
        """Return what `read` reads."""
        options = [f"--{name}={getattr(self, name)}" for name in TEXTS]
        chosen = [option for option in options if not option.endswith("=")]
        chosen += [f"--compare={each}" for each in self.compare]
        return (*chosen, *["--read-only"] * self.read_only, *[self.library] * bool(self.library))


def config() -> AppConfig:
    """Return what this dashboard was started with."""
    return AppConfig.read(tuple(sys.argv[1:]))


def library() -> Library:
    """Return the library, at its newest version. All sessions read one object: do not add to it.

    Raises:
        LibraryNotFound, LibraryDamaged: as `Library.open`.
    """
    name = config().library
    if not name:
        return opened(sample())
    return opened(name if is_published(name) else os.path.abspath(name))


def opened(folder: str) -> Library:
    """Return a library at its newest version, shared likewise.

    Raises:
        LibraryNotFound, LibraryDamaged: as `Library.open`.
    """
    if is_published(folder):
        return _opened(folder, _followed(folder).newest)
    return _opened(folder, *versions(FilePath(folder))[:1])


def is_library(folder: str) -> bool:
    """Return whether there is a library in this folder."""
    return is_published(folder) or bool(versions(FilePath(folder)))


def decoder_name() -> str:
    """Return the decoder that was asked for, else a bridge beside the library; "" is the model's.

    The bridge is one that this person made or trusted, where the model has no decoder.
    """
    shown = library()
    beside = bridge_beside(shown.folder)
    if config().decoder or _own_decoder(shown) or not is_bridge(beside) or not is_trusted(beside):
        return config().decoder
    return str(beside) if space_of(beside) == shown.space else ""


def has_decoder() -> bool:
    """Return whether anything decodes here, without loading the model."""
    return bool(decoder_name()) or _own_decoder(library())


def _own_decoder(shown: Library) -> bool:
    return bool(module_of(long_name(shown.model).partition(":")[0]).card()["decoder"])


def model() -> Model:
    """Return the model of the library, with the decoder and prior that were asked for.

    Raises:
        SpaceMismatch: it was made with other weights than the model has now.
    """
    return model_of(library(), decoder_name(), config().prior)


def model_of(
    shown: Library,
    decoder: str = "",
    prior: str = "",
    *,
    loading: Callable[[str, str, str], Model] | None = None,
) -> Model:
    """Return the model that a library was made with.

    Args:
        loading: None shows that it is under way.

    Raises:
        SpaceMismatch: as `model`.
    """
    by = f"The library {shown.folder}"
    with named_by(by, shown.space):
        loaded = (loading or loaded_model)(check_named(shown.model, by), decoder, prior)
    shown.check_space(loaded.space)
    return loaded


def options() -> list[str]:
    """Return the options with which a command takes the same model."""
    parts = {"model": library().model, "decoder": decoder_name(), "prior": config().prior}
    return [word for name, part in parts.items() if part for word in (f"--{name}", part)]


def load_line() -> str:
    """Return the Python that loads the same model."""
    parts = {"decoder": decoder_name(), "prior": config().prior}
    chosen = [f"{name}={part!r}" for name, part in parts.items() if part]
    return f"ex.load({', '.join([repr(library().model), *chosen])})"


def caption(row: int) -> str:
    """Return the words of a row: its caption if it has one, else the name of its file."""
    return label_of(library().rows.iloc[row].get("caption"), library().points([row]).labels[0])


def thumbnail(row: int) -> bytes:
    """Return a small JPEG of a row of the library, or of a tile that says why there is none."""
    try:
        return small(row)
    except ExplorerError as error:  # is not kept: the file may come back
        return tile_of(row, error)


def small(row: int) -> bytes:
    """Return a small JPEG of a row of the library.

    Raises:
        ImageError: its file is no longer there, or cannot be read.
    """
    shown = library()
    return _small(shown, str(shown.folder), shown.cache_key, row)


def tile_of(row: int, error: ExplorerError) -> bytes:
    """Return a small JPEG with the name of a row's file and why its image is not shown."""
    return _jpeg(tile(str(library().rows["item"].iloc[row]), error, THUMBNAIL_SIDE))


@st.cache_resource(show_spinner="Indexing the sample images, once …")
def sample() -> str:
    """Return the folder of the sample library, built in the user's cache if it is not there."""
    return str(sample_library().folder)


@st.cache_resource(show_spinner="Loading the model …")
def loaded_model(name: str, decoder: str, prior: str) -> Model:
    """Return a model, loaded once for all sessions."""
    return loaded_quietly(name, decoder, prior)


@st.cache_resource(show_spinner=False)
def loaded_quietly(name: str, decoder: str, prior: str) -> Model:
    """Return the same, where no session runs that could show that it is under way."""
    memory, weights = config().memory or None, config().weights or None
    loaded = load(
        name, decoder=decoder or None, prior=prior or None, memory=memory, weights=weights
    )
    settle()
    return loaded


def settle() -> None:
    """Remove what was imported and loaded from the garbage collector's sight.

    Streamlit collects garbage after every run of a script, which with torch takes 0.3 s.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # or else nanobind reports leaks at the end


@st.cache_resource(max_entries=2, show_spinner=False)
def _followed(address: str) -> PublishedStore:
    return PublishedStore(Address.parse(address))


@st.cache_resource(max_entries=2, show_spinner="Opening the library …")
def _opened(folder: str, version: int | str = 0) -> Library:  # noqa: ARG001
    opened = Library.open(folder)
    if len(opened):  # read its table and index here, under the cache's lock
        opened.search(opened.points([0]), 1)
    return opened


@st.cache_resource(max_entries=MAX_THUMBNAILS, show_spinner=False)
def _small(_library: Library, folder: str, key: str, row: int) -> bytes:  # noqa: ARG001
    image = _library.open_image(row)
    try:
        image = fitted(image, THUMBNAIL_SIDE) if max(image.size) > THUMBNAIL_SIDE else image
        return _jpeg(at_least(image))
    except Exception:  # one image never takes its page with it
        logging.getLogger(__name__).exception("Row %d of %s cannot be shown", row, folder)
        return _jpeg(Image.new("RGB", (THUMBNAIL_SIDE, THUMBNAIL_SIDE), "lightgrey"))


def at_least(image: Image.Image, side: int = MIN_SIDE) -> Image.Image:
    """Return an image at least so wide and high, centred on white: Streamlit scales no thinner."""
    if min(image.size) >= side:
        return image
    canvas = Image.new("RGB", (max(image.width, side), max(image.height, side)), "white")
    canvas.paste(image, ((canvas.width - image.width) // 2, (canvas.height - image.height) // 2))
    return canvas


def _jpeg(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "jpeg", quality=90, subsampling=0)
    return content.getvalue()

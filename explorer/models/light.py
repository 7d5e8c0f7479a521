"""Light: an encoder that reads words at once, and loads its model only for images.

To load a CLIP takes seconds, most of them imports; to read the words of a query takes none of that
where the model was loaded here before and its text tower is of the usual shape.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path as FilePath
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from explorer.device import Device
from explorer.encoder import Embedded, Encoder
from explorer.encoder.workers import Source
from explorer.models.shared.bpe import Bpe
from explorer.models.shared.fingerprint import image_tower, of_tensors
from explorer.models.shared.known_weights import KnownWeights, before_loading, known_weights
from explorer.models.shared.on_word import kept
from explorer.models.shared.openclip_folder import CONFIG, WEIGHTS, own_vocabulary, read_config
from explorer.models.shared.preprocess import Preprocess
from explorer.models.shared.text_notes import clean_texts, note_cut, note_unknown
from explorer.models.shared.text_tower import TextTower, is_plain
from explorer.points import Points, Space

if TYPE_CHECKING:
    from PIL import Image

IMPORTING = RLock()
"""Held while much is imported: open_clip and diffusers import the same packages, of which another
thread may see half."""


class LightEncoder(Encoder):
    """The encoder of a model that is not loaded, of which the files are known.

    Args:
        load: loads the model's own encoder.
        on: where that runs; None is known when it is loaded.
    """

    def __init__(
        self,
        space: Space,
        known: KnownWeights,
        load: Callable[[], Encoder],
        on: Device | None = None,
    ) -> None:
        self.space, self.known = space, known
        self._load, self.on, self._lock = load, on, Lock()
        self._whole: Encoder | None = None

    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "N D"]:
        clean = clean_texts(texts, self.tokenizer.context_length)
        note_cut(clean, self.tokenizer, self.space.name)
        note_unknown(clean, self.tokenizer, self.space.name)
        return self.tower(self.tokenizer(clean))

    def embed_pixels(self, pixels: Float[np.ndarray, "N C H W"]) -> Float[np.ndarray, "N D"]:
        return self.whole.embed_pixels(pixels)

    @property
    def preprocess(self) -> "Callable[[Image.Image], Float[np.ndarray, 'C H W']]":
        return self.whole.preprocess

    def encode_images(
        self, images: "Sequence[Image.Image | Source] | Image.Image | Source"
    ) -> Points:
        return self.whole.encode_images(images)

    def embed(self, sources: Iterable[Source], **options: Any) -> Iterator[Embedded]:
        return self.whole.embed(sources, **options)

    @property
    def whole(self) -> Encoder:
        """The model's own encoder, loaded when it is first asked for."""
        if self._whole is not None:
            return self._whole
        with IMPORTING, self._lock:
            if self._whole is None:
                encoder = self._load()
                self.space.check(
                    encoder.space, "Their weights are of two installations, or changed meanwhile."
                )
                self.batch_size, self.side, self.on = encoder.batch_size, encoder.side, encoder.on
                self._whole = encoder
            return self._whole

    @cached_property
    def tower(self) -> TextTower:
        """The text tower."""
        return TextTower(self.known.files[0], self.known.config)

    @cached_property
    def tokenizer(self) -> Bpe:
        """The tokenizer of its texts."""
        return Bpe(self.known.files[1], self.known.config["text_cfg"]["context_length"])


def light_encoder(model: str, space: Space, load: Callable[[], Encoder]) -> Encoder | None:
    """Return an encoder that reads words without loading its model; None if it must be loaded.

    Args:
        model: its full name.
        space: of the weights that are meant.
        load: loads it, on the word that counts now.
    """
    known = known_weights(model)
    if known is None or known.fingerprint != space.fingerprint or not is_plain(known.config):
        return None
    return LightEncoder(space, known, kept(load))


def light_folder(
    folder: FilePath, name: str, load: Callable[[], Encoder], on: Device | None = None
) -> LightEncoder | None:
    """Return the same for a folder in open_clip's layout, whose files were found to be whole.

    None if its image tower is none of open_clip's ResNets: the fingerprint of others takes
    open_clip to compute.

    Args:
        name: of its Space.
        load, on: as for `LightEncoder`.

    Raises:
        WeightsMissing: the configuration is missing, or not one of open_clip's.
    """
    config = read_config(folder)
    model, seen = config["model_cfg"], config["preprocess_cfg"]
    vision = model["vision_cfg"]
    files = folder / WEIGHTS, model, own_vocabulary(folder, model), folder / CONFIG
    if not isinstance(vision.get("layers"), list) or (known := before_loading(*files)) is None:
        return None
    preprocess = Preprocess.from_config({"size": vision["image_size"], **seen})
    fingerprint = of_tensors(image_tower(folder / WEIGHTS), vision, preprocess)
    space = Space(name, model["embed_dim"], fingerprint)
    return LightEncoder(space, replace(known, fingerprint=fingerprint), kept(load), on)

"""Light: an encoder that reads words at once, and loads its model only for images.

To load a CLIP takes seconds, most of them imports; to read the words of a query takes none of that
where the model was loaded here before and its text tower is of the usual shape.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from explorer.encoder import Encoder
from explorer.models.shared.bpe import Bpe
from explorer.models.shared.known_weights import KnownWeights, known_weights
from explorer.models.shared.on_word import kept
from explorer.models.shared.text_notes import clean_texts, note_cut, note_unknown
from explorer.models.shared.text_tower import TextTower, is_plain
from explorer.points import Space

if TYPE_CHECKING:
    from PIL import Image


class LightEncoder(Encoder):
    """The encoder of a model that is not loaded, of which the files are known.

    Args:
        load: loads the model's own encoder.
    """

    def __init__(self, space: Space, known: KnownWeights, load: Callable[[], Encoder]) -> None:
        self.space = space
        self._known, self._load = known, load
        self._tower: TextTower | None = None

    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "N D"]:
        tokenizer = self._tokenizer
        clean = clean_texts(texts, tokenizer.context_length)
        note_cut(clean, tokenizer, self.space.name)
        note_unknown(clean, tokenizer, self.space.name)
        if self._tower is None:
            self._tower = TextTower(self._known.files[0], self._known.config)
        return self._tower(tokenizer(clean))

    def embed_pixels(self, pixels: Float[np.ndarray, "N C H W"]) -> Float[np.ndarray, "N D"]:
        return self.whole.embed_pixels(pixels)

    @property
    def preprocess(self) -> "Callable[[Image.Image], Float[np.ndarray, 'C H W']]":
        return self.whole.preprocess

    @cached_property
    def whole(self) -> Encoder:
        """The model's own encoder, loaded when it is first asked for."""
        encoder = self._load()
        self.space.check(
            encoder.space, "Their weights are of two installations, or changed meanwhile."
        )
        self.batch_size = encoder.batch_size
        return encoder

    @cached_property
    def _tokenizer(self) -> Bpe:
        return Bpe(self._known.files[1], self._known.config["text_cfg"]["context_length"])


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

"""CLIP towers: a CLIP of transformers as an Encoder, loaded from a decoder's checkpoint.

A checkpoint can have the image tower alone; then the open_clip model that the decoder was trained
with embeds texts. Both layouts of one tower give one Space (`fingerprint`).
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from explorer.device import Device
from explorer.encoder import Encoder
from explorer.errors import ExplorerError, WeightsMissing
from explorer.models import load
from explorer.models.shared.checked_config import read_json
from explorer.models.shared.checkpoint import load_tokenizer, placed, read_config
from explorer.models.shared.fingerprint import of_transformers
from explorer.models.shared.on_word import check_recorded, kept
from explorer.models.shared.preprocess import Preprocess
from explorer.models.shared.text_notes import clean_texts
from explorer.points import Space

if TYPE_CHECKING:
    import torch

WEIGHTS = ("model.safetensors", "model.fp16.safetensors")  # both give the same Space


class TransformersEncoder(Encoder):
    """The two towers of CLIP; each is loaded when it is first used.

    Args:
        text: folder of the text tower; if None, `text_from` embeds texts.
        text_from: name of an open_clip model, as for `load`.
    """

    on: Device

    def __init__(
        self,
        space: Space,
        image: FilePath,
        preprocess: Preprocess,
        text: FilePath | None,
        tokenizer: FilePath | None,
        device: Device,
        text_from: str,
    ) -> None:
        self.space, self.on, self.device, self._preprocess = space, device, device.name, preprocess
        self.side = max(preprocess.size)
        self._image, self._text, self._tokenizer = image, text, tokenizer
        self._text_from = text_from
        self._load_text = kept(lambda: load(text_from, device=device))
        self.dtype = device.half
        self.batch_size = 128 if device.name.startswith("cuda") else 16

    @property
    def image_tower(self) -> Any:
        from transformers import CLIPVisionModelWithProjection

        return placed(self.on, CLIPVisionModelWithProjection, self._image, self.dtype, exact=True)

    @property
    def text_tower(self) -> Any:
        from transformers import CLIPTextModelWithProjection

        if self._text is None:
            raise WeightsMissing(
                f"The checkpoint of {self.space} has no text tower, so it has no token states. "
                f"Embed texts with {self._text_from}."
            )
        return placed(self.on, CLIPTextModelWithProjection, self._text, self.dtype, exact=True)

    @cached_property
    def tokenizer(self) -> Any:
        if self._tokenizer is None:
            raise WeightsMissing(
                f"The checkpoint of {self.space} has no tokenizer. Embed texts with "
                f"{self._text_from}."
            )
        return load_tokenizer(self._tokenizer)

    @property
    def preprocess(self) -> Preprocess:
        return self._preprocess

    def embed_pixels(self, pixels: Float[np.ndarray, "N C H W"]) -> Float[np.ndarray, "N D"]:
        import torch

        with torch.inference_mode():
            batch = torch.from_numpy(pixels).to(self.device, getattr(torch, self.dtype))
            return self.image_tower(batch).image_embeds.float().cpu().numpy()

    def rows_at_once(self, pixels: Float[np.ndarray, "N C H W"]) -> int:
        import torch

        shape, dtype = pixels.shape[1:], getattr(torch, self.dtype)

        def call() -> object:
            return self.image_tower(torch.empty(1, *shape, dtype=dtype, device="meta"))

        with self.on.turn:
            return self.on.rows((self.space, shape), call, self.batch_size)

    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "N D"]:
        if self._text is None:
            return self._text_encoder.embed_texts(texts)
        return self.token_states(texts)[0].float().cpu().numpy()

    def token_states(
        self, texts: Sequence[str]
    ) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
        """Return the texts' points (N D), token states (N L W) and attention mask (N L).

        As in diffusers' pipelines, texts are padded or truncated to the tower's context length.
        """
        import torch

        length = self.text_tower.config.max_position_embeddings
        with torch.inference_mode():
            tokens = self.tokenizer(
                clean_texts(texts, length),
                padding="max_length",
                max_length=length,
                truncation=True,
                return_tensors="pt",
            ).to(self.device)
            read = self.text_tower(tokens.input_ids)
            return read.text_embeds, read.last_hidden_state, tokens.attention_mask.bool()

    @cached_property
    def _text_encoder(self) -> Encoder:
        """Load the open_clip model that embeds texts; it must be of the same Space."""
        encoder = self._load_text().encoder
        remedy = f"The image tower must be that of {self._text_from}, which embeds texts."
        self.space.check(encoder.space, remedy)
        return encoder


def load_towers(
    name: str,
    *,
    image: FilePath,
    text: FilePath | None,
    tokenizer: FilePath | None,
    preprocess: FilePath | None,
    device: Device,
    text_from: str = "",
) -> TransformersEncoder:
    """Return the encoder of a checkpoint; only the image tower's file is read at once.

    Args:
        name: of the Space: that of the open_clip model with the same towers.
        image: folder of a CLIPVisionModelWithProjection.
        text: folder of a CLIPTextModelWithProjection; if None, see `text_from`.
        tokenizer: folder of its CLIPTokenizer.
        preprocess: folder with preprocessor_config.json; None takes OpenAI's preprocessing.
        text_from: the open_clip model that embeds texts if `text` is None.

    Raises:
        WeightsMissing: the image tower is missing, or cannot be read.
    """
    from safetensors import SafetensorError

    try:
        config = read_config(image / "config.json")
        seen = _preprocess(preprocess, config["image_size"])
        fingerprint = of_transformers(config, _tensors(image), seen)
        dimension = config["projection_dim"]
    except ExplorerError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, SafetensorError) as error:
        raise WeightsMissing(
            f"{image} has no image tower of CLIP that can be read ({error}). It needs "
            f"config.json and {WEIGHTS[0]}; download the checkpoint again."
        ) from error
    check_recorded(name, fingerprint)
    space = Space(name, dimension, fingerprint)
    return TransformersEncoder(space, image, seen, text, tokenizer, device, text_from)


def _tensors(folder: FilePath) -> "Iterator[tuple[str, torch.Tensor]]":
    from safetensors import safe_open

    whole, half = (folder / name for name in WEIGHTS)
    with safe_open(whole if whole.is_file() else half, "pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118 - it is not a dict
            yield name, tensors.get_tensor(name)


def _preprocess(folder: FilePath | None, size: int) -> Preprocess:
    """Read a CLIPImageProcessor's config: resize the shorter side, crop and normalise."""
    if folder is None:
        return Preprocess((size, size))
    config = read_json(folder / "preprocessor_config.json")
    crop = config.get("crop_size", size)
    height, width = (crop["height"], crop["width"]) if isinstance(crop, dict) else (crop, crop)
    interpolation = {2: "bilinear", 3: "bicubic"}[config.get("resample", 3)]
    mean, std = tuple(config["image_mean"]), tuple(config["image_std"])
    return Preprocess((height, width), mean, std, interpolation)

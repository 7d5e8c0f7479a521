"""OpenCLIP: any model of open_clip as an Encoder, by name or from a folder in its layout.

A folder has `open_clip_config.json` and `open_clip_model.safetensors`, and can have a tokenizer.
"""

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property, partial
from os import PathLike
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float

from explorer.device import Device
from explorer.device.side_by_side import parts, rows_on_cpu, side_by_side
from explorer.encoder import Encoder
from explorer.errors import WeightsMissing
from explorer.models import Card, Model
from explorer.models.shared.bfloat16 import in_fixed_batches, in_one_batch, tower_for_cpu
from explorer.models.shared.checkpoint import MISMATCH
from explorer.models.shared.fingerprint import of_open_clip
from explorer.models.shared.hub import Release
from explorer.models.shared.known_weights import KnownWeights, before_loading, remember_weights
from explorer.models.shared.openclip_folder import (
    CONFIG,
    PICKLES,
    WEIGHTS,
    own_vocabulary,
    read_config,
)
from explorer.models.shared.openclip_tags import (
    architecture_and_tag,
    check_file,
    no_hub_for_data,
    quiet,
    releases_of_tag,
    weights_of_tag,
)
from explorer.models.shared.preprocess import Preprocess
from explorer.models.shared.text_notes import clean_texts, note_cut, note_unknown
from explorer.points import Space

if TYPE_CHECKING:
    import torch

_PREPROCESS = ("mean", "std", "interpolation", "resize_mode", "size", "fill_color")


class OpenClipEncoder(Encoder):
    """The two towers of an open_clip model.

    Args:
        precision: of the image tower, "float32" or "bfloat16". None takes bfloat16 where it is
            several times as fast: on CUDA, and on a CPU as `halved` says. Vectors are always
            float32.
        on: where it runs; None takes the device of the module.
        known: its files, if words can be read from them alone.
    """

    def __init__(
        self,
        module: "torch.nn.Module",
        tokenizer: Any,
        space: Space,
        precision: Literal["float32", "bfloat16"] | None = None,
        on: Device | None = None,
        known: KnownWeights | None = None,
    ) -> None:
        import torch

        self.space, self.known = space, known
        self._module: Any = module
        self.tokenizer = tokenizer
        self.on: Device = on or Device(str(next(module.parameters()).device))
        self.device = torch.device(self.on.name)
        self._precision = precision
        self.batch_size = 256 if self.device.type == "cuda" else rows_on_cpu()
        visual: Any = module.visual
        self._preprocess = Preprocess.from_config(visual.preprocess_cfg)
        self.side = max(self._preprocess.size)

    @property
    def module(self) -> Any:
        """The model of open_clip, on the device."""
        key = f"{self.space.name} {id(self._module)}"
        return self.on.network(key, lambda: self._module, keep=True)

    @cached_property
    def precision(self) -> Literal["float32", "bfloat16"]:
        """The precision of the image tower; on a CPU it is chosen when images are first encoded."""
        if self.device.type != "cpu":
            return self._precision or ("bfloat16" if self.device.type == "cuda" else "float32")
        if self.on.limit is not None:
            return "float32"
        tower, chosen = tower_for_cpu(self._module.visual, self._preprocess.size, self._precision)
        self._module.visual = tower  # in place of the other, which only this encoder runs
        return chosen

    @property
    def preprocess(self) -> Preprocess:
        return self._preprocess

    def rows_at_once(self, pixels: Float[np.ndarray, "N C H W"]) -> int:
        import torch

        shape = pixels.shape[1:]

        def call() -> object:
            return self.module.encode_image(torch.empty(1, *shape, device="meta"), normalize=False)

        with self.on.turn:
            return self.on.rows((self.space, shape), call, self.batch_size)

    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "N D"]:
        import torch

        clean = clean_texts(texts, self.tokenizer.context_length)
        note_cut(clean, self.tokenizer, self.space.name)
        note_unknown(clean, self.tokenizer, self.space.name)
        with torch.inference_mode():
            tokens = self.tokenizer(clean).to(self.device)
            return self.module.encode_text(tokens, normalize=False).float().cpu().numpy()

    def embed_pixels(self, pixels: Float[np.ndarray, "N C H W"]) -> Float[np.ndarray, "N D"]:
        import torch

        lower, module = self.precision == "bfloat16", self.module
        if self.device.type == "cpu":
            embed = in_fixed_batches if lower else in_one_batch
            call = partial(module.encode_image, normalize=False)
            made = side_by_side(lambda rows: embed(call, pixels[rows]), parts(len(pixels)))
            return np.concatenate(made)
        fast = torch.autocast(self.device.type, torch.bfloat16) if lower else nullcontext()
        with torch.inference_mode(), fast:
            batch = torch.from_numpy(pixels).to(self.device)
            return module.encode_image(batch, normalize=False).float().cpu().numpy()


def build(variant: str, device: Device) -> Model:
    """Load "architecture/tag" of open_clip, or a folder.

    Raises:
        UnknownModel: open_clip has no such architecture or tag.
        WeightsMissing: the weights are not on this machine and cannot be downloaded.
    """
    if _is_folder(variant):
        folder = FilePath(variant).expanduser().resolve()
        encoder = encoder_of_folder(folder, f"openclip:{folder.name}", device)
    else:
        encoder = _encoder_of_tag(variant, device)
    remember_weights(f"openclip:{variant}", encoder.known)
    return Model(encoder.space.name, encoder.space, encoder)


def card() -> Card:
    """Describe the family; open_clip.list_pretrained() lists its models."""
    return {
        "name": "openclip:ARCHITECTURE/TAG or openclip:FOLDER",
        "space": "one per architecture and tag",
        "dimension": None,
        "decoder": False,
        "prior": False,
        "megabytes": None,
        "licence": "that of the chosen weights",
        "weights_here": None,
        "fetched_from": [],
    }


def releases(variant: str) -> tuple[Release, ...]:
    """Return the repositories of a variant; a local folder has none."""
    return () if _is_folder(variant) else releases_of_tag(variant)


def _is_folder(variant: str) -> bool:
    return os.path.isdir(variant) or variant.startswith(("/", ".", "~"))


def encoder_of_folder(folder: str | PathLike[str], name: str, device: Device) -> OpenClipEncoder:
    """Load an encoder from a folder in open_clip's layout.

    Args:
        name: of its Space.

    Raises:
        WeightsMissing: as for `load_folder`.
    """
    folder = FilePath(folder)
    model_config = read_config(folder)["model_cfg"]
    vocabulary = own_vocabulary(folder, model_config)
    known = before_loading(folder / WEIGHTS, model_config, vocabulary, folder / CONFIG)
    module, tokenizer, _ = load_folder(folder)
    return _encoder(name, module, tokenizer, model_config, device, known)


def load_folder(
    folder: str | PathLike[str], device: str = "cpu"
) -> "tuple[torch.nn.Module, Any, dict[str, Any]]":
    """Load a model, its tokenizer and its configuration from a folder in open_clip's layout.

    `text_cfg.tokenizer_kwargs.bpe_path` can name a vocabulary inside the folder.

    Raises:
        WeightsMissing: the configuration or the safetensors are missing, or they do not match.
    """
    import open_clip
    from safetensors import SafetensorError

    folder = FilePath(folder)
    config = read_config(folder)
    if not (folder / WEIGHTS).is_file():
        pickles = [f.name for f in folder.iterdir() if f.suffix in PICKLES]
        unsafe = f" {pickles[0]} is a pickle, which can run code when loaded." if pickles else ""
        raise WeightsMissing(
            f"{folder} has no {WEIGHTS}.{unsafe} Save the weights with safetensors.torch.save_file."
        )
    vocabulary = own_vocabulary(folder, config["model_cfg"])
    # of transformers, whose tokenizers would run the folder's own code if they were asked to
    hub = bool(config["model_cfg"]["text_cfg"].get("hf_tokenizer_name"))
    own: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True} if hub else {}
    own |= {"bpe_path": str(vocabulary)} if vocabulary else {}
    try:
        with quiet():
            module = open_clip.create_model(f"local-dir:{folder}", device=device)
            tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}", **own)
    except (*MISMATCH, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsMissing(
            f"The weights in {folder} do not match {CONFIG}: {reason} Save both from one model."
        ) from error
    return module.eval().requires_grad_(False), tokenizer, config


def _encoder_of_tag(variant: str, device: Device) -> OpenClipEncoder:
    file = weights_of_tag(variant)
    import open_clip

    architecture, tag = architecture_and_tag(variant)
    name = f"openclip:{architecture}/{tag}"
    config = open_clip.get_pretrained_cfg(architecture, tag)
    # OpenAI's weights, and some others, were trained with another activation
    quick = bool(config.get("quick_gelu")) or tag == "openai"
    model_config = open_clip.get_model_config(architecture)
    known = before_loading(file, model_config | {"quick_gelu": quick}, None)
    with quiet(), no_hub_for_data(name):
        module = open_clip.create_model(
            architecture,
            force_quick_gelu=quick,
            force_preprocess_cfg={k: v for k, v in config.items() if k in _PREPROCESS},
            pretrained_image=False,
            pretrained_text=False,
        )
        check_file(module, file, model_config, name)
        open_clip.load_checkpoint(module, str(file))
        hub = model_config["text_cfg"].get("hf_tokenizer_name")
        tokenizer = open_clip.get_tokenizer(
            architecture, **({"trust_remote_code": False} if hub else {})
        )
    module.eval().requires_grad_(False)
    return _encoder(name, module, tokenizer, model_config, device, known)


def _encoder(
    name: str,
    module: Any,
    tokenizer: Any,
    config: dict[str, Any],
    device: Device,
    known: KnownWeights | None,
) -> OpenClipEncoder:
    seen = Preprocess.from_config(module.visual.preprocess_cfg)
    fingerprint = of_open_clip(module.visual, config["vision_cfg"], seen)
    known = known and replace(known, fingerprint=fingerprint)
    space = Space(name, config["embed_dim"], fingerprint)
    return OpenClipEncoder(module, tokenizer, space, on=device, known=known)

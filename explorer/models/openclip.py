"""Any model of open_clip as an Encoder: weights by name, or a folder in open_clip's layout.

A folder holds `open_clip_config.json` and `open_clip_model.safetensors`, perhaps with a tokenizer
of its own. There is no prior and no decoder here.
"""

import difflib
import hashlib
import json
import logging
import os
import urllib.request
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from os import PathLike
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float

from explorer.encoder import Encoder
from explorer.errors import UnknownModel, WeightsMissing, require
from explorer.models import Card, Model
from explorer.models.preprocess import Preprocess
from explorer.points import Space

if TYPE_CHECKING:
    import torch

CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"
_PREPROCESS = ("mean", "std", "interpolation", "resize_mode", "size", "fill_color")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")


class OpenClipEncoder(Encoder):
    """Both towers of one open_clip model.

    Args:
        precision: "float32", or "bfloat16" for the image tower. None takes bfloat16 on CUDA, where
            it is several times as fast, and float32 elsewhere. Vectors are float32 always.
    """

    def __init__(
        self,
        module: "torch.nn.Module",
        tokenizer: Any,
        space: Space,
        precision: Literal["float32", "bfloat16"] | None = None,
    ) -> None:
        self.space = space
        self.module: Any = module
        self.tokenizer = tokenizer
        self.device = next(module.parameters()).device
        on_cuda = self.device.type == "cuda"
        self.precision = precision or ("bfloat16" if on_cuda else "float32")
        self.batch_size = 256 if on_cuda else 32
        visual: Any = module.visual
        self._preprocess = Preprocess.from_config(visual.preprocess_cfg)

    @property
    def preprocess(self) -> Preprocess:
        return self._preprocess

    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "N D"]:
        import torch

        limit = 32 * self.tokenizer.context_length  # one endless word costs its length squared
        short = [t if len(t) <= limit else " ".join(t.split())[:limit] for t in texts]
        clean = [text.encode("utf-8", "replace").decode() for text in short]
        with torch.inference_mode():
            tokens = self.tokenizer(clean).to(self.device)
            return self.module.encode_text(tokens, normalize=False).float().cpu().numpy()

    def embed_pixels(self, pixels: Float[np.ndarray, "N C H W"]) -> Float[np.ndarray, "N D"]:
        import torch

        lower = self.precision == "bfloat16"
        fast = torch.autocast(self.device.type, torch.bfloat16) if lower else nullcontext()
        with torch.inference_mode(), fast:
            batch = torch.from_numpy(pixels).to(self.device)
            return self.module.encode_image(batch, normalize=False).float().cpu().numpy()


def build(variant: str, device: str) -> Model:
    """Load "architecture/tag" of open_clip, or a folder.

    Raises:
        UnknownModel: open_clip has no such architecture or tag.
        WeightsMissing: the weights are neither here nor to be had.
    """
    require("open_clip", extra="models")
    if os.path.isdir(variant) or variant.startswith(("/", ".", "~")):
        folder = FilePath(variant).expanduser().resolve()
        encoder = encoder_of_folder(folder, f"openclip:{folder.name}", device)
    else:
        encoder = _encoder_of_tag(variant, device)
    return Model(encoder.space.name, encoder.space, encoder)


def card() -> Card:
    """Describe the family; its members are those of open_clip.list_pretrained()."""
    return {
        "name": "openclip:ARCHITECTURE/TAG or openclip:FOLDER",
        "space": "one for each architecture and tag",
        "dimension": None,
        "decoder": False,
        "prior": False,
        "megabytes": None,
        "licence": "that of the chosen weights",
        "weights_here": None,
    }


def encoder_of_folder(folder: str | PathLike[str], name: str, device: str) -> OpenClipEncoder:
    """Make an encoder from a folder in open_clip's layout; `name` becomes its Space's name.

    Raises:
        WeightsMissing: as `load_folder`.
    """
    folder = FilePath(folder)
    module, tokenizer, config = load_folder(folder, device)
    vocabulary = _own_vocabulary(folder, config["model_cfg"])
    files = [folder / WEIGHTS, *([vocabulary] if vocabulary else [])]
    return OpenClipEncoder(module, tokenizer, _space(name, config["model_cfg"], module, files))


def load_folder(
    folder: str | PathLike[str], device: str = "cpu"
) -> "tuple[torch.nn.Module, Any, dict[str, Any]]":
    """Load a model, its tokenizer and its configuration from a folder in open_clip's layout.

    `text_cfg.tokenizer_kwargs.bpe_path` names a vocabulary inside the folder.

    Raises:
        WeightsMissing: the folder has no configuration or no safetensors, or they do not fit.
    """
    import open_clip
    from safetensors import SafetensorError

    folder = FilePath(folder)
    config = _read_config(folder)
    if not (folder / WEIGHTS).is_file():
        pickles = [f.name for f in folder.iterdir() if f.suffix in _PICKLES]
        unsafe = f" {pickles[0]} is a pickle, which can run any code when read;" if pickles else ""
        raise WeightsMissing(
            f"{folder} has no {WEIGHTS}.{unsafe} Save the weights with safetensors.torch.save_file."
        )
    vocabulary = _own_vocabulary(folder, config["model_cfg"])
    own = {"bpe_path": str(vocabulary)} if vocabulary else {}
    try:
        with _quiet():
            module = open_clip.create_model(f"local-dir:{folder}", device=device)
            tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}", **own)
    except (RuntimeError, ValueError, TypeError, KeyError, OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsMissing(f"The weights in {folder} do not fit {CONFIG}: {reason}") from error
    return module.eval().requires_grad_(False), tokenizer, config


def _read_config(folder: FilePath) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if isinstance(config["model_cfg"]["embed_dim"], int):
            return config
        reason = "embed_dim is not a whole number"
    except (OSError, ValueError, LookupError, TypeError) as error:
        reason = f"{type(error).__name__} {error}"
    raise WeightsMissing(
        f"{folder} is not a folder in open_clip's layout: {CONFIG} cannot be used ({reason}). "
        f"It needs {CONFIG} with model_cfg and preprocess_cfg, and {WEIGHTS}."
    )


def _own_vocabulary(folder: FilePath, model_config: dict[str, Any]) -> FilePath | None:
    name = (model_config["text_cfg"].get("tokenizer_kwargs") or {}).get("bpe_path")
    if name is None:
        return None
    file = (folder / name).resolve()
    if not file.is_file() or not file.is_relative_to(folder.resolve()):
        raise WeightsMissing(f"The vocabulary {name} is not a file inside {folder}.")
    return file


def _encoder_of_tag(variant: str, device: str) -> OpenClipEncoder:
    import open_clip

    architecture, tag = _known(variant)
    config = open_clip.get_pretrained_cfg(architecture, tag)
    file = _weights_of_tag(architecture, tag, config)
    # OpenAI's weights, and some others, were trained with another activation
    quick = bool(config.get("quick_gelu")) or tag == "openai"
    with _quiet():
        module = open_clip.create_model(
            architecture,
            pretrained=str(file),
            device=device,
            force_quick_gelu=quick,
            force_preprocess_cfg={k: v for k, v in config.items() if k in _PREPROCESS},
        )
        tokenizer = open_clip.get_tokenizer(architecture)
    module.eval().requires_grad_(False)
    model_config = {**open_clip.get_model_config(architecture), "quick_gelu": quick}
    space = _space(f"openclip:{architecture}/{tag}", model_config, module, [file])
    return OpenClipEncoder(module, tokenizer, space)


def _known(variant: str) -> tuple[str, str]:
    """Architecture and tag as open_clip spells them."""
    import open_clip

    architecture, _, tag = variant.rpartition("/")
    architecture = architecture.replace("/", "-")
    tag = tag.lower().replace("-", "_")
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tag in tags:
        return architecture, tag
    if tags:
        raise UnknownModel(f"{architecture} has no weights {tag!r}; there are {', '.join(tags)}.")
    names = [f"{a}/{t}" for a, t in open_clip.list_pretrained()]
    close = difflib.get_close_matches(variant, names, n=3, cutoff=0.3)
    near = f" Near it: {', '.join(close)}." if close else ""
    raise UnknownModel(
        f"open_clip has no model {variant!r}; name an architecture and its weights, as in "
        f'load("openclip:ViT-B-32/laion2b_s34b_b79k"), or a folder.{near}'
    )


def _weights_of_tag(architecture: str, tag: str, config: dict[str, Any]) -> FilePath:
    """The weights' file from the cache, or else downloaded."""
    from huggingface_hub import constants, try_to_load_from_cache
    from open_clip.pretrained import download_pretrained

    repository, _, name = config.get("hf_hub", "").rpartition("/")
    stem = name.rpartition(".")[0] or "open_clip_model"
    for candidate in (f"{stem}.safetensors", name or "open_clip_pytorch_model.bin"):
        cached = try_to_load_from_cache(repository, candidate) if repository else None
        if isinstance(cached, str):
            return FilePath(cached)
    try:
        with _quiet():
            if repository and not constants.HF_HUB_OFFLINE:
                # one try: a download would try again for a minute before it fails
                urllib.request.urlopen(constants.ENDPOINT, timeout=10).close()
            return FilePath(download_pretrained(config))
    except (OSError, RuntimeError, ValueError) as error:
        how = (
            f"hf download {repository} {name or WEIGHTS}"
            if repository
            else f"download {config.get('url')}"
        )
        raise WeightsMissing(
            f"The weights {architecture}/{tag} (about {_megabytes(architecture):.0f} MB) are not "
            f"on this machine and cannot be downloaded. With a network, run: {how}"
        ) from error


def _megabytes(architecture: str) -> float:
    import open_clip

    with _quiet():
        module = open_clip.create_model(architecture, device="meta", pretrained_text=False)
    return sum(p.numel() for p in module.parameters()) * 4 / 1e6


def _space(
    name: str, model_config: dict[str, Any], module: Any, files: Sequence[FilePath]
) -> Space:
    """The fingerprint covers architecture, preprocessing, weights and vocabulary."""
    digest = hashlib.sha256()
    described = [model_config, module.visual.preprocess_cfg]
    digest.update(json.dumps(described, sort_keys=True).encode())
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return Space(name, model_config["embed_dim"], digest.hexdigest())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep open_clip from logging on the root logger, which would also configure it."""
    root, handler, level = logging.getLogger(), logging.NullHandler(), logging.root.manager.disable
    root.addHandler(handler)
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
        root.removeHandler(handler)

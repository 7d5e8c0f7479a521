"""RAE: DINOv2 with a decoder of its patch tokens, as an encoder and as a codec of images.

A representation autoencoder encodes an image as DINOv2's patch tokens and decodes tokens to an
image. It has no entrance for a point: `unclip train decoder --codec rae` trains one, from the
points of any library to tokens. A local folder is one AutoencoderRAE in diffusers' layout.

Source: Zheng et al. 2025 (RAE), and diffusers' AutoencoderRAE.
"""

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from explorer.device import Device
from explorer.encoder import Encoder
from explorer.errors import QueryError, UnknownModel, WeightsMissing
from explorer.models import Card, Model
from explorer.models.shared.checkpoint import MISMATCH, placed, quiet, read_config
from explorer.models.shared.fingerprint import tower_fingerprint
from explorer.models.shared.hub import Release, released_card
from explorer.models.shared.manifest import digest
from explorer.models.shared.on_word import check_recorded
from explorer.models.shared.patch_decoder import GRID
from explorer.models.shared.preprocess import Preprocess
from explorer.points import Space

if TYPE_CHECKING:
    import torch

NAME = "rae"
CONFIG, WEIGHTS = "config.json", "diffusion_pytorch_model.safetensors"
RELEASE = Release(
    "nyu-visionx/RAE-dinov2-wReg-base-ViTXL-n08",
    "eb1744fb3fc4269bb37a804a1afeed1194bc105c",
    (CONFIG, WEIGHTS),
    2009,
)
MOST_BYTES = 1 << 24  # of config.json, which holds mean and deviation of every number of a latent
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
RENAMED = {  # transformers 5 renamed these tensors of DINOv2; the release has the older names
    "attention.attention.query.": "attention.q_proj.",
    "attention.attention.key.": "attention.k_proj.",
    "attention.attention.value.": "attention.v_proj.",
    "attention.output.dense.": "attention.o_proj.",
}


def build(variant: str, device: Device) -> Model:
    """Load the encoder of the released weights, or of a folder; it has no decoder of points.

    Raises:
        WeightsMissing: they are not on this machine and cannot be downloaded.
        UnknownModel: another encoder than DINOv2, or no such variant.
    """
    encoder = RaeEncoder(_folder(variant), device)
    return Model(encoder.space.name, encoder.space, encoder)


def card() -> Card:
    """Describe the encoder; a decoder of its points is trained."""
    described = released_card(NAME, "rae (DINOv2, images only)", 768, "MIT", releases(""))
    return {**described, "decoder": False}


def releases(variant: str) -> tuple[Release, ...]:
    """Return the repository of ""; a local folder has none.

    Raises:
        UnknownModel: there is no such variant.
    """
    if not variant:
        return (RELEASE,)
    if FilePath(variant).expanduser().is_dir():
        return ()
    raise UnknownModel(
        f"{NAME} has no variant {variant!r}. Use {NAME} or {NAME}:FOLDER with the files of an "
        "AutoencoderRAE."
    )


def codec_of(name: str, device: Device | str) -> "RaeCodec":
    """Load a codec: "rae", or "rae:FOLDER".

    Raises:
        UnknownModel: this is no such name.
        WeightsMissing: as for `build`, or its grid is none that a decoder can be trained for.
    """
    family, _, variant = name.partition(":")
    if family != NAME:
        raise UnknownModel(f"There is no codec {name!r}. Use {NAME} or {NAME}:FOLDER.")
    codec = RaeCodec(name, _folder(variant), Device.of(device))
    if codec.latent_shape[1] != GRID:
        raise WeightsMissing(
            f"{name} has {codec.latent_shape[1]} × {codec.latent_shape[1]} tokens, and decoders "
            f"are trained for {GRID} × {GRID}. Take one for images of 256 × 256 pixels."
        )
    return codec


class RaeCodec:
    """Images as DINOv2's patch tokens, and back, as `AutoencoderRAE` does it, in float32.

    Tokens are normalised by mean and deviation at each place; nothing is added to them.
    """

    def __init__(self, name: str, folder: FilePath, device: Device) -> None:
        self.name, self._at, self._on = name, folder, device
        config = _config(folder)
        cells = config["encoder_input_size"] // config["encoder_patch_size"]
        self.latent_shape = (config["encoder_hidden_size"], cells, cells)
        self.side = cells * config["patch_size"]

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of weights and configuration."""
        return digest(self._at / WEIGHTS, self._at / CONFIG)

    @property
    def network(self) -> Any:
        """The AutoencoderRAE, on the device."""
        return _placed(self._on, self._at, "float32", "")

    def encode(self, pixels: "torch.Tensor") -> "torch.Tensor":
        latents: torch.Tensor = self.network.encode(pixels).latent
        return latents

    def decode(self, latents: "torch.Tensor") -> "torch.Tensor":
        levels: torch.Tensor = self.network.decode(latents).sample * 255
        return levels


class RaeEncoder(Encoder):
    """DINOv2's class token after its last norm, without that norm's weights, as RAE reads tokens.

    It reads no words.
    """

    on: Device

    def __init__(self, folder: FilePath, device: Device) -> None:
        config = _config(folder)
        side = config["encoder_input_size"]
        pixels = {name: config.get(f"encoder_norm_{name}") or IMAGENET[name] for name in IMAGENET}
        self._preprocess = Preprocess.from_config({"size": side, **pixels})
        shape = {k: v for k, v in config.items() if k.startswith("encoder_")}
        described = shape | {"token": "class", "preprocess": asdict(self._preprocess)}
        fingerprint = tower_fingerprint(described, _tensors(folder, "encoder.").items())
        check_recorded(NAME, fingerprint)
        name = NAME if RELEASE.revision in folder.parts else f"{NAME}:{folder.name}"
        self.space = Space(name, config["encoder_hidden_size"], fingerprint)
        self._at, self.on, self.dtype = folder, device, device.half
        self.batch_size = 128 if device.name.startswith("cuda") else 16

    @property
    def preprocess(self) -> Preprocess:
        return self._preprocess

    def embed_pixels(self, pixels: Float[np.ndarray, "N C H W"]) -> Float[np.ndarray, "N D"]:
        import torch

        tower = _placed(self.on, self._at, self.dtype, "encoder")
        with torch.inference_mode():
            batch = torch.from_numpy(pixels).to(self.on.name, getattr(torch, self.dtype))
            return tower(batch).last_hidden_state[:, 0].float().cpu().numpy()

    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "N D"]:  # noqa: ARG002
        raise QueryError(
            f"{self.space.name} is DINOv2, which reads images and no words. Give an image, or "
            "index the images with a CLIP, such as siglip-b-16."
        )


def _folder(variant: str) -> FilePath:
    found = releases(variant)
    return found[0].folder(NAME) if found else FilePath(variant).expanduser().resolve()


def _config(folder: FilePath) -> dict[str, Any]:
    """Read the configuration of an AutoencoderRAE with DINOv2.

    Raises:
        WeightsMissing: it is missing, or of another network.
        UnknownModel: it has another encoder.
    """
    config = read_config(folder / CONFIG, MOST_BYTES)
    needed = ("encoder_input_size", "encoder_patch_size", "encoder_hidden_size", "patch_size")
    wrong = [name for name in needed if type(config.get(name)) is not int or config[name] < 1]
    if config.get("_class_name") != "AutoencoderRAE" or wrong:
        raise WeightsMissing(f"{folder / CONFIG} is not that of an AutoencoderRAE of diffusers.")
    if (kind := config.get("encoder_type")) != "dinov2":
        raise UnknownModel(
            f"{folder} is an AutoencoderRAE on {kind}, which diffusers cannot build beside "
            "transformers 5. Take one on DINOv2; it decodes the points of any encoder."
        )
    return config


def _placed(on: Device, folder: FilePath, dtype: str, part: str) -> Any:
    from diffusers import AutoencoderRAE

    def load() -> Any:
        import torch

        network = load_rae(folder)
        return network.encoder.to(getattr(torch, dtype)) if part else network

    return placed(on, AutoencoderRAE, folder, dtype, load, part, exact=True)


def load_rae(folder: FilePath) -> Any:
    """Load an AutoencoderRAE with every tensor of its file, whichever transformers named them.

    diffusers would leave those that were renamed at random.

    Raises:
        WeightsMissing: tensors are missing, or of other shapes.
    """
    from diffusers import AutoencoderRAE

    tensors = _tensors(folder)
    tensors.pop("decoder.decoder_pos_embed", None)  # computed, and stored by older versions
    try:
        with quiet():
            network: Any = AutoencoderRAE.from_config(_config(folder))
        network.load_state_dict(tensors)
    except MISMATCH as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsMissing(
            f"The weights in {folder} are not those of its configuration: {reason} Download the "
            "checkpoint again."
        ) from error
    return network.eval().requires_grad_(False)


def _tensors(folder: FilePath, start: str = "") -> "dict[str, torch.Tensor]":
    """Read the tensors whose names begin so, under the names of the installed transformers."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / WEIGHTS, "pt") as file:
            names = [name for name in file.keys() if name.startswith(start)]  # noqa: SIM118
            return {_renamed(name): file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise WeightsMissing(
            f"{folder} has no {WEIGHTS} that can be read ({error}). Only safetensors are loaded."
        ) from error


def _renamed(name: str) -> str:
    if not name.startswith("encoder."):
        return name
    for old, new in RENAMED.items():
        name = name.replace(old, new)
    return name

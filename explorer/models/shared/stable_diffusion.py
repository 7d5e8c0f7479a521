"""Stable Diffusion: the common part of decoders that condition its UNet on points and text.

Stable unCLIP and IP-Adapter use it; they differ in how the UNet reads a point. A checkpoint is a
folder in diffusers' layout.
"""

from functools import cache
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, ClassVar

from explorer.device import Device
from explorer.errors import QueryError, WeightsMissing
from explorer.models.shared.checkpoint import load_part, load_tokenizer, placed, read_config
from explorer.models.shared.latent import LatentDecoder
from explorer.models.shared.manifest import digest
from explorer.points import Space

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition


class StableDiffusion(LatentDecoder):
    """A UNet over the latents of a KL autoencoder, conditioned on text besides the point.

    A family adds `condition` and `predict`.
    """

    choices: ClassVar = {
        "prompt": "text besides the point, up to 75 tokens",
        "negative_prompt": "negative text for guidance above 1",
        "image_size": "width and height in pixels, multiples of 8",
    }
    codec = "vae"
    prompt = ""
    negative_prompt = ""

    def __init__(self, folder: FilePath, space: Space, model: str, device: Device) -> None:
        super().__init__(folder, space, model, device)
        self.scheduler_config = read_config(folder / "scheduler" / "scheduler_config.json")
        self._folder = folder

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        return digest(*self._weight_files())

    def _weight_files(self) -> tuple[FilePath, ...]:
        """Return the files of the weights that images depend on, for the fingerprint."""
        return (weights_of(self._folder / "unet"),)

    def _check_option(self, name: str, value: Any) -> None:
        super()._check_option(name, value)
        if name == "image_size" and any(side % self._cell for side in value):
            raise QueryError(f"image_size is {value}, but must be multiples of {self._cell}.")

    def _codec(self) -> Any:
        return self._network("vae")

    def encode_pixels(self, pixels: "torch.Tensor") -> "torch.Tensor":
        vae = self._codec()
        return vae.encode(pixels).latent_dist.mode() * vae.config.scaling_factor

    def decode_latents(self, latents: "torch.Tensor") -> "torch.Tensor":
        vae = self._codec()
        return vae.decode(latents / vae.config.scaling_factor).sample

    def _texts(self, n: int) -> "tuple[Condition, Condition]":
        """Return the UNet's inputs for the prompt and for the negative prompt, n equal rows."""
        sides = (self._read(text) for text in (self.prompt, self.negative_prompt))
        some, none = ({k: v.expand(n, *v.shape[1:]) for k, v in side.items()} for side in sides)
        return some, none

    def _read(self, text: str) -> "Condition":
        """Return the token states of a text, one row."""
        return {"words": self._network("text_encoder")(self._tokens(text, "tokenizer"))[0]}

    def _tokens(self, text: str, part: str) -> "torch.Tensor":
        tokenize = _tokenizer(self._folder / part)
        tokens = tokenize([text], padding="max_length", truncation=True, return_tensors="pt")
        return tokens.input_ids.to(self.device)

    def _network(self, part: str) -> Any:
        files = self._weight_files() if part == "unet" else ()
        folder, dtype = self._folder / part, self._precision(part)
        return placed(
            *(self.on, None, folder, dtype, lambda: self._load(part), " ".join(map(str, files))),
            exact=part == "vae",
            more=files[1:],
        )

    def _precision(self, part: str) -> str:
        return "float32" if part == "vae" else self.dtype

    def _load(self, part: str) -> Any:
        """Load a network of the checkpoint into main memory."""
        import diffusers
        import transformers

        kinds = {
            "unet": diffusers.UNet2DConditionModel,
            "vae": diffusers.AutoencoderKL,
            "text_encoder": transformers.CLIPTextModel,
            "text_encoder_2": transformers.CLIPTextModelWithProjection,
        }
        return load_part(kinds[part], self._folder / part, "cpu", self._precision(part))


def weights_of(folder: FilePath) -> FilePath:
    """Return a network's safetensors, of full precision if there are both.

    Raises:
        WeightsMissing: there are none.
    """
    files = sorted(folder.glob("*.safetensors"), key=lambda file: ".fp16." in file.name)
    if not files:
        raise WeightsMissing(f"{folder} has no safetensors. Download the checkpoint again.")
    return files[0]


@cache
def _tokenizer(folder: FilePath) -> Any:
    return load_tokenizer(folder)

"""Stable Cascade: a decoder of 1024 × 1024 pixels for OpenAI's ViT-L/14, besides words.

One network (stage C) denoises a small grid that is conditioned on a point and on words. A second
(stage B) makes the latents of an autoencoder from that grid, from the same noise for every image.
Images become a grid by an EfficientNet, which diffusers does not have.

It consists of two repositories. A local folder has a subfolder in the layout of each: `prior` and
`decoder`.

Source: Pernias et al. 2023 (Würstchen), as diffusers' StableCascade pipelines run it; for the
EfficientNet, the authors' training code.
"""

import math
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool
from PIL import Image

from explorer import sampler
from explorer.decoder import Decoder
from explorer.device import Device
from explorer.models import Card, Model
from explorer.models.kandinsky import Parts
from explorer.models.shared import compressor, wuerstchen
from explorer.models.shared.checkpoint import load_tokenizer, placed, read_config
from explorer.models.shared.clip_towers import load_towers
from explorer.models.shared.hub import Release, released_card
from explorer.models.shared.latent import mask_cells
from explorer.models.shared.manifest import digest
from explorer.models.shared.stable_diffusion import weights_of
from explorer.models.shared.text_notes import clean_texts
from explorer.points import Points, Space
from explorer.settings import Settings

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition

NAME = "stable-cascade"
SPACE = "openclip:ViT-L-14/openai"
LICENCE = "Stability AI Non-Commercial Research Community License"
NETWORK = ("config.json", "diffusion_pytorch_model.bf16.safetensors")
COMPRESSOR = "effnet_encoder.safetensors"
PARTS = Parts(
    NAME,
    "prior and decoder",
    {
        "prior": Release(
            "stabilityai/stable-cascade-prior",
            "7ca32c21c3b4d4e35bbb94fcfedfb4fa2259bd91",
            (
                *("image_encoder/config.json", "image_encoder/model.safetensors"),
                *("text_encoder/config.json", "text_encoder/model.bf16.safetensors"),
                *("feature_extractor/*", "tokenizer/*", "scheduler/*"),
                *(f"prior/{file}" for file in NETWORK),
            ),
            9786,
            LICENCE,
        ),
        "decoder": Release(
            "stabilityai/stable-cascade",
            "a89f66d459ae653e3b4d4f992a7c3789d0dc4d16",
            (
                *(f"{part}/{file}" for part in ("decoder", "vqgan") for file in NETWORK),
                *("scheduler/*", COMPRESSOR),
            ),
            3245,
            LICENCE,
        ),
    },
)
PIXELS_A_CELL = 42.67  # of the grid: `resolution_multiple` of diffusers' pipeline
LATENTS_A_CELL = 10.67  # `latent_dim_scale`


def build(variant: str, device: Device) -> Model:
    """Load the released weights, or a folder with the subfolders `prior` and `decoder`.

    Raises:
        WeightsMissing: they are not on this machine and cannot be downloaded.
    """
    first, second = (PARTS.folder(part, variant) for part in ("prior", "decoder"))
    encoder = load_towers(
        SPACE,
        image=first / "image_encoder",
        text=None,  # its own is that of ViT-bigG/14, for words beside the point
        tokenizer=None,
        preprocess=first / "feature_extractor",
        device=device,
        text_from=SPACE,
    )
    return Model(
        NAME, encoder.space, encoder, decoder=CascadeDecoder(first, second, encoder.space, device)
    )


def card() -> Card:
    """Describe Stable Cascade as released."""
    return released_card(NAME, SPACE, 768, LICENCE, releases(""))


def releases(variant: str) -> tuple[Release, ...]:
    """Return both repositories; a local folder has none."""
    return PARTS.needed(variant)


class CascadeDecoder(Decoder):
    """Two networks in turn, of which the first reads a point and the words beside it.

    The unconditional input is zeros, or the option `negative`, beside the option `negative_prompt`.
    Inversion, in-painting and redrawing work on the grid of the first; the second and its noise
    stay as they are.

    Args:
        first: folder of stage C, in the layout of its repository.
        second: folder of stages B and A.

    Raises:
        WeightsMissing: a configuration is missing.
    """

    choices: ClassVar = {
        "prompt": "text besides the point, up to 75 tokens",
        "negative_prompt": "negative text for guidance above 1",
        "negative": "negative point for guidance, instead of zeros",
        "image_size": "width and height in pixels, rounded up to whole cells of about 43",
    }
    on: Device
    steps, guidance, model = 20, 4.0, NAME
    prompt = negative_prompt = ""
    negative: Points | None = None
    stage_b_steps = 10

    def __init__(self, first: FilePath, second: FilePath, space: Space, device: Device) -> None:
        self.space, self.on, self.device = space, device, device.name
        self.dtype = (
            "bfloat16" if self.device.startswith("cuda") else "float32"
        )  # float16 overflows
        self._folders = {
            **dict.fromkeys(("prior", "text_encoder", "tokenizer"), first),
            **dict.fromkeys(("decoder", "vqgan"), second),
        }
        self._compressor = second / COMPRESSOR
        self._channels: int = read_config(first / "prior/config.json")["in_channels"]
        codec = read_config(second / "vqgan/config.json")
        self._pixels: int = codec["up_down_scale_factor"] * 2 ** (codec["levels"] - 1)
        self._noise = read_config(first / "scheduler/scheduler_config.json")
        self.scheduler_config = wuerstchen.discrete(self._noise)
        self.image_size = (1024, 1024)

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        parts = ("prior", "decoder", "vqgan")
        return digest(*(weights_of(self._folders[part] / part) for part in parts))

    @property
    def latent_shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        return (self._channels, *self._grid)

    @property
    def image_size(self) -> tuple[int, int]:
        height, width = (int(n * LATENTS_A_CELL) * self._pixels for n in self._grid)
        return width, height

    @image_size.setter
    def image_size(self, size: tuple[int, int]) -> None:
        width, height = (math.ceil(side / PIXELS_A_CELL) for side in size)
        self._grid = height, width

    def condition(self, points: Points) -> "tuple[Condition, Condition]":
        import torch

        z = torch.tensor(points.vectors, device=self.device)[:, None]
        away = torch.zeros_like(z)
        if self.negative is not None:
            away += torch.tensor(self.negative.vectors, device=self.device)
        some, none = (
            {"clip_img": side, **{k: v.expand(len(z), *v.shape[1:]) for k, v in words.items()}}
            for side, words in (
                (z, self._read(self.prompt)),
                (away, self._read(self.negative_prompt)),
            )
        )
        return some, none

    def _read(self, text: str) -> "Condition":
        """Return what the networks read of a text, one row: its token states and its point."""
        tokenizer = load_tokenizer(self._folders["tokenizer"] / "tokenizer")
        tokens = tokenizer(
            clean_texts([text], tokenizer.model_max_length),
            padding="max_length",
            truncation=True,
            return_tensors="pt",
        ).to(self.device)
        read = self._network("text_encoder")(**tokens, output_hidden_states=True)
        return {"clip_text": read.hidden_states[-1], "clip_text_pooled": read.text_embeds[:, None]}

    def predict(
        self, latents: "torch.Tensor", t: "torch.Tensor", condition: "Condition"
    ) -> "torch.Tensor":
        return self._predict("prior", latents, t, condition)

    def _predict(
        self, part: str, latents: "torch.Tensor", t: "torch.Tensor", condition: "Condition"
    ) -> "torch.Tensor":
        inputs = {name: value.to(latents.dtype) for name, value in condition.items()}
        ratio = wuerstchen.ratio(t).to(latents.dtype)
        return self._network(part)(latents, ratio, **inputs).sample

    def own_step(
        self,
        scheduler: Any,
        output: "torch.Tensor",
        index: int,
        latents: "torch.Tensor",
        generators: "Sequence[torch.Generator]",
    ) -> Any:
        return wuerstchen.step(self._noise, scheduler, output, index, latents, generators)

    def to_latent(self, images: Sequence[Image.Image]) -> "torch.Tensor":
        import torch

        preprocess = compressor.preprocess(self._grid)
        network = self.on.network(
            str(self._compressor), lambda: compressor.load(self._compressor, self._channels)
        )
        rows = [torch.from_numpy(preprocess(image))[None].to(self.device) for image in images]
        return torch.cat([network(row) for row in rows])

    def mask_to_latent(self, mask: Image.Image) -> Bool[np.ndarray, "h w"]:
        return mask_cells(mask, self.image_size, self.latent_shape)

    def to_image(self, latents: "torch.Tensor") -> list[Image.Image]:
        pooled = self._read(self.prompt)["clip_text_pooled"]
        rows = [self.second_stage(row, pooled) for row in latents.split(1)]
        codec, images = self._network("vqgan"), []
        for row in rows:
            pixels = codec.decode(row * codec.config.scale_factor).sample[0].clamp(0, 1)
            levels = (pixels * 255).round().byte().permute(1, 2, 0)
            images.append(Image.fromarray(levels.cpu().numpy()))
        return images

    def second_stage(self, grid: "torch.Tensor", pooled: "torch.Tensor") -> "torch.Tensor":
        """Make the autoencoder's latents, 1 4 H W, from the grid of one image, 1 C h w.

        Args:
            pooled: the point of the words beside it, 1 1 L.
        """
        import torch

        size = tuple(int(n * LATENTS_A_CELL) for n in grid.shape[2:])
        channels = self._network("decoder").config.in_channels
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn((1, channels, *size), generator=generator)
        sides = ({"effnet": grid, "clip_text_pooled": pooled},) * 2

        def predict(x: "torch.Tensor", t: "torch.Tensor", condition: "Condition") -> "torch.Tensor":
            return self._predict("decoder", x, t, condition)

        steps = sampler.denoise(
            sampler.guided(predict, sides, 1.0, 1, getattr(torch, self.dtype)),
            noise.to(self.device),
            self.scheduler_config,
            Settings(steps=self.stage_b_steps, solver="own"),
            [generator],
            own_step=self.own_step,
        )
        return sampler.last(steps).latents

    def _network(self, part: str) -> Any:
        from diffusers import StableCascadeUNet  # type: ignore[attr-defined]
        from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel
        from transformers import CLIPTextModelWithProjection

        kinds = {"text_encoder": CLIPTextModelWithProjection, "vqgan": PaellaVQModel}
        dtype = "float32" if part == "vqgan" else self.dtype
        return placed(
            self.on,
            kinds.get(part, StableCascadeUNet),
            self._folders[part] / part,
            dtype,
            exact=part == "vqgan",
        )

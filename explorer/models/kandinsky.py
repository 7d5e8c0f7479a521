"""Kandinsky 2.2: a decoder and a prior for ViT-bigG-14, with networks for inpainting and depth.

It consists of four repositories. A local folder has a subfolder in the layout of each: `prior` and
`decoder`, and optionally `inpaint` and `controlnet`.

Source: Razzhigaev et al. 2023 (Kandinsky), and diffusers' KandinskyV22 pipelines.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image

from explorer.device import Device
from explorer.encoder import Encoder
from explorer.errors import WeightsMissing
from explorer.images import as_rgb
from explorer.models import Card, Model
from explorer.models.shared.checkpoint import placed, read_config
from explorer.models.shared.clip_towers import TransformersEncoder, load_towers
from explorer.models.shared.hub import Release, released_card
from explorer.models.shared.latent import LatentDecoder
from explorer.models.shared.manifest import digest
from explorer.models.shared.on_word import kept
from explorer.models.shared.transformer_prior import WEIGHTS, TransformerPrior
from explorer.points import Points

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition

NAME = "kandinsky-2.2"
SPACE = "openclip:ViT-bigG-14/laion2b_s39b_b160k"
OWNER = "kandinsky-community/kandinsky-2-2-"
TOWERS = ("image_encoder/*", "image_processor/*", "text_encoder/*", "tokenizer/*")
LAYOUT = "prior and decoder, and optionally inpaint and controlnet"


@dataclass(frozen=True, eq=False)
class Parts:
    """The repositories that a model consists of, by the name of their part.

    Args:
        name: of the model, as for `load`.
        layout: which subfolders a local folder has.
    """

    name: str
    layout: str
    releases: dict[str, Release]
    main: tuple[str, ...] = ("prior", "decoder")  # which the model cannot do without

    @cache  # noqa: B019 - there is one of each model
    def folder(self, part: str, source: str) -> FilePath:
        """Return the folder of a part, on the hub if `source` is "".

        Raises:
            WeightsMissing: it is not on this machine and cannot be downloaded.
        """
        release = self.releases[part]
        if source and not (FilePath(source) / part).is_dir():
            raise WeightsMissing(
                f"{source} has no subfolder {part!r}. A folder for {self.name} has {self.layout}, "
                f"each in the layout of {release.repository} and its like on the hub."
            )
        own = str(FilePath(source) / part) if source else None
        name = self.name if part in self.main else f"{self.name}:{part}"
        return release.folder(name, own)

    def words(
        self, space: str, source: str, device: Device
    ) -> tuple[TransformersEncoder, TransformerPrior]:
        """Return the encoder and the prior of the part `prior`.

        Args:
            space: the open_clip model with the same towers.
        """
        prior = self.folder("prior", source)
        encoder = load_towers(
            space,
            image=prior / "image_encoder",
            text=prior / "text_encoder",
            tokenizer=prior / "tokenizer",
            preprocess=prior / "image_processor",
            device=device,
        )
        return encoder, TransformerPrior(prior / "prior", prior / "scheduler", encoder)

    def needed(self, variant: str) -> tuple[Release, ...]:
        """Return the repositories of "", or of one part more; a local folder has none."""
        if variant not in self.main and variant in self.releases:
            return (self.releases[variant],)
        return () if variant else tuple(self.releases[part] for part in self.main)


RELEASES = {
    "prior": Release(
        OWNER + "prior",
        "9fc51ad5732afc5d031724219d22e6c42179c5a8",
        (*TOWERS, "prior/*", "scheduler/*"),
        10575,
    ),
    "decoder": Release(
        OWNER + "decoder",
        "9ae140d347fed8ce6e8bb3005dcc1f48543bb8e3",
        ("unet/*", "movq/*", "scheduler/*"),
        5284,
    ),
    # these two have the same movq as the decoder
    "inpaint": Release(
        OWNER + "decoder-inpaint",
        "db790ad5cbcabed886f069ef2710774657621702",
        ("unet/*", "scheduler/*"),
        5012,
    ),
    "controlnet": Release(
        OWNER + "controlnet-depth",
        "08632524a2b7e3bed39a7901d92cdd07e37544d0",  # refs/pr/5; main has pickles only
        ("unet/*", "scheduler/*"),
        5014,
    ),
}


PARTS = Parts(NAME, LAYOUT, RELEASES)


def build(variant: str, device: Device) -> Model:
    """Load the released weights, or a folder with the subfolders `prior` and `decoder`.

    Raises:
        WeightsMissing: they are not on this machine and cannot be downloaded.
    """
    encoder, words = PARTS.words(SPACE, variant, device)
    decoder = KandinskyDecoder(variant, encoder, words.norms, device)
    return Model(NAME, encoder.space, encoder, words, decoder)


def card() -> Card:
    """Describe Kandinsky 2.2 as released, without the networks for inpainting and depth."""
    return released_card(NAME, SPACE, 1280, "Apache-2.0", releases(""), prior=True)


def releases(variant: str) -> tuple[Release, ...]:
    """Return the repositories of "", "inpaint" or "controlnet"; a local folder has none."""
    return PARTS.needed(variant)


class KandinskyDecoder(LatentDecoder):
    """A UNet over the latents of a MoVQ autoencoder, conditioned on a point alone.

    The unconditional input is the point of an all-zero image, or the option `negative`. The sides
    of an image are rounded up to whole cells of the UNet's coarsest grid. Inpainting uses its own
    network if that is on this machine, and the option `hint` uses another.

    Args:
        source: of its parts, as for `Parts.folder`.
        encoder: encodes the all-zero image.
        norms: mean and standard deviation of the lengths of points.
    """

    choices: ClassVar = {
        "negative": "negative point for guidance, instead of an all-zero image's",
        "hint": "a depth image (near is white) whose layout is kept",
        "image_size": "width and height in pixels, rounded up to multiples of 64",
    }
    codec, parts = "movq", PARTS
    steps, guidance = 50, 4.0
    negative: Points | None = None
    hint: Image.Image | None = None
    _inpaints = False

    def __init__(
        self, source: str, encoder: Encoder, norms: tuple[float, float], device: Device
    ) -> None:
        folder = self.parts.folder("decoder", source)
        super().__init__(folder, encoder.space, self.parts.name, device)
        self._part_folder = kept(self.parts.folder)
        self._source, self._encoder, self.norms = source, encoder, norms

    @property
    def image_size(self) -> tuple[int, int]:
        return self._image_size

    @image_size.setter
    def image_size(self, size: tuple[int, int]) -> None:
        coarse = self._cell**2
        self._image_size = (-(-size[0] // coarse) * coarse, -(-size[1] // coarse) * coarse)

    @property
    def _folder(self) -> FilePath:
        """Return the folder of the network in use and of its scheduler."""
        part = "inpaint" if self._inpaints else "decoder" if self.hint is None else "controlnet"
        return self._part_folder(part, self._source)

    @property
    def scheduler_config(self) -> dict[str, Any]:  # type: ignore[override]
        return read_config(self._folder / "scheduler" / "scheduler_config.json")

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        return digest(self._folder / "unet" / WEIGHTS)

    def _check_option(self, name: str, value: Any) -> None:
        super()._check_option(name, value)
        if name == "hint" and value is not None:
            self._part_folder("controlnet", self._source)  # raises now, not at the first image

    def painter(self) -> Self:
        source = self._source
        released = self.parts.releases["inpaint"]
        found = (FilePath(source) / "inpaint").is_dir() if source else released.cached()
        if self.hint is not None or not found:
            return self
        changed = copy.copy(self)
        changed._inpaints = True
        return changed

    def condition(self, points: Points) -> "tuple[Condition, Condition]":
        import torch

        z = torch.tensor(points.vectors, device=self.device)
        away = self._zero if self.negative is None else self.negative.vectors
        nothing = torch.tensor(away, device=self.device).expand_as(z)
        more = {}
        if self.hint is not None:
            depth = torch.from_numpy(self.preprocess(as_rgb(self.hint))).to(self.device)
            more = {"hint": depth.expand(len(z), *depth.shape)}
        return {"image_embeds": z, **more}, {"image_embeds": nothing, **more}

    @cached_property
    def _zero(self) -> Float[np.ndarray, "1 D"]:
        """Return the point of pixels that are all zero after preprocessing."""
        pixels = self._encoder.preprocess(Image.new("RGB", (64, 64)))
        return self._encoder.embed_pixels(np.zeros_like(pixels)[None])

    def inpainting_condition(
        self, images: Sequence[Image.Image], masks: Sequence[Image.Image]
    ) -> "Condition | None":
        import torch

        if not self._inpaints:
            return None
        inpainted = torch.tensor(np.stack([self.mask_to_latent(mask) for mask in masks]))
        kept = (~inpainted[:, None]).to(self.device, torch.float32)
        return {"image": self._latents(images) * kept, "kept": kept}

    def mask_to_latent(self, mask: Image.Image) -> Bool[np.ndarray, "h w"]:
        cells = super().mask_to_latent(mask)
        return dilate(cells) if self._inpaints else cells

    def predict(
        self, latents: "torch.Tensor", t: "torch.Tensor", condition: "Condition"
    ) -> "torch.Tensor":
        import torch
        from diffusers import UNet2DConditionModel

        inputs = {name: value.to(latents.dtype) for name, value in condition.items()}
        channels = [latents, *(inputs.pop(name) for name in ("image", "kept") if name in inputs)]
        unet = self._network(UNet2DConditionModel, self._folder / "unet", self.dtype)
        states = inputs.pop("states", None)  # of words, where the network reads them
        return unet(torch.cat(channels, 1), t, states, added_cond_kwargs=inputs).sample

    def encode_pixels(self, pixels: "torch.Tensor") -> "torch.Tensor":
        return self._codec().encode(pixels).latents

    def decode_latents(self, latents: "torch.Tensor") -> "torch.Tensor":
        return self._codec().decode(latents, force_not_quantize=True).sample

    def _codec(self) -> Any:
        from diffusers import VQModel

        movq = self._part_folder("decoder", self._source) / "movq"
        return self._network(VQModel, movq, "float32")

    def _network(self, kind: Any, folder: FilePath, dtype: str) -> Any:
        return placed(self.on, kind, folder, dtype, exact=folder.name == "movq")


def dilate(cells: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Add the neighbours of inpainted cells, as diffusers' inpainting pipeline does.

    >>> dilate(np.array([[False, True, False]])).tolist()
    [[True, True, True]]
    """
    height, width = cells.shape
    padded = np.pad(cells, 1)
    shifts = ((0, 0), (0, 1), (1, 0), (1, 1), (0, -1), (-1, 0), (-1, -1))
    return np.logical_or.reduce(
        [padded[1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in shifts]
    )

"""IP-Adapter: Stable Diffusion conditioned on points besides text; here 1.5, with ViT-H/14.

`ip_adapter_sdxl` does the same with SDXL. It consists of two repositories. A local folder has a
subfolder in the layout of each: `base` and `adapter`.

Source: Ye et al. 2023 (IP-Adapter), as diffusers loads and runs it.
"""

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, ClassVar

from explorer.device import Device
from explorer.errors import WeightsMissing
from explorer.models import Card, Model
from explorer.models.shared.checkpoint import quiet
from explorer.models.shared.clip_towers import load_towers
from explorer.models.shared.hub import Release, released_card
from explorer.models.shared.stable_diffusion import StableDiffusion
from explorer.points import Points, Space

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition

REVISION = "018e402774aeeddd60609b4ecdb7e298259dc729"  # of h94/IP-Adapter
VIT_H = "openclip:ViT-H-14/laion2b_s32b_b79k"


class IpAdapter(StableDiffusion):
    """A decoder whose cross-attention reads four tokens of the point besides those of the text.

    Every row has its own point. The unconditional input is zeros, or the option `negative`.

    Args:
        folder: of the Stable Diffusion checkpoint.
        adapter: the adapter's safetensors.

    Raises:
        WeightsMissing: the adapter cannot be read, or its points have another dimension.
    """

    choices: ClassVar = StableDiffusion.choices | {
        "scale": "weight of the point against the text; 1 is usual, 0 ignores the point",
        "negative": "negative point for guidance, instead of zeros",
    }
    steps, guidance = 50, 7.5
    scale = 1.0
    negative: Points | None = None

    def __init__(
        self, folder: FilePath, adapter: FilePath, space: Space, model: str, device: Device
    ) -> None:
        super().__init__(folder, space, model, device)
        self._adapter = adapter
        width = _width(adapter)
        if width != space.dimension:
            raise WeightsMissing(
                f"{adapter} reads points of {width} dimensions, but its image tower gives "
                f"{space.dimension}. Use an adapter and an image tower that belong together."
            )

    def _weight_files(self) -> tuple[FilePath, ...]:
        return (*super()._weight_files(), self._adapter)

    def condition(self, points: Points) -> "tuple[Condition, Condition]":
        import torch

        z = torch.tensor(points.vectors, device=self.device)
        away = torch.zeros_like(z)
        if self.negative is not None:
            away += torch.tensor(self.negative.vectors, device=self.device)
        some, none = self._texts(len(points))
        return some | {"image_embeds": z}, none | {"image_embeds": away}

    def predict(
        self, latents: "torch.Tensor", t: "torch.Tensor", condition: "Condition"
    ) -> "torch.Tensor":
        inputs: dict[str, Any] = {k: v.to(latents.dtype) for k, v in condition.items()}
        words = inputs.pop("words")
        inputs["image_embeds"] = [inputs["image_embeds"][:, None]]  # one adapter, one image per row
        unet = self._network("unet")
        for layer in unet.of_adapter:
            layer.scale = [self.scale]
        return unet(latents, t, words, added_cond_kwargs=inputs).sample

    def _load(self, part: str) -> Any:
        network = super()._load(part)
        if part == "unet":
            state = _read_adapter(self._adapter)
            try:
                with quiet():  # it logs an empty list of modules
                    network._load_ip_adapter_weights([state], low_cpu_mem_usage=False)
            except (KeyError, RuntimeError) as error:
                raise WeightsMissing(
                    f"{self._adapter} is not an adapter for the UNet in {self._folder}: its layers "
                    "differ. Use it with the base that it was trained for."
                ) from error
            layers = network.attn_processors.values()
            network.of_adapter = [layer for layer in layers if hasattr(layer, "to_k_ip")]
        return network


def _width(file: FilePath) -> int:
    """Return the dimension of the points that an adapter reads."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as tensors:
            return tensors.get_slice("image_proj.proj.weight").get_shape()[1]
    except (OSError, SafetensorError) as error:
        raise WeightsMissing(
            f"{file} is not a plain IP-Adapter as safetensors ({error}). The plus and full-face "
            "adapters cannot be used, since they read more of an image than its point."
        ) from error


def _read_adapter(file: FilePath) -> "dict[str, dict[str, torch.Tensor]]":
    """Read an adapter's two halves, `image_proj` and `ip_adapter`."""
    from safetensors import safe_open

    halves: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    with safe_open(file, "pt") as tensors:
        for key in tensors.keys():  # noqa: SIM118 - it is not a dict
            half, _, name = key.partition(".")
            halves[half][name] = tensors.get_tensor(key)
    return halves


@dataclass(frozen=True)
class IpAdapterCheckpoint:
    """A Stable Diffusion checkpoint, and an adapter with the image tower of its points."""

    name: str
    space: str  # the open_clip model with the same towers
    dimension: int
    base: Release
    licence: str
    file: str  # the adapter's, in its repository
    tower: str  # the image tower's folder there
    adapter_megabytes: float
    kind: type[IpAdapter] = IpAdapter
    words: str = ""  # suffix of the base's text tower and tokenizer in this space; "": it has none

    @property
    def adapter(self) -> Release:
        """Return the needed part of the adapter's repository."""
        patterns = (self.file, f"{self.tower}/*")
        return Release("h94/IP-Adapter", REVISION, patterns, self.adapter_megabytes)

    @property
    def releases(self) -> tuple[Release, Release]:
        """Return both repositories."""
        return self.base, self.adapter

    def build(self, source: str, device: Device) -> Model:
        """Load the released weights if `source` is "", else a folder of them.

        Raises:
            WeightsMissing: they are not on this machine and cannot be downloaded.
        """
        base, adapter = (self._folder(part, source) for part in ("base", "adapter"))
        ending = self.words
        encoder = load_towers(
            self.space,
            image=adapter / self.tower,
            text=base / f"text_encoder{ending}" if ending else None,
            tokenizer=base / f"tokenizer{ending}" if ending else None,
            preprocess=None,
            device=device,
            text_from=self.space,
        )
        decoder = self.kind(base, adapter / self.file, encoder.space, self.name, device)
        return Model(self.name, encoder.space, encoder, decoder=decoder)

    def _folder(self, part: str, source: str) -> FilePath:
        release: Release = getattr(self, part)
        if source and not (FilePath(source) / part).is_dir():
            raise WeightsMissing(
                f"{source} has no subfolder {part!r}. A folder for {self.name} has two: base, in "
                f"the layout of {self.base.repository}, and adapter, in that of "
                f"{self.adapter.repository}."
            )
        return release.folder(self.name, source and f"{source}/{part}")

    def card(self) -> Card:
        """Describe the checkpoint as released."""
        licence = f"{self.licence}; adapter Apache-2.0"
        return released_card(self.name, self.space, self.dimension, licence, self.releases)


SD15 = IpAdapterCheckpoint(
    "ip-adapter-sd15",
    VIT_H,
    1024,
    Release(
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
        "451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
        ("tokenizer/*", "text_encoder/*", "unet/*", "scheduler/*", "vae/*"),
        4266,
    ),
    "CreativeML OpenRAIL-M",
    "models/ip-adapter_sd15.safetensors",
    "models/image_encoder",
    2573,
)
build, card = SD15.build, SD15.card


def releases(variant: str) -> tuple[Release, ...]:
    """Return the repositories; a local folder has none."""
    return () if variant else SD15.releases

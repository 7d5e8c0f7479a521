"""IP-Adapter: a point beside the words of an ordinary Stable Diffusion; here 1.5, with ViT-H/14.

`ip_adapter_sdxl` does the same with SDXL. Two repositories make it up. A folder of one's own has a
subfolder for each, laid out as released: `base` and `adapter`.

Source: Ye et al. 2023 (IP-Adapter), as diffusers loads and runs it.
"""

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, ClassVar

from explorer.errors import WeightsMissing
from explorer.models import Card, Model
from explorer.models.shared.checkpoint import quiet
from explorer.models.shared.clip_towers import load_towers
from explorer.models.shared.hub import Release
from explorer.models.shared.stable_diffusion import StableDiffusion
from explorer.points import Points, Space

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition

REVISION = "018e402774aeeddd60609b4ecdb7e298259dc729"  # of h94/IP-Adapter
VIT_H = "openclip:ViT-H-14/laion2b_s32b_b79k"


class IpAdapter(StableDiffusion):
    """The point becomes four tokens, which every cross-attention reads beside those of the text.

    Every row has its own point. "No point" is zeros, or the option `negative`.

    Args:
        folder: of the Stable Diffusion checkpoint.
        adapter: the adapter's safetensors.

    Raises:
        WeightsMissing: the adapter cannot be read, or reads no points of `space`.
    """

    choices: ClassVar = StableDiffusion.choices | {
        "scale": "how much the point counts beside the text; 1 is usual, 0 leaves it out",
        "negative": "one point to keep away from, instead of none",
    }
    steps, guidance = 50, 7.5
    scale = 1.0
    negative: Points | None = None

    def __init__(
        self, folder: FilePath, adapter: FilePath, space: Space, model: str, device: str
    ) -> None:
        super().__init__(folder, space, model, device)
        self._adapter = adapter
        width = _width(adapter)
        if width != space.dimension:
            raise WeightsMissing(
                f"{adapter} reads points of {width} dimensions, but its image tower gives "
                f"{space.dimension}: they do not belong together."
            )

    def _painting(self) -> tuple[FilePath, ...]:
        return (*super()._painting(), self._adapter)

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
        given: dict[str, Any] = {k: v.to(latents.dtype) for k, v in condition.items()}
        words = given.pop("words")
        given["image_embeds"] = [given["image_embeds"][:, None]]  # one adapter, one image a row
        unet = self._network("unet")
        for layer in unet.of_adapter:
            layer.scale = [self.scale]
        return unet(latents, t, words, added_cond_kwargs=given).sample

    def _load(self, part: str) -> Any:
        network = super()._load(part)
        if part == "unet":
            state = _read_adapter(self._adapter)
            try:
                with quiet():  # it logs a list of no modules
                    network._load_ip_adapter_weights([state], low_cpu_mem_usage=False)
            except (KeyError, RuntimeError) as error:
                raise WeightsMissing(
                    f"{self._adapter} is no adapter for the UNet in {self._folder}; its layers "
                    "differ. Put the adapter beside the base that it was made for."
                ) from error
            layers = network.attn_processors.values()
            network.of_adapter = [layer for layer in layers if hasattr(layer, "to_k_ip")]
        return network


def _width(file: FilePath) -> int:
    """The dimension of the points that an adapter reads."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as tensors:
            return tensors.get_slice("image_proj.proj.weight").get_shape()[1]
    except (OSError, SafetensorError) as error:
        raise WeightsMissing(
            f"{file} is no plain IP-Adapter as safetensors ({error}). The plus and the full-face "
            "ones do not serve: they read more of an image than its point."
        ) from error


def _read_adapter(file: FilePath) -> "dict[str, dict[str, torch.Tensor]]":
    """Read an adapter's two halves, `image_proj` and `ip_adapter`."""
    from safetensors import safe_open

    halves: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    with safe_open(file, "pt") as tensors:
        for key in tensors.keys():  # noqa: SIM118 - it is no dict
            half, _, name = key.partition(".")
            halves[half][name] = tensors.get_tensor(key)
    return halves


@dataclass(frozen=True)
class Pair:
    """A Stable Diffusion checkpoint, and an adapter with the image tower whose points it reads."""

    name: str
    space: str  # the open_clip model with the same towers
    dimension: int
    base: Release
    licence: str
    file: str  # the adapter's, in its repository
    tower: str  # the image tower's folder there
    adapter_megabytes: float
    kind: type[IpAdapter] = IpAdapter
    words: str = ""  # ends the names of the base's folders that read words; "": none does

    @property
    def adapter(self) -> Release:
        """The adapter's repository, as far as it is needed."""
        patterns = (self.file, f"{self.tower}/*")
        return Release("h94/IP-Adapter", REVISION, patterns, self.adapter_megabytes)

    @property
    def releases(self) -> tuple[Release, Release]:
        """Both repositories."""
        return self.base, self.adapter

    def build(self, source: str, device: str) -> Model:
        """Load the released weights where `source` is "", or else a folder of them.

        Raises:
            WeightsMissing: they are neither there nor to be had.
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
                f"{source} has no subfolder {part!r}. A folder for {self.name} has two: base, laid "
                f"out as {self.base.repository}, and adapter, as {self.adapter.repository}."
            )
        return release.folder(self.name, source and f"{source}/{part}")

    def card(self) -> Card:
        """Describe the pair as released."""
        return {
            "name": self.name,
            "space": self.space,
            "dimension": self.dimension,
            "decoder": True,
            "prior": False,
            "megabytes": self.base.megabytes + self.adapter.megabytes,
            "licence": f"{self.licence}; adapter Apache-2.0",
            "weights_here": all(release.cached() is not None for release in self.releases),
        }


SD15 = Pair(
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
    """Give the repositories; a folder of one's own has none."""
    return () if variant else SD15.releases

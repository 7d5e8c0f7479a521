"""IP-Adapter on SDXL: with points of ViT-bigG-14, or as "ip-adapter-sdxl:vit-h" of ViT-H/14.

The base's second text tower is that of ViT-bigG-14, so words need no further weights there. A local
folder has the layout of `ip_adapter`; if it has both adapters, that of ViT-bigG-14 is loaded.

Source: Ye et al. 2023 (IP-Adapter); Podell et al. 2023 (SDXL), as diffusers runs it.
"""

from dataclasses import replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from explorer.device import Device
from explorer.models import Model
from explorer.models.ip_adapter import VIT_H, IpAdapter, IpAdapterCheckpoint
from explorer.models.shared.checkpoint import read_config
from explorer.models.shared.hub import Release

if TYPE_CHECKING:
    from explorer.sampler import Condition

NETWORKS = {  # in half precision, except the autoencoder, which runs in float32
    "unet": "diffusion_pytorch_model.fp16",
    "text_encoder": "model.fp16",
    "text_encoder_2": "model.fp16",
    "vae": "diffusion_pytorch_model",
}


class IpAdapterXl(IpAdapter):
    """IP-Adapter on a UNet that reads the states of two text towers, and the image's size."""

    guidance = 5.0

    def _texts(self, n: int) -> "tuple[Condition, Condition]":
        import torch

        some, none = super()._texts(n)
        zeros = read_config(self._folder / "model_index.json").get("force_zeros_for_empty_prompt")
        if zeros and not self.negative_prompt:
            none |= {name: torch.zeros_like(none[name]) for name in ("words", "text_embeds")}
        return some, none

    def _read(self, text: str) -> "Condition":
        import torch

        first, second = (
            self._network(f"text_encoder{ending}")(
                self._tokens(text, f"tokenizer{ending}"), output_hidden_states=True
            )
            for ending in ("", "_2")
        )
        width, height = self.image_size
        return {
            "words": torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1),
            "text_embeds": second.text_embeds,
            "time_ids": torch.tensor([[height, width, 0, 0, height, width]], device=self.device),
        }


BIG_G = IpAdapterCheckpoint(
    "ip-adapter-sdxl",
    "openclip:ViT-bigG-14/laion2b_s39b_b160k",
    1280,
    Release(
        "stabilityai/stable-diffusion-xl-base-1.0",
        "462165984030d82259a11f4367a4eed129e94a7b",
        (
            *("model_index.json", "tokenizer/*", "tokenizer_2/*", "scheduler/*"),
            *(f"{folder}/config.json" for folder in NETWORKS),
            *(f"{folder}/{file}.safetensors" for folder, file in NETWORKS.items()),
        ),
        7106,
    ),
    "CreativeML Open RAIL++-M",
    "sdxl_models/ip-adapter_sdxl.safetensors",
    "sdxl_models/image_encoder",
    4393,
    IpAdapterXl,
    words="_2",
)
OF_VIT_H = replace(
    BIG_G,
    name="ip-adapter-sdxl:vit-h",
    space=VIT_H,
    dimension=1024,
    file="sdxl_models/ip-adapter_sdxl_vit-h.safetensors",
    tower="models/image_encoder",
    adapter_megabytes=3226,
    words="",
)
card = BIG_G.card


def build(variant: str, device: Device) -> Model:
    """Load the released weights ("" or "vit-h"), or a folder of them.

    Raises:
        WeightsMissing: they are not on this machine and cannot be downloaded.
    """
    if variant in ("", "vit-h"):
        return (OF_VIT_H if variant else BIG_G).build("", device)
    both = FilePath(variant) / "adapter"
    alone = (both / OF_VIT_H.file).is_file() and not (both / BIG_G.file).is_file()
    return (OF_VIT_H if alone else BIG_G).build(variant, device)


def releases(variant: str) -> tuple[Release, ...]:
    """Return the repositories of "" or "vit-h"; a local folder has none."""
    return {"": BIG_G.releases, "vit-h": OF_VIT_H.releases}.get(variant, ())

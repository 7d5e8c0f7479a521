"""Released networks: which networks every released family runs, and on what, for one image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from explorer.models.shared.released_shapes import (
    ADDED_KV,
    FLUX,
    FLUX_VAE,
    KARLO,
    MOVQ,
    RAE,
    SD_1,
    SD_2,
    SDXL,
    STAGE_B,
    STAGE_C,
    SUPER_RESOLUTION,
    T5_XXL,
    TOWERS,
    VAE,
    XLM_ROBERTA,
    Network,
    autoencoder,
    image_tower,
    prior,
    text_tower,
    unet,
    words,
)

CODEC: dict[str, Any] = {"half": False, "exact": True}


@dataclass(frozen=True)
class Family:
    """The networks of one family, and the side in pixels of its images."""

    side: int
    networks: tuple[Network, ...]


def _kandinsky(**own: Any) -> dict[str, Any]:
    widths = {"block_out_channels": (384, 768, 1152, 1536), "cross_attention_dim": 768}
    return {**ADDED_KV, **widths, "in_channels": 4, "out_channels": 8, **own}


def _karlo() -> Family:
    project = {"time_embed_dim": 1280, "cross_attention_dim": 1536, "clip_embeddings_dim": 768}
    conditions = {"encoder_hidden_states": (81, 1536), "class_labels": (1280,)}
    pair = {"sample": (6, 256, 256), "timestep": ()}
    return Family(
        256,
        (
            image_tower("L"),
            text_tower("L"),
            prior(768),
            Network("projection", "UnCLIPTextProjModel", project, {}),
            unet(KARLO, 25, conditions),
            Network("super-resolution", "UNet2DModel", SUPER_RESOLUTION, pair, calls=6),
            Network("super-resolution, last step", "UNet2DModel", SUPER_RESOLUTION, pair),
        ),
    )


def _kandinsky_2_1() -> Family:
    kinds = {"addition_embed_type": "text_image", "encoder_hid_dim_type": "text_image_proj"}
    added = {"image_embeds": (768,), "text_embeds": (768,)}
    conditions = {"encoder_hidden_states": (77, 1024), "added_cond_kwargs": added}
    return Family(
        512,
        (
            image_tower("L"),
            text_tower("L"),
            prior(768),
            Network("text encoder", "XLMRobertaModel", XLM_ROBERTA, {"tokens": (77,)}, sides=2),
            unet(_kandinsky(**kinds, encoder_hid_dim=1024), 100, conditions),
            autoencoder(MOVQ, 512),
        ),
    )


def _kandinsky_2_2() -> Family:
    kinds = {"addition_embed_type": "image", "encoder_hid_dim_type": "image_proj"}
    conditions = {"encoder_hidden_states": None, "added_cond_kwargs": {"image_embeds": (1280,)}}
    return Family(
        512,
        (
            image_tower("bigG", stored=2),
            text_tower("bigG"),
            prior(1280),
            unet(_kandinsky(**kinds, encoder_hid_dim=1280), 50, conditions),
            autoencoder(MOVQ, 512),
        ),
    )


def _stable_cascade() -> Family:
    pooled = {"timestep_ratio": (), "clip_text_pooled": (1, 1280)}
    point = {"clip_text": (77, 1280), "clip_img": (1, 768)}
    first = {"sample": (16, 24, 24), **pooled, **point}
    second = {"sample": (4, 256, 256), **pooled, "effnet": (16, 24, 24)}
    kind, codec = "StableCascadeUNet", {"latents": (4, 256, 256)}
    return Family(
        1024,
        (
            image_tower("L"),
            words("L"),
            text_tower("bigG", "text encoder", stored=2),
            Network("compressor", "compressor", {}, {"pixels": (3, 768, 768)}, **CODEC),
            Network("UNet, stage C", kind, STAGE_C, first, stored=2, sides=2, calls=20),
            Network("UNet, stage B", kind, STAGE_B, second, stored=2, calls=10),
            Network("autoencoder", "PaellaVQModel", {}, codec, "decode", stored=2, **CODEC),
        ),
    )


def _sd_image_variations() -> Family:
    conditions = {"encoder_hidden_states": (1, 768)}
    return Family(
        512,
        (
            image_tower("L"),
            words("L"),
            unet(SD_1, 50, conditions),
            autoencoder(VAE, 512),
        ),
    )


def _stable_unclip(size: str) -> Family:
    labels = 2 * TOWERS[size][2]
    config = SD_2 | {"projection_class_embeddings_input_dim": labels}
    conditions = {"encoder_hidden_states": (77, 1024), "class_labels": (labels,)}
    return Family(
        768,
        (
            image_tower(size),
            words(size),
            text_tower("H", "text encoder", layers=23),
            unet(config, 20, conditions),
            autoencoder(VAE, 768),
        ),
    )


def _ip_adapter() -> Family:
    added = {"image_embeds": [(1, 1024)]}
    conditions = {"encoder_hidden_states": (77, 768), "added_cond_kwargs": added}
    return Family(
        512,
        (
            image_tower("H"),
            words("H"),
            text_tower("L", "text encoder", layers=12),
            unet(SD_1, 50, conditions, adapter=1024),
            autoencoder(VAE, 512),
        ),
    )


def _ip_adapter_sdxl() -> Family:
    added = {"image_embeds": [(1, 1280)], "text_embeds": (1280,), "time_ids": (6,)}
    conditions = {"encoder_hidden_states": (77, 2048), "added_cond_kwargs": added}
    return Family(
        1024,
        (
            image_tower("bigG", stored=2),
            text_tower("bigG", stored=2),
            text_tower("L", "text encoder", layers=12, stored=2),
            unet(SDXL, 50, conditions, stored=2, adapter=1280),
            autoencoder(VAE, 1024),
        ),
    )


def _flux_ip_adapter() -> Family:
    inputs = {
        "hidden_states": (4096, 64),
        "encoder_hidden_states": (512, 4096),
        "pooled_projections": (768,),
        "timestep": (),
        "guidance": (),
        "img_ids": (4096, 3),
        "txt_ids": (512, 3),
        "joint_attention_kwargs": {"ip_adapter_image_embeds": [(1, 768)]},
    }
    kind = "FluxTransformer2DModel"
    return Family(
        1024,
        (
            image_tower("L"),
            text_tower("L"),
            text_tower("L", "text encoder", layers=12, stored=2),
            Network("T5", "T5EncoderModel", T5_XXL, {"tokens": (512,)}, stored=2),
            Network("transformer", kind, FLUX, inputs, stored=2, sides=2, calls=25, adapter=768),
            autoencoder(FLUX_VAE, 1024, stored=2),
        ),
    )


def _rae() -> Family:
    """A decoder that was trained on it, for points of 768 dimensions, without their encoder."""
    tokens = (768, 16, 16)
    config = {
        "sample_size": 16,
        "in_channels": 2 * 768,
        "out_channels": 768,
        "block_out_channels": (768, 768),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "mid_block_type": "UNetMidBlock2D",
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        "class_embed_type": "projection",
        "projection_class_embeddings_input_dim": 768,
        "resnet_time_scale_shift": "scale_shift",
        "attention_head_dim": 32,
        "cross_attention_dim": 768,
    }
    conditions = {"encoder_hidden_states": None, "class_labels": (768,)}
    return Family(
        256,
        (
            unet(config, 25, conditions, stored=0),
            Network(
                "autoencoder",
                "AutoencoderRAE",
                RAE,
                {"latents": tokens},
                "decode",
                half=False,
                exact=True,
            ),
        ),
    )


FAMILIES: dict[str, Callable[[], Family]] = {  # names of MODELS
    "kandinsky-2.2": _kandinsky_2_2,
    "kandinsky-2.1": _kandinsky_2_1,
    "karlo": _karlo,
    "sd-image-variations": _sd_image_variations,
    "stable-cascade": _stable_cascade,
    "stable-unclip": lambda: _stable_unclip("H"),
    "stable-unclip-small": lambda: _stable_unclip("L"),
    "ip-adapter-sd15": _ip_adapter,
    "ip-adapter-sdxl": _ip_adapter_sdxl,
    "flux-ip-adapter": _flux_ip_adapter,
    "rae": _rae,
}

"""Released shapes: configurations of the released networks, to plan without weights.

Configurations are those of the releases as far as shapes depend on them. Their sources:
- towers: open_clip 3.3, `model_configs/ViT-L-14`, `ViT-H-14` and `ViT-bigG-14`;
- Stable Cascade: diffusers, `scripts/convert_stable_cascade.py`;
- Karlo: diffusers, `scripts/convert_kakao_brain_unclip_to_diffusers.py`;
- Kandinsky 2.1, MoVQ and both priors: diffusers, `scripts/convert_kandinsky_to_diffusers.py`; 2.2
  differs by what its docs and pipelines say: points of 1280 dimensions, and no words;
- Stable unCLIP: Stability-AI/stablediffusion, `v2-1-stable-unclip-{h,l}-inference.yaml`;
- SD 1.5: CompVis/stable-diffusion, `v1-inference.yaml`; SDXL: Stability-AI/generative-models,
  `sd_xl_base.yaml`; IP-Adapter: four tokens of the point at every cross-attention (Ye et al. 2023);
- FLUX.1 [dev]: diffusers' defaults, and `scripts/convert_flux_to_diffusers.py`; its autoencoder:
  black-forest-labs/flux, `util.py`; T5 v1.1 XXL: google-research/t5x, `t5_1_1/xxl.gin`;
- XLM-RoBERTa large: Conneau et al. 2020;
- RAE: diffusers, `scripts/convert_rae_to_diffusers.py`; its UNet is that of `unclip train`.
That they add up to the sizes of the repositories is tested.
"""

from dataclasses import dataclass
from typing import Any

Shapes = dict[str, Any]  # of one row of inputs; dicts nest


@dataclass(frozen=True)
class Network:
    """One network of a family.

    Args:
        part: what it does.
        kind: its class: of diffusers, of transformers, or "open_clip".
        inputs: shapes of one row of its inputs; `tokens` are whole numbers.
        verb: the method that runs it.
        stored: bytes of a number in the release; 0: it is not in the release.
        half: whether an accelerator runs it in half precision.
        sides: rows that one image takes, 2 under guidance.
    """

    part: str
    kind: str
    config: dict[str, Any]
    inputs: Shapes
    verb: str = "forward"
    stored: int = 4
    half: bool = True
    sides: int = 1
    calls: int = 1  # for one image, by default
    adapter: int = 0  # dimension of the points of an IP-Adapter, which is released in half
    exact: bool = False  # whether its weights are never quantized


TOWERS = {  # layers, width, heads, feed-forward of the image tower; of the text tower; dimension
    "L": ((24, 1024, 16, 4096), (12, 768, 12, 3072), 768),
    "H": ((32, 1280, 16, 5120), (24, 1024, 16, 4096), 1024),
    "bigG": ((48, 1664, 16, 8192), (32, 1280, 20, 5120), 1280),
}
_NAMES = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size")


def image_tower(size: str, stored: int = 4) -> Network:
    """Return the image tower of ViT-L/14, H/14 or bigG/14."""
    shape, _, dimension = TOWERS[size]
    config = dict(zip(_NAMES, shape, strict=True))
    config |= {"image_size": 224, "patch_size": 14, "projection_dim": dimension}
    inputs = {"pixel_values": (3, 224, 224)}
    kind = "CLIPVisionModelWithProjection"
    return Network("image tower", kind, config, inputs, stored=stored, exact=True)


def text_tower(size: str, part: str = "text tower", layers: int = 0, stored: int = 4) -> Network:
    """Return the text tower of such a CLIP; `layers`: without projection, cut after as many."""
    _, shape, dimension = TOWERS[size]
    config = dict(zip(_NAMES, shape, strict=True)) | {"projection_dim": dimension}
    if layers:
        config["num_hidden_layers"] = layers
    kind = "CLIPTextModel" if layers else "CLIPTextModelWithProjection"
    exact = part == "text tower"  # of the encoder
    return Network(part, kind, config, {"tokens": (77,)}, stored=stored, exact=exact)


def words(size: str) -> Network:
    """Return open_clip's model, which embeds words where a release has no text tower."""
    name = f"ViT-{size}-14"
    more: dict[str, Any] = {"stored": 0, "half": False, "exact": True}
    return Network("words", "open_clip", {"name": name}, {"tokens": (77,)}, "encode_text", **more)


def prior(dimension: int) -> Network:
    """Return the PriorTransformer of Karlo and Kandinsky, of diffusers' default shape."""
    inputs = {
        "hidden_states": (dimension,),
        "timestep": (),
        "proj_embedding": (dimension,),
        "encoder_hidden_states": (77, dimension),
    }
    config = {"embedding_dim": dimension}
    return Network("prior", "PriorTransformer", config, inputs, sides=2, calls=25, exact=True)


ADDED_KV = {
    "down_block_types": ("ResnetDownsampleBlock2D", *("SimpleCrossAttnDownBlock2D",) * 3),
    "up_block_types": (*("SimpleCrossAttnUpBlock2D",) * 3, "ResnetUpsampleBlock2D"),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "layers_per_block": 3,
    "attention_head_dim": 64,
    "resnet_time_scale_shift": "scale_shift",
    "sample_size": 64,
}


def unet(config: dict[str, Any], steps: int, conditions: Shapes, **more: Any) -> Network:
    """Return a UNet, and the shapes of its conditions."""
    side = config["sample_size"]
    inputs = {"sample": (config.get("in_channels", 4), side, side), "timestep": (), **conditions}
    return Network("UNet", "UNet2DConditionModel", config, inputs, sides=2, calls=steps, **more)


KARLO = {
    **ADDED_KV,
    "block_out_channels": (320, 640, 960, 1280),
    "in_channels": 3,
    "out_channels": 6,
    "cross_attention_dim": 1536,
    "class_embed_type": "identity",
}
SUPER_RESOLUTION = {
    "down_block_types": ("ResnetDownsampleBlock2D",) * 4,
    "up_block_types": ("ResnetUpsampleBlock2D",) * 4,
    "block_out_channels": (320, 640, 960, 1280),
    "layers_per_block": 3,
    "in_channels": 6,
    "out_channels": 3,
    "add_attention": False,
    "sample_size": 256,
}
SD_1 = {"cross_attention_dim": 768, "attention_head_dim": 8, "sample_size": 64}
SD_2 = {
    "cross_attention_dim": 1024,
    "attention_head_dim": (5, 10, 20, 20),
    "use_linear_projection": True,
    "class_embed_type": "projection",
    "sample_size": 96,
}
SDXL = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", *("CrossAttnDownBlock2D",) * 2),
    "up_block_types": (*("CrossAttnUpBlock2D",) * 2, "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
    "sample_size": 128,
}
VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
FLUX_VAE = VAE | {
    "latent_channels": 16,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}
MOVQ = VAE | {
    "block_out_channels": (128, 256, 256, 512),
    "down_block_types": (*("DownEncoderBlock2D",) * 3, "AttnDownEncoderBlock2D"),
    "up_block_types": ("AttnUpDecoderBlock2D", *("UpDecoderBlock2D",) * 3),
    "num_vq_embeddings": 16384,
    "vq_embed_dim": 4,
    "norm_type": "spatial",
}
_CASCADE = {
    "timestep_ratio_embedding_dim": 64,
    "clip_text_pooled_in_channels": 1280,
    "clip_seq": 4,
}
_BLOCKS = ("SDCascadeResBlock", "SDCascadeTimestepBlock", "SDCascadeAttnBlock")
STAGE_C = _CASCADE | {
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": 1,
    "conditioning_dim": 2048,
    "block_out_channels": (2048, 2048),
    "num_attention_heads": (32, 32),
    "down_num_layers_per_block": (8, 24),
    "up_num_layers_per_block": (24, 8),
    "block_types_per_layer": (_BLOCKS, _BLOCKS),
    "clip_text_in_channels": 1280,
    "clip_image_in_channels": 768,
    "switch_level": (False,),
}
STAGE_B = _CASCADE | {
    "in_channels": 4,
    "out_channels": 4,
    "patch_size": 2,
    "conditioning_dim": 1280,
    "block_out_channels": (320, 640, 1280, 1280),
    "num_attention_heads": (0, 0, 20, 20),
    "down_num_layers_per_block": (2, 6, 28, 6),
    "up_num_layers_per_block": (6, 28, 6, 2),
    "down_blocks_repeat_mappers": (1, 1, 1, 1),
    "up_blocks_repeat_mappers": (3, 3, 2, 2),
    "block_types_per_layer": (_BLOCKS[:2], _BLOCKS[:2], _BLOCKS, _BLOCKS),
    "dropout": (0.0,) * 4,
    "effnet_in_channels": 16,
    "pixel_mapper_in_channels": 3,
    "timestep_conditioning_type": ("sca",),
}
FLUX = {"guidance_embeds": True}
T5_XXL = {
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
}
XLM_ROBERTA = {
    **dict(zip(_NAMES, (24, 1024, 16, 4096), strict=True)),
    "vocab_size": 250002,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
}


RAE = {  # DINOv2-base with registers, and a decoder of 28 layers
    "encoder_type": "dinov2",
    "encoder_hidden_size": 768,
    "encoder_patch_size": 14,
    "encoder_num_hidden_layers": 12,
    "encoder_input_size": 224,
    "decoder_hidden_size": 1152,
    "decoder_intermediate_size": 4096,
    "decoder_num_attention_heads": 16,
    "decoder_num_hidden_layers": 28,
    "patch_size": 16,
}


def autoencoder(config: dict[str, Any], side: int, stored: int = 4) -> Network:
    """Return an autoencoder, which runs in float32, for images of `side` pixels."""
    kind = "VQModel" if config is MOVQ else "AutoencoderKL"
    shape = {"latents": (config["latent_channels"], side // 8, side // 8)}
    more: dict[str, Any] = {"stored": stored, "half": False, "exact": True}
    return Network("autoencoder", kind, config, shape, "decode", **more)

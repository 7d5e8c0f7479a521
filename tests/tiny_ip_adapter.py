"""IP-Adapter, and what it adapts, with tiny random networks in the released layout."""

import json

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from tiny_clip import DIMENSION, write_image_tower
from tiny_stable import BETAS, BODY, PNDM, WIDTH, write_body, write_texts
from transformers import CLIPTextModelWithProjection

EULER = {  # as released with SDXL
    "_class_name": "EulerDiscreteScheduler",
    **BETAS,
    "clip_sample": False,
    "interpolation_type": "linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "sample_max_value": 1.0,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "trained_betas": None,
    "use_karras_sigmas": False,
}


def tiny_ip_adapter_sd15(folder):
    """Write what `ip-adapter-sd15` reads."""
    unet = UNet2DConditionModel(**BODY, cross_attention_dim=WIDTH)
    write_texts(folder / "base")
    write_body(folder / "base", unet, PNDM | {"clip_sample": False})
    write_adapter(folder / "adapter" / "models" / "ip-adapter_sd15.safetensors", unet)
    write_image_tower(folder / "adapter" / "models" / "image_encoder", quick_gelu=False)
    return folder


def tiny_ip_adapter_sdxl(folder):
    """Write what `ip-adapter-sdxl` reads: both adapters, and the image tower of each."""
    more = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8}
    more["projection_class_embeddings_input_dim"] = 6 * 8 + DIMENSION
    unet = UNet2DConditionModel(**BODY, **more, cross_attention_dim=WIDTH + DIMENSION)
    write_texts(folder / "base")
    write_texts(folder / "base", "_2", CLIPTextModelWithProjection, DIMENSION)
    write_body(folder / "base", unet, EULER)
    index = {"_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": True}
    (folder / "base" / "model_index.json").write_text(json.dumps(index))
    adapters = folder / "adapter" / "sdxl_models"
    write_adapter(adapters / "ip-adapter_sdxl.safetensors", unet)
    write_adapter(adapters / "ip-adapter_sdxl_vit-h.safetensors", unet)
    write_image_tower(adapters / "image_encoder", quick_gelu=False, seed=1)
    write_image_tower(folder / "adapter" / "models" / "image_encoder", quick_gelu=False)
    return folder


def write_adapter(file, unet, dimension=DIMENSION):
    """Write an adapter that fits the cross-attentions of `unet`."""
    generator = torch.Generator().manual_seed(2)
    width = unet.config.cross_attention_dim

    def matrix(rows, columns):
        return torch.randn(rows, columns, generator=generator) * columns**-0.5

    tensors = {
        "image_proj.proj.weight": matrix(4 * width, dimension),
        "image_proj.proj.bias": torch.zeros(4 * width),
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }
    for i, name in enumerate(unet.attn_processors):
        if name.endswith("attn2.processor"):
            for part in ("to_k_ip", "to_v_ip"):
                tensors[f"ip_adapter.{i}.{part}.weight"] = matrix(
                    BODY["block_out_channels"][0], width
                )
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file)

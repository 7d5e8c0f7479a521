"""Stable unCLIP with tiny random networks, in the layout of the released repositories."""

import json

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer
from safetensors.torch import load_file, save_file
from tiny_clip import (
    DIMENSION,
    LENGTH,
    save,
    write_image_tower,
    write_preprocess,
    write_tokenizer,
)
from transformers import CLIPTextConfig, CLIPTextModel

WIDTH = 16  # of a text's token states
BODY = {  # of every UNet of Stable Diffusion
    "sample_size": 8,
    "block_out_channels": (32, 32),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "attention_head_dim": 4,
}
AUTOENCODER = {
    "block_out_channels": (16, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "latent_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "sample_size": 16,
}
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
PNDM = {  # as released, like the other schedulers here
    "_class_name": "PNDMScheduler",
    **BETAS,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}


def tiny_stable_unclip(folder):
    """Write what `stable-unclip` reads; its normaliser does nothing, as released."""
    write_image_tower(folder / "image_encoder", quick_gelu=False)
    write_preprocess(folder / "feature_extractor")
    write_texts(folder)
    classes = {"class_embed_type": "projection"}
    classes["projection_class_embeddings_input_dim"] = 2 * DIMENSION
    unet = UNet2DConditionModel(**BODY, **classes, cross_attention_dim=WIDTH)
    write_body(folder, unet, PNDM | {"prediction_type": "v_prediction"})
    noising = DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    noising.save_pretrained(folder / "image_noising_scheduler")
    StableUnCLIPImageNormalizer(DIMENSION).save_pretrained(folder / "image_normalizer")
    return folder


def tiny_stable_unclip_small(folder):
    """Write what `stable-unclip-small` reads; its normaliser knows how points are spread."""
    tiny_stable_unclip(folder)
    normalizer = StableUnCLIPImageNormalizer(DIMENSION)
    generator = torch.Generator().manual_seed(1)
    normalizer.mean.data.normal_(0, 1, generator=generator)
    normalizer.std.data.uniform_(1, 2, generator=generator)
    normalizer.save_pretrained(folder / "image_normalizer")
    return folder


def tiny_sd_image_variations(folder):
    """Write what `sd-image-variations` reads, which has no text encoder."""
    write_image_tower(folder / "image_encoder")
    write_preprocess(folder / "feature_extractor")
    unet = UNet2DConditionModel(**BODY, cross_attention_dim=DIMENSION)
    write_body(folder, unet, PNDM | {"clip_sample": False}, out=0.1)
    return folder


def write_body(folder, unet, scheduler, out=0.25):
    save(unet, folder / "unet")
    unet.conv_out.weight.data *= out  # so that inversion converges, as with a trained one
    unet.save_pretrained(folder / "unet")
    save(AutoencoderKL(**AUTOENCODER), folder / "vae")
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))


def write_texts(folder, ending="", kind=CLIPTextModel, width=WIDTH):
    config = CLIPTextConfig(
        vocab_size=write_tokenizer(folder / f"tokenizer{ending}"),
        hidden_size=width,
        intermediate_size=32,
        projection_dim=width,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=LENGTH,
        bos_token_id=0,
        eos_token_id=2,
    )
    save(kind(config), folder / f"text_encoder{ending}")
    file = folder / f"text_encoder{ending}" / "model.safetensors"
    named = {
        k if k.startswith("text_") else f"text_model.{k}": v for k, v in load_file(file).items()
    }
    save_file(named, file, {"format": "pt"})  # the names in the released files

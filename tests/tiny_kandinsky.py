"""Kandinsky 2.2 with tiny random networks, in the layout of the released repositories."""

import json

import torch
from diffusers import PriorTransformer, UNet2DConditionModel, VQModel
from tiny_clip import DIMENSION, LENGTH, save, write_clip

SCHEDULER = {  # as released; the plain decoder's has clip_sample true: see `write_scheduler`
    "_class_name": "DDPMScheduler",
    "num_train_timesteps": 1000,
    "beta_schedule": "linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "prediction_type": "epsilon",
    "thresholding": False,
}
PRIOR_SCHEDULER = {  # as released
    "_class_name": "UnCLIPScheduler",
    "clip_sample": True,
    "clip_sample_range": 10.0,
    "num_train_timesteps": 1000,
    "prediction_type": "sample",
    "variance_type": "fixed_small_log",
}
UNET = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 8,
    "addition_embed_type": "image",
    "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": ("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
    "block_out_channels": (32, 32),
    "layers_per_block": 1,
    "encoder_hid_dim": DIMENSION,
    "encoder_hid_dim_type": "image_proj",
    "cross_attention_dim": 32,
    "attention_head_dim": 8,
    "resnet_time_scale_shift": "scale_shift",
}
OWN = {  # what each network has of its own
    "decoder": {},
    "inpaint": {"in_channels": 9},
    "controlnet": {"in_channels": 8, "addition_embed_type": "image_hint"},
}
MOVQ = {
    "block_out_channels": (32,) * 4,
    "down_block_types": (*("DownEncoderBlock2D",) * 3, "AttnDownEncoderBlock2D"),
    "up_block_types": ("AttnUpDecoderBlock2D", *("UpDecoderBlock2D",) * 3),
    "latent_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "norm_type": "spatial",
    "num_vq_embeddings": 12,
    "vq_embed_dim": 4,
}


def tiny_kandinsky(folder):
    """Write what `kandinsky-2.2` reads: prior, decoder, inpaint and controlnet."""
    write_prior(folder / "prior")
    movq = VQModel(**MOVQ)
    for seed, (name, own) in enumerate(OWN.items()):
        write_unet(folder / name / "unet", UNET | own, seed)
        save(movq, folder / name / "movq")
        write_scheduler(folder / name, SCHEDULER)
    return folder


def write_unet(folder, config, seed):
    """Write a UNet whose output is small, so that steps are smooth and can be inverted."""
    unet = UNet2DConditionModel(**config)
    save(unet, folder, seed)
    unet.conv_out.weight.data *= 0.03
    unet.conv_out.bias.data *= 0.03
    unet.save_pretrained(folder)


def write_prior(folder, quick_gelu=False):
    write_clip(folder, preprocess="image_processor", quick_gelu=quick_gelu)
    prior = PriorTransformer(
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        embedding_dim=DIMENSION,
        num_embeddings=LENGTH,
        additional_embeddings=4,
    )
    save(prior, folder / "prior")
    generator = torch.Generator().manual_seed(1)
    prior.clip_mean.data.normal_(0, 0.2, generator=generator)
    prior.clip_std.data.uniform_(1.0, 1.4, generator=generator)
    prior.save_pretrained(folder / "prior")
    write_scheduler(folder, PRIOR_SCHEDULER)


def write_scheduler(folder, config):
    (folder / "scheduler").mkdir(exist_ok=True)
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps(config))

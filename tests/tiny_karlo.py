"""Karlo with tiny random networks, in the layout of the released repositories, in one folder."""

import torch
from diffusers import PriorTransformer, UnCLIPScheduler, UNet2DConditionModel, UNet2DModel
from diffusers.pipelines.deprecated.unclip.text_proj import UnCLIPTextProjModel
from tiny_clip import DIMENSION, LENGTH, save, write_clip

CHANNELS = (16, 32)
SPREAD = 1.5  # of the points, by the prior's statistics, in each dimension
DECODER = {
    "sample_size": 8,
    "layers_per_block": 1,
    "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
    "up_block_types": ("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "block_out_channels": CHANNELS,
    "in_channels": 3,
    "out_channels": 6,
    "cross_attention_dim": 32,
    "class_embed_type": "identity",
    "attention_head_dim": 8,
    "resnet_time_scale_shift": "scale_shift",
    "norm_num_groups": 8,
}
SUPER_RES = {
    "sample_size": 16,
    "layers_per_block": 1,
    "down_block_types": ("ResnetDownsampleBlock2D",) * 2,
    "up_block_types": ("ResnetUpsampleBlock2D",) * 2,
    "block_out_channels": CHANNELS,
    "in_channels": 6,
    "out_channels": 3,
    "add_attention": False,
    "norm_num_groups": 8,
}
SCHEDULERS = {
    "prior_scheduler": {"prediction_type": "sample", "clip_sample_range": 5.0},
    "decoder_scheduler": {"variance_type": "learned_range"},
    "super_res_scheduler": {},
}


def tiny_karlo(folder):
    """Write a checkpoint: that of the variations, and the prior of the other repository."""
    write_clip(folder)
    save(UNet2DConditionModel(**DECODER), folder / "decoder", 1, out=0.1)
    project = UnCLIPTextProjModel(
        clip_embeddings_dim=DIMENSION,
        time_embed_dim=4 * CHANNELS[0],
        cross_attention_dim=DECODER["cross_attention_dim"],
    )
    save(project, folder / "text_proj", 2)
    save(UNet2DModel(**SUPER_RES), folder / "super_res_first", 3, out=0.1)
    save(UNet2DModel(**SUPER_RES), folder / "super_res_last", 4, out=0.1)
    prior = PriorTransformer(
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=2,
        embedding_dim=DIMENSION,
        num_embeddings=LENGTH,
    )
    torch.nn.init.constant_(prior.clip_std, SPREAD)
    save(prior, folder / "prior", 5)
    for name, config in SCHEDULERS.items():
        UnCLIPScheduler(**config).save_pretrained(folder / name)
    return folder

"""Stable Cascade with tiny random networks, in the layout of the released repositories.

Its EfficientNet is as large as the released one, since nothing in the files says its widths.
"""

import torch
from diffusers import DDPMWuerstchenScheduler, StableCascadeUNet
from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel
from safetensors.torch import save_file
from tiny_clip import DIMENSION, save, write_image_tower, write_preprocess
from tiny_stable import write_texts
from transformers import CLIPTextModelWithProjection

from explorer.models.shared import compressor
from explorer.models.stable_cascade import COMPRESSOR

WORDS = 16  # width of the words' tower
CHANNELS = 4  # of the grid
BLOCKS = ("SDCascadeResBlock", "SDCascadeTimestepBlock", "SDCascadeAttnBlock")
UNET = {
    "timestep_ratio_embedding_dim": 16,
    "conditioning_dim": 16,
    "down_num_layers_per_block": (1, 1),
    "up_num_layers_per_block": (1, 1),
    "clip_text_pooled_in_channels": WORDS,
}
FIRST = UNET | {
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "block_out_channels": (16, 16),
    "num_attention_heads": (2, 2),
    "block_types_per_layer": (BLOCKS, BLOCKS),
    "clip_text_in_channels": WORDS,
    "clip_image_in_channels": DIMENSION,
    "switch_level": (False,),
}
SECOND = UNET | {
    "in_channels": 4,
    "out_channels": 4,
    "patch_size": 2,
    "block_out_channels": (8, 16),
    "num_attention_heads": (-1, 2),
    "block_types_per_layer": (BLOCKS[:2], BLOCKS),
    "effnet_in_channels": CHANNELS,
    "pixel_mapper_in_channels": 3,
    "timestep_conditioning_type": ("sca",),
}
CODEC = {"embed_dim": 8, "bottleneck_blocks": 1, "num_vq_embeddings": 8}


def tiny_stable_cascade(folder):
    """Write what `stable-cascade` reads: prior and decoder."""
    first, second = folder / "prior", folder / "decoder"
    write_image_tower(first / "image_encoder")
    write_preprocess(first / "feature_extractor")
    write_texts(first, kind=CLIPTextModelWithProjection, width=WORDS)
    unet = StableCascadeUNet(**FIRST)
    save(unet, first / "prior", 1)
    near_its_input(unet)
    unet.save_pretrained(first / "prior")
    save(StableCascadeUNet(**SECOND), second / "decoder", 2)
    save(PaellaVQModel(**CODEC), second / "vqgan", 3)
    for part in (first, second):
        DDPMWuerstchenScheduler().save_pretrained(part / "scheduler")
    write_compressor(second / COMPRESSOR)
    return folder


def near_its_input(unet):
    """Make a network's output its input, nearly, as that of a trained one near noise.

    Else inversion does not converge on a cosine schedule. The networks normalise every cell, so a
    bias keeps how large it was.
    """
    for name, parameter in unet.named_parameters():
        within = name.startswith(("down_blocks", "up_blocks"))
        if within and any(part in name for part in ("channelwise.4", "to_out", ".mapper")):
            parameter.data *= 0.03
    first, last = unet.embedding[1], unet.clf[1]
    width, channels = first.weight.shape[:2]
    generator = torch.Generator().manual_seed(0)
    columns = torch.randn(width, channels + 1, generator=generator)
    columns = torch.linalg.qr(columns - columns.mean(0))[0]
    first.weight.data[:, :, 0, 0], first.bias.data = columns[:, :-1], 8 * columns[:, -1]
    last.weight.data[:, :, 0, 0], last.bias.data = 2 * columns[:, :-1].T, torch.zeros(channels)
    for between in (unet.down_downscalers[1], unet.up_upscalers[0]):
        conv = next(part for part in between.modules() if isinstance(part, torch.nn.Conv2d))
        conv.weight.data[:, :, 0, 0], conv.bias.data = torch.eye(width), torch.zeros(width)


def write_compressor(file):
    """Random weights, with statistics of images, so that cells differ."""
    network = compressor.network(CHANNELS).to_empty(device="cpu")
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.BatchNorm2d):
                module.reset_parameters()
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # the mean over all that is seen
        noise = torch.nn.functional.interpolate(torch.randn(8, 3, 8, 8), (128, 128))
        network.train()(noise)
    save_file(network.state_dict(), file)

"""A CLIP with tiny random towers, in the layout of the released diffusers checkpoints."""

import json

import torch
from open_clip.tokenizer import bytes_to_unicode
from transformers import (
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from explorer.models.shared.checkpoint import quiet

DIMENSION = 24
IMAGE_SIZE = 32  # of the pixels that the image tower sees
LENGTH = 16  # tokens of a text
MERGES = ("c a", "ca t</w>", "d o", "do g</w>", "r e", "re d</w>")


def write_clip(folder, *, preprocess="feature_extractor", quick_gelu=True, dimension=DIMENSION):
    """Write image_encoder, text_encoder, tokenizer and the preprocessing's config."""
    text_tower = CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=write_tokenizer(folder / "tokenizer"),
            hidden_size=dimension,  # as in all released ones
            intermediate_size=64,
            projection_dim=dimension,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=LENGTH,
            hidden_act="quick_gelu" if quick_gelu else "gelu",
            bos_token_id=0,  # as released: the end is then found as the highest number
            eos_token_id=2,
        )
    )
    save(text_tower, folder / "text_encoder")
    write_image_tower(folder / "image_encoder", quick_gelu, dimension)
    write_preprocess(folder / preprocess)


def write_image_tower(folder, quick_gelu=True, dimension=DIMENSION, seed=0):
    tower = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            projection_dim=dimension,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=IMAGE_SIZE,
            patch_size=8,
            hidden_act="quick_gelu" if quick_gelu else "gelu",
        )
    )
    save(tower, folder, seed)


def write_preprocess(folder):
    folder.mkdir(parents=True)
    config = {
        "crop_size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_processor_type": "CLIPImageProcessor",
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "resample": 3,
        "size": {"shortest_edge": IMAGE_SIZE},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(config))


def write_tokenizer(folder):
    """Write a byte-pair vocabulary of a few merges, and give its size."""
    folder.mkdir(parents=True)
    letters = list(bytes_to_unicode().values())
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    words += ["".join(merge.split()) for merge in MERGES]
    words += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES, ""]))
    config = {
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "model_max_length": LENGTH,
        "pad_token": "<|endoftext|>",
        "tokenizer_class": "CLIPTokenizer",
        "unk_token": "<|endoftext|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return len(words)


def save(network, folder, seed=0, out=1.0):
    """Write a network with random weights, large enough that its inputs matter.

    A prior's statistics of points (clip_mean, clip_std) stay as they are. `out` scales a UNet's
    output: a small one keeps rounding errors small over many steps.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in ("clip_mean", "clip_std"):
                continue
            if parameter.dim() > 1:
                parameter.normal_(0, parameter[0].numel() ** -0.5, generator=generator)
            else:  # not by what the constructor drew, so that the same seed is the same network
                start = 1.0 if "norm" in name and name.endswith("weight") else 0.0
                parameter.normal_(start, 0.1, generator=generator)
            if name.startswith("conv_out"):
                parameter.mul_(out)
    with quiet():
        network.save_pretrained(folder)

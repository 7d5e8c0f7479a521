"""RAE with tiny random networks in the layout of the release, and a decoder of its tokens."""

import numpy as np
import torch
from diffusers import AutoencoderRAE
from safetensors.torch import load_file, save_file

from explorer.models import load
from explorer.models.rae import RENAMED, WEIGHTS, codec_of
from explorer.training import decoder_network
from explorer.training.checkpoints import write_manifest
from explorer.training.decoder_network import Networks
from explorer.training.examples import Examples
from explorer.training.loop import Plan

WIDTH, GRID = 64, 16
CONFIG = {  # one head of 64, as diffusers builds them; the rest is as narrow as can be
    "encoder_type": "dinov2",
    "encoder_hidden_size": WIDTH,
    "encoder_patch_size": 14,
    "encoder_num_hidden_layers": 2,
    "encoder_input_size": 14 * GRID,
    "decoder_hidden_size": 32,
    "decoder_num_hidden_layers": 2,
    "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 48,
    "patch_size": 4,
}


def tiny_rae(folder, **own):
    """Write what `rae` reads; return the network that was written.

    As in the release, tokens have a deviation at each place and no mean, the table of the
    decoder's places is stored, and the encoder's tensors have the names of transformers 4.
    """
    rng = torch.Generator().manual_seed(3)
    std = torch.rand(WIDTH, GRID, GRID, generator=rng) + 0.5
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        network = AutoencoderRAE(**{**CONFIG, "latents_std": std, "noise_tau": 0.8, **own}).eval()
        with torch.no_grad():
            for parameter in network.parameters():  # random where the start would be 0 or 1
                parameter.add_(0.1 * torch.randn(parameter.shape))
    network.save_pretrained(folder)
    tensors = load_file(folder / WEIGHTS)
    tensors["decoder.decoder_pos_embed"] = network.decoder.decoder_pos_embed.clone()
    save_file({older(name): tensor for name, tensor in tensors.items()}, folder / WEIGHTS)
    return network


def older(name):
    """Return the name that transformers 4 gave a tensor of DINOv2."""
    for old, new in RENAMED.items():
        name = name.replace(new, old)
    return name


def tiny_model(folder):
    """Return a model: the encoder of `rae`, and an untrained decoder of its tokens."""
    tiny_rae(folder / "rae")
    name = f"rae:{folder / 'rae'}"
    model = load(name, device="cpu")
    return load(name, device="cpu", decoder=write_decoder(folder / "decoder", model, name))


def write_decoder(folder, model, codec):
    """Write a decoder of a codec's tokens, as `unclip train decoder` does after no step."""
    rng, codec = np.random.default_rng(0), codec_of(codec, "cpu")
    points = rng.normal(size=(64, model.space.dimension)).astype(np.float32)
    pixels = np.zeros((64, codec.side, codec.side, 3), np.uint8)
    examples = Examples(pixels, points, np.full(64, 1 / 64), codec)
    with torch.random.fork_rng(devices=[]):
        Networks.fresh(examples, Plan(1), (32, 64)).save(folder)
    manifest = {
        "model": model.name,
        "space": vars(model.space),
        **decoder_network.DEFAULTS,
        "norm_mean": 8.0,
        "norm_std": 0.1,
        "codec": {"model": codec.name, "sha256": codec.fingerprint},
    }
    write_manifest(folder / "decoder.json", manifest)
    return folder

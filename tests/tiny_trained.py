"""A decoder in the layout of `unclip train`, with tiny random networks."""

from dataclasses import asdict

import numpy as np
import torch

from explorer.models.trained import DECODER
from explorer.training import decoder_network
from explorer.training.checkpoints import write_manifest
from explorer.training.decoder_network import Networks
from explorer.training.examples import Examples
from explorer.training.loop import Plan


def random_(networks, seed=0):
    """Give layers that begin at zero other weights, as training does."""
    torch.manual_seed(seed)
    for network in (networks.unet, networks.draft):
        for parameter in network.parameters():
            if not parameter.any():
                parameter.data.add_(0.02 * torch.randn_like(parameter))
    return networks


def tiny_trained(folder, space, size, learnt=True):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, size, size, 3), dtype=np.uint8)
    points = rng.normal(size=(4, space.dimension)).astype(np.float32)
    examples = Examples(pixels, points, np.full(4, 0.25))
    networks = Networks.fresh(examples, Plan(1), widths=(32, 64), kind="painter")
    (random_(networks) if learnt else networks).save(folder)
    told = {"kind": "decoder", "model": space.name, "space": asdict(space), "draft": "painter"}
    norms = {"norm_mean": 16.0, "norm_std": 2.0}
    write_manifest(folder / DECODER, told | decoder_network.DEFAULTS | norms)
    return folder

"""Train pocket's UNet on its frozen draft: `python -m pocket.refining`, after `pocket.painting`.

It starts from the UNet that ships, whose points were of another space: its first layer is read
through a linear map from the new points to the old ones. It sees the points that the draft saw.
"""

from pathlib import Path as FilePath
from typing import Any

import numpy as np
from jaxtyping import Float

from explorer.models.pocket import FOLDER, MANIFEST
from explorer.models.shared.painter import Painter
from explorer.models.shared.patch_decoder import GRID, UNET, load_normalizer
from explorer.training import decoder_network
from explorer.training.checkpoints import write_manifest
from explorer.training.decoder_network import DROP_SHARE, Networks, statistics
from explorer.training.loop import Interrupt
from explorer.training.noise_schedule import SCHEDULER
from pocket import clip, painting, styles
from pocket.longer import Endless, command
from pocket.train import DEFAULTS, embed, load_clip

NAME = "refining"
RATE = 4e-4
BATCH = 48
SAMPLED = {"guidance": 2.0, "solver": "unipc"}  # by the judge: python -m pocket.defaults
PENALTY = 0.01  # of the map between spaces, as a part of a standardised dimension's variance
SEED = 19


def averaged(checkpoint: FilePath, module: Any, name: str) -> dict[str, str]:
    """Give a network the averaged weights of a checkpoint; return its step and time."""
    from safetensors import safe_open

    with safe_open(checkpoint, "pt") as stored:
        progress: dict[str, str] = stored.metadata()
        state = {key: stored.get_tensor(f"{name}/{key}") for key in module.state_dict()}
        module.load_state_dict(state)
        trained = (p for p in module.parameters() if p.requires_grad)
        for i, parameter in enumerate(trained):
            parameter.data.copy_(stored.get_tensor(f"average/{i}"))
    return progress


def read_through(layer: Any, new: Float[np.ndarray, "N D"], old: Float[np.ndarray, "N E"]) -> None:
    """Let a linear layer that reads old points read new ones, by ridge regression between them.

    Args:
        new: standardised points of images in the space that it is to read.
        old: those of the same images in the space that it was trained on.
    """
    import torch

    x = np.concatenate([new, np.ones((len(new), 1), np.float32)], 1).astype(np.float64)
    gram = x.T @ x + PENALTY * len(x) * np.eye(x.shape[1])
    found = torch.from_numpy(np.linalg.solve(gram, x.T @ old)).float()  # D + 1, E
    with torch.no_grad():
        layer.bias += layer.weight @ found[-1]
        layer.weight = torch.nn.Parameter(layer.weight @ found[:-1].T)


def networks(material: painting.Material, checkpoint: FilePath, device: str) -> Networks:
    """The shipped UNet, reading new points, beside the draft and the points' statistics."""
    import torch
    from safetensors.torch import load_file

    rows = np.flatnonzero(material.weights > 0)
    dimension, channels = material.points.shape[1], 3 * (material.pixels.shape[1] // GRID) ** 2
    normalizer = statistics(material.points[rows])
    unet: Any = decoder_network.unet(dimension, channels, decoder_network.WIDTHS)
    unet.load_state_dict({k: x.float() for k, x in load_file(FOLDER / UNET).items()})
    torch.nn.init.zeros_(unet.conv_out.weight)  # at first the draft stays as it is
    torch.nn.init.zeros_(unet.conv_out.bias)
    rows = np.random.default_rng(SEED).choice(rows, min(8000, len(rows)), replace=False)
    old = torch.from_numpy(embed(material.pixels[rows], load_clip(FOLDER, device)[0], device))
    new = torch.from_numpy(material.points[rows])
    read_through(
        unet.class_embedding.linear_1,
        normalizer.scale(new).numpy(),
        load_normalizer(FOLDER).scale(old).numpy(),
    )
    painter: Any = Painter(dimension, channels)
    averaged(checkpoint, painter, "painter")
    layout = torch.channels_last
    return Networks(
        unet.to(device, memory_format=layout).train(),
        painter.to(device, memory_format=layout).eval().requires_grad_(False),
        normalizer,
        "painter",
    )


def train(work: FilePath, folder: FilePath, device: str, minutes: float) -> None:
    """Go on from the checkpoint in `work`; write the decoder into `folder` at the end."""
    import torch
    from diffusers import DDIMScheduler
    from torch.nn.functional import pixel_unshuffle

    torch.manual_seed(SEED)
    material = painting.gather(styles.load(work / "data"), folder, work, device)
    made = networks(material, work / f"checkpoints/{painting.NAME}.safetensors", device)
    alphas = DDIMScheduler.from_config(SCHEDULER).alphas_cumprod.to(device)
    empty = made.normalizer.scale(torch.zeros(1, material.points.shape[1])).to(device)
    with Interrupt() as interrupt:
        run = Endless(
            work / "checkpoints", NAME, {"unet": made.unet}, minutes=minutes, rate=RATE,
            decay=0.01, average=0.999, interrupt=interrupt,
        )  # fmt: skip
        for step in run:
            rng = np.random.default_rng((SEED, step))
            pixels, points = material.draw(rng, BATCH)
            latents = pixel_unshuffle(clip.to_tensor(pixels, device), pixels.shape[1] // GRID)
            z = torch.from_numpy(painting.shifted(points, made.normalizer, rng)).to(device)
            kept = torch.from_numpy(rng.random((len(z), 1)) >= DROP_SHARE).to(device)
            z = torch.where(kept, z, empty)
            with torch.no_grad():
                draft = made.draft(z)
            run.update(decoder_network.loss(made.unet, latents, (z, draft, draft), alphas, device))
    run.adopt_average()
    made.save(folder)
    lengths = np.linalg.norm(material.points[material.weights > 0], axis=1)
    norms = {
        "norm_mean": round(float(lengths.mean()), 4),
        "norm_std": round(float(lengths.std()), 4),
    }
    told = {"dimension": material.points.shape[1], "draft": "painter"}
    write_manifest(folder / MANIFEST, DEFAULTS | SAMPLED | told | norms)


if __name__ == "__main__":
    command(str(__doc__), train, flag="--clip", required=True, help="folder of the frozen CLIP")

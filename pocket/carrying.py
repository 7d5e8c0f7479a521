"""Carry a draft over to another CLIP: `python -m pocket.carrying`, before `pocket.painting`.

A draft that was begun on an earlier CLIP is not lost with it: its first layer is read through a
linear map from the new points to the old ones, and the training goes on from there.
"""

import argparse
from pathlib import Path as FilePath

import numpy as np

from explorer.models.shared.painter import Painter
from explorer.models.shared.patch_decoder import GRID
from explorer.training.checkpoints import write_tensors
from explorer.training.decoder_network import statistics
from pocket import painting, styles
from pocket.refining import averaged, read_through


def carry(work: FilePath, old: FilePath, new: FilePath, checkpoint: FilePath) -> None:
    """Write the first checkpoint of a draft that reads the points of `new`.

    Args:
        work: data, checkpoints, and the points that `pocket.painting` keeps.
        old, new: folders of the CLIPs.
        checkpoint: of a draft of `old`.
    """
    import torch

    images = styles.load(work / "data")
    before, after = (painting.gather(images, folder, work, "cpu") for folder in (old, new))
    seen = np.flatnonzero(after.weights > 0)
    standard = [
        statistics(of.points[seen]).scale(torch.from_numpy(of.points[seen])).numpy()
        for of in (after, before)
    ]
    painter = Painter(after.points.shape[1], 3 * (images.pixels.shape[1] // GRID) ** 2)
    averaged(checkpoint, painter, "painter")
    read_through(painter.read[0], *standard)
    average = {f"average/{i}": p.detach().clone() for i, p in enumerate(painter.parameters())}
    write_tensors(
        work / f"checkpoints/{painting.NAME}.safetensors",
        {f"painter/{name}": p for name, p in painter.state_dict().items()} | average,
        metadata={"step": "0", "elapsed": "0"},  # it warms up anew
    )


def main() -> None:
    """Read the command line and carry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=FilePath, default=FilePath("training-run"))
    for flag, told in (
        ("--old", "folder of the CLIP that the draft was trained on"),
        ("--new", "folder of the CLIP that it is to read"),
        ("--draft", "checkpoint of the draft"),
    ):
        parser.add_argument(flag, type=FilePath, required=True, help=told)
    given = parser.parse_args()
    carry(given.work, given.old, given.new, given.draft)


if __name__ == "__main__":
    main()

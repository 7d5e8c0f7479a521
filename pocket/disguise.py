"""Disguises: what a drawing may look like and still be what its caption says.

Geometry for every image; other looks, as another hand might draw, for some. White stays white.
What holds for a glyph (may it be mirrored, do its words name colours) is in `Rules`. It knows no
model.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from pocket.data import Glyph
from pocket.styles import COLOURS
from pocket.words import FLAGS

if TYPE_CHECKING:
    import torch

SYMBOLS = 8  # the group of signs, which mirroring makes false
SIDED = re.compile(
    r"left|right|east|west|arrow|clock|thirty|button|keycap|sign|letter|quarter|waning|waxing|"
    r"crescent|facing|100|hundred|calendar|chart|soon|flag|book|dollar|yen|euro|pound"
)
CLEAN = 0.1  # of the images are left as they are
BENT, OUTLINED, POSTERISED, GREY, LINES, SOLID, SOFT = 0.4, 0.35, 0.15, 0.15, 0.08, 0.04, 0.15
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, eq=False)
class Rules:
    """Which images, by row, may be mirrored, and of which words name a colour."""

    mirrors: Bool[np.ndarray, " N"]
    coloured: Bool[np.ndarray, " N"]

    @classmethod
    def of(cls, glyphs: Sequence[Glyph]) -> "Rules":
        """Read them from names, keywords and groups."""
        mirrors = [g.group not in (SYMBOLS, FLAGS) and not SIDED.search(g.name) for g in glyphs]
        said = (" ".join([g.name, *g.keywords, *g.said]).lower() for g in glyphs)
        coloured = [
            g.group == FLAGS or g.tone > 0 or bool(COLOURS.search(words))
            for g, words in zip(glyphs, said, strict=True)
        ]
        return cls(np.array(mirrors), np.array(coloured))

    def __getitem__(self, rows: np.ndarray) -> "Rules":
        """The rules of some rows."""
        return Rules(self.mirrors[rows], self.coloured[rows])


def mirror(pixels: "torch.Tensor", turned: Bool[np.ndarray, " N"]) -> "torch.Tensor":
    """Mirror the images in question."""
    import torch

    which = torch.from_numpy(turned).to(pixels.device)[:, None, None, None]
    return torch.where(which, pixels.flip(3), pixels)


def move(pixels: "torch.Tensor", rng: np.random.Generator) -> "torch.Tensor":
    """Turn, scale, stretch, shear, shift and bend; white comes in from outside.

    Args:
        pixels: N 3 H W in [-1, 1].
    """
    import torch
    import torch.nn.functional as F

    n = len(pixels)
    angle = rng.normal(0, 0.13, n)
    scale = 1 / rng.uniform(0.72, 1.25, n)
    stretch = np.exp(rng.normal(0, 0.09, n))
    shear = rng.normal(0, 0.06, n)
    moves = np.zeros((n, 2, 3))
    moves[:, 0, 0], moves[:, 0, 1] = np.cos(angle) * stretch, -np.sin(angle) + shear
    moves[:, 1, 0], moves[:, 1, 1] = np.sin(angle), np.cos(angle) / stretch
    moves *= scale[:, None, None]
    moves[:, :, 2] = rng.uniform(-0.14, 0.14, (n, 2))
    clean = rng.random(n) < CLEAN
    moves[clean] = np.eye(3)[:2]
    bends = rng.normal(0, 0.045, (n, 2, 4, 4))
    bends[clean | (rng.random(n) >= BENT)] = 0
    grid = F.affine_grid(torch.from_numpy(moves).float(), list(pixels.shape), align_corners=False)
    bent = F.interpolate(
        torch.from_numpy(bends).float(), list(pixels.shape[2:]), mode="bicubic", align_corners=True
    )
    grid = (grid + bent.permute(0, 2, 3, 1)).to(pixels.device)
    return F.grid_sample(pixels - 1, grid, mode="bilinear", align_corners=False) + 1


def colour(
    pixels: "torch.Tensor", rules: Rules, rng: np.random.Generator, strength: float = 1.0
) -> "torch.Tensor":
    """Change saturation, gamma and, where no words name a colour, hue a little or all to grey.

    Args:
        strength: 0 leaves the images as they are.
    """
    import torch

    n, named = len(pixels), rules.coloured
    saturation = np.where(named, rng.uniform(0.75, 1.4, n), rng.uniform(0.4, 1.5, n))
    saturation = 1 + strength * (saturation - 1)
    saturation[~named & (rng.random(n) < GREY * strength)] = 0
    hue = np.where(named, 0, rng.normal(0, 0.3, n)) * strength
    luma = np.broadcast_to(np.array(LUMA), (3, 3))
    axis = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)  # about grey
    sin, cos = np.sin(hue)[:, None, None], np.cos(hue)[:, None, None]
    turn = cos * np.eye(3) + sin * axis + (1 - cos) / 3
    mix = saturation[:, None, None]
    matrix = (mix * np.eye(3) + (1 - mix) * luma) @ turn
    mixing = torch.from_numpy(matrix).float().to(pixels.device)
    ink = torch.einsum("nij,njhw->nihw", mixing, 1 - pixels)
    spread = np.where(named, 0.12, 0.3) * strength
    gamma = torch.from_numpy(np.exp(rng.normal(0, spread))).float().to(pixels.device)
    light = (1 - ink / 2).clamp(1e-4, 1)
    return 2 * light ** gamma[:, None, None, None] - 1


def redraw(pixels: "torch.Tensor", rules: Rules, rng: np.random.Generator) -> "torch.Tensor":
    """Draw some softly, some in few tones, some with outlines, some in outlines or black alone."""
    import torch
    import torch.nn.functional as F

    n = len(pixels)

    def some(share: float, allowed: np.ndarray | bool = True) -> "torch.Tensor":
        return torch.from_numpy(np.flatnonzero((rng.random(n) < share) & allowed)).to(pixels.device)

    made = pixels.clone()
    if len(rows := some(SOFT)):
        made[rows] = F.avg_pool2d(F.pad(made[rows], (1, 1, 1, 1), value=1.0), 3, 1)
    if len(rows := some(POSTERISED, ~rules.coloured)):
        steps = torch.from_numpy(rng.integers(2, 6, len(rows))).to(pixels.device)
        tones = steps[:, None, None, None]
        made[rows] = ((made[rows] + 1) / 2 * tones).round() / tones * 2 - 1
    if len(rows := some(OUTLINED)):
        line = outlines(made[rows], rng)
        dark = torch.from_numpy(rng.uniform(-1, -0.6, len(rows))).float().to(pixels.device)
        made[rows] = torch.lerp(made[rows], dark[:, None, None, None].expand_as(made[rows]), line)
    if len(rows := some(LINES, ~rules.coloured)):
        made[rows] = (1 - 2 * outlines(made[rows], rng)).expand(-1, 3, -1, -1)
    if len(rows := some(SOLID, ~rules.coloured)):
        luma = made[rows].mean(1, keepdim=True)
        made[rows] = ((luma - 0.3) * 8).clamp(-1, 1).expand(-1, 3, -1, -1)
    return made


def outlines(pixels: "torch.Tensor", rng: np.random.Generator) -> "torch.Tensor":
    """How much of each pixel an outline covers: where colours change at once. N 1 H W."""
    import torch
    import torch.nn.functional as F

    def change(width: int) -> "torch.Tensor":
        around = F.max_pool2d(pixels, width, 1, width // 2)
        return (around + F.max_pool2d(-pixels, width, 1, width // 2)).amax(1, keepdim=True)

    wide = torch.from_numpy(rng.random(len(pixels)) < 0.5).to(pixels.device)[:, None, None, None]
    least = torch.from_numpy(rng.uniform(0.3, 0.8, len(pixels))).float().to(pixels.device)
    steep = torch.where(wide, change(5), change(3))
    return ((steep - least[:, None, None, None]) * 2.5).clamp(0, 1)


def blend(
    pixels: "torch.Tensor", others: "torch.Tensor", rng: np.random.Generator
) -> "torch.Tensor":
    """Mix each image with another drawing of its glyph, both moved each in its own way."""
    import torch

    share = torch.from_numpy(rng.uniform(0.25, 0.75, len(pixels))).float().to(pixels.device)
    return torch.lerp(pixels, others, share[:, None, None, None])

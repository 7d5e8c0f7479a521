"""Painter: the network that drafts an image from a point, of decoders trained with --draft painter.

Residual blocks on a coarse grid, told the point in every block. Most of its work is done on 8 × 8
cells, where a CPU's convolutions are fastest.

Source: the modulation, Perez et al. 2018, "FiLM: visual reasoning with a general conditioning
    layer".
"""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

START, CELLS = 64, 8  # channels and side of the grid that the point is unfolded to
WIDE, FINE = 144, 64  # channels on 8 × 8 cells, and on 16 × 16
BLOCKS, FINE_BLOCKS = 5, 2
TOLD = 512  # numbers that tell the point to each block


def conv(inward: int, outward: int) -> nn.Conv2d:
    """3 × 3, of the same size."""
    return nn.Conv2d(inward, outward, 3, padding=1)


class Block(nn.Module):
    """Two convolutions beside a shortcut, scaled and shifted by the point."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.tell = nn.Linear(TOLD, 2 * width)
        self.first, self.second = conv(width, width), conv(width, width)
        nn.init.zeros_(self.second.weight)

    def forward(self, grid: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        """Return the grid, changed."""
        scale, shift = self.tell(told)[:, :, None, None].chunk(2, 1)
        inner = F.silu(self.norm(grid) * (1 + scale) + shift)
        made: torch.Tensor = self.second(F.silu(self.first(inner)))
        return grid + made


class Painter(nn.Module):
    """From standardised points (N D) to images as latents (N C 16 16)."""

    def __init__(self, dimension: int, patch_channels: int) -> None:
        super().__init__()
        self.read = nn.Sequential(nn.Linear(dimension, TOLD), nn.SiLU(), nn.Linear(TOLD, TOLD))
        self.unfold = nn.Linear(TOLD, START * CELLS**2 // 4)
        self.enter = conv(START, WIDE)
        self.coarse = nn.ModuleList(Block(WIDE) for _ in range(BLOCKS))
        self.widen = conv(WIDE, 4 * FINE)
        self.fine = nn.ModuleList(Block(FINE) for _ in range(FINE_BLOCKS))
        self.leave = conv(FINE, patch_channels)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Return the images."""
        told = F.silu(self.read(points))
        grid = self.unfold(told).unflatten(1, (START, CELLS // 2, CELLS // 2))
        grid = self.enter(F.interpolate(grid, scale_factor=2))
        for block in self.coarse:
            grid = block(grid, told)
        grid = F.pixel_shuffle(self.widen(F.silu(grid)), 2)
        for block in self.fine:
            grid = block(grid, told)
        made: torch.Tensor = self.leave(F.silu(grid))
        return made

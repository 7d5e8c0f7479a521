"""Painter: the network that drafts an image from a point, of pocket's decoder.

Residual blocks on a coarse grid, told the point in every block. Most of its work is done on 8 × 8
cells, where a CPU's convolutions are fastest.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

START, CELLS = 64, 8  # channels and side of the grid that the point is unfolded to
WIDE, FINE = 144, 64  # channels on 8 × 8 cells, and on 16 × 16
BLOCKS, FINE_BLOCKS = 5, 2


def make_painter(dimension: int, patch_channels: int, told: int = 512) -> "torch.nn.Module":
    """Construct the network from standardised points (N D) to an image as latents (N C 16 16).

    Source: the modulation, Perez et al. 2018, "FiLM: visual reasoning with a general conditioning
        layer".
    """
    import torch
    from torch import nn

    def conv(inward: int, outward: int) -> nn.Conv2d:
        return nn.Conv2d(inward, outward, 3, padding=1)

    class Block(nn.Module):
        """Two convolutions beside a shortcut, scaled and shifted by the point."""

        def __init__(self, width: int) -> None:
            super().__init__()
            self.norm = nn.GroupNorm(8, width)
            self.tell = nn.Linear(told, 2 * width)
            self.first, self.second = conv(width, width), conv(width, width)
            nn.init.zeros_(self.second.weight)

        def forward(self, grid: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
            scale, shift = self.tell(point)[:, :, None, None].chunk(2, 1)
            inner = nn.functional.silu(self.norm(grid) * (1 + scale) + shift)
            made: torch.Tensor = self.second(nn.functional.silu(self.first(inner)))
            return grid + made

    class Painter(nn.Module):
        """The whole of it."""

        def __init__(self) -> None:
            super().__init__()
            self.read = nn.Sequential(nn.Linear(dimension, told), nn.SiLU(), nn.Linear(told, told))
            self.unfold = nn.Linear(told, START * CELLS**2 // 4)
            self.enter = conv(START, WIDE)
            self.coarse = nn.ModuleList(Block(WIDE) for _ in range(BLOCKS))
            self.widen = conv(WIDE, 4 * FINE)
            self.fine = nn.ModuleList(Block(FINE) for _ in range(FINE_BLOCKS))
            self.leave = conv(FINE, patch_channels)

        def forward(self, points: torch.Tensor) -> torch.Tensor:
            told = nn.functional.silu(self.read(points))
            grid: Any = self.unfold(told).unflatten(1, (START, CELLS // 2, CELLS // 2))
            grid = self.enter(nn.functional.interpolate(grid, scale_factor=2))
            for block in self.coarse:
                grid = block(grid, told)
            grid = nn.functional.pixel_shuffle(self.widen(nn.functional.silu(grid)), 2)
            for block in self.fine:
                grid = block(grid, told)
            made: torch.Tensor = self.leave(nn.functional.silu(grid))
            return made

    return Painter()

"""All names at once: each image is held against the name of every glyph, not of its batch alone.

The names' points are kept from step to step and read again in turn, so that thousands of them cost
little more than a batch's.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from explorer.training.loop import autocast
from pocket.data import Glyph
from pocket.tuning import read

if TYPE_CHECKING:
    import torch

FRESH = 64  # names that are read again at a step


class Names:
    """Unit points of the names of all glyphs, hardly older than some dozens of steps.

    Source: after Wu et al. 2018, "Unsupervised feature learning via non-parametric instance
        discrimination", whose memory holds the other side.
    """

    def __init__(self, model: Any, tokenizer: Any, glyphs: Sequence[Glyph], device: str) -> None:
        import torch

        names = list(dict.fromkeys(glyph.name for glyph in glyphs))
        place = {name: i for i, name in enumerate(names)}
        self.of_row = np.array([place[glyph.name] for glyph in glyphs])
        self.model, self.device = model, device
        self.tokens = torch.cat(
            [tokenizer(names[i : i + FRESH]) for i in range(0, len(names), FRESH)]
        ).to(device)
        parts = range(0, len(names), FRESH)
        self.points = torch.cat([self._read(slice(i, i + FRESH)) for i in parts])

    def _read(self, part: slice) -> "torch.Tensor":
        import torch

        with torch.no_grad(), autocast(self.device):
            points = read(self.model, self.tokens[part])
        return torch.nn.functional.normalize(points.float(), dim=1)

    def read(self, rows: Int[np.ndarray, " N"]) -> "torch.Tensor":
        """Points of the names of these rows as the model reads them now, with gradients."""
        return read(self.model, self.tokens[self.of_row[rows]])

    def refresh(self, step: int) -> None:
        """Read the names again whose turn it is."""
        start = step % -(-len(self.points) // FRESH) * FRESH
        part = slice(start, start + FRESH)
        self.points[part] = self._read(part)

    def loss(
        self, images: "torch.Tensor", rows: Int[np.ndarray, " N"], scale: "torch.Tensor"
    ) -> "torch.Tensor":
        """Cross-entropy of the right name among all.

        Args:
            images: unit points.
            rows: of these images, among the glyphs that the names were taken from.
        """
        import torch

        right = torch.from_numpy(self.of_row[rows]).to(images.device)
        return torch.nn.functional.cross_entropy(scale * images @ self.points.T, right)

"""Task: what one call asks of a decoder, row by row."""

from dataclasses import dataclass

from PIL import Image

from explorer.noise import Noise
from explorer.points import Points
from explorer.settings import Settings


@dataclass(frozen=True, eq=False)
class Task:
    """What one call asks for, row by row, so that a batch is a slice of it.

    `images` are what the process starts from or keeps, `masks` where it paints; each is empty, or
    has one a point.
    """

    points: Points
    seeds: tuple[int, ...]
    settings: Settings
    noise: Noise | None = None
    images: tuple[Image.Image, ...] = ()
    masks: tuple[Image.Image, ...] = ()

    def __getitem__(self, rows: slice) -> "Task":
        noise = None if self.noise is None else self.noise[rows]
        images = self.images[rows], self.masks[rows]
        return Task(self.points[rows], self.seeds[rows], self.settings, noise, *images)

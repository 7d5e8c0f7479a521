"""Train the draft of a decoder: an image straight from a point, held against the true one.

By squared error alone a draft is an average of all images that fit, a blot. Held against the image
by its edges too, and by what a trained image tower sees in it, it learns shapes, in a fraction of
the steps that a diffusion model needs.

Source: Johnson et al. 2016, "Perceptual losses for real-time style transfer"; Dosovitskiy & Brox
    2016, "Generating images with perceptual similarity metrics based on deep networks".
"""

from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

LOOKS = 1.0  # weight of the loss over the tower's features
EDGES = 0.5  # weight of that over differences of neighbouring pixels
SEEN = 64  # pixels a side of what the tower is shown; larger images are averaged


class Looks:
    """What a CLIP's convolutional image tower sees of an image, from its stem to its third stage.

    Args:
        model: of open_clip, such as pocket's. It is not trained.
    """

    def __init__(self, model: Any) -> None:
        self.tower = model.visual

    @classmethod
    def of_folder(cls, folder: FilePath, device: str) -> "Looks":
        """Load the tower of a folder in open_clip's layout."""
        import torch

        from explorer.models.openclip import load_folder

        module, *_ = load_folder(folder, device)
        return cls(module.to(memory_format=torch.channels_last))  # twice as fast on a CPU

    def __call__(self, pixels: "torch.Tensor") -> "list[torch.Tensor]":
        """Return the features of N 3 H W in [-1, 1] at four scales."""
        tower = self.tower
        x = tower.act1(tower.bn1(tower.conv1(pixels)))
        x = tower.act2(tower.bn2(tower.conv2(x)))
        x = tower.act3(tower.bn3(tower.conv3(x)))
        found = [x]
        x = tower.avgpool(x)
        for stage in (tower.layer1, tower.layer2, tower.layer3):
            x = stage(x)
            found.append(x)
        return found


def loss(made: "torch.Tensor", wanted: "torch.Tensor", looks: Looks) -> "torch.Tensor":
    """Return the mean absolute error of pixels, of edges, and of features in their deviations.

    Args:
        made, wanted: N 3 H W in [-1, 1].
    """
    import torch
    from torch.nn.functional import avg_pool2d

    total = (made - wanted).abs().mean()
    for axis in (2, 3):
        total = total + EDGES * (made.diff(dim=axis) - wanted.diff(dim=axis)).abs().mean()
    factor = max(1, made.shape[-1] // SEEN)
    shown, true = (avg_pool2d(images, factor) for images in (made, wanted))
    with torch.no_grad():
        right = looks(true)
    for one, other in zip(looks(shown), right, strict=True):
        spread = other.float().std(dim=(0, 2, 3), keepdim=True) + 1e-3
        total = total + LOOKS / 4 * ((one - other).float() / spread).abs().mean()
    return total

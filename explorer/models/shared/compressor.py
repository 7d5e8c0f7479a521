"""Compressor: the EfficientNet with which Stable Cascade makes a small grid of an image.

diffusers does not have it. It works on pixels; it knows no decoder.

Source: Pernias et al. 2023 (Würstchen), section 3.1, and the authors' training code.
"""

from collections import OrderedDict
from pathlib import Path as FilePath
from typing import Any

from explorer.errors import WeightsMissing
from explorer.models.shared.checkpoint import MISMATCH
from explorer.models.shared.preprocess import Preprocess

CELL = 32  # pixels on a side that become one cell
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


def preprocess(grid: tuple[int, int]) -> Preprocess:
    """Return the function that resizes and normalises an image for a grid of h × w cells.

    >>> preprocess((24, 12)).size
    (768, 384)
    """
    return Preprocess((grid[0] * CELL, grid[1] * CELL), MEAN, STD)


def network(channels: int) -> Any:
    """Return the network without weights; it maps pixels N 3 H W to cells N C h w."""
    import torch
    from torch import nn
    from torchvision.models import efficientnet_v2_s

    with torch.device("meta"):
        mapper = nn.Sequential(
            nn.Conv2d(1280, channels, 1, bias=False), nn.BatchNorm2d(channels, affine=False)
        )
        return nn.Sequential(OrderedDict(backbone=efficientnet_v2_s().features, mapper=mapper))


def load(file: FilePath, channels: int) -> Any:
    """Load its weights from safetensors, in float32.

    Raises:
        WeightsMissing: the file is missing, or another network's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    loaded = network(channels)
    try:
        loaded.load_state_dict(load_file(file), assign=True)
    except (*MISMATCH, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsMissing(
            f"{file} is not the EfficientNet of Stable Cascade, which reads images ({reason}). "
            "Download the checkpoint again: unclip models get stable-cascade"
        ) from error
    return loaded.float()

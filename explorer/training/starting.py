"""Start a decoder from the weights of another: pocket's, or one that `unclip train` wrote.

Layers that fit are taken over. Those that read the point are taken only within one space. Those of
pixels are resampled for larger images, so that a decoder of 64 pixels starts one of 128 that
decodes the same images, larger.
"""

from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from explorer.models.shared.patch_decoder import DRAFT, NORMALIZER, UNET

if TYPE_CHECKING:
    import torch

    from explorer.training.decoder_network import Networks

READS_POINTS = {  # names of layers begin with
    "unet": ("class_embedding.",),
    "plain": ("0.",),
    "painter": ("read.", "unfold."),
}
PIXEL_AXES = {  # of layers whose channels are pixels of patches: the axis, and colours on it
    "conv_in.weight": (1, 6),  # the noisy image and the draft
    "conv_out.weight": (0, 3),
    "conv_out.bias": (0, 3),
    "leave.weight": (0, 3),
    "leave.bias": (0, 3),
    "11.weight": (0, 3),
    "11.bias": (0, 3),
}


def start_from(networks: "Networks", folder: FilePath, *, same_space: bool = False) -> float:
    """Load the weights of a decoder that fit; return which share of the networks' they are.

    Args:
        folder: of a decoder, in the layout of `PatchDecoder`.
        same_space: whether it reads points of the space that `networks` read.
    """
    from safetensors.torch import load_file

    unet, draft = load_file(folder / UNET), load_file(folder / DRAFT)
    new = READS_POINTS["unet"] * (not same_space)
    if set(draft) != set(networks.draft.state_dict()):
        new += ("conv_out.",)  # one that corrects a draft, and one that gives the whole image
    taken = _take(networks.unet, unet, new)
    taken += _take(networks.draft, draft, READS_POINTS[networks.kind] * (not same_space))
    if same_space:
        networks.normalizer.load_state_dict(load_file(folder / NORMALIZER))
    both = (networks.unet, networks.draft)
    return taken / sum(x.numel() for network in both for x in network.state_dict().values())


def _take(network: Any, stored: "dict[str, torch.Tensor]", new: tuple[str, ...]) -> int:
    """Load tensors that fit, but for layers that stay new; return how many numbers that were."""
    state, taken = network.state_dict(), 0
    for name, tensor in stored.items():
        if name not in state or name.startswith(new):
            continue
        if name in PIXEL_AXES:
            tensor = enlarged(tensor, state[name].shape, *PIXEL_AXES[name])
        if state[name].shape == tensor.shape:
            state[name], taken = tensor, taken + tensor.numel()
    network.load_state_dict(state)
    return taken


def enlarged(
    weights: "torch.Tensor", shape: "torch.Size", axis: int, colours: int
) -> "torch.Tensor":
    """Return weights of patches whose sides are longer by a whole factor; others as they are.

    A pixel that a layer gives is repeated, and of several that it reads the mean is taken.

    Args:
        shape: of the result.
        axis: of the channels: colour, row, column of a patch.
    """
    before, after = (round((s[axis] / colours) ** 0.5) for s in (weights.shape, shape))
    factor = after // before
    if after != factor * before or factor == 1:
        return weights
    pixels = weights.movedim(axis, 0).unflatten(0, (colours, before, before))
    larger = pixels.repeat_interleave(factor, 1).repeat_interleave(factor, 2).flatten(0, 2)
    return larger.movedim(0, axis) / (factor**2 if axis == 1 else 1)

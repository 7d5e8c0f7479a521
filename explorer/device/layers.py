"""Layers: a network that does not fit onto a device goes there layer by layer.

accelerate does the same (`cpu_offload`), but is no dependency, and diffusers'
`apply_group_offloading` needs it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def offload_layers(network: "torch.nn.Module", device: str) -> None:
    """Let each layer's own tensors be on a device while the layer computes, and no longer.

    The weights stay in main memory; their copies on the device are discarded.

    >>> import torch
    >>> layer = torch.nn.Linear(3, 2)
    >>> offload_layers(layer, "cpu")
    >>> layer(torch.ones(1, 3)).shape
    torch.Size([1, 2])
    """
    for layer in network.modules():
        resting = [dict(own) for own in _own(layer)]
        if any(resting):
            layer.register_forward_pre_hook(_there(device))
            layer.register_forward_hook(_back(resting), always_call=True)


def _own(layer: "torch.nn.Module") -> "tuple[dict[str, Any], dict[str, Any]]":
    return layer._parameters, layer._buffers


def _there(device: str) -> Any:
    """Return a hook that replaces tensors: the data of a quantized one cannot be set."""

    def place(layer: "torch.nn.Module", _inputs: Any) -> None:
        for own in _own(layer):
            for name, tensor in own.items():
                own[name] = None if tensor is None else tensor.to(device)

    return place


def _back(resting: "list[dict[str, Any]]") -> Any:
    def restore(layer: "torch.nn.Module", _inputs: Any, _output: Any) -> None:
        for own, tensors in zip(_own(layer), resting, strict=True):
            own.update(tensors)

    return restore

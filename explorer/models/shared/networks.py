"""Networks: the networks of a checkpoint, loaded on first use and shared by copies of a decoder.

It works with any torch module; it knows no checkpoint.
"""

from collections.abc import Callable
from typing import Any


class Networks:
    """The networks of one checkpoint on one device.

    >>> import torch
    >>> networks = Networks("cpu")
    >>> networks.get("unet", lambda: torch.nn.Linear(2, 3)).training
    False
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self._loaded: dict[str, Any] = {}
        self._placed: set[str] = set()  # on the device

    def get(self, name: str, load: Callable[[], Any], *, alone: bool = False) -> Any:
        """Return a network on the device, for inference.

        Args:
            load: loads the network on first use.
            alone: move all others to the CPU; slower, for a device with little memory.
        """
        if name not in self._loaded:
            self._loaded[name] = load().eval().requires_grad_(False)
        if alone:
            for other in self._placed - {name}:
                self._loaded[other].to("cpu")
            self._placed &= {name}
        if name not in self._placed:  # `to` takes milliseconds even if nothing moves
            self._loaded[name].to(self.device)
            self._placed.add(name)
        return self._loaded[name]

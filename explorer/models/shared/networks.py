"""Networks: those of one checkpoint, each loaded when first used, and shared by all who hold this.

Works with any torch module; knows no checkpoint.
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
        """Give a network on the device, ready to run and not to train.

        Args:
            load: gives the network, the first time that it is asked for.
            alone: let all the others wait in the CPU's memory; slower, for a small device.
        """
        if name not in self._loaded:
            self._loaded[name] = load().eval().requires_grad_(False)
        if alone:
            for other in self._placed - {name}:
                self._loaded[other].to("cpu")
            self._placed &= {name}
        if name not in self._placed:  # `to` costs milliseconds even where there is nothing to move
            self._loaded[name].to(self.device)
            self._placed.add(name)
        return self._loaded[name]

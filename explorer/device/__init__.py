"""Device: where the networks of a model run, and how much memory they may take there.

It works with any torch module; it knows no checkpoint. All parts of one model share one Device, so
that encoder, prior and decoder take turns where they do not fit together.
"""

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from explorer.device.amounts import free_memory, parse_memory
from explorer.device.footprint import footprint, outline, weight_bytes
from explorer.device.layers import offload_layers
from explorer.device.quantization import check_weights, hush, quantize

if TYPE_CHECKING:
    import torch

USABLE = 7 / 8  # of the memory; the rest is for the kernels' workspaces and for fragments


@dataclass(frozen=True)
class Work:
    """What a call needs: the networks that it runs, bytes of their weights, and those beside."""

    networks: tuple[str, ...]
    weights: int
    peak: int


class Device:
    """A torch device, and the networks of one model that lie on it.

    A network is loaded when it is first used. Where there is a limit, those that were used longest
    ago make room: on an accelerator they wait in main memory; on the CPU they are dropped, and read
    from disk when they are used again. A network that does not fit alone runs on an accelerator
    layer by layer.

    Args:
        name: as torch calls it, such as "cuda:0".
        memory: bytes that networks and their work may take; None asks the accelerator how much is
            free, and sets no limit on the CPU.
        weights: "int8" or "fp8" for the networks of decoders, as `quantization`; "" leaves them.

    >>> import torch
    >>> device = Device("cpu", memory=80)
    >>> device.network("a", lambda: torch.nn.Linear(4, 3)).training
    False
    >>> _ = device.network("b", lambda: torch.nn.Linear(3, 2))
    >>> device.placed
    ('b',)
    """

    def __init__(self, name: str, memory: int | None = None, weights: str = "") -> None:
        hush()
        self.name, self.weights = name, weights
        given = free_memory(name) if memory is None else memory
        self.limit = None if given is None else int(given * USABLE)
        self.turn = threading.RLock()  # a network stays where it is while another thread runs it
        self._loaded: dict[str, Any] = {}
        self._placed: dict[str, int] = {}  # bytes of weights; those used longest ago stand first
        self._kept: set[str] = set()
        self._by_layer: set[str] = set()
        self._work: dict[object, Work] = {}
        self._needs: dict[str, int] = {}  # bytes that the next call of a network takes
        self._outlines: dict[str, Any] | None = None

    @classmethod
    def of(
        cls,
        device: "Device | str",
        memory: str | int | None = None,
        weights: str | None = None,
    ) -> "Device":
        """Return a device by name, as `load` takes it; one that is there already stays itself.

        Raises:
            QueryError, ExplorerError: `memory` is no amount, or as `check_weights`.
        """
        if isinstance(device, cls):
            return device
        amount = None if memory is None else parse_memory(memory)
        return cls(best_device(str(device)), amount, check_weights(weights))

    @property
    def half(self) -> str:
        """The precision of networks that take half: "float16" on CUDA, "float32" elsewhere."""
        return "float16" if self.name.startswith("cuda") else "float32"

    @property
    def placed(self) -> tuple[str, ...]:
        """The networks that take memory of the device now, those used longest ago first."""
        return tuple(self._placed)

    def network(
        self,
        key: str,
        load: "Callable[[], torch.nn.Module]",
        *,
        size: Callable[[], int] = lambda: 0,
        keep: bool = False,
        exact: bool = True,
    ) -> Any:
        """Return a network, for inference and on the device.

        Args:
            key: of the network on this device.
            load: loads it into main memory.
            size: returns its bytes before it is loaded, so that room is made first.
            keep: it cannot be loaded again, and so is never dropped.
            exact: its weights stay as they are, whatever `weights` says.
        """
        if key not in self._loaded:
            if self.limit is not None:
                self._make_room(key, size())
            network = load().eval().requires_grad_(False)
            self._loaded[key] = network if exact else quantize(network, self.weights)
            self._kept |= {key} if keep else set()
            if self._on_cpu:
                self._placed[key] = weight_bytes(self._loaded[key])
        network = self._loaded[key]
        if self._outlines is not None:
            return self._outlines[key] if key in self._outlines else self._outline(key)
        if key not in self._placed:
            self._place(key, network)
        self._placed[key] = self._placed.pop(key)
        self._make_room(key, self._placed[key] + self._needs.get(key, 0))
        return network

    def rows(self, key: object, call: Callable[[], object], most: int) -> int:
        """Return how many rows a call may take at once, from 1 to `most`.

        Args:
            key: of what the work depends on: it is measured once for each.
            call: does the work for one row, on the meta device.
        """
        if self.limit is None:
            return most
        work = self._measured(key, call)
        rows = max(1, min(most, (self.limit - work.weights) // max(1, work.peak)))
        self._needs |= dict.fromkeys(work.networks, rows * work.peak)
        return rows

    def fits(self, key: object, call: Callable[[], object]) -> bool:
        """Return whether a call's networks and work fit onto the device; arguments as `rows`."""
        if self.limit is None:
            return True
        work = self._measured(key, call)
        self._needs |= dict.fromkeys(work.networks, work.peak)
        return work.weights + work.peak <= self.limit

    def _measured(self, key: object, call: Callable[[], object]) -> Work:
        if key not in self._work:
            with self._outlined() as outlines:
                call()  # loads the networks, which is no work of theirs
                peak = footprint(call).peak
            self._work[key] = Work(tuple(outlines), sum(map(weight_bytes, outlines.values())), peak)
        return self._work[key]

    @contextmanager
    def _outlined(self) -> Iterator[dict[str, Any]]:
        """Give outlines on the meta device for networks, within the block."""
        self._outlines = {}
        try:
            yield self._outlines
        finally:
            self._outlines = None

    def _outline(self, key: str) -> Any:
        assert self._outlines is not None
        self._outlines[key] = outline(self._loaded[key])
        return self._outlines[key]

    def _place(self, key: str, network: Any) -> None:
        """Move a network to the device, or let it go there layer by layer."""
        size, work = weight_bytes(network), self._needs.get(key, 0)
        if key not in self._by_layer and self.limit is not None and size + work > self.limit:
            offload_layers(network, self.name)
            self._by_layer.add(key)
        size = 0 if key in self._by_layer else size
        self._make_room(key, size + work)
        if size:
            network.to(self.name)
        self._placed[key] = size

    def _make_room(self, key: str, needed: int) -> None:
        """Take networks off the device until `needed` bytes are free beside the others."""
        if self.limit is None:
            return
        moved = False
        for other in [name for name in self._placed if name != key]:
            held = sum(size for name, size in self._placed.items() if name != key)
            if held + needed <= self.limit:
                break
            moved |= self._take_off(other)
        if moved:
            free_cache()

    def _take_off(self, key: str) -> bool:
        """Take a network off the device, if it can be had again; return whether it was."""
        if self._on_cpu and key in self._kept:
            return False
        del self._placed[key]
        if self._on_cpu:
            del self._loaded[key]
        elif key not in self._by_layer:
            self._loaded[key].to("cpu")
        return True

    @property
    def _on_cpu(self) -> bool:
        return self.name.startswith("cpu")


def in_turn(device: Device | None) -> AbstractContextManager[object]:
    """Return a block in which no other thread moves the networks of a device."""
    return nullcontext() if device is None else device.turn


def free_cache() -> None:
    """Give memory of tensors that are gone back, so that others can have it."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def best_device(device: str = "auto") -> str:
    """Return a torch device: for "auto" CUDA, else Apple's MPS, else the CPU."""
    if device != "auto":
        return device
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"

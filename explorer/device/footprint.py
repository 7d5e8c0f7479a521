"""Footprint: the bytes and the floating-point operations of a network, found without its weights.

It works with any torch module. A network runs on torch's meta device, where tensors have shapes
and no values, so that a network of any size is measured in seconds on any machine.
"""

import copy
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Footprint:
    """What one call takes beside the weights.

    Args:
        peak: most bytes of tensors that the call held at once, its inputs left out.
        flops: floating-point operations of its products and convolutions, two for each
            multiplication with its addition.
    """

    peak: int
    flops: int


def weight_bytes(module: "torch.nn.Module") -> int:
    """Return the bytes of a module's parameters and buffers.

    >>> import torch
    >>> weight_bytes(torch.nn.Linear(3, 2))
    32
    """
    tensors = {id(t): t for t in (*module.parameters(), *module.buffers())}
    return sum(map(tensor_bytes, tensors.values()))


def tensor_bytes(tensor: Any) -> int:
    """Return the bytes of a tensor's storage; of a quantized one, of what it consists of."""
    from torch.utils._python_dispatch import is_traceable_wrapper_subclass

    if is_traceable_wrapper_subclass(tensor):
        names, _ = tensor.__tensor_flatten__()
        return sum(tensor_bytes(getattr(tensor, name)) for name in names)
    size: int = tensor.untyped_storage().nbytes()
    return size


def outline(module: "torch.nn.Module") -> "torch.nn.Module":
    """Return a copy of a module on the meta device; nothing of its weights is copied.

    >>> import torch
    >>> next(outline(torch.nn.Linear(3, 2)).parameters()).device
    device(type='meta')
    """
    import torch

    without: dict[int, Any] = {}
    for parameter in module.parameters():
        empty = parameter.detach().to("meta")
        without[id(parameter)] = torch.nn.Parameter(empty, parameter.requires_grad)
    without |= {id(b): torch.empty_like(b, device="meta") for b in module.buffers()}
    return copy.deepcopy(module, without)


def footprint(call: Callable[[], object]) -> Footprint:
    """Measure a call that works on tensors, of the meta device or of another.

    Attention counts without its matrix of queries by keys, as fused kernels compute it. What a
    kernel needs for itself, such as cuDNN's workspace, is not counted.

    >>> import torch
    >>> x = torch.ones(2, 3, device="meta")
    >>> layer = torch.nn.Linear(3, 4, device="meta")
    >>> footprint(lambda: layer(x))
    Footprint(peak=32, flops=48)
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    live, fused = _live(), _fused()
    with torch.inference_mode(), counter, live, fused:
        call()
    return Footprint(live.peak, counter.get_total_flops() + fused.flops)


def _live() -> Any:
    """Return a mode that keeps count of the bytes of all tensors made under it."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Live(TorchDispatchMode):
        held, peak = 0, 0

        def __init__(self) -> None:
            super().__init__()
            self.seen: weakref.WeakSet[Any] = weakref.WeakSet()

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            given = {id(storage) for storage in _storages((args, kwargs))}
            out = func(*args, **(kwargs or {}))
            for storage in _storages(out):
                if storage not in self.seen and id(storage) not in given:
                    self._take(storage)
            return out

        def _take(self, storage: Any) -> None:
            size = storage.nbytes()
            self.seen.add(storage)
            self.held += size
            self.peak = max(self.peak, self.held)
            weakref.finalize(storage, self._free, size).atexit = False

        def _free(self, size: int) -> None:
            self.held -= size

    return Live()


def _storages(tree: Any) -> list[Any]:
    """Return the storages of the tensors in nested lists, tuples and dicts."""
    import torch
    from torch.utils._pytree import tree_leaves

    leaves = tree_leaves(tree)
    return [leaf.untyped_storage() for leaf in leaves if isinstance(leaf, torch.Tensor)]


def _fused() -> Any:
    """Return a mode that gives attention's result without the steps between, and its operations."""
    import torch
    from torch.overrides import TorchFunctionMode

    attention = torch.nn.functional.scaled_dot_product_attention

    class Fused(TorchFunctionMode):
        flops = 0

        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func is not attention:
                return func(*args, **(kwargs or {}))
            named = dict(zip(("query", "key", "value"), args, strict=False)) | (kwargs or {})
            query, key, value = (named[name] for name in ("query", "key", "value"))
            products = query.shape[-1] + value.shape[-1]
            self.flops += 2 * query.shape[:-1].numel() * key.shape[-2] * products
            return query.new_empty(*query.shape[:-1], value.shape[-1])

    return Fused()

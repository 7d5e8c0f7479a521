"""Quantization: linear layers whose weights lie in 8 bits, and are turned back as they are used.

torchao does it; it is an optional package. Convolutions, norms and embeddings stay as they are.
"""

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from explorer.errors import ExplorerError, QueryError

if TYPE_CHECKING:
    import torch

KINDS = ("int8", "fp8")
INSTALL = "pip install 'unclip-explorer[quantization]'"


def check_weights(weights: str | None) -> str:
    """Return "", "int8" or "fp8"; None is "", which leaves weights as they are.

    Raises:
        QueryError: it is something else.
        ExplorerError: torchao is not installed.

    >>> check_weights(None)
    ''
    """
    if not weights:
        return ""
    if weights not in KINDS:
        raise QueryError(f"weights are {' or '.join(KINDS)}, not {weights!r}.")
    if find_spec("torchao") is None:
        raise ExplorerError(f"Weights in {weights} need torchao, which is not installed: {INSTALL}")
    return weights


def quantize(network: "torch.nn.Module", weights: str) -> "torch.nn.Module":
    """Store the weights of a network's linear layers in 8 bits, in place, and return it.

    int8 keeps one scale for each row of a weight, fp8 (e4m3) likewise.

    Args:
        weights: "int8" or "fp8"; "" does nothing.
    """
    if not weights:
        return network
    quantize_, config = _torchao(weights)
    quantize_(network, config)
    return network.requires_grad_(False)


def _torchao(weights: str) -> tuple[Any, Any]:
    """Return torchao's function and its config, imported without what it says about itself."""
    logs = [logging.getLogger(name) for name in ("torch.utils._pytree", "torchao")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        from torchao.quantization import (
            Float8WeightOnlyConfig,
            Int8WeightOnlyConfig,
            quantize_,
        )
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
    return quantize_, {"int8": Int8WeightOnlyConfig, "fp8": Float8WeightOnlyConfig}[weights]()

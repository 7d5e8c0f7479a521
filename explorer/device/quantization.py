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
NOISE = {  # what the import of torchao says of itself: logger, and how the message is known
    "torch.utils._pytree": "register_constant() on Enum",
    "diffusers.quantizers.torchao.torchao_quantizer": "Unable to import `torchao`",
    "torchao": "cpp extensions",
}


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
    """Return torchao's function and its config."""
    from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig, quantize_

    return quantize_, {"int8": Int8WeightOnlyConfig, "fp8": Float8WeightOnlyConfig}[weights]()


def hush() -> None:
    """Keep from the terminal what torchao's import says of itself, which nobody can act on.

    diffusers imports it wherever it is installed, asked for or not.
    """
    for name, words in NOISE.items():
        log = logging.getLogger(name)
        if not any(isinstance(each, _Without) for each in log.filters):
            log.addFilter(_Without(words))


class _Without(logging.Filter):
    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words

    def filter(self, record: logging.LogRecord) -> bool:
        return self._words not in record.getMessage()

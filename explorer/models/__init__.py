"""Models: one registry, name to module; `load` gives the parts that share one Space.

A module of the registry supplies `build(variant, device)`, which returns a `Model`, and `card()`,
which describes it without importing torch. This room knows no library.
"""

import difflib
import importlib
from dataclasses import dataclass, replace
from os import PathLike
from types import ModuleType
from typing import TypedDict

from explorer.decoder import Decoder
from explorer.encoder import Encoder
from explorer.errors import UnknownModel
from explorer.points import Space
from explorer.prior import Prior

MODELS = {
    "pocket": "explorer.models.pocket",
    "openclip": "explorer.models.openclip",
}


@dataclass(frozen=True)
class Model:
    """The parts of one model, all of one Space.

    Raises:
        SpaceMismatch: a part belongs to another Space.
    """

    name: str
    space: Space
    encoder: Encoder
    prior: Prior | None = None
    decoder: Decoder | None = None

    def __post_init__(self) -> None:
        for part in (self.encoder, self.prior, self.decoder):
            if part is not None:
                self.space.check(part.space, "Take all parts of a model from one space.")


class Card(TypedDict):
    """What can be said about a model without loading it; None where it depends on the variant."""

    name: str
    space: str
    dimension: int | None
    decoder: bool
    prior: bool
    megabytes: float | None
    licence: str
    weights_here: bool | None


def load(
    name: str,
    *,
    device: str = "auto",
    source: str | PathLike[str] | None = None,
    decoder: Decoder | None = None,
    prior: Prior | None = None,
) -> Model:
    """Load a model by name: "pocket", "openclip:ViT-B-32/laion2b_s34b_b79k", "openclip:/a/folder".

    What stands after the colon is the variant, which the model's own module reads.

    Args:
        device: a torch device; "auto" takes CUDA, else Apple's MPS, else the CPU.
        source: a folder of weights, instead of a variant.
        decoder: stands in for the model's own, such as one trained on a library of yours.
        prior: as `decoder`.

    Raises:
        UnknownModel: no model has that name.
        WeightsMissing: its weights are not on this machine and cannot be fetched.
        SpaceMismatch: the given decoder or prior reads another space.
    """
    family, _, variant = name.partition(":")
    module = _module(family)
    if source is not None:
        variant = str(source)
    model: Model = module.build(variant, _device(device))
    return replace(model, decoder=decoder or model.decoder, prior=prior or model.prior)


def describe() -> list[Card]:
    """Describe every model of the registry, without loading any."""
    return [_module(name).card() for name in MODELS]


def _module(name: str) -> ModuleType:
    if name not in MODELS:
        close = difflib.get_close_matches(name, MODELS, n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UnknownModel(f"No model is named {name!r}; there are {', '.join(MODELS)}.{hint}")
    return importlib.import_module(MODELS[name])


def _device(device: str) -> str:
    if device != "auto":
        return device
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"

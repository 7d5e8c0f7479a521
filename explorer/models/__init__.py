"""Models: one registry, name to module; `load` gives the parts that share one Space.

A module of the registry supplies `build(variant, device)`, which returns a `Model`, `card()`, which
describes it without importing torch, and `releases(variant)`: what it is made of on the hub. This
room knows no library.
"""

import difflib
import importlib
import os
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path as FilePath
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
    "kandinsky-2.2": "explorer.models.kandinsky",
    "karlo": "explorer.models.karlo",
    "stable-unclip": "explorer.models.stable_unclip",
    "stable-unclip-small": "explorer.models.stable_unclip_small",
    "ip-adapter-sd15": "explorer.models.ip_adapter",
    "ip-adapter-sdxl": "explorer.models.ip_adapter_sdxl",
}


@dataclass(frozen=True)
class Model:
    """The parts of one model, all of one Space.

    Args:
        name: what `load` takes to give it again.
        decoder_from: the folder or the name that its decoder came from, if not its own.

    Raises:
        SpaceMismatch: a part belongs to another Space.
    """

    name: str
    space: Space
    encoder: Encoder
    prior: Prior | None = None
    decoder: Decoder | None = None
    decoder_from: str = ""

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
    decoder: Decoder | str | PathLike[str] | None = None,
    prior: Prior | str | PathLike[str] | None = None,
) -> Model:
    """Load a model by name: "pocket", "openclip:ViT-B-32/laion2b_s34b_b79k", "openclip:/a/folder".

    What stands after the colon is the variant, which the model's own module reads.

    Args:
        device: a torch device; "auto" takes CUDA, else Apple's MPS, else the CPU.
        source: a folder of weights, instead of a variant.
        decoder: stands in for the model's own; the decoder itself, a folder that `unclip train`
            made, or the name of another model with a decoder.
        prior: as `decoder`.

    Raises:
        UnknownModel: no model has that name.
        WeightsMissing: its weights are not on this machine and cannot be fetched.
        SpaceMismatch: the given decoder or prior reads another space.
    """
    family, _, variant = name.partition(":")
    module = module_of(family)
    variant = _absolute(str(source)) if source is not None else _absolute(variant)
    device = best_device(device)
    model: Model = module.build(variant, device)
    model = replace(model, name=f"{family}:{variant}" if variant else family)
    if isinstance(decoder, str | PathLike):
        came_from = os.fspath(decoder) if _is_name(decoder) else os.path.abspath(decoder)
        decoder = decoder_of(came_from, model.space, device)
        model = replace(model, decoder_from=came_from)
    if isinstance(prior, str | PathLike):
        prior = prior_of(prior, model.encoder, device)
    return replace(model, decoder=decoder or model.decoder, prior=prior or model.prior)


def decoder_of(what: str | PathLike[str], space: Space, device: str = "auto") -> Decoder:
    """Give a decoder for points of `space`.

    Args:
        what: the name of a model of the registry, or a folder that `unclip train decoder` made.

    Raises:
        UnknownModel: the model of that name has no decoder.
        WeightsMissing: the folder holds no decoder, or not what was written.
        SpaceMismatch: it reads points of another space.
    """
    from explorer.models import trained

    decoder: Decoder | None
    if _is_name(what):
        decoder = load(os.fspath(what), device=device).decoder
    else:
        decoder = trained.load_decoder(FilePath(what), best_device(device))
    if decoder is None:
        raise UnknownModel(f"The model {what} has no decoder. Name another, or a folder.")
    made_for = f"The decoder {what} was made for {decoder.model!r}: load that model"
    space.check(decoder.space, f"{made_for}, or train one for {space.name} with `unclip train`.")
    return decoder


def prior_of(what: str | PathLike[str], encoder: Encoder, device: str = "auto") -> Prior:
    """Give a prior for the words of `encoder`; the rest is as for `decoder_of`."""
    from explorer.models import trained

    if not _is_name(what):
        return trained.load_prior(FilePath(what), encoder)
    prior = load(os.fspath(what), device=device).prior
    if prior is None:
        raise UnknownModel(f"The model {what} has no prior. Name another, or a folder.")
    encoder.space.check(prior.space, f"The prior of {what} reads words of another model.")
    return prior


def home_of(what: str | PathLike[str]) -> str:
    """The name that `load` knows the encoder of a decoder or prior by; see `decoder_of`."""
    from explorer.models import trained

    return os.fspath(what) if _is_name(what) else trained.model_of(FilePath(what))


def describe() -> list[Card]:
    """Describe every model of the registry, without loading any."""
    return [module_of(name).card() for name in MODELS]


def module_of(name: str) -> ModuleType:
    """Give the module of a family in the registry.

    Raises:
        UnknownModel: no family has that name.
    """
    if name not in MODELS:
        close = difflib.get_close_matches(name, MODELS, n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UnknownModel(f"No model is named {name!r}; there are {', '.join(MODELS)}.{hint}")
    return importlib.import_module(MODELS[name])


def _is_name(what: str | PathLike[str]) -> bool:
    return os.fspath(what).partition(":")[0] in MODELS


def _absolute(variant: str) -> str:
    """A folder by its absolute path, so that a name can be kept; anything else as it is."""
    folder = os.path.expanduser(variant)
    return os.path.abspath(folder) if os.path.isdir(folder) else variant


def best_device(device: str = "auto") -> str:
    """A torch device: "auto" takes CUDA, else Apple's MPS, else the CPU; others as they are."""
    if device != "auto":
        return device
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"

"""Models: a registry of families by name; `load` returns the parts that share one Space.

    pocket               CLIP, prior and decoder of this package: small, offline
    openclip             every model of open_clip: encoder
    kandinsky            Kandinsky 2.2: encoder, prior, decoder
    kandinsky_2_1        Kandinsky 2.1: encoder, prior, decoder
    karlo                Karlo: encoder, prior, decoder
    sd_image_variations  Stable Diffusion Image Variations: encoder, decoder
    stable_cascade       Stable Cascade: encoder, decoder
    stable_unclip        Stable unCLIP for ViT-H/14: encoder, decoder
    stable_unclip_small  the same for ViT-L/14
    ip_adapter           IP-Adapter on Stable Diffusion 1.5: encoder, decoder
    ip_adapter_sdxl      IP-Adapter on SDXL: encoder, decoder
    flux_ip_adapter      IP-Adapter on FLUX.1: encoder, decoder
    rae                  DINOv2 as an encoder, and as a codec of images for `unclip train decoder`
    trust                which folders data may name
    trained              decoders, priors and bridges that `unclip train` wrote
    shared/              what several families use

A module of the registry implements `build(variant, device)`, which returns a `Model`; `card()`,
which describes it without importing torch; and `releases(variant)`, its repositories on the hub.
It knows no library.
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
from explorer.device import Device
from explorer.encoder import Encoder
from explorer.errors import UnknownModel
from explorer.models.shared.short_names import SHORT_NAMES, long_name
from explorer.points import Space
from explorer.prior import Prior
from explorer.support import Support

DEFAULT_MODEL = "openclip:ViT-B-32/laion2b_s34b_b79k"
"""The CLIP of a new library of photographs: MIT, 605 MB, fast on a CPU."""

MODELS = {
    "pocket": "explorer.models.pocket",
    "openclip": "explorer.models.openclip",
    "kandinsky-2.2": "explorer.models.kandinsky",
    "kandinsky-2.1": "explorer.models.kandinsky_2_1",
    "karlo": "explorer.models.karlo",
    "sd-image-variations": "explorer.models.sd_image_variations",
    "stable-cascade": "explorer.models.stable_cascade",
    "stable-unclip": "explorer.models.stable_unclip",
    "stable-unclip-small": "explorer.models.stable_unclip_small",
    "ip-adapter-sd15": "explorer.models.ip_adapter",
    "ip-adapter-sdxl": "explorer.models.ip_adapter_sdxl",
    "flux-ip-adapter": "explorer.models.flux_ip_adapter",
    "rae": "explorer.models.rae",
}


@dataclass(frozen=True)
class Model:
    """The parts of a model, all of one Space.

    Args:
        name: what `load` takes.
        decoder_from: the folder or model name of the decoder, if it is not the model's own.
        support: what images it was trained on, to ask how typical a point is of them; None where
            a model ships none.
        through_prior: whether text diffs go through the prior unless asked otherwise, because
            its decoder was found to draw those better. With another decoder or prior they rotate.

    Raises:
        SpaceMismatch: a part is of another Space.

    >>> model = load("pocket", device="cpu")
    >>> Model("encoder only", model.space, model.encoder).decoder is None
    True
    """

    name: str
    space: Space
    encoder: Encoder
    prior: Prior | None = None
    decoder: Decoder | None = None
    decoder_from: str = ""
    support: Support | None = None
    through_prior: bool = False

    def __post_init__(self) -> None:
        for part in (self.encoder, self.prior, self.decoder):
            if part is not None:
                self.space.check(part.space, "Use parts of one space.")


class Card(TypedDict):
    """The description of a model that is not loaded; None if it depends on the variant."""

    name: str
    space: str
    dimension: int | None
    decoder: bool
    prior: bool
    megabytes: float | None
    licence: str
    weights_here: bool | None
    fetched_from: list[str]  # repositories, each with its commit


def load(
    name: str,
    *,
    device: Device | str = "auto",
    memory: str | int | None = None,
    weights: str | None = None,
    source: str | PathLike[str] | None = None,
    decoder: Decoder | str | PathLike[str] | None = None,
    prior: Prior | str | PathLike[str] | None = None,
) -> Model:
    """Load a model by name: "pocket", "vit-b-32", "openclip:ARCHITECTURE/TAG", "openclip:FOLDER".

    `unclip models` lists short names. Libraries and recipes may name a folder that was named here.

    Args:
        device: a torch device; "auto" takes CUDA, else Apple's MPS, else the CPU.
        memory, weights: as "8GB" or bytes, and "int8" or "fp8" for the decoder; see `Device`.
        source: a folder of weights, instead of a variant.
        decoder: replaces the model's own: a decoder, a folder that `unclip train` wrote, or
            another model's name; `prior` likewise. A bridge brings its prior where there is none.

    Raises:
        QueryError, UnknownModel, WeightsMissing, SpaceMismatch: an argument cannot be used.

    >>> load("pocket", device="cpu").space.dimension
    256
    """
    from explorer.models.trust import remember_named

    prior_from = os.fspath(prior) if isinstance(prior, str | PathLike) else ""
    model = _built(name, source, device := Device.of(device, memory, weights))
    if isinstance(decoder, str | PathLike):
        came_from = os.fspath(decoder) if _is_name(decoder) else os.path.abspath(decoder)
        decoder = decoder_of(came_from, model.space, device)
        model = replace(model, decoder_from=came_from)
    if isinstance(prior, str | PathLike):
        prior = prior_of(prior, model.encoder, device)
    prior = prior or model.prior or _prior_over(model, device)
    remember_named(model.name, model.decoder_from, prior_from)
    return _with_parts(model, decoder or model.decoder, prior)


def _with_parts(model: Model, decoder: Decoder | None, prior: Prior | None) -> Model:
    """Return the model with these; what was found of its own two does not hold of others."""
    own = decoder is model.decoder and prior is model.prior
    through = own and model.through_prior
    return replace(model, decoder=decoder, prior=prior, through_prior=through)


def _built(name: str, source: str | PathLike[str] | None, device: Device) -> Model:
    """Return a model with its own parts, under its full name."""
    family, _, variant = long_name(name).partition(":")
    module = module_of(family)
    variant = _absolute(str(source)) if source is not None else _absolute(variant)
    model: Model = module.build(variant, device)
    return replace(model, name=f"{family}:{variant}" if variant else family)


def decoder_of(what: str | PathLike[str], space: Space, device: Device | str = "auto") -> Decoder:
    """Load a decoder for points of `space`.

    Args:
        what: the name of a model, or a folder that `unclip train decoder` or `train bridge` wrote.

    Raises:
        UnknownModel: the model has no decoder.
        WeightsMissing: the folder has no decoder, or its files are damaged.
        SpaceMismatch: the decoder is of another space.
    """
    from explorer.models import trained

    decoder: Decoder | None
    if _is_name(what):
        decoder = load(os.fspath(what), device=device).decoder
    else:
        decoder = trained.load_decoder(FilePath(what), Device.of(device))
    if decoder is None:
        raise UnknownModel(f"The model {what} has no decoder. Use another model, or a folder.")
    made_for = f"The decoder {what} decodes points of {decoder.model!r}: load that model"
    space.check(
        decoder.space,
        f"{made_for}, or bridge the two: unclip train bridge LIBRARY --to {decoder.model}",
    )
    return decoder


def prior_of(what: str | PathLike[str], encoder: Encoder, device: Device | str = "auto") -> Prior:
    """Load a prior for the words of `encoder`; arguments and errors are as for `decoder_of`."""
    from explorer.models import trained

    if not _is_name(what):
        return trained.load_prior(FilePath(what), encoder, device)
    prior = load(os.fspath(what), device=device).prior
    if prior is None:
        raise UnknownModel(f"The model {what} has no prior. Use another model, or a folder.")
    encoder.space.check(prior.space, f"The prior of {what} belongs to another encoder.")
    return prior


def _prior_over(model: Model, device: Device) -> Prior | None:
    """Load the prior of the model that a bridge leads to, if the decoder came over one."""
    from explorer.models import trained

    came_from = model.decoder_from
    if not came_from or _is_name(came_from) or not trained.is_bridge(came_from):
        return None
    return trained.prior_over(FilePath(came_from), model.encoder, device)


def home_of(what: str | PathLike[str]) -> str:
    """Return the name, as for `load`, of the model whose encoder a decoder or prior belongs to.

    Args:
        what: as for `decoder_of`.
    """
    from explorer.models import trained

    return os.fspath(what) if _is_name(what) else trained.model_of(FilePath(what))


def same_model(name: str, other: str) -> bool:
    """Return whether two names mean one model, however its weights are spelled.

    >>> same_model("openclip:ViT-B-32/laion2b-s34b-b79k", "openclip:ViT-B-32/laion2b_s34b_b79k")
    True
    """
    return _spelled(name) == _spelled(other)


def _spelled(name: str) -> str:
    family, _, variant = long_name(name).partition(":")
    folder = _absolute(variant)
    return f"{family}:{folder if os.path.isabs(folder) else folder.lower().replace('-', '_')}"


def describe() -> list[Card]:
    """Describe every model of the registry, without loading any."""
    return [module_of(name).card() for name in MODELS]


def support_of(name: str, space: Space) -> Support | None:
    """Return what images a model was trained on, without loading it; None if it does not say.

    Args:
        space: of the points to ask about; None is returned if the model's weights are others.
    """
    family, _, variant = long_name(name).partition(":")
    find = getattr(module_of(family), "support", None) if family in MODELS else None
    support: Support | None = find(variant, space) if find else None
    return support


def module_of(name: str) -> ModuleType:
    """Return the module of a family.

    Raises:
        UnknownModel: no family has that name.
    """
    if name not in MODELS:
        names = [*MODELS, *SHORT_NAMES]
        close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UnknownModel(f"There is no model {name!r}. Use one of {', '.join(names)}.{hint}")
    return importlib.import_module(MODELS[name])


def _is_name(what: str | PathLike[str]) -> bool:
    return long_name(os.fspath(what)).partition(":")[0] in MODELS


def _absolute(variant: str) -> str:
    """Return a folder's absolute path, so that the model's name stays valid; else the variant."""
    folder = os.path.expanduser(variant)
    return os.path.abspath(folder) if os.path.isdir(folder) else variant

"""Decoders, priors and bridges that `unclip train` wrote: one folder each, for one Space.

A bridge stands for the decoder, and the prior, of the model that it leads to.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path as FilePath
from typing import Any

from explorer.bridge import MANIFEST as BRIDGE
from explorer.bridge import Bridge
from explorer.decoder import Decoder
from explorer.decoder.bridged import BridgedDecoder
from explorer.device import Device
from explorer.encoder import Encoder
from explorer.errors import ExplorerError, UnknownModel, WeightsMissing
from explorer.models import Model, load
from explorer.models.openclip import OpenClipEncoder
from explorer.models.rae import RaeCodec, codec_of
from explorer.models.shared.manifest import read_manifest
from explorer.models.shared.on_word import named_by
from explorer.models.shared.patch_decoder import PatchDecoder
from explorer.models.shared.token_prior import TokenPrior
from explorer.models.trust import check_named
from explorer.points import Points, Space
from explorer.prior import Prior

DECODER, PRIOR = "decoder.json", "prior.json"
BACK = "back"  # the folder, in that of a bridge, of the bridge that leads back
_REMEDY = (
    "Pass the folder that `unclip train {0}` wrote, or the name of a model with a {0}. If its "
    "training was interrupted, run the same command again with --resume."
)


class BridgedPrior(Prior):
    """The prior of another model, whose points are carried over by the bridge that leads back.

    Args:
        prior: of the space `back.source`.
    """

    def __init__(self, prior: Prior, back: Bridge) -> None:
        prior.space.check(back.source, f"The bridge leads back from {back.source}.")
        self.prior, self.back, self.space = prior, back, back.target

    def sample(self, texts: Sequence[str], *, seed: int = 0, candidates: int = 2) -> Points:
        return self.back.apply(self.prior.sample(texts, seed=seed, candidates=candidates))


def is_bridge(what: str | PathLike[str]) -> bool:
    """Return whether this is a folder that `unclip train bridge` wrote."""
    return (FilePath(what) / BRIDGE).is_file()


def bridge_beside(library: FilePath) -> FilePath:
    """Return where `unclip train bridge` writes the bridge of a library, if nobody says."""
    return library.with_suffix(".bridge")


def load_decoder(folder: FilePath, device: Device | str) -> Decoder:
    """Load the decoder of a folder, in the Space that it was trained for.

    Raises:
        WeightsMissing: there is none, or a file is damaged.
        UnknownModel: a bridge leads to a model without a decoder.
    """
    if is_bridge(folder):
        bridge = Bridge.load(folder)
        decoder = _beyond(folder, bridge, device).decoder
        if decoder is None:
            raise _lacking(folder, bridge, "decoder")
        return BridgedDecoder(decoder, bridge)
    manifest = read_manifest(folder / DECODER, _REMEDY.format("decoder"))
    with _explained(folder / DECODER):
        codec = _codec(folder, manifest, device)
        return PatchDecoder(folder, Space(**manifest["space"]), manifest, device, codec)


def _codec(folder: FilePath, manifest: dict[str, Any], device: Device | str) -> RaeCodec | None:
    """Load the codec that a decoder was trained on, on the word of its manifest: no download.

    Raises:
        WeightsMissing: its weights are not here, or are others.
    """
    if "codec" not in manifest:
        return None
    name, fingerprint = manifest["codec"]["model"], manifest["codec"]["sha256"]
    by = f"The decoder {folder}"
    with named_by(by):
        codec = codec_of(check_named(name, by), device)
    if codec.fingerprint != fingerprint:
        raise WeightsMissing(
            f"{by} was trained on weights of {name} with the checksum {fingerprint[:8]}, but those "
            f"on this machine have {codec.fingerprint[:8]}. Take those, or train it again."
        )
    return codec


def load_prior(folder: FilePath, encoder: Encoder, device: Device | str = "auto") -> Prior:
    """Load the prior of a folder; `encoder` embeds its texts.

    Raises:
        WeightsMissing: there is none, or a file is damaged.
        SpaceMismatch: it was trained for another Space.
        UnknownModel: the encoder is not one of open_clip, or a bridge leads to a model that has
            no prior.
    """
    if is_bridge(folder):
        bridge, back = Bridge.load(folder), Bridge.load(folder / BACK)
        encoder.space.check(back.target, f"The bridge {folder} begins at {bridge.models[0]!r}.")
        prior = _beyond(folder, bridge, device).prior
        if prior is None:
            raise _lacking(folder, bridge, "prior")
        return BridgedPrior(prior, back)
    manifest = read_manifest(folder / PRIOR, _REMEDY.format("prior"))
    with _explained(folder / PRIOR):
        made_for = f"The prior {folder} was trained for {manifest['model']!r}: load that model."
        space = Space(**manifest["space"])
    encoder.space.check(space, made_for)
    if not isinstance(encoder.whole, OpenClipEncoder):
        raise UnknownModel(f"The prior {folder} needs an open_clip model. Load one with openclip:…")
    with _explained(folder / PRIOR):
        return TokenPrior(folder, encoder, manifest)


def prior_over(folder: FilePath, encoder: Encoder, device: Device) -> Prior | None:
    """Load the prior of the model that a bridge leads to; None if it has none."""
    if not (folder / BACK / BRIDGE).is_file():
        return None
    prior = _beyond(folder, Bridge.load(folder), device).prior
    return prior and load_prior(folder, encoder, device)


def _beyond(folder: FilePath, bridge: Bridge, device: Device | str) -> Model:
    """Load the model that a bridge leads to, on the word of its folder: no download."""
    by = f"The bridge {folder}"
    with named_by(by, bridge.target):
        return load(check_named(bridge.models[1], by), device=device)


def _lacking(folder: FilePath, bridge: Bridge, part: str) -> UnknownModel:
    return UnknownModel(
        f"The bridge {folder} leads to {bridge.models[1]}, which has no {part}. Train one to a "
        "model that has: unclip train bridge LIBRARY --to MODEL; `unclip models` lists them."
    )


def space_of(folder: FilePath) -> Space:
    """Return the Space that a folder's decoder or prior was trained for; errors as `model_of`."""
    file, manifest = _manifest(folder)
    with _explained(file):
        return Space(**manifest["space"])


def model_of(folder: FilePath) -> str:
    """Return the name, as for `load`, of the model that a folder's decoder or prior belongs to.

    Raises:
        WeightsMissing: the folder has neither.
    """
    file, manifest = _manifest(folder)
    with _explained(file):
        return str(manifest["model"])


def _manifest(folder: FilePath) -> tuple[FilePath, dict[str, Any]]:
    """Read the manifest of a decoder, a prior or a bridge."""
    names = (BRIDGE, PRIOR, DECODER)
    file = next((folder / name for name in names if (folder / name).is_file()), folder / DECODER)
    return file, read_manifest(file, _REMEDY.format(file.stem))


@contextmanager
def _explained(file: FilePath) -> Iterator[None]:
    """Say in one sentence that a field of a manifest is missing, or holds something else."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        if isinstance(error, ExplorerError):
            raise
        raise WeightsMissing(
            f"{file} or a configuration beside it is not valid ({type(error).__name__} {error}). "
            + _REMEDY.format(file.stem)
        ) from error

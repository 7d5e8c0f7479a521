"""Decoders and priors that `unclip train` made: a folder each, for one Space."""

from pathlib import Path as FilePath
from typing import Any

from explorer.encoder import Encoder
from explorer.errors import UnknownModel
from explorer.models.openclip import OpenClipEncoder
from explorer.models.shared.manifest import read_manifest
from explorer.models.shared.patch_decoder import PatchDecoder
from explorer.models.shared.token_prior import TokenPrior
from explorer.points import Space

DECODER, PRIOR = "decoder.json", "prior.json"
_REMEDY = (
    "Give the folder that `unclip train {0}` wrote, or the name of a model with a {0}. If its "
    "training was cut off, run the same command again with --resume."
)


def load_decoder(folder: FilePath, device: str) -> PatchDecoder:
    """Load the decoder of a folder; its Space is the one that it was trained for.

    Raises:
        WeightsMissing: there is none, or it is not what was written.
    """
    manifest = read_manifest(folder / DECODER, _REMEDY.format("decoder"))
    return PatchDecoder(folder, Space(**manifest["space"]), manifest, device)


def load_prior(folder: FilePath, encoder: Encoder) -> TokenPrior:
    """Load the prior of a folder; it reads words through `encoder`.

    Raises:
        WeightsMissing: there is none, or it is not what was written.
        SpaceMismatch: it was trained for another Space.
        UnknownModel: the encoder is not one of open_clip's.
    """
    manifest = read_manifest(folder / PRIOR, _REMEDY.format("prior"))
    made_for = f"The prior {folder} was trained for {manifest['model']!r}: load that model."
    encoder.space.check(Space(**manifest["space"]), made_for)
    if not isinstance(encoder, OpenClipEncoder):
        raise UnknownModel(f"The prior {folder} reads words through an open_clip model only.")
    return TokenPrior(folder, encoder, manifest)


def model_of(folder: FilePath) -> str:
    """The name that `load` knows the encoder of a folder's decoder or prior by.

    Raises:
        WeightsMissing: the folder holds neither.
    """
    kind = "prior" if (folder / PRIOR).is_file() else "decoder"
    manifest: dict[str, Any] = read_manifest(folder / f"{kind}.json", _REMEDY.format(kind))
    return str(manifest["model"])

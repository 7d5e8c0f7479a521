"""Decoders and priors that `unclip train` wrote: one folder each, for one Space."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Any

from explorer.encoder import Encoder
from explorer.errors import ExplorerError, UnknownModel, WeightsMissing
from explorer.models.openclip import OpenClipEncoder
from explorer.models.shared.manifest import read_manifest
from explorer.models.shared.patch_decoder import PatchDecoder
from explorer.models.shared.token_prior import TokenPrior
from explorer.points import Space

DECODER, PRIOR = "decoder.json", "prior.json"
_REMEDY = (
    "Pass the folder that `unclip train {0}` wrote, or the name of a model with a {0}. If its "
    "training was interrupted, run the same command again with --resume."
)


def load_decoder(folder: FilePath, device: str) -> PatchDecoder:
    """Load the decoder of a folder, in the Space that it was trained for.

    Raises:
        WeightsMissing: there is none, or a file is damaged.
    """
    manifest = read_manifest(folder / DECODER, _REMEDY.format("decoder"))
    with _explained(folder / DECODER):
        return PatchDecoder(folder, Space(**manifest["space"]), manifest, device)


def load_prior(folder: FilePath, encoder: Encoder) -> TokenPrior:
    """Load the prior of a folder; `encoder` embeds its texts.

    Raises:
        WeightsMissing: there is none, or a file is damaged.
        SpaceMismatch: it was trained for another Space.
        UnknownModel: the encoder is not one of open_clip.
    """
    manifest = read_manifest(folder / PRIOR, _REMEDY.format("prior"))
    with _explained(folder / PRIOR):
        made_for = f"The prior {folder} was trained for {manifest['model']!r}: load that model."
        space = Space(**manifest["space"])
    encoder.space.check(space, made_for)
    if not isinstance(encoder, OpenClipEncoder):
        raise UnknownModel(f"The prior {folder} needs an open_clip model. Load one with openclip:…")
    with _explained(folder / PRIOR):
        return TokenPrior(folder, encoder, manifest)


def space_of(folder: FilePath) -> Space:
    """Return the Space that a folder's decoder or prior was trained for; errors as `model_of`."""
    kind = "prior" if (folder / PRIOR).is_file() else "decoder"
    manifest: dict[str, Any] = read_manifest(folder / f"{kind}.json", _REMEDY.format(kind))
    with _explained(folder / f"{kind}.json"):
        return Space(**manifest["space"])


def model_of(folder: FilePath) -> str:
    """Return the name, as for `load`, of the model that a folder's decoder or prior belongs to.

    Raises:
        WeightsMissing: the folder has neither.
    """
    kind = "prior" if (folder / PRIOR).is_file() else "decoder"
    manifest: dict[str, Any] = read_manifest(folder / f"{kind}.json", _REMEDY.format(kind))
    with _explained(folder / f"{kind}.json"):
        return str(manifest["model"])


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

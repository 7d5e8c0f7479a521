"""Pocket: a small CLIP, prior and unCLIP decoder for drawings; its weights are in the package.

The folder `explorer/weights/pocket` has a CLIP in open_clip's layout, and a UNet, a normaliser, a
prior and a scheduler config in diffusers' layout. Another folder in this layout can be loaded too.
"""

import json
from pathlib import Path as FilePath

from explorer.device import Device
from explorer.models import Card, Model
from explorer.models.light import light_folder
from explorer.models.openclip import OpenClipEncoder, encoder_of_folder
from explorer.models.shared.blindness import FILE, read_support
from explorer.models.shared.known_weights import remember_weights
from explorer.models.shared.manifest import read_manifest
from explorer.models.shared.patch_decoder import PatchDecoder
from explorer.models.shared.token_prior import TokenPrior
from explorer.points import Space
from explorer.support import Support

FOLDER = FilePath(__file__).parent.parent / "weights" / "pocket"
MANIFEST = "pocket.json"


def build(variant: str, device: Device) -> Model:
    """Load pocket, or a folder in its layout.

    Raises:
        WeightsMissing: a file is missing or damaged.
    """
    folder = FilePath(variant) if variant else FOLDER
    remedy = "Reinstall the package, or train them with python -m pocket.train."
    manifest = read_manifest(folder / MANIFEST, remedy)
    name = manifest["name"]

    def load() -> OpenClipEncoder:
        return encoder_of_folder(folder, name, device)

    encoder = light_folder(folder, name, load, device) or load()
    remember_weights(f"pocket:{variant}" if variant else "pocket", encoder.known)
    prior = TokenPrior(folder, encoder, manifest)
    decoder = PatchDecoder(folder, encoder.space, manifest | {"model": name}, device)
    known = read_support(folder / FILE, encoder.space)
    through = bool(manifest.get("through_prior", False))
    parts = (encoder.space, encoder, prior, decoder)
    return Model(name, *parts, support=known, through_prior=through)


def support(variant: str, space: Space) -> Support | None:
    """Return the training points of pocket, or of a folder, if they are of this space."""
    return read_support((FilePath(variant) if variant else FOLDER) / FILE, space)


def card() -> Card:
    """Describe pocket."""
    here = (FOLDER / MANIFEST).is_file()
    size = sum(file.stat().st_size for file in FOLDER.rglob("*") if file.is_file()) / 1e6
    return {
        "name": "pocket",
        "space": "pocket",
        "dimension": json.loads((FOLDER / MANIFEST).read_text())["dimension"] if here else None,
        "decoder": True,
        "prior": True,
        "megabytes": round(size, 1) if here else None,
        "licence": "Apache-2.0",
        "weights_here": here,
        "fetched_from": [],
    }


def releases(variant: str) -> tuple[()]:  # noqa: ARG001
    """Return nothing: the weights are in the package."""
    return ()

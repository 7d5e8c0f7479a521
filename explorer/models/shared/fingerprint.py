"""Fingerprint: the identity of an image tower, whichever library stores its weights.

open_clip and transformers name, fuse and transpose the same tensors differently. Here both are
converted to one form, so that the same tower is the same Space, and a fine-tuned one another. The
text tower is not hashed, since a decoder reads points of images.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from explorer.models.shared.preprocess import Preprocess

if TYPE_CHECKING:
    import torch

    Named = Iterable[tuple[str, torch.Tensor]]

_STANDARD = ("image_size", "patch_size", "width", "layers", "head_width", "mlp_ratio")


def tower_fingerprint(description: dict[str, Any], tensors: "Named") -> str:
    """Hash a description of an image tower and its floating-point tensors.

    Each tensor is rounded to float16 and hashed with its shape, and the hashes are sorted, so that
    the result depends on neither names, order nor the file's precision.

    Args:
        tensors: iterated once, so that a large file need not fit into memory twice.
    """
    import torch

    hashes = []
    for _, tensor in tensors:
        if tensor.is_floating_point():
            half = tensor.detach().cpu().to(torch.float16).contiguous()
            digest = hashlib.sha256(str(tuple(half.shape)).encode())
            digest.update(half.numpy().tobytes())
            hashes.append(digest.hexdigest())
    parts = [json.dumps(description, sort_keys=True), *sorted(hashes)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def image_tower(file: FilePath) -> "dict[str, torch.Tensor]":
    """Return the tensors of the image tower in open_clip's safetensors, read where used."""
    from safetensors import safe_open

    with safe_open(file, "pt") as tensors:
        names = [name for name in tensors.keys() if name.startswith("visual.")]  # noqa: SIM118
        return {name.removeprefix("visual."): tensors.get_tensor(name) for name in names}


def of_open_clip(
    visual: Any,
    config: dict[str, Any],
    preprocess: Preprocess,
    tensors: "dict[str, torch.Tensor] | None" = None,
) -> str:
    """Compute the fingerprint of the image tower of an open_clip model.

    Args:
        visual: `module.visual`; if it is not a vision transformer, it is hashed as it is.
        config: the model's `vision_cfg`.
        tensors: those to hash instead of the tower's own, under the same names.
    """
    from open_clip.transformer import QuickGELU, VisionTransformer

    state = (visual.state_dict() if tensors is None else tensors).items()
    if not isinstance(visual, VisionTransformer):
        return of_tensors(dict(state), config, preprocess)
    blocks = visual.transformer.resblocks
    more = {k: v for k, v in config.items() if k not in _STANDARD}
    description = _vision_transformer(
        dimension=visual.output_dim,
        patch=visual.patch_size[0],
        width=visual.conv1.out_channels,
        layers=len(blocks),
        heads=blocks[0].attn.num_heads,
        quick_gelu=isinstance(blocks[0].mlp.gelu, QuickGELU),
        preprocess=preprocess,
        more=more,
    )
    return tower_fingerprint(description, _unfused(state))


def of_tensors(
    tensors: "dict[str, torch.Tensor]", config: dict[str, Any], preprocess: Preprocess
) -> str:
    """Compute the fingerprint of a tower of open_clip that is no vision transformer."""
    described = {"tower": config, "preprocess": asdict(preprocess)}
    return tower_fingerprint(described, tensors.items())


def of_transformers(config: dict[str, Any], tensors: "Named", preprocess: Preprocess) -> str:
    """Compute the fingerprint of a CLIPVisionModelWithProjection from its config and tensors."""
    description = _vision_transformer(
        dimension=config["projection_dim"],
        patch=config["patch_size"],
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        quick_gelu=config["hidden_act"] == "quick_gelu",
        preprocess=preprocess,
        more={},
    )
    return tower_fingerprint(description, tensors)


def _vision_transformer(*, preprocess: Preprocess, **numbers: Any) -> dict[str, Any]:
    return {"tower": "vision transformer", **numbers, "preprocess": asdict(preprocess)}


def _unfused(state: "Named") -> "Iterator[tuple[str, torch.Tensor]]":
    """Split q, k and v, and transpose the projection, as transformers stores them."""
    for name, tensor in state:
        if name.endswith(("attn.in_proj_weight", "attn.in_proj_bias")):
            yield from ((name, part) for part in tensor.chunk(3))
        else:
            yield name, tensor.T if name == "proj" else tensor

"""bfloat16 on the CPU: image towers in half precision, where the CPU has instructions for it.

A ViT-B-32 takes 28 ms an image instead of 94 with AVX512_BF16 (AMD Zen 5, one thread), and 20
instead of 78 with AMX.

Such a tower is run on batches of one size only, filled with zeros: kernels are chosen by shape, and
two of them round differently, so that a vector would depend on how many images came with it.
"""

import copy
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from explorer.models.shared.folded import fold_norms

Precision = Literal["float32", "bfloat16"]
ROWS = 8  # a batch; more are no faster
LEAST_PARAMETERS = 30_000_000  # below, reading the images takes longer than the tower
LEAST_COSINE = 0.999
_PROBES = 2


def tower_for_cpu(
    visual: Any, size: tuple[int, int], precision: Precision | None
) -> tuple[Any, Precision]:
    """Return the image tower to run on a CPU, and its precision; None chooses it by `halved`.

    In float32 it is the same one, with its batch norms folded.
    """
    asked = precision == "bfloat16"
    half = None if precision == "float32" else halved(visual, size, asked=asked)
    if half is not None:
        return half, "bfloat16"
    fold_norms(visual)
    return visual, "float32"


def halved(visual: Any, size: tuple[int, int], *, asked: bool = False) -> Any | None:
    """Return a copy of an image tower in bfloat16, or None where float32 is to stay.

    It stays on a CPU without instructions for it, for small towers, and where the vectors of two
    fixed images turn away from those in float32 by more than a cosine of 0.999.

    Args:
        size: height and width of the images that it sees.
        asked: somebody asked for bfloat16: return the copy whatever it is worth.
    """
    import torch

    if not asked and not (has_units() and _parameters(visual) >= LEAST_PARAMETERS):
        return None
    half = copy.deepcopy(visual).to(torch.bfloat16)
    return half if asked or cosine_of(visual, half, size) >= LEAST_COSINE else None


def has_units() -> bool:
    """Return whether this CPU multiplies in bfloat16 (AMX or AVX512_BF16)."""
    import torch

    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def cosine_of(visual: Any, half: Any, size: tuple[int, int]) -> float:
    """Return the least cosine between vectors of both towers, for images that are always the same.

    They are noise at several scales, with as much power in each octave as photographs have. A tower
    that cannot run in bfloat16 has the cosine -1.
    """
    import torch
    from torch.nn.functional import cosine_similarity, interpolate

    random = torch.Generator().manual_seed(0)
    pixels = torch.zeros(_PROBES, 3, *size)
    for cells in (2, 4, 8, 16, 32, 64, 128):
        noise = torch.randn(_PROBES, 3, cells, cells, generator=random)
        pixels += interpolate(noise, size, mode="bilinear") / 2
    with torch.inference_mode():
        try:
            exact, near = visual(pixels), half(pixels.to(torch.bfloat16))
        except RuntimeError:  # an operation that knows no bfloat16
            return -1.0
        exact, near = (v[0] if isinstance(v, tuple) else v for v in (exact, near))
        return float(cosine_similarity(exact.float(), near.float()).min())


def in_fixed_batches(
    embed: Callable[[Any], Any], pixels: Float[np.ndarray, "N C H W"]
) -> Float[np.ndarray, "N D"]:
    """Embed images in bfloat16, `ROWS` at a time; a vector depends on its own image alone.

    Args:
        embed: from a batch of pixels in bfloat16 to its vectors.
    """
    import torch

    vectors = []
    with torch.inference_mode():
        for start in range(0, len(pixels), ROWS):
            some = torch.from_numpy(pixels[start : start + ROWS])
            batch = torch.zeros(ROWS, *some.shape[1:], dtype=torch.bfloat16)
            batch[: len(some)] = some
            vectors.append(embed(batch)[: len(some)].float().numpy())
    return np.concatenate(vectors)


def in_one_batch(
    embed: Callable[[Any], Any], pixels: Float[np.ndarray, "N C H W"]
) -> Float[np.ndarray, "N D"]:
    """Embed images in float32, all at once."""
    import torch

    with torch.inference_mode():
        vectors: np.ndarray = embed(torch.from_numpy(pixels)).float().numpy()
    return vectors


def _parameters(visual: Any) -> int:
    return sum(p.numel() for p in visual.parameters())

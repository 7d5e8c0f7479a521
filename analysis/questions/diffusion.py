"""Diffusion: an image corrupted by noise, what undoing it brings back, and an image from nothing.

For any decoder: the forward process on real images, and the reverse process step by step with
what the decoder expects the image to be along the way (its estimate of x₀).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image

from analysis.dataset import Dataset
from analysis.figures import lines, strip
from analysis.questions.smoothness import pixel_distances
from analysis.section import Section
from explorer import sampler
from explorer.decoder import Decoder
from explorer.encoder import Encoder
from explorer.metrics import bootstrap, cosines
from explorer.noise import Noise
from explorer.points import Points
from explorer.sampler import batches
from explorer.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

Row = tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]  # cosines, pixel distances

QUESTION = "How does noise become an image, and what can be brought back from a noised one?"
SOURCE = "Ho et al. 2020; Song et al. 2021 (DDIM); Meng et al. 2022 (SDEdit) for undoing"
SHOWN = 8  # columns of a strip


def levels(decoder: Decoder) -> "pd.DataFrame":
    """The noise levels at which this decoder's default steps begin, from noise to image.

    A latent at level t is signal · x₀ + noise · ε, with signal² + noise² = 1. The last column is
    their ratio in decibels.

    Source: Ho et al. 2020, equation 4: signal = √ᾱ.
    """
    import pandas as pd

    scheduler = _scheduler(decoder)
    t = [int(step) for step in scheduler.timesteps]
    signal = np.sqrt(scheduler.alphas_cumprod[t].numpy().astype(np.float64))
    noise = np.sqrt(1 - signal**2)
    table = {"step": np.arange(1, len(t) + 1), "t": t, "signal": signal, "noise": noise}
    return pd.DataFrame(table | {"signal to noise (dB)": 20 * np.log10(signal / noise)})


def _scheduler(decoder: Decoder) -> Any:
    settings = Settings(steps=decoder.steps, solver=decoder.solver)
    return sampler.schedule(decoder.scheduler_config, settings)


def corrupt(
    decoder: Decoder, images: Sequence[Image.Image], step: int | None, seed: int = 0
) -> list[Image.Image]:
    """Noise images to the level where a step begins, and show them; None only codes them.

    The noise is that of `decode` and `redraw` with the same seed.

    Args:
        step: from 1, the noisiest, as in `levels`.
    """
    import torch

    with torch.inference_mode():
        latents = decoder.to_latent(images).to(decoder.device, torch.float32)
        if step is not None:
            noise = Noise.random([seed] * len(images), decoder.latent_shape).latents
            known = sampler.Known(latents)
            fresh = torch.tensor(noise, device=decoder.device)
            latents = known.noised(_scheduler(decoder), fresh, step - 1)
        return decoder.to_image(latents)


def undone(
    decoder: Decoder, encoder: Encoder, images: Sequence[Image.Image], points: Points
) -> tuple["pd.DataFrame", list[list[Image.Image]]]:
    """Corrupt images to every level and let the decoder undo it, knowing their points.

    Columns beside the level: the mean cosine of each image's point with what is seen in the
    corrupted and in the restored image, and the restored one's distance in pixels, RMS from 0 to
    1. Also gives the first image, corrupted and restored, at every level.
    """
    import pandas as pd

    coded, table = corrupt(decoder, images, None), levels(decoder)
    rows, shown = [], []
    for step in table["step"]:
        left = decoder.steps - step + 1
        noised = corrupt(decoder, images, step)
        restored = list(
            decoder.redraw(images, points, Settings(strength=_strength(left, decoder.steps)))
        )
        before, after = (
            cosines(encoder.encode_images(each), points).mean() for each in (noised, restored)
        )
        rows.append((before, after, pixel_distances(restored, coded).mean()))
        shown.append([noised[0], restored[0]])
    names = ["cosine, corrupted", "cosine, restored", "pixels from the image"]
    return table.join(pd.DataFrame(rows, columns=names)), shown


def _strength(left: int, steps: int) -> float:
    """Return the img2img strength at which `left` steps are done, safe from rounding."""
    return min(1.0, (left + 0.5) / steps)


def reverse(
    decoder: Decoder, encoder: Encoder, points: Points
) -> tuple["pd.DataFrame", list[list[Image.Image]]]:
    """Follow the reverse process of every point, each from a noise of its own.

    Columns beside the level: the mean cosine of the point with what is seen in the estimate, its
    bootstrap interval over points, and the estimate's distance from the result, RMS of pixels from
    0 to 1. Also gives the latents and the estimate of the first point, after every step.
    """
    import pandas as pd

    found: list[list[Row]] = []
    shown: list[list[Image.Image]] = []
    for rows in batches(len(points), decoder.batch_size):
        part, seeds = points[rows], range(rows.start, rows.stop)
        latents, estimates = _traced(decoder, part, seeds)
        shown = shown or [[a[0], b[0]] for a, b in zip(latents, estimates, strict=True)]
        found.append(
            [
                (cosines(encoder.encode_images(e), part), pixel_distances(e, latents[-1]))
                for e in estimates
            ]
        )
    table = []
    for steps in zip(*found, strict=True):
        near, far = (np.concatenate(values) for values in zip(*steps, strict=True))
        table.append((near.mean(), *bootstrap(near), far.mean()))
    names = ["cosine of the estimate", "low (95 %)", "high (95 %)", "pixels from the result"]
    return levels(decoder).join(pd.DataFrame(table, columns=names)), shown


def _traced(
    decoder: Decoder, points: Points, seeds: Sequence[int]
) -> tuple[list[list[Image.Image]], list[list[Image.Image]]]:
    """Images of the latents and of the estimates, after every step."""
    import torch

    latents, estimates = [], []
    for step in decoder.trace(points, Settings(seed=seeds)):
        with torch.inference_mode():
            latents.append(decoder.to_image(step.latents))
            estimates.append(decoder.to_image(step.estimate))
    return latents, estimates


def section(dataset: Dataset) -> Section:
    """Answer it for a few images drawn from a library."""
    decoder = dataset.require_decoder("Diffusion")
    encoder = dataset.model.encoder
    points, rows = dataset.points(max(2, dataset.count // 12))
    few = slice(max(2, dataset.count // 25))
    restored, pairs = undone(decoder, encoder, dataset.images(rows[few]), points[few])
    along, walk = reverse(decoder, encoder, points)
    return Section(
        name="diffusion",
        question=QUESTION,
        finding=_finding(restored, along),
        method=(
            f"{len(points)} images drawn with seed {dataset.seed} for the reverse process, "
            f"{len(points[few])} for undoing; {decoder.steps} steps of {decoder.solver}, guidance "
            f"{decoder.guidance:g}. Undoing knows the image's point, so that it can draw from it "
            "what the noise has hidden. Cosines are with that point; interval by bootstrap over "
            "images."
        ),
        source=SOURCE,
        tables={"Corrupted and restored": restored, "The reverse process": along},
        figures={
            "Above: an image corrupted more and more. Below: restored from there": _strip(
                pairs[::-1], restored["t"].to_list()[::-1], ["corrupted", "restored"]
            ),
            "From noise to image: above the latents, below the estimate of x₀": _strip(
                walk, along["t"].to_list(), ["latents", "estimate"]
            ),
            "What is seen in the estimate": lines(
                along, "step", "cosine of the estimate", band=("low (95 %)", "high (95 %)")
            ),
        },
    )


def _strip(pairs: list[list[Image.Image]], t: list[int], names: list[str]) -> Figure:
    """Two rows of images, at most eight of all steps, the last among them."""
    places = np.unique(np.linspace(0, len(pairs) - 1, SHOWN).round().astype(int))
    images = [pairs[i][row] for row in (0, 1) for i in places]
    labels = [""] * len(places) + [f"t = {t[i]}" for i in places]
    return strip(images, labels, columns=len(places), names=names)


def _finding(restored: "pd.DataFrame", along: "pd.DataFrame") -> str:
    first, middle = along.iloc[0], restored.iloc[len(restored) // 2]
    half = along.iloc[(len(along) - 1) // 2]
    return (
        f"After the first of {len(along)} steps the estimate has a mean cosine of "
        f"{first['cosine of the estimate']:.2f} with its point, after {half['step']:.0f} of "
        f"{half['cosine of the estimate']:.2f}, at the end of "
        f"{along['cosine of the estimate'].iloc[-1]:.2f}. Where noise is {middle['noise']:.2f} of "
        f"unit, a corrupted image has {middle['cosine, corrupted']:.2f}, a restored one "
        f"{middle['cosine, restored']:.2f}."
    )

"""Edits: from an image, words or points to a Rendering, in one call.

    edit = edits.text_diff(load("pocket"), "apple.png", before="red apple", after="green apple")
    edit.save("apple.mp4")

Each takes a Model and what a person has at hand: an image or its file, words, a Query, or Points.
A string is a file if there is one of that name, else words; a `Query` leaves no doubt.
"""

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike

import numpy as np

from explorer import geometry
from explorer.edits.keyframes import (
    Anything,
    Box,
    grey_mask,
    image_of,
    inverted_noise,
    keyframes_of,
    noise_of,
    target_of,
)
from explorer.edits.making import rendering_of, seeded
from explorer.edits.replaying import from_recipe, replay
from explorer.edits.swapping import goes_through_prior, towards_prior, towards_text
from explorer.edits.turning import turn, turned
from explorer.errors import QueryError
from explorer.masks import Mask
from explorer.models import Model
from explorer.models.shared.patch_decoder import fit
from explorer.noise import Noise
from explorer.path import even_times
from explorer.points import Points
from explorer.recipe import storable
from explorer.rendering import Rendering, decoder_of
from explorer.settings import Settings

__all__ = [
    "Anything",
    "Box",
    "decode",
    "evened",
    "from_recipe",
    "inpaint",
    "interpolate",
    "redraw",
    "replay",
    "text_diff",
    "turn",
    "turned",
    "variations",
]

DEFAULT = Settings()
VARIATIONS = Settings(eta=0.7)
REDRAWING = Settings(strength=0.6)


def decode(
    model: Model,
    what: Anything,
    *,
    count: int = 1,
    noise: Noise | None = None,
    settings: Settings = DEFAULT,
) -> Rendering:
    """Decode points into images.

    Args:
        what: an image, words (carried over by the prior), an algebra of both, or points.
        count: how many images of each point, with the seeds settings.seed, + 1, …
        noise: x_T, one row for all or one a point, as `Decoder.invert` returns it; see also
            settings.noise: "inverted" starts from the x_T of the image itself.

    Raises:
        UnknownModel: the model has no decoder.
        SideMismatch: words came, and the model has no prior.
        QueryError, ImageError: the input cannot be read.

    Source: Ramesh et al. 2022, section 2.
    """
    keyframes = keyframes_of(model, what, settings)
    if noise is None and settings.noise == "inverted":
        noise = inverted_noise(model, keyframes, settings)
        if noise is None:
            raise QueryError('noise="inverted" needs an image; words and points have no x_T.')
    noise = None if noise is None else storable(noise)
    rows = np.repeat(np.arange(len(keyframes)), count)
    points = Points.concat([keyframes[i].point for i in rows])
    if noise is not None and len(noise) > 1:
        noise = noise[rows]
    settings = seeded(settings, count, len(keyframes))
    title = ", ".join(dict.fromkeys(points.labels))
    return rendering_of(
        model, points, noise, settings, way="points", count=len(points), title=title
    )


def variations(
    model: Model, what: Anything, *, count: int = 8, settings: Settings = VARIATIONS
) -> Rendering:
    """Vary an image: its own point and its own x_T, with η above 0; each has another seed.

    Words and points, which have no x_T, start from the seeds.

    Args:
        settings: `eta` says how far from the image, from 0 to 1.

    Source: Ramesh et al. 2022, section 3.1.
    """
    keyframes = keyframes_of(model, what, settings)
    images = all(each.image is not None for each in keyframes)
    if settings.noise is None and images and settings.eta > 0:
        settings = replace(settings, noise="inverted")
    return decode(model, what, count=count, settings=settings)


def text_diff(
    model: Model,
    start: Anything,
    *,
    after: str,
    before: str | None = None,
    fraction: float | None = None,
    through_prior: bool | None = None,
    frames: int = 24,
    fps: float = 12.0,
    settings: Settings = DEFAULT,
) -> Rendering:
    """Change an image by words: turn its point towards the difference of two captions.

    Or, as pocket unless asked otherwise, go to where the prior places images of the target.
    Starts from the image's own x_T, so that the first frame is the image itself.

    Args:
        after: the target caption.
        before: the caption of what it is now; None rotates towards `after` alone.
        fraction: how far, as a part of the angle to the text diff (None: 0.5), or of the way
            through the prior (None: 1).
        through_prior: go to where the prior places images of `after`; see `swapping.swapped`.
            None does it if `before` is given and the model's `through_prior` says so.
        settings: noise="seed" starts from the seed even where an image is given.

    Source: Ramesh et al. 2022, section 3.3.
    """
    (begin,) = keyframes_of(model, start, settings, exactly=1)
    through = goes_through_prior(model, before, through_prior)
    aim = towards_prior if through else towards_text
    points, ends, how = aim(model, begin.point, (before, after), fraction)
    title = f"{begin.point.labels[0]}: {before or ''} → {after}"
    timing = {"count": frames, "fps": float(fps), "ends": ends, "title": title}
    noise = noise_of(model, [begin], settings)
    return rendering_of(model, points, noise, settings, **how, **timing)


def interpolate(
    model: Model,
    keyframes: Sequence[Anything] | Points,
    *,
    frames: int = 48,
    fps: float = 24.0,
    even: bool = False,
    settings: Settings = DEFAULT,
) -> Rendering:
    """Interpolate through images, words or points along great circles.

    Between images their x_T are interpolated too, so that the ends are the images themselves.

    Args:
        keyframes: two or more.
        even: re-time the frames to constant visual speed, which decodes a draft first.
        settings: noise="seed" takes one x_T for all frames.

    Raises:
        QueryError: fewer than two keyframes, or two in a row are antipodal.

    Source: Ramesh et al. 2022, section 3.2.
    """
    read = [each for what in keyframes for each in keyframes_of(model, what, settings)]
    if len(read) < 2:
        raise QueryError(f"An interpolation needs two keyframes or more, not {len(read)}.")
    points = Points.concat([each.point for each in read])
    rendering = rendering_of(
        model,
        points,
        noise_of(model, read, settings),
        settings,
        way="through",
        count=frames,
        fps=float(fps),
        ends=points[[0, len(points) - 1]],
        title=" → ".join(points.labels),
    )
    return evened(rendering) if even else rendering


def evened(rendering: Rendering) -> Rendering:
    """Re-time the frames of a path so that each differs as much from the last; decodes them all.

    The difference is the angle between what the encoder sees in two frames.
    """
    seen = rendering.embed()
    times = even_times(geometry.angle(seen[:-1], seen[1:]), len(rendering))
    return Rendering(rendering.model, replace(rendering.recipe, times=tuple(times.tolist())))


def inpaint(
    model: Model,
    image: Anything,
    mask: Mask | str | PathLike[str] | Box,
    *,
    text: Anything | None = None,
    count: int = 1,
    settings: Settings = DEFAULT,
) -> Rendering:
    """Replace a part of an image; the rest stays as it is.

    The image and its mask are cut and scaled to the decoder's own size.

    Args:
        mask: an image, its file or an array of the image's size, white where it is replaced; or a
            box (left, top, width, height) in pixels.
        text: what the whole is to show; None: what it shows now. Words go through the prior, or
            rotate the image's own point half-way to them where the model has none.

    Raises:
        QueryError: the mask is not of the image's size, or is all black.

    Source: Ramesh et al. 2022, figure 1; Lugmayr et al. 2022 (RePaint).
    """
    begin, pixels = image_of(model, image, settings)
    grey, size = grey_mask(mask, pixels), decoder_of(model).image_size
    point = target_of(model, begin, text, settings)
    return rendering_of(
        model,
        point[[0] * count],
        None,
        seeded(settings, count, 1),
        way="points",
        count=count,
        image=fit(pixels, size),
        mask=fit(grey, size),
        title=f"{begin.point.labels[0]}: {point.labels[0] if text else 'as it was'}",
    )


def redraw(
    model: Model,
    image: Anything,
    *,
    text: Anything | None = None,
    count: int = 1,
    settings: Settings = REDRAWING,
) -> Rendering:
    """Decode an image again from part of the way, keeping its large forms (img2img).

    Args:
        text: what it is to show, as for `inpaint`.
        settings: `strength` says how much is redrawn, from 0 to 1.

    Source: Meng et al. 2022 (SDEdit).
    """
    begin, pixels = image_of(model, image, settings)
    point = target_of(model, begin, text, settings)
    return rendering_of(
        model,
        point[[0] * count],
        None,
        seeded(settings, count, 1),
        way="points",
        count=count,
        image=fit(pixels, decoder_of(model).image_size),
        title=f"{begin.point.labels[0]}: {point.labels[0]}",
    )

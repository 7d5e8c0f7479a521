"""What a person hands to an edit, read as keyframes: points, the images they came from, masks."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path as FilePath

from PIL import Image

from explorer import geometry
from explorer.errors import ImageError, QueryError
from explorer.images import open_image
from explorer.masks import Mask, as_grey
from explorer.models import Model
from explorer.models.shared.blindness import note_unlike, off_ground
from explorer.noise import Noise
from explorer.path import Path
from explorer.places import no_such_file
from explorer.points import Points
from explorer.query import Query
from explorer.recipe import storable
from explorer.rendering import decoder_of
from explorer.settings import Settings

Anything = str | PathLike[str] | Image.Image | Query | Points
"""An image, its file, words, a query, or points."""

Box = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""


@dataclass(frozen=True, eq=False)
class Keyframe:
    """An image-side point, and the image that it came from, if it came from exactly one."""

    point: Points
    image: Image.Image | None = None


def keyframes_of(
    model: Model, what: Anything, settings: Settings, exactly: int | None = None
) -> list[Keyframe]:
    """Read what a person gave, as one keyframe or, of points, one a point."""
    if isinstance(what, Points):
        found = [Keyframe(point) for point in what]
    elif isinstance(what, Image.Image):
        found = [_of_image(model, what, "image")]
    elif isinstance(what, PathLike):
        if not os.path.exists(what):
            raise ImageError(no_such_file(os.fspath(what)))
        found = [_of_image(model, open_image(what), os.path.basename(os.fspath(what)))]
    else:
        query = what if isinstance(what, Query) else Query.parse(what)
        seed = settings.seed if isinstance(settings.seed, int) else settings.seed[0]
        point = query.decodable(model.encoder, model.prior, seed)
        first, *others = query.terms
        if first.is_image and not others:
            label = os.path.basename(first.name or first.text)
            found = [Keyframe(point.with_labels([label]), open_image(first.text))]
        else:
            found = [Keyframe(point.with_labels([str(query)]))]
    if exactly is not None and len(found) != exactly:
        raise QueryError(f"This edit takes {exactly} point, not {len(found)}. Choose one.")
    if images := [each for each in found if each.image is not None]:
        strange = [off_ground(each.image) for each in images if each.image is not None]
        on_white = model.support is not None and model.support.on_white
        share = sum(strange) / len(strange) if on_white else 0.0
        note_unlike(model.support, Points.concat([each.point for each in images]), strange=share)
    return found


def _of_image(model: Model, image: Image.Image, label: str) -> Keyframe:
    return Keyframe(model.encoder.encode_images([image]).with_labels([label]), image)


def image_of(model: Model, image: Anything, settings: Settings) -> tuple[Keyframe, Image.Image]:
    """Read exactly one image; a string is a file here, whatever it looks like."""
    file = FilePath(image).expanduser() if isinstance(image, str) else image
    (begin,) = keyframes_of(model, file, settings, exactly=1)
    if begin.image is None:
        raise QueryError("This edit starts from an image: give one, or its file.")
    return begin, begin.image


def target_of(model: Model, begin: Keyframe, text: Anything | None, settings: Settings) -> Points:
    """Return the point to show: of the text, or of the image, rotated half-way without a prior."""
    if text is None:
        return begin.point
    query = Query.parse(text) if isinstance(text, str) else text
    only_words = isinstance(query, Query) and not any(term.is_image for term in query.terms)
    if isinstance(query, Query) and only_words and model.prior is None:
        words = geometry.text_diff(None, query.points(model.encoder))
        return Path.rotate(begin.point, words, fraction=0.5).at(1).with_labels([str(query)])
    (target,) = keyframes_of(model, query, settings, exactly=1)
    return target.point


def grey_mask(mask: Mask | str | PathLike[str] | Box, image: Image.Image) -> Image.Image:
    """Return a mask, its file or a box as a grey image of the image's size.

    Raises:
        QueryError: it is of another size, or all black.
    """
    if isinstance(mask, str | PathLike):
        return as_grey(open_image(mask), image)
    if isinstance(mask, tuple):
        left, top, width, height = mask
        box = Image.new("L", image.size)
        box.paste(255, (left, top, left + width, top + height))
        return as_grey(box, image)
    return as_grey(mask, image)


def noise_of(model: Model, keyframes: Sequence[Keyframe], settings: Settings) -> Noise | None:
    """Return what `inverted_noise` finds, unless the seed's noise was asked for."""
    noise = None if settings.noise == "seed" else inverted_noise(model, keyframes, settings)
    return None if noise is None else storable(noise)


def inverted_noise(model: Model, keyframes: Sequence[Keyframe], settings: Settings) -> Noise | None:
    """Return the x_T of every keyframe's own image; None if one has no image."""
    images = [each.image for each in keyframes if each.image is not None]
    if len(images) != len(keyframes):
        return None
    points, decoder = Points.concat([each.point for each in keyframes]), decoder_of(model)
    steps = decoder.resolve(settings, inverted=True).steps
    return decoder.invert(images, points, replace(settings, steps=steps))

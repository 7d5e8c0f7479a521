"""Plans: from what was asked for to a Recipe.

Every command that decodes makes a Recipe first and then does what `replay` does with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from PIL import Image

from explorer.decoder import Decoder
from explorer.errors import UnknownModel
from explorer.geometry import angle, text_diff
from explorer.images import open_image
from explorer.models import Model
from explorer.models.shared.patch_decoder import fit
from explorer.noise import Noise
from explorer.path import Path, even_times
from explorer.points import Points
from explorer.query import Query
from explorer.recipe import Recipe, storable

FINE = 3  # times the default steps where noise is inverted


@dataclass(frozen=True, eq=False)
class Stop:
    """An image-side point, and the image that it came from, if it came from just one."""

    point: Points
    image: Image.Image | None

    @classmethod
    def read(cls, model: Model, query: str | Sequence[str], seed: int) -> "Stop":
        """Read an image, words (through the prior) or an algebra of both."""
        parsed = Query.parse(query)
        point = parsed.decodable(model.encoder, model.prior, seed)
        alone = len(parsed.terms) == 1 and parsed.terms[0].is_image
        image = open_image(parsed.terms[0].text) if alone else None
        return cls(point.with_labels([str(parsed)]), image)

    @classmethod
    def of_image(cls, model: Model, file: FilePath) -> "Stop":
        """Read an image, whatever its name looks like."""
        image = open_image(file)
        point = model.encoder.encode_images([image])
        return cls(point.with_labels([file.name]), image)


def decoder_of(model: Model) -> Decoder:
    """The model's decoder.

    Raises:
        UnknownModel: it has none.
    """
    if model.decoder is None:
        raise UnknownModel(
            f"{model.name} has no decoder. Use a model with one, as --model pocket, or give one "
            "that was trained for it: --decoder FOLDER (see `unclip train decoder`)."
        )
    return model.decoder


def plan_diff(
    model: Model,
    start: Stop,
    before: str | None,
    after: str,
    *,
    fraction: float = 0.5,
    inverted: bool = True,
    **given: Any,
) -> tuple[Recipe, tuple[Points, Points]]:
    """A text diff of one stop, and the two ends that its frames are compared with."""
    texts = model.encoder.encode_text([before or "", after])
    direction = text_diff(texts[0] if before else None, texts[1])
    noise = noise_of(model, [start], **given) if inverted else None
    recipe = plan(
        model,
        Points.concat([start.point, direction.as_image()]),
        noise,
        way="rotate",
        radians=fraction * float(angle(start.point, direction)[0]),
        title=f"{start.point.labels[0]}: {before or ''} → {after}",
        **given,
    )
    return recipe, (texts[0] if before else start.point, texts[1])


def plan_walk(
    model: Model, stops: Sequence[Stop], *, inverted: bool = True, **given: Any
) -> Recipe:
    """An interpolation through the stops."""
    noise = noise_of(model, stops, **given) if inverted else None
    points = Points.concat([stop.point for stop in stops])
    return plan(model, points, noise, way="through", title=" → ".join(points.labels), **given)


def evened(recipe: Recipe, seen: Points) -> Recipe:
    """The same walk, timed so that each frame differs as much from the last.

    Args:
        seen: what the encoder sees in the frames that the recipe gives as it is.
    """
    times = even_times(angle(seen[:-1], seen[1:]), recipe.count)
    return replace(recipe, times=tuple(times.tolist()))


def plan_images(
    model: Model,
    stops: Sequence[Stop],
    n: int,
    *,
    eta: float,
    seed: int,
    noise: Noise | None = None,
    **given: Any,
) -> Recipe:
    """So many images of each stop: other seeds, or with η variations of its own image."""
    if noise is None and eta > 0:
        noise = noise_of(model, stops, **given)
    each = [i for i in range(len(stops)) for _ in range(n)]
    points = Points.concat([stops[i].point for i in each])
    if noise is not None and len(noise) > 1:
        noise = noise[each]
    seeds = seeds_of(seed, n) * (len(stops) if n > 1 else 1)
    count = len(points)
    return plan(model, points, noise, way="points", count=count, eta=eta, seeds=seeds, **given)


def plan_painted(
    model: Model, image: Image.Image, point: Points, n: int, *, seed: int, **given: Any
) -> Recipe:
    """So many images that start from one: redrawn to a `strength`, or painted where a `mask` is.

    The image and its mask are cut and scaled to the decoder's own size.
    """
    size = decoder_of(model).image_size
    mask = fit(given.pop("mask"), size) if "mask" in given else None
    given |= {"image": fit(image, size), "mask": mask}
    return plan(
        model, point[[0] * n], None, way="points", count=n, seeds=seeds_of(seed, n), **given
    )


def point_to_paint(model: Model, stop: Stop, text: str | None, seed: int) -> Points:
    """What shall be seen: the words, or the image turned half-way to them, or the image.

    Words alone need a prior; without one, they turn the image's own point (a text diff).
    """
    if text is None:
        return stop.point
    if model.prior is not None:
        return Stop.read(model, text, seed).point
    words = text_diff(None, model.encoder.encode_text([text]))
    return Path.rotate(stop.point, words, fraction=0.5).at(1).with_labels([text])


def seeds_of(seed: int, n: int) -> tuple[int, ...]:
    """One seed for each of n images."""
    return tuple(seed + i for i in range(n))


def noise_of(model: Model, stops: Sequence[Stop], **given: Any) -> Noise | None:
    """x_T of every stop's own image; None unless all have one."""
    images = [stop.image for stop in stops if stop.image is not None]
    if len(images) != len(stops):
        return None
    points = Points.concat([stop.point for stop in stops])
    decoder = decoder_of(model)
    steps = given.get("steps") or _steps(decoder, inverted=True, preview=given.get("preview"))
    return storable(decoder.invert(images, points, steps=steps))


def plan(
    model: Model, points: Points, noise: Noise | None, *, preview: bool = False, **given: Any
) -> Recipe:
    """A Recipe with this model's decoder, and its defaults for what is not given or None."""
    decoder = decoder_of(model)
    follow = noise is not None  # inverted noise reconstructs only without guidance, by DDIM
    fast = decoder.preview_solver if preview else decoder.solver
    defaults = {
        "steps": _steps(decoder, inverted=follow, preview=preview),
        "guidance": 1.0 if follow else decoder.guidance,
        "eta": 0.0,
        "solver": "ddim" if follow or given.get("eta") else fast,
    }
    settings = defaults | {name: value for name, value in given.items() if value is not None}
    return Recipe(
        model=model.name,
        decoder=decoder.fingerprint,
        decoder_from=model.decoder_from,
        options=dict(decoder.options),
        stops=points,
        noise=noise,
        **settings,
    )


def _steps(decoder: Decoder, *, inverted: bool, preview: bool | None) -> int:
    if preview:
        return min(decoder.preview_steps, decoder.steps)
    return FINE * decoder.steps if inverted else decoder.steps

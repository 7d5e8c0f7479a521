"""A Rendering from points, x_T and settings; what all edits end with."""

from dataclasses import replace
from typing import Any

from explorer.models import Model
from explorer.noise import Noise
from explorer.points import Points
from explorer.recipe import Recipe
from explorer.rendering import Rendering, decoder_of
from explorer.settings import Settings


def seeded(settings: Settings, count: int, points: int) -> Settings:
    """One seed a row: `count` seeds from the first one on, the same for every point."""
    if count == 1 or not isinstance(settings.seed, int):
        return settings
    return replace(settings, seed=tuple(settings.seed + i for i in range(count)) * points)


def rendering_of(
    model: Model, points: Points, noise: Noise | None, settings: Settings, **rest: Any
) -> Rendering:
    """Return the rendering of points: all that is not given is the decoder's own."""
    decoder = decoder_of(model)
    options = {**decoder.options, **settings.options}
    settings = replace(decoder.resolve(settings, inverted=noise is not None), options=options)
    recipe = Recipe(
        model=model.name,
        decoder=decoder.with_options(**options).fingerprint,
        decoder_from=model.decoder_from,
        keyframes=points,
        settings=settings,
        noise=noise,
        **rest,
    )
    return Rendering(model, recipe)

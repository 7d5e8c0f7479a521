"""Features of an image turned up or down, step by step."""

from collections.abc import Mapping
from dataclasses import replace

from explorer.edits.keyframes import Anything, keyframes_of, noise_of
from explorer.edits.making import rendering_of
from explorer.features import Features
from explorer.models import Model
from explorer.points import Points
from explorer.rendering import Rendering
from explorer.settings import Settings

DEFAULT = Settings()


def turn(
    model: Model,
    start: Anything,
    features: Features,
    turns: Mapping[int | str, float],
    *,
    frames: int = 24,
    fps: float = 12.0,
    settings: Settings = DEFAULT,
) -> Rendering:
    """Turn features of an image up or down, step by step; see `Features.edit`.

    Starts from the image's own x_T, so that the first frame is the image itself.

    Args:
        turns: number or name of a feature -> how far in the end; 1 is what is usual of it, and
            2 to 4 shows most.

    Raises:
        QueryError: there is no such feature.
        SpaceMismatch: the features are of another space.
    """
    (begin,) = keyframes_of(model, start, settings, exactly=1)
    still = Points.concat([begin.point, begin.point])
    whole = rendering_of(
        model,
        still,
        noise_of(model, [begin], settings),
        settings,
        way="through",
        count=frames,
        fps=float(fps),
        ends=still,
    )
    return turned(whole, features, turns)


def turned(rendering: Rendering, features: Features, turns: Mapping[int | str, float]) -> Rendering:
    """Return the rendering of other turns of the same image, which is not inverted again.

    Args:
        rendering: of `turn`.

    Raises:
        QueryError, SpaceMismatch: as in `turn`.
    """
    recipe = rendering.recipe
    begin = recipe.keyframes[:1]
    ends = Points.concat([begin, features.edit(begin, turns)])
    said = ", ".join(f"{name} {amount:+g}" for name, amount in turns.items())
    title = f"{begin.labels[0]}: {said}"
    return Rendering(rendering.model, replace(recipe, keyframes=ends, ends=ends, title=title))

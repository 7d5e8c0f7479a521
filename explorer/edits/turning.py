"""Features of an image turned up or down, step by step."""

from collections.abc import Mapping

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
    ends = Points.concat([begin.point, features.edit(begin.point, turns)])
    said = ", ".join(f"{name} {amount:+g}" for name, amount in turns.items())
    return rendering_of(
        model,
        ends,
        noise_of(model, [begin], settings),
        settings,
        way="through",
        count=frames,
        fps=float(fps),
        ends=ends,
        title=f"{begin.point.labels[0]}: {said}",
    )

"""Decoding and placing by actors: each has the networks, or the map, and takes part after part."""

import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from explorer import sampler
from explorer.decoder.task import Task
from explorer.errors import UnknownModel, WeightsMissing
from explorer.models import Model, load
from explorer.points import Points
from explorer.projection import Projection
from explorer.scale.pool import Pool, answer, in_order
from explorer.scale.ray_session import session
from explorer.scale.telling import told

PLACED_AT_ONCE = 16_384  # points


@dataclass(frozen=True)
class DecoderPlan:
    """Which decoder an actor loads.

    Args:
        decoder_from: as of a `Model`; "" is the model's own decoder.
        fingerprint: that the decoder must have.
        weights: "int8" or "fp8" where the networks lie in 8 bits, which changes frames; else "".
    """

    model: str
    decoder_from: str
    fingerprint: str
    weights: str
    device: str
    memory: str | int | None

    @classmethod
    def of(cls, model: Model, device: str, memory: str | int | None) -> "DecoderPlan":
        """Return the plan for the decoder of a model; it must have one."""
        decoder = model.decoder
        assert decoder is not None
        weights = "" if decoder.on is None else decoder.on.weights
        named = (model.name, model.decoder_from, decoder.fingerprint, weights)
        return cls(*named, device, memory)


class DecodingActor:
    """Takes a pickled `Task` of one batch, gives its images as arrays."""

    def __init__(self, plan: DecoderPlan) -> None:
        self.plan = plan
        self.decoder: Any = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Decode one batch."""
        return {"made": told(lambda: self._decode(pickle.loads(row["task"])))}

    def _decode(self, task: Task) -> list[np.ndarray]:
        plan = self.plan
        if self.decoder is None:
            how: dict[str, Any] = {"memory": plan.memory, "weights": plan.weights}
            other = plan.decoder_from or None
            model = load(plan.model, device=plan.device, decoder=other, **how)
            if model.decoder is None or model.decoder.fingerprint != plan.fingerprint:
                raise WeightsMissing(
                    f"An actor loads other weights for the decoder of {plan.model} than this "
                    "process has: put the same ones on all machines, and name another decoder by "
                    "its folder, load(…, decoder=FOLDER)."
                )
            self.decoder = model.decoder
        decoder = self.decoder.with_options(**task.settings.options)
        if task.masks:
            decoder = decoder.painter()
        return [np.asarray(image) for image in decoder.decode_task(task)]


class PlacingActor:
    """Takes points, or unit vectors, gives their coordinates on a map."""

    def __init__(self, place: Callable[[Any], np.ndarray]) -> None:
        self.place = place

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Place one part."""
        return {"made": told(lambda: self.place(pickle.loads(row["part"])))}


def decoding(engine: Pool, model: Model) -> Model:
    """Return a model whose decoder decodes by actors; frames are those of the model itself.

    All that decodes takes it: edits, paths, in-painting. Batches are the same as without, so frames
    are equal on equal machines, and within 1 of 255 otherwise. A family that paints with other
    networks than it decodes with does that here.

    Args:
        model: loaded by its name; its decoder must be loadable on every machine.

    Raises:
        UnknownModel: the model has no decoder.
    """
    if model.decoder is None:
        raise UnknownModel(f"The model {model.name} has no decoder. Use another model.")
    here = model.decoder

    def elsewhere(task: Task) -> Iterator[Image.Image]:
        batches = sampler.batches(len(task.points), here.batch_size)
        rows = [{"task": pickle.dumps(task[batch])} for batch in batches]
        with session(engine.address) as ray:
            actors, options = engine.resources(ray, len(rows))
            device = "auto" if options["num_gpus"] else "cpu"
            plan = DecoderPlan.of(model, device, engine.memory)
            with closing(in_order(rows, DecodingActor, plan, actors, options)) as results:
                for row in results:
                    yield from map(Image.fromarray, answer(row["made"]))

    changed = here.with_options()
    changed.elsewhere = elsewhere
    return replace(model, decoder=changed)


def place(engine: Pool, projection: Projection, points: Points) -> Float[np.ndarray, "N 2"]:
    """Compute coordinates of points on a fitted map, part by part, by actors.

    Returns:
        What `projection.transform(points)` does.

    Raises:
        SpaceMismatch: the points are of another space than the map.
    """
    projection.points.space.check(points.space)
    parts = range(0, len(points), PLACED_AT_ONCE)
    bare = Projection(projection.points, projection.xy, projection.parameters)
    placed = placing(engine, bare.transform, (points[p : p + PLACED_AT_ONCE] for p in parts))
    return np.concatenate(list(placed))


def placing(
    engine: Pool, place: Callable[[Any], np.ndarray], parts: Iterable[Any]
) -> Iterator[Float[np.ndarray, "M 2"]]:
    """Have actors place parts of points, and yield the coordinates in their order.

    Args:
        place: gives the coordinates of one part; it is pickled.
    """
    rows = [{"part": pickle.dumps(part)} for part in parts]
    with session(engine.address) as ray:
        actors, options = engine.resources(ray, len(rows))
        with closing(in_order(rows, PlacingActor, place, actors, options)) as results:
            yield from (answer(row["made"]) for row in results)

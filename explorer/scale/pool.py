"""Pools of actors: how many fit, and what they give, in order."""

import logging
import pickle
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from explorer.errors import ExplorerError, QueryError
from explorer.scale.ray_session import check_installed


@dataclass(frozen=True)
class Pool:
    """Where actors run, and what each of them takes; see `RayEngine`."""

    address: str | None = None
    actors: int | None = None
    cpus: float = 1
    gpus: float | None = None
    memory: str | int | None = None

    def __post_init__(self) -> None:
        check_installed()
        for name, least in (("actors", 1), ("batch_size", 1), ("cpus", 0.01), ("gpus", 0)):
            value = getattr(self, name, None)
            if value is not None and not least <= value < float("inf"):
                raise QueryError(f"{name} is {value}, but must be at least {least}.")

    def resources(self, ray: Any, most: int) -> tuple[int, dict[str, Any]]:
        """Return how many actors there are, at most `most`, and what each of them takes.

        Raises:
            QueryError: the cluster has not enough for one.
        """
        has = ray.cluster_resources()
        gpus = self.gpus if self.gpus is not None else float(has.get("GPU", 0) >= 1)
        each = {"CPU": self.cpus, "GPU": gpus}
        fitting = min(int(has.get(kind, 0) / amount) for kind, amount in each.items() if amount)
        if not fitting:
            raise QueryError(
                f"An actor takes {self.cpus:g} cores and {gpus:g} GPUs; the cluster has "
                f"{has.get('CPU', 0):g} and {has.get('GPU', 0):g}. Ask for less: cpus, gpus."
            )
        return min(self.actors or fitting, fitting, most), {"num_cpus": self.cpus, "num_gpus": gpus}


def in_order(
    rows: Sequence[dict[str, Any]],
    actor: Callable[..., Any],
    told: Any,
    actors: int,
    options: dict[str, Any],
) -> Generator[dict[str, Any]]:
    """Pass rows through a pool of actors; yield what each gives, in the order of the rows.

    What a lost worker had is given to another.

    Args:
        actor: a class; it is built with `told`, and called with one row.
    """
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    data = ray.data.from_items(list(rows), override_num_blocks=len(rows)).map(
        actor,
        fn_constructor_args=(told,),
        compute=ray.data.ActorPoolStrategy(size=actors),
        **options,
    )
    batches: Iterator[Any] = iter(
        data.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    )
    for batch in batches:
        yield from batch.to_pylist()


def answer(pickled: bytes) -> Any:
    """Return what an actor gave.

    Raises:
        ExplorerError: that is what it gave.
    """
    given = pickle.loads(pickled)
    if isinstance(given, ExplorerError):
        raise given
    return given

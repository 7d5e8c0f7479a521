"""RayEngine: the work of one machine over the cores, GPUs and machines of a Ray cluster."""

import logging
import pickle
import shutil
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from explorer.errors import ExplorerError, QueryError
from explorer.library.staging import Staged, Work
from explorer.scale.embedding import Plan, StagingActor
from explorer.scale.ray_session import check_installed, session

BLOCK_ROWS = 16, 4096  # of a block: fewer cost more files, more are lost with a worker
BLOCKS_OF_EACH = 8  # that an actor has in a small run, so that all end at about the same time
MOST_BLOCKS = 4096  # of one run: a manifest names the segment of each
SOURCES_CHECKED = 100


@dataclass(frozen=True)
class RayEngine:
    """Embed images on the cores, GPUs and machines of a Ray cluster: `add(…, engine=RayEngine())`.

    The library is the same as without it: actors write segments, which count once this process, in
    order, commits them. All machines need this package, the weights of the model, and the folders
    of the library and of the images under the same names.

    Args:
        address: of a cluster, "auto" on one of its machines; None starts Ray here, on all cores.
        actors: that work at once; None is as many as the cluster has GPUs, or else cores, for.
        cpus: cores of each actor; with more than one, images are read by as many processes.
        gpus: of each actor; 0.25 puts four on one GPU, 0 computes on the CPU, None takes a whole
            GPU where the cluster has any.
        batch_size: images that are embedded at once; None is found by probing.
        memory: that the networks of an actor may take, as for `load`.

    Raises:
        QueryError: a number is too small.
        ExplorerError: Ray is not installed.
    """

    address: str | None = None
    actors: int | None = None
    cpus: float = 1
    gpus: float | None = None
    batch_size: int | None = None
    memory: str | int | None = None

    def __post_init__(self) -> None:
        check_installed()
        for name, least in (("actors", 1), ("batch_size", 1), ("cpus", 0.01), ("gpus", 0)):
            value = getattr(self, name)
            if value is not None and not least <= value < float("inf"):
                raise QueryError(f"{name} is {value}, but must be at least {least}.")

    def block_rows(self, total: int) -> int:
        """Return how many of `total` images are embedded and kept together."""
        least, most = BLOCK_ROWS
        shared = -(-total // (BLOCKS_OF_EACH * (self.actors or 8)))
        return max(min(max(shared, least), most), -(-total // MOST_BLOCKS))

    def run(self, work: Work) -> Generator[Staged]:
        """Have actors stage the blocks of a library; yield them in order.

        Raises:
            ExplorerError: an actor cannot load the model, or cannot write; or too few are there.
        """
        attempts = work.folder / "cache" / f"attempts-{uuid.uuid4().hex}"
        items = (item for block in work.waiting for item in block.items)
        sources = tuple(dict.fromkeys(i.source for i in items if "://" not in i.source))
        try:
            with session(self.address) as ray:
                actors, options = self.resources(ray, len(work.waiting))
                plan = Plan(
                    *(work.folder, work.version, sources[:SOURCES_CHECKED], attempts),
                    *(work.model, work.space, work.dtype),
                    *("auto" if options["num_gpus"] else "cpu", self.memory),
                    *(work.encoder, work.max_megapixels, self.batch_size),
                    readers=int(self.cpus) if self.cpus > 1 else 0,
                )
                rows = [{"block": pickle.dumps(block)} for block in work.waiting]
                with closing(in_order(rows, StagingActor, plan, actors, options)) as results:
                    for row in results:
                        yield answer(row["staged"])
        finally:
            with suppress(OSError):
                shutil.rmtree(attempts)

    def resources(self, ray: Any, most: int) -> tuple[int, dict[str, float]]:
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
    options: dict[str, float],
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
        actor,  # type: ignore[arg-type]
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

"""RayEngine: the work of one machine over the cores, GPUs and machines of a Ray cluster."""

import pickle
import shutil
import uuid
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from explorer.library.staging import Staged, Work
from explorer.scale.embedding import Plan, StagingActor
from explorer.scale.pool import Pool, answer, in_order
from explorer.scale.ray_session import session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from jaxtyping import Float

    from explorer.models import Model
    from explorer.points import Points
    from explorer.projection import Projection
    from explorer.projection.fitting import Placer

BLOCK_ROWS = 16, 4096  # of a block: fewer cost more files, more are lost with a worker
BLOCKS_OF_EACH = 8  # that an actor has in a small run, so that all end at about the same time
MOST_BLOCKS = 4096  # of one run: a manifest names the segment of each
SOURCES_CHECKED = 100


@dataclass(frozen=True)
class RayEngine(Pool):
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
        memory: that the networks of an actor may take, as for `load`.
        batch_size: images that are embedded at once; None is found by probing.

    Raises:
        QueryError: a number is too small.
        ExplorerError: Ray is not installed.
    """

    batch_size: int | None = None

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
                    replace(work, waiting=()),
                    sources[:SOURCES_CHECKED],
                    attempts,
                    device="auto" if options["num_gpus"] else "cpu",
                    memory=self.memory,
                    batch_size=self.batch_size,
                    readers=int(self.cpus) if self.cpus > 1 else 0,
                )
                rows = [{"block": pickle.dumps(block)} for block in work.waiting]
                with closing(in_order(rows, StagingActor, plan, actors, options)) as results:
                    for row in results:
                        yield answer(row["staged"])
        finally:
            with suppress(OSError):
                shutil.rmtree(attempts)

    def decoding(self, model: "Model") -> "Model":
        """Return a model whose decoder decodes by actors; see `explorer.scale.decoding`.

        Raises:
            UnknownModel: the model has no decoder.
        """
        from explorer.scale.decoding import decoding

        return decoding(self, model)

    def placing(
        self, placer: "Placer", parts: "Iterable[np.ndarray]"
    ) -> "Iterator[Float[np.ndarray, 'M 2']]":
        """Place what a map is not fitted to by actors: `Projection.fit(…, placing=engine.placing)`.

        Yields:
            The coordinates of each part, in order: those that `map(placer, parts)` gives.
        """
        from explorer.scale.decoding import placing

        return placing(self, placer, parts)

    def place(self, projection: "Projection", points: "Points") -> "Float[np.ndarray, 'N 2']":
        """Compute coordinates of points on a fitted map by actors, as `Projection.transform` does.

        Raises:
            SpaceMismatch: the points are of another space than the map.
        """
        from explorer.scale.decoding import place

        return place(self, projection, points)

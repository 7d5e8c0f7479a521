"""What an actor does: it loads the model once, and stages one block of images after another."""

import os
import pickle
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from explorer.encoder import Encoder
from explorer.errors import ExplorerError, LibraryError
from explorer.files import make_folder
from explorer.library.manifest import versions
from explorer.library.staging import Block, Work, stage
from explorer.scale.probing import probe_batch_size
from explorer.scale.telling import as_ours, told


@dataclass(frozen=True)
class Plan:
    """What every actor is told; it is sent as it is.

    Args:
        work: without its blocks. A machine must see its library, at this version or a later one.
        sources: that must be there too.
        attempts: a folder where each block that is begun leaves its number.
        batch_size: None is found by probing.
        readers: processes that read images beside each actor; 0 reads in the actor itself.
    """

    work: Work
    sources: tuple[str, ...]
    attempts: FilePath
    device: str
    memory: str | int | None
    batch_size: int | None
    readers: int

    def load(self) -> Encoder:
        """Return the encoder, which must be that of the library.

        Raises:
            WeightsMissing, UnknownModel: the model is not on this machine.
            SpaceMismatch: it has other weights here.
        """
        if self.work.encoder is not None:
            return self.work.encoder
        from explorer.models import load
        from explorer.models.shared.on_word import named_by

        with named_by(f"The library {self.work.folder}", self.work.space):
            encoder = load(self.work.model, device=self.device, memory=self.memory).encoder
            here = f"Machine {socket.gethostname()} has other weights."
            self.work.space.check(encoder.space, here)
            return encoder

    def check_shared(self) -> None:
        """Check that this machine sees what the others see.

        Raises:
            LibraryError: it does not see the library, or a source.
        """
        host, library = socket.gethostname(), self.work.folder
        if max(versions(library), default=0) < self.work.version:  # later ones take its place
            raise LibraryError(
                f"Machine {host} does not see the library {library}: put it into a folder that "
                "all machines of the cluster have under the same name."
            )
        for source in self.sources:
            if not os.path.lexists(source):
                raise LibraryError(
                    f"Machine {host} does not see {source}: put the images into a folder that all "
                    "machines of the cluster have under the same name."
                )


class StagingActor:
    """An actor of Ray Data's pool: takes a pickled `Block`, gives a pickled `Staged` or error.

    Errors of ours are results, since Ray would try the same again without end.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.problem: ExplorerError | None = None
        try:
            plan.check_shared()
            self.encoder = plan.load()
            self.encoder.batch_size = plan.batch_size or probe_batch_size(self.encoder)
        except Exception as error:  # noqa: BLE001  # what is no refusal is raised again
            self.problem = as_ours(error)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Stage one block."""
        if self.problem is not None:
            return {"staged": pickle.dumps(self.problem)}
        return {"staged": told(lambda: self._stage(pickle.loads(row["block"])))}

    def _stage(self, block: Block) -> Any:
        """Stage a block; one that ended a process before is read in a process of its own.

        An image that crashes its reader then costs that process and one error, not this actor again
        and again.
        """
        plan, mark = self.plan, self.plan.attempts / str(block.number)
        readers = max(plan.readers, int(mark.exists())) if self._reads_elsewhere() else 0
        with suppress(OSError):
            make_folder(plan.attempts)
            mark.touch()
        work = plan.work
        staged = stage(work.folder, work.dtype, block, self.encoder, readers, work.max_megapixels)
        with suppress(OSError):
            mark.unlink()
        return staged

    def _reads_elsewhere(self) -> bool:
        """Return whether other processes can read for this encoder; one of a script may not."""
        try:
            return bool(pickle.dumps(self.encoder.preprocess))
        except (pickle.PicklingError, AttributeError, TypeError):
            return False

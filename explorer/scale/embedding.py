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
from explorer.library.manifest import DType, versions
from explorer.library.staging import Block, stage
from explorer.points import Space
from explorer.scale.probing import probe_batch_size
from explorer.scale.telling import as_ours, told


@dataclass(frozen=True)
class Plan:
    """What every actor is told; it is sent as it is.

    Args:
        version: of the library, which must be there, or a later one, for this machine too.
        sources: that must be there too.
        attempts: a folder where each block that is begun leaves its number.
        encoder: takes the place of the model.
        batch_size: None is found by probing.
        readers: processes that read images beside each actor; 0 reads in the actor itself.
    """

    folder: FilePath
    version: int
    sources: tuple[str, ...]
    attempts: FilePath
    model: str
    space: Space
    dtype: DType
    device: str
    memory: str | int | None
    encoder: Encoder | None
    max_megapixels: float | None
    batch_size: int | None
    readers: int

    def load(self) -> Encoder:
        """Return the encoder, which must be that of the library.

        Raises:
            WeightsMissing, UnknownModel: the model is not on this machine.
            SpaceMismatch: it has other weights here.
        """
        if self.encoder is not None:
            return self.encoder
        from explorer.models import load
        from explorer.models.shared.on_word import named_by

        with named_by(f"The library {self.folder}", self.space):
            encoder = load(self.model, device=self.device, memory=self.memory).encoder
            self.space.check(encoder.space, f"Machine {socket.gethostname()} has other weights.")
            return encoder

    def check_shared(self) -> None:
        """Check that this machine sees what the others see.

        Raises:
            LibraryError: it does not see the library, or a source.
        """
        host = socket.gethostname()
        if max(versions(self.folder), default=0) < self.version:  # later ones take its place
            raise LibraryError(
                f"Machine {host} does not see the library {self.folder}: put it into a folder that "
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
        readers = max(plan.readers, int(mark.exists()))
        with suppress(OSError):
            make_folder(plan.attempts)
            mark.touch()
        staged = stage(plan.folder, plan.dtype, block, self.encoder, readers, plan.max_megapixels)
        with suppress(OSError):
            mark.unlink()
        return staged

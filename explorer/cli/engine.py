"""Options of commands that can work on several machines."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from explorer.errors import QueryError

if TYPE_CHECKING:
    from explorer.scale.ray_engine import RayEngine

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class EngineOptions:
    """Which engine works, and what it may take."""

    engine: Annotated[
        str, typer.Option(help="local: this process; ray: the cores and GPUs of a Ray cluster.")
    ] = "local"
    address: Annotated[
        str | None,
        typer.Option(help="The Ray cluster: auto, or HOST:PORT; default: Ray is started here."),
    ] = None
    actors: Annotated[
        int | None, typer.Option(min=1, help="Actors of --engine ray; default: as many as fit.")
    ] = None
    cpus: Annotated[
        float | None, typer.Option(min=0.01, help="Cores of each actor; default: 1.")
    ] = None
    gpus: Annotated[
        float | None,
        typer.Option(min=0, help="GPUs of each actor; 0.25 puts four on a GPU; default: 1, or 0."),
    ] = None

    def build(self, memory: str | None) -> "RayEngine | None":
        """Return the engine; None for this process.

        Raises:
            QueryError: there is no such engine, or an option has no effect.
            ExplorerError: Ray is not installed.
        """
        if self.engine not in ENGINES:
            raise QueryError(f"There is no engine {self.engine!r}: use {' or '.join(ENGINES)}.")
        given = [n for n, value in vars(self).items() if n != "engine" and value is not None]
        if self.engine == "local":
            if given:
                name = given[0].replace("_", "-")
                raise QueryError(f"--{name} is an option of --engine ray: add that, or leave it.")
            return None
        from explorer.scale.ray_engine import RayEngine

        cpus, batch_size = 1 if self.cpus is None else self.cpus, getattr(self, "batch_size", None)
        return RayEngine(self.address, self.actors, cpus, self.gpus, memory, batch_size)


@dataclass(frozen=True)
class EmbeddingOptions(EngineOptions):
    """The same for what embeds images."""

    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images at once in an actor; default: by trial.")
    ] = None


LOCAL = EngineOptions()
EMBEDDING_LOCAL = EmbeddingOptions()

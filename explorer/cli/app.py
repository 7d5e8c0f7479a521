"""The command that opens the dashboard: app."""

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated

import typer

from explorer.cli.library_option import library_option
from explorer.cli.options import Memory, Trust, Weights, trust_folders
from explorer.cli.output import command
from explorer.interrupts import finishing
from explorer.places import is_published

NoBrowser = Annotated[
    bool, typer.Option("--no-browser", help="Print the address without opening a browser.")
]
Shown = Annotated[
    FilePath | None,
    library_option("The library to show; without any, the sample library.", required=False),
]


@dataclass(frozen=True)
class Parts:
    """What decodes, and what is compared with it."""

    decoder: Annotated[
        str,
        typer.Option(
            "--decoder",
            "--bridge",
            help="A folder of `unclip train decoder` or `train bridge`, or a model's name; "
            "default: the model's own, else a bridge beside the library.",
        ),
    ] = ""
    prior: Annotated[
        str,
        typer.Option(help="A folder of `unclip train prior` or `train bridge`, or a model's name."),
    ] = ""
    compare: Annotated[
        list[str] | None,
        typer.Option(
            "--compare",
            help="For the page Compare: a library of the same images made with another model, or "
            "another decoder; may be repeated.",
        ),
    ] = None


@dataclass(frozen=True)
class Serving:
    """Where the dashboard is served, and for whom."""

    host: Annotated[
        str, typer.Option(help="Address to serve on; the default is for this machine only.")
    ] = "127.0.0.1"
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port; default: the first free one from 8501 up."),
    ] = None
    allow_remote: Annotated[
        bool,
        typer.Option(
            "--allow-remote", help="Let others use the dashboard, read-only; see --allowed-host."
        ),
    ] = False
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allowed-host", help="A name by which browsers may call this server; may be repeated."
        ),
    ] = None


@command
def app(
    library: Shown,
    *,
    serving: Serving,
    parts: Parts,
    no_browser: NoBrowser = False,
    memory: Memory = None,
    weights: Weights = None,
    trust: Trust = None,
) -> None:
    """Open the dashboard in a browser: map, search, text diffs and more.

    Example: unclip app photos.lib
    """
    from explorer.app.server import launch
    from explorer.app.state import AppConfig
    from explorer.library import Library
    from explorer.models.trust import check_named

    trust_folders(trust)
    if library:
        check_named(Library.open(library).model, f"The library {library}")  # damage is told now
    shown, only_read = _named(library)
    given = AppConfig(shown, parts.decoder, parts.prior, only_read, memory or "", weights or "",
                      tuple(parts.compare or ()))  # fmt: skip

    def started(address: str) -> None:
        print(f"The dashboard is at {address} (Ctrl-C to stop)", flush=True)
        if not no_browser:
            launch.open_browser(address)

    with finishing("The dashboard has ended."):
        launch.serve(
            given,
            host=serving.host,
            port=serving.port,
            allow_remote=serving.allow_remote,
            allowed_hosts=serving.allowed_host or (),
            started=started,
        )


def _named(library: FilePath | None) -> tuple[str, bool]:
    """Return the library as the dashboard's script takes it, and whether it is only read."""
    if library is None:
        return "", False
    published = is_published(library)
    return str(library if published else library.absolute()), published

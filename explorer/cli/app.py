"""The command that opens the dashboard: app."""

from pathlib import Path as FilePath
from typing import Annotated

import typer

from explorer.cli.options import Trust, trust_folders
from explorer.cli.output import command

AllowRemote = Annotated[
    bool,
    typer.Option("--allow-remote", help="Let everyone who can reach --host use the dashboard."),
]
NoBrowser = Annotated[
    bool, typer.Option("--no-browser", help="Print the address without opening a browser.")
]
Decoder = Annotated[
    str, typer.Option(help="A folder of `unclip train decoder`, or a model's name.")
]
Prior = Annotated[str, typer.Option(help="A folder of `unclip train prior`, or a model's name.")]


@command
def app(
    library: Annotated[
        FilePath | None, typer.Argument(help="A library's folder; default: the sample library.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to serve on; the default is for this machine only.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port; default: the first free one from 8501 up."),
    ] = None,
    allow_remote: AllowRemote = False,
    no_browser: NoBrowser = False,
    decoder: Decoder = "",
    prior: Prior = "",
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
    if library is not None:
        kept = Library.open(library)  # its damage is said now, before the server starts
        check_named(kept.model, f"The library {library}")
    given = AppConfig("" if library is None else str(library.absolute()), decoder, prior)

    def started(address: str) -> None:
        print(f"The dashboard is at {address} (Ctrl-C to stop)", flush=True)
        if not no_browser:
            launch.open_browser(address)

    launch.serve(given, host=host, port=port, allow_remote=allow_remote, started=started)

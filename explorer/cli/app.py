"""The command that opens the dashboard: app."""

from pathlib import Path as FilePath
from typing import Annotated

import typer

from explorer.cli.output import door

AllowRemote = Annotated[
    bool,
    typer.Option("--allow-remote", help="Let all who reach --host look, search and decode."),
]
NoBrowser = Annotated[
    bool, typer.Option("--no-browser", help="Say the address, and open no browser.")
]
Decoder = Annotated[
    str, typer.Option(help="A folder of `unclip train decoder`, or a model's name.")
]
Prior = Annotated[str, typer.Option(help="A folder of `unclip train prior`, or a model's name.")]


@door
def app(
    library: Annotated[
        FilePath | None, typer.Argument(help="A library's folder; default: the sample library.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to serve on; the default is this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: the first free one from 8501 on.")
    ] = None,
    allow_remote: AllowRemote = False,
    no_browser: NoBrowser = False,
    decoder: Decoder = "",
    prior: Prior = "",
) -> None:
    """Open the dashboard: map, search, text diffs and the rest, in a browser.

    Example: unclip app photos.lib
    """
    from explorer.app.server import launch
    from explorer.app.state import AppConfig
    from explorer.library import Library

    if library is not None:
        Library.open(library)  # say now what is wrong with it
    given = AppConfig("" if library is None else str(library.absolute()), decoder, prior)

    def started(address: str) -> None:
        print(f"The dashboard is at {address} (Ctrl-C ends it)", flush=True)
        if not no_browser:
            launch.open_browser(address)

    launch.serve(given, host=host, port=port, allow_remote=allow_remote, started=started)

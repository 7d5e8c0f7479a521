"""The command line: every command reads arguments, makes one call and prints; nothing else."""

from functools import partial
from typing import Annotated

import typer

from explorer import __version__
from explorer.cli import (
    app,
    care,
    decode,
    demo,
    edits,
    features,
    groups,
    importing,
    library,
    map,
    models,
    publishing,
    search,
    train,
)
from explorer.cli.library_option import LibraryCommand

unclip = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help comes twice as fast
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Explore CLIP's embedding space, and decode any point of it back into an image.",
    epilog="A command takes the library named by --library or by its first argument, else that of "
    "UNCLIP_LIBRARY, else that of ~/.config/unclip/config.toml.",
)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"unclip {__version__}")
        raise typer.Exit


_command = partial(unclip.command, cls=LibraryCommand)


@unclip.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


_command()(demo.demo)
_command()(app.app)
unclip.add_typer(models.models, name="models")
_command()(library.index)
_command("import")(importing.import_command)
_command()(search.search)
_command()(edits.diff)
_command()(edits.walk)
_command()(decode.decode)
_command()(decode.invert)
_command()(edits.inpaint)
_command("map")(map.map_command)
_command()(groups.duplicates)
_command()(groups.cluster)
_command()(groups.probe)
_command()(features.features)
_command()(features.turn)
unclip.add_typer(train.app, name="train")
_command()(library.info)
_command()(library.export)
_command()(publishing.publish)
_command()(care.verify)
_command()(care.repair)
_command()(care.moved)
_command()(care.forget)
_command()(care.compact)
_command()(edits.replay)


def main() -> None:
    """Run the command `unclip`."""
    unclip()

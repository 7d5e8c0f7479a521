"""The command line: every command reads arguments, makes one call and prints; nothing else."""

from typing import Annotated

import typer

from explorer import __version__
from explorer.cli import (
    app,
    care,
    decode,
    demo,
    edits,
    groups,
    importing,
    library,
    map,
    models,
    search,
    train,
)

unclip = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help comes twice as fast
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Explore CLIP's embedding space, and decode any point of it back into an image.",
)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"unclip {__version__}")
        raise typer.Exit


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


unclip.command()(demo.demo)
unclip.command()(app.app)
unclip.add_typer(models.models, name="models")
unclip.command()(library.index)
unclip.command("import")(importing.import_command)
unclip.command()(search.search)
unclip.command()(edits.diff)
unclip.command()(edits.walk)
unclip.command()(decode.decode)
unclip.command()(decode.invert)
unclip.command()(edits.inpaint)
unclip.command("map")(map.map_command)
unclip.command()(groups.duplicates)
unclip.command()(groups.cluster)
unclip.command()(groups.probe)
unclip.add_typer(train.app, name="train")
unclip.command()(library.info)
unclip.command()(library.export)
unclip.command()(care.verify)
unclip.command()(care.repair)
unclip.command()(care.moved)
unclip.command()(care.forget)
unclip.command()(care.compact)
unclip.command()(edits.replay)


def main() -> None:
    """Run the command `unclip`."""
    unclip()

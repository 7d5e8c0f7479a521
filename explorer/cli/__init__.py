"""The command line: every command reads arguments, calls verbs and prints; nothing else."""

import typer

from explorer.cli import app, decode, demo, edits, library, models, train

unclip = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help comes twice as fast
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Explore CLIP's embedding space, and decode any point of it back into an image.",
)
unclip.command()(demo.demo)
unclip.command()(app.app)
unclip.add_typer(models.models, name="models")
unclip.command()(library.index)
unclip.command()(library.search)
unclip.command()(edits.diff)
unclip.command()(edits.walk)
unclip.command()(decode.decode)
unclip.command()(decode.invert)
unclip.command()(edits.inpaint)
unclip.command("map")(library.map_command)
unclip.add_typer(train.app, name="train")
unclip.command()(library.info)
unclip.command()(library.export)
unclip.command()(edits.replay)


def main() -> None:
    """Run the command `unclip`."""
    unclip()

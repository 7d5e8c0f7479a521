"""The command line: every command reads arguments, calls verbs and prints; nothing else."""

import typer

from explorer.cli import demo, keep, make

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help comes twice as fast
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Explore CLIP's embedding space, and decode any point of it back into a picture.",
)
app.command()(demo.demo)
app.command()(keep.models)
app.command()(keep.index)
app.command()(keep.search)
app.command()(make.diff)
app.command()(make.walk)
app.command()(make.decode)
app.command("map")(keep.map_command)
app.command()(keep.info)
app.command()(keep.export)
app.command()(make.replay)


def main() -> None:
    """Run the command `unclip`."""
    app()

"""The command line: every command reads arguments, calls verbs and prints; nothing else."""

import typer

from explorer.cli import dashboard, demo, keep, make, paint, train, weights

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help comes twice as fast
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Explore CLIP's embedding space, and decode any point of it back into a picture.",
)
app.command()(demo.demo)
app.command()(dashboard.app)
app.add_typer(weights.models, name="models")
app.command()(keep.index)
app.command()(keep.search)
app.command()(make.diff)
app.command()(make.walk)
app.command()(paint.decode)
app.command()(paint.invert)
app.command()(paint.inpaint)
app.command("map")(keep.map_command)
app.add_typer(train.app, name="train")
app.command()(keep.info)
app.command()(keep.export)
app.command()(make.replay)


def main() -> None:
    """Run the command `unclip`."""
    app()

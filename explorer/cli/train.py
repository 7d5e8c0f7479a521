"""Commands that train on a library: train decoder, train prior."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from explorer.cli.output import door, report

if TYPE_CHECKING:
    from explorer.training.loop import Plan

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Train a decoder or a prior for the CLIP of a library.",
)

Folder = Annotated[FilePath, typer.Argument(help="Folder of the library.")]
Out = Annotated[FilePath, typer.Option("-o", "--out", help="Output folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
MINUTES = typer.Option(min=0.01, help="Training time in minutes, over all resumptions.")


@dataclass(frozen=True)
class TrainingOptions:
    """The options that both trainings share."""

    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the training in the output folder.")
    ] = False
    device: Annotated[str, typer.Option("--device", help="Device: cpu, cuda, mps, or auto.")] = (
        "auto"
    )
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed.")] = 0
    rate: Annotated[
        float, typer.Option("--rate", help="Learning rate, as a multiple of the default.")
    ] = 1.0

    def plan(self, minutes: float) -> "Plan":
        """Return the plan of a training of this many minutes."""
        from explorer.models import best_device
        from explorer.training.loop import Plan

        return Plan(minutes, rate=self.rate, seed=self.seed, device=best_device(self.device))


@app.command()
@door
def decoder(
    library: Folder,
    out: Out,
    options: TrainingOptions,
    size: Annotated[int, typer.Option(help="Image size in pixels: 32, 64 or 128.")] = 64,
    minutes: Annotated[float, MINUTES] = 30,
    start: Annotated[
        str | None,
        typer.Option(help="Weights to start from: pocket (default at 64 pixels) or none."),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Maximum number of images.")] = 50_000,
    as_json: Json = False,
) -> None:
    """Train a decoder for the CLIP of a library, on the images of the library.

    Ctrl-C leaves a decoder that can be used, and a training that can be resumed.

    Example: unclip train decoder photos.lib -o mine --minutes 30
    """
    from explorer.library import Library
    from explorer.training import decoder
    from explorer.training.loop import Interrupt

    opened, interrupt = Library.open(library), Interrupt()
    design = decoder.Design(size, start or ("pocket" if size == 64 else "none"), images)
    plan = options.plan(minutes)
    manifest = decoder.train(opened, out, design, plan, resume=options.resume, interrupt=interrupt)
    lines = [f"{out}: a decoder for {manifest['space']['name']}"]
    if score := manifest["held_out"]:
        lines += [
            f"  round trip of {score['images']} held-out images: {score['round_trip']:.3f} "
            f"(by chance {score['chance']:.3f}), R@1: {score['found_first']:.0%}"
        ]
    lines += [f"  try it: unclip decode IMAGE --decoder {out} -o decoded.png"]
    _finish(manifest, as_json, lines, interrupt.asked)


@app.command()
@door
def prior(
    library: Folder,
    out: Out,
    options: TrainingOptions,
    caption_column: Annotated[
        str, typer.Option(help="Column of the library with the captions.")
    ] = "caption",
    minutes: Annotated[float, MINUTES] = 10,
    as_json: Json = False,
) -> None:
    """Train a prior, which maps captions to image points, on the captions of a library.

    Example: unclip train prior photos.lib -o words --caption-column title
    """
    from explorer.library import Library
    from explorer.training import prior
    from explorer.training.loop import Interrupt

    opened, plan, interrupt = Library.open(library), options.plan(minutes), Interrupt()
    manifest = prior.train(
        opened, out, caption_column, plan, resume=options.resume, interrupt=interrupt
    )
    score = manifest["held_out"]
    lines = [
        f"{out}: a prior for {manifest['space']['name']}",
        f"  a held-out caption finds its image first among {score['images']}: "
        f"{score['prior_recall_at_1']:.0%}, among the first ten: {score['prior_recall_at_10']:.0%}",
        f"  without the prior: {score['words_alone_recall_at_1']:.0%} and "
        f"{score['words_alone_recall_at_10']:.0%} (ten by chance: {score['chance_at_10']:.0%})",
    ]
    _finish(manifest, as_json, lines, interrupt.asked)


def _finish(
    manifest: dict[str, Any], as_json: bool, lines: Iterable[str], interrupted: bool
) -> None:
    report(manifest, as_json, lines)
    if interrupted:
        print(
            f"unclip: interrupted at step {manifest['training']['step']}. The output can be "
            "used as it is; to train it longer, run the same command with --resume.",
            file=sys.stderr,
        )
        raise typer.Exit(130)

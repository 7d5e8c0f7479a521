"""Commands that train on the images of a library: train decoder, train prior, train bridge."""

import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from explorer.cli.library_option import LibraryCommand
from explorer.cli.options import Folder, Json, Trust, opened, trust_folders
from explorer.cli.output import command, report, say

if TYPE_CHECKING:
    from explorer.training.loop import Plan

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Train a decoder, a prior or a bridge for the CLIP of a library, on its images.",
)

Out = Annotated[FilePath, typer.Option("-o", "--out", help="Output folder.")]
HOW_LONG = typer.Option(min=0.01, help="Minutes to train, all resumptions together.")


@dataclass(frozen=True)
class TrainingOptions:
    """Options that both trainings share."""

    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the training in that folder.")
    ] = False
    device: Annotated[
        str, typer.Option("--device", help="cpu, cuda, mps, or auto: the best there is.")
    ] = "auto"
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed.")] = 0
    rate: Annotated[float, typer.Option("--rate", help="Factor on the usual learning rate.")] = 1.0

    trust: Trust = None

    def plan(self, minutes: float) -> "Plan":
        """Return the plan of a training of that length."""
        from explorer.device import best_device
        from explorer.training.loop import Plan

        trust_folders(self.trust)
        return Plan(minutes, rate=self.rate, seed=self.seed, device=best_device(self.device))


@app.command(cls=LibraryCommand)
@command
def decoder(
    library: Folder,
    *,
    out: Out,
    size: Annotated[
        int, typer.Option(help="Image size in pixels: 32, 64 or 128; a codec has its own.")
    ] = 64,
    codec: Annotated[str, typer.Option(help="rae or rae:FOLDER: decode to its tokens.")] = "",
    minutes: Annotated[float, HOW_LONG] = 30,
    start: Annotated[
        str | None,
        typer.Option(help="Weights to start from: pocket (the default at 64), none, or a folder."),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Maximum number of images.")] = 50_000,
    draft: Annotated[
        str, typer.Option(help="plain, or painter: fewer steps, each against edges and features.")
    ] = "plain",
    training: TrainingOptions,
    as_json: Json = False,
) -> None:
    """Train a decoder, for the points of a library's CLIP, on the library's own images.

    Ctrl-C leaves a decoder that can be used, and a training that can be resumed.

    Example: unclip train decoder photos.lib -o mine --minutes 30
    """
    from explorer.training import decoder
    from explorer.training.loop import Interrupt

    kept, interrupt = opened(library), Interrupt()
    start = start or ("pocket" if size == 64 and not codec else "none")
    design = decoder.Design(size, start, images, draft=draft, codec=codec)
    plan = training.plan(minutes)
    made = decoder.train(kept, out, design, plan, resume=training.resume, interrupt=interrupt)
    lines = [f"{out}: a decoder for {made['space']['name']}", *_decoder_lines(made)]
    lines += [f"  try it: unclip decode IMAGE --decoder {out} -o decoded.png"]
    _finish(out, made, as_json, lines, interrupt.asked)


def _decoder_lines(made: dict[str, Any]) -> list[str]:
    """Say how well a decoder does on held-out images, if that was measured."""
    if not (score := made["held_out"]):
        return []
    alone = f"; the codec alone: {made['codec']['round_trip']:.3f}" if "codec" in made else ""
    return [
        f"  round trip of {score['images']} held-out images: {score['round_trip']:.3f} "
        f"(chance {score['chance']:.3f}{alone}), found first: {score['found_first']:.0%}"
    ]


@app.command(cls=LibraryCommand)
@command
def prior(
    library: Folder,
    *,
    out: Out,
    caption_column: Annotated[
        str, typer.Option(help="Column of the library that holds captions.")
    ] = "caption",
    minutes: Annotated[float, HOW_LONG] = 10,
    training: TrainingOptions,
    as_json: Json = False,
) -> None:
    """Train a prior, which carries words over to the image side, on a library's captions.

    Example: unclip train prior photos.lib -o words --caption-column title
    """
    from explorer.training import prior
    from explorer.training.loop import Interrupt

    kept, plan, interrupt = opened(library), training.plan(minutes), Interrupt()
    made = prior.train(kept, out, caption_column, plan, resume=training.resume, interrupt=interrupt)
    score = made["held_out"]
    lines = [
        f"{out}: a prior for {made['space']['name']}",
        f"  a held-out caption finds its image first among {score['images']}: "
        f"{score['prior_recall_at_1']:.0%}, among the first ten: {score['prior_recall_at_10']:.0%}",
        f"  without the prior: {score['words_alone_recall_at_1']:.0%} and "
        f"{score['words_alone_recall_at_10']:.0%} (ten by chance: {score['chance_at_10']:.0%})",
    ]
    _finish(out, made, as_json, lines, interrupt.asked)


@app.command(cls=LibraryCommand)
@command
def bridge(
    library: Folder,
    *,
    to: Annotated[str, typer.Option("--to", help="The model whose decoder is to be used.")],
    out: Annotated[
        FilePath | None,
        typer.Option("-o", "--out", help="Output folder; default: beside the library, .bridge."),
    ] = None,
    images: Annotated[int, typer.Option(min=64, help="Maximum number of images.")] = 20_000,
    training: TrainingOptions,
    as_json: Json = False,
) -> None:
    """Learn a bridge to another model: its decoder then reads the points of this library.

    Both models see the same images, and what one makes of them is mapped onto what the other does,
    there and back. Held-out images say how well.

    Example: unclip train bridge photos.lib --to kandinsky-2.2 -o b2k
    """
    from explorer.models.trained import bridge_beside
    from explorer.training import bridge

    kept = opened(library)
    out = out or bridge_beside(kept.folder)
    plan = training.plan(1)
    made = bridge.train(kept, out, to, plan, images=images, resume=training.resume)
    lines = [
        f"{out}: a bridge from {kept.model} to {to}",
        *_bridge_lines(made["there"]),
        f"  try it: unclip decode IMAGE --decoder {out} -o decoded.png",
    ]
    _finish(out, made, as_json, lines, interrupted=False)


def _bridge_lines(figures: dict[str, Any]) -> list[str]:
    """Say how well a bridge maps, beside what is simpler."""
    ways = {f"of {figures['held_out']} held-out images": figures}
    ways |= {name: figures[name] for name in ("procrustes", "chance")}
    curve = [f"{count}: {each['cosine']:.3f}" for count, each in figures["by_pairs"].items()]
    return [
        *(
            f"  {way}: cosine {each['cosine']:.3f} with the true point, found first "
            f"{each['recall_at_1']:.0%}, among ten {each['recall_at_10']:.0%}"
            for way, each in ways.items()
        ),
        f"  cosine by the number of images: {', '.join(curve)}",
    ]


def _finish(
    out: FilePath, made: dict[str, Any], as_json: bool, lines: Iterable[str], interrupted: bool
) -> None:
    from explorer.errors import DiskError
    from explorer.models.trust import remember

    report(made, as_json, lines)
    with suppress(DiskError):  # `--trust` would then say what failed
        remember(out)  # it was made here: its recipes may name it
    if interrupted:
        say(
            f"unclip: interrupted at step {made['training']['step']}. What is there can be "
            "used; to continue, run the same command again with --resume.",
            sys.stderr,
        )
        raise typer.Exit(130)

"""Commands about models: which there are, and fetching, finding and removing their weights."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from explorer.cli.options import Json
from explorer.cli.output import command, plain, report

if TYPE_CHECKING:
    from pathlib import Path as FilePath

    from explorer.models.shared.short_names import ShortName

models = typer.Typer(invoke_without_command=True)

Name = Annotated[str, typer.Argument(help="A model's name, as `unclip models` lists it.")]


@models.callback()
@command
def list_models(context: typer.Context, as_json: Json = False) -> None:
    """List the models, and whether their weights are here; or get, find and remove weights."""
    from explorer.models import describe
    from explorer.models.memory import recorded_plans
    from explorer.models.shared.short_names import SHORT_NAMES

    if context.invoked_subcommand is not None:
        return
    cards: list[dict[str, object]] = [
        {**card, "memory": recorded_plans().get(card["name"])} for card in describe()
    ]
    short = [
        {"name": name, "weights_here": None, **asdict(each)} for name, each in SHORT_NAMES.items()
    ]
    shown = [{k: _plain(v) for k, v in card.items()} for card in cards]
    lines = [line for card in shown for line in _card_lines(card, shown)]
    lines += [line for name, each in SHORT_NAMES.items() for line in _short_lines(name, each)]
    report([*cards, *short], as_json, lines)


def _plain(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else plain(value)


def _card_lines(card: dict[str, str], cards: list[dict[str, str]]) -> list[str]:
    from explorer.models.memory import memory_of

    alike = (other for other in cards if other["space"] == card["space"] and other != card)
    lenders = [other["name"] for other in alike if other["prior"] == "yes"]
    lent = f" (--prior {' or '.join(lenders)})" if lenders and card["prior"] == "no" else ""
    memory = memory_of(card["name"])
    return [
        card["name"],
        f"  reads points of: {card['space']}; dimensions: {card['dimension']}; "
        f"decoder: {card['decoder']}; prior: {card['prior']}{lent}",
        f"  size: {card['megabytes']} MB; licence: {card['licence']}{_in_words(card['licence'])}; "
        f"weights here: {card['weights_here']}",
        *([f"  from: {card['fetched_from']}"] if card["fetched_from"] else []),
        *([f"  memory, as planned: {memory}"] if memory else []),
    ]


def _in_words(licence: str) -> str:
    """Say what a licence allows."""
    if "Non-Commercial" in licence:
        return " (no commercial use)"
    if "RAIL" in licence:
        return " (any use but those that it lists as harmful)"
    return " (any use)" if licence in ("Apache-2.0", "MIT") else ""


def _short_lines(name: str, each: "ShortName") -> list[str]:
    speed = "" if each.slowness == 1 else f" {each.slowness} times the compute of vit-b-32;"
    return [
        name,
        f"  {each.purpose}; words: {each.languages};{speed} {each.megabytes:,} MB; {each.licence}",
        f"  {each.model}; decoded by: {', '.join(each.decoders) or '—'}",
    ]


@models.command()
@command
def get(name: Name, as_json: Json = False) -> None:
    """Download a model's weights; an interrupted download is resumed.

    Example: unclip models get kandinsky-2.2
    """
    from explorer.models.shared.hub import releases_of

    _tell(name, [release.fetch(name) for release in releases_of(name)], as_json)


@models.command()
@command
def path(name: Name, as_json: Json = False) -> None:
    """Show the folders of a model's weights."""
    from explorer.errors import WeightsMissing
    from explorer.models.shared.hub import releases_of

    releases = releases_of(name)
    folders = [folder for release in releases if (folder := release.cached())]
    if len(folders) < len(releases):
        size = sum(release.megabytes for release in releases)
        raise WeightsMissing(
            f"The weights of {name} (about {size:.0f} MB) are not all on this machine. Run: "
            f"unclip models get {name}"
        )
    _tell(name, folders, as_json)


@models.command()
@command
def rm(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: Json = False,
) -> None:
    """Remove a model's weights from the cache, which other programs may share.

    Weights that another model on this machine needs are kept.
    """
    from explorer.models import describe
    from explorer.models.shared.hub import releases_of

    others = [card["name"] for card in describe() if card["weights_here"] and card["name"] != name]
    needed = {release.repository for other in others for release in releases_of(other)}
    here = [release for release in releases_of(name) if release.cached()]
    doomed = [release for release in here if release.repository not in needed]
    kept = ", ".join(release.repository for release in here if release not in doomed)
    names = ", ".join(release.repository for release in doomed)
    if doomed and not yes:
        typer.confirm(f"Remove {names}?", abort=True, err=True)
    freed = round(sum(release.remove() for release in doomed), 1)
    value = {"model": name, "removed": [r.repository for r in doomed], "megabytes": freed}
    lines = [f"removed {names}: {freed} MB"] if doomed else []
    lines += [f"kept {kept}, which another model needs"] if kept else []
    report(value, as_json, lines or ["nothing to remove"])


def _tell(name: str, folders: "list[FilePath]", as_json: bool) -> None:
    value = {"model": name, "folders": [str(folder) for folder in folders]}
    report(value, as_json, value["folders"] or [f"{name} ships with the package"])

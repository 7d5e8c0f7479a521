"""Train a prior for the Space of a library, from the captions in it to the points of its images.

Writes a folder that `--prior` takes.
"""

from collections import deque
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from explorer.errors import QueryError, UnknownModel
from explorer.files import replace_files
from explorer.library import Library
from explorer.metrics import recall
from explorer.models import Model
from explorer.models.openclip import OpenClipEncoder
from explorer.models.trained import PRIOR, load_prior
from explorer.points import Points
from explorer.prior import Prior
from explorer.training import prior_network
from explorer.training.checkpoints import explained, write_manifest
from explorer.training.loop import Interrupt, Plan
from explorer.training.prior_network import Captioned, Reader
from explorer.training.run_folder import (
    begin,
    check_count,
    chosen_rows,
    claim,
    held_out,
    model_of,
    recipe_of,
    row_weights,
    used_up,
)

MOST = 50_000  # captions
TEN = 10
MEASURED = 500  # held-out captions
ROOM = 50_000_000  # bytes that a prior surely fits into


def train(
    library: Library,
    folder: Path,
    column: str,
    plan: Plan,
    *,
    resume: bool = False,
    interrupt: Interrupt | None = None,
) -> dict[str, Any]:
    """Train until the plan's budget is used up or an interrupt; give the prior's manifest.

    Args:
        column: of the library, with the captions.

    Raises:
        QueryError: no such column, too few captions, or the folder is taken.
        UnknownModel: the model's text tower is of a kind that gives no token states.
        WeightsMissing, SpaceMismatch: the library's model cannot be had.
        TrainingError: the disk is full, or the loss is not finite; what was saved is whole.
    """
    model = model_of(library, plan.device)
    rows, captions = _captions(library, column, plan.seed)
    read = _reader(model, plan.device)
    fixed = {"space": library.space.fingerprint, "column": column, "seed": plan.seed}
    work = claim(folder, fixed, resume)
    begin(work, fixed)
    points = library.points(rows).with_labels(captions)
    out = held_out(library.rows["sha256"].to_numpy()[rows].tolist())
    network = prior_network.transformer(points.vectors[~out], read.tokenizer.context_length)
    network.to(plan.device)
    told = Captioned(lambda few, _: [captions[i] for i in few], points.vectors, row_weights(out))
    with interrupt or nullcontext():
        last = deque(prior_network.train(network, read, told, work, plan, interrupt), maxlen=1)
    if not last:
        raise used_up(folder, plan)
    facts = {"column": column, "captions": len(captions), "step": last[0].step}
    recipe, held = recipe_of(library, plan, **facts), points[np.flatnonzero(out)]
    with explained(folder, ROOM):
        prior_network.save(network, work / "next")
        return _finish(work / "next", folder, model, recipe, held)


def _finish(
    fresh: Path, folder: Path, model: Model, recipe: dict[str, Any], held: Points
) -> dict[str, Any]:
    """Measure the prior in `fresh` and put it in the place of the one that was there."""
    manifest: dict[str, Any] = {
        "kind": "prior",
        "model": model.name,
        "space": asdict(model.space),
        **prior_network.DEFAULTS,
        "training": recipe,
    }
    write_manifest(fresh / PRIOR, manifest)
    manifest["held_out"] = _measure(load_prior(fresh, model.encoder), model, held[:MEASURED])
    write_manifest(fresh / PRIOR, manifest)
    replace_files(fresh, folder, last=PRIOR)
    return manifest


def _captions(library: Library, column: str, seed: int) -> tuple[np.ndarray, list[str]]:
    """The rows that have a caption, and their captions."""
    if column not in library.columns:
        there = ", ".join(map(repr, library.columns)) or "none at all"
        raise QueryError(
            f"The library {library.folder} has no column {column!r} of captions; its columns are: "
            f"{there}. Name one with --caption-column, or index the images again with --columns."
        )
    texts = [str(text).strip() for text in library.rows[column].fillna("")]
    rows = np.flatnonzero([bool(text) for text in texts])
    check_count(library, len(rows), f"Rows without a {column!r} do not count.")
    rows = rows[chosen_rows(len(rows), MOST, seed)]
    return rows, [texts[row] for row in rows]


def _reader(model: Model, device: str) -> Reader:
    """The text tower of a model.

    Raises:
        UnknownModel: it gives no token states.
    """
    encoder = model.encoder
    try:
        if not isinstance(encoder, OpenClipEncoder):
            raise UnknownModel("Only open_clip's models give the token states that a prior reads.")
        read = Reader(encoder.module, encoder.tokenizer, device)
        read([""])
    except UnknownModel as error:
        raise UnknownModel(f"No prior can be trained for {model.name}. {error}") from error
    return read


def _measure(made: Prior, model: Model, points: Points) -> dict[str, Any]:
    """How often a caption finds its own image first, or among ten, of the held-out ones.

    By the point that the prior gives, and by the text's own point.

    Args:
        points: of images, labelled with their captions.
    """
    everyone, units = np.arange(len(points)), points.unit.T
    ways = {
        "prior": made.sample(points.labels),
        "words_alone": model.encoder.encode_text(points.labels),
    }
    scores = {
        f"{way}_recall_at_{k}": round(recall(given.unit @ units, everyone, k), 4)
        for way, given in ways.items()
        for k in (1, TEN)
    }
    return {
        "images": len(points),
        **scores,
        "chance_at_10": round(min(1, TEN / len(points)), 4),
    }

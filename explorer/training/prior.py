"""Train a prior for the Space of a library, from the captions in it to the points of its images.

Writes a folder that `--prior` takes.
"""

from collections import deque
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path as FilePath
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
from explorer.training.checkpoints import explained, removed_on_failure, write_manifest
from explorer.training.loop import Interrupt, Plan
from explorer.training.prior_network import Captioned, Reader
from explorer.training.run_folder import (
    begin,
    check_count,
    chosen_rows,
    claim,
    held_out,
    model_of,
    no_time_left,
    recipe_of,
    row_weights,
)

MAX_CAPTIONS = 50_000
MAX_MEASURED = 500  # held-out captions that the score is taken of
PRIOR_BYTES = 50_000_000  # at most


def train(
    library: Library,
    folder: FilePath,
    column: str,
    plan: Plan,
    *,
    resume: bool = False,
    interrupt: Interrupt | None = None,
) -> dict[str, Any]:
    """Train until the plan's time is used up or an interrupt; return the prior's manifest.

    Args:
        column: the column of the library that holds captions.

    Raises:
        QueryError: no such column, too few captions, or the folder is taken.
        UnknownModel: the model's text tower is of a kind that gives no token states.
        WeightsMissing, SpaceMismatch: the library's model cannot be loaded.
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
        raise no_time_left(folder, plan)
    facts = {"column": column, "captions": len(captions), "step": last[0].step}
    recipe, held = recipe_of(library, plan, **facts), points[np.flatnonzero(out)]
    with explained(folder, PRIOR_BYTES), removed_on_failure(work / "next"):
        prior_network.save(network, work / "next")
        return _finish(work / "next", folder, model, recipe, held)


def _finish(
    fresh: FilePath, folder: FilePath, model: Model, recipe: dict[str, Any], held: Points
) -> dict[str, Any]:
    """Measure the prior in `fresh` and replace the one in `folder` by it."""
    manifest: dict[str, Any] = {
        "kind": "prior",
        "model": model.name,
        "space": asdict(model.space),
        **prior_network.DEFAULTS,
        "training": recipe,
    }
    write_manifest(fresh / PRIOR, manifest)
    manifest["held_out"] = _measure(load_prior(fresh, model.encoder), model, held[:MAX_MEASURED])
    write_manifest(fresh / PRIOR, manifest)
    replace_files(fresh, folder, last=PRIOR)
    return manifest


def _captions(library: Library, column: str, seed: int) -> tuple[np.ndarray, list[str]]:
    """Return the rows that have a caption, and their captions."""
    if column not in library.columns:
        there = ", ".join(map(repr, library.columns)) or "none at all"
        raise QueryError(
            f"The library {library.folder} has no column {column!r} of captions; its columns are: "
            f"{there}. Name one with --caption-column, or index the images again with --columns."
        )
    texts = [str(text).strip() for text in library.rows[column].fillna("")]
    rows = np.flatnonzero([bool(text) for text in texts])
    check_count(library, len(rows), f"Rows without a {column!r} do not count.")
    rows = rows[chosen_rows(len(rows), MAX_CAPTIONS, seed)]
    return rows, [texts[row] for row in rows]


def _reader(model: Model, device: str) -> Reader:
    """Return the text tower of a model.

    Raises:
        UnknownModel: it gives no token states.
    """
    encoder = model.encoder.whole
    try:
        if not isinstance(encoder, OpenClipEncoder):
            raise UnknownModel("Only open_clip's models give the token states that a prior reads.")
        read = Reader(encoder.module, encoder.tokenizer, device)
        read([""])
    except UnknownModel as error:
        raise UnknownModel(f"No prior can be trained for {model.name}. {error}") from error
    return read


def _measure(prior: Prior, model: Model, points: Points) -> dict[str, Any]:
    """Return how often a caption finds its own image first, or among ten, of the held-out ones.

    By the point that the prior gives, and by the text's own point.

    Args:
        points: of images, labelled with their captions.
    """
    rows, units = np.arange(len(points)), points.unit.T
    ways = {
        "prior": prior.sample(points.labels),
        "words_alone": model.encoder.encode_text(points.labels),
    }
    scores = {
        f"{way}_recall_at_{k}": round(recall(asked.unit @ units, rows, k), 4)
        for way, asked in ways.items()
        for k in (1, 10)
    }
    return {
        "images": len(points),
        **scores,
        "chance_at_10": round(min(1, 10 / len(points)), 4),
    }

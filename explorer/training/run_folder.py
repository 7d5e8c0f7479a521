"""Training on a library of one's own: its encoder, which rows are held out, and a run's folder.

What `own_decoder` and `own_prior` share. Knows libraries and models; no network.
"""

import json
from importlib.metadata import version
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from explorer.errors import QueryError, UnknownModel, WeightsMissing
from explorer.files import make_folder, write_file
from explorer.library import Library
from explorer.models import Model, load
from explorer.training.checkpoints import explained
from explorer.training.loop import Plan

LEAST = 64  # images to train on and to hold out
HELD_OUT, LEAST_HELD_OUT = 0.05, 16
NOTE = "run.json"
PACKAGES = ("unclip-explorer", "torch", "diffusers", "open_clip_torch", "numpy")


def model_of(library: Library, device: str) -> Model:
    """Load the model that a library was made with.

    Raises:
        QueryError: the library is empty.
        WeightsMissing: its model cannot be loaded.
        SpaceMismatch: the model is not any more what the library was made with.
    """
    if not len(library):
        raise QueryError(
            f"The library {library.folder} is empty. Add at least {LEAST} images to it: "
            "unclip index FOLDER --library LIBRARY"
        )
    try:
        model = load(library.model, device=device)
    except (UnknownModel, WeightsMissing) as error:
        raise WeightsMissing(
            f"The library {library.folder} was made with {library.model!r}, which cannot be "
            f"loaded, so its points cannot be trained on. {error}"
        ) from error
    remedy = f"{library.model} has changed since. Index the images again into a new library."
    model.space.check(library.space, remedy)
    return model


def chosen_rows(count: int, most: int, seed: int) -> np.ndarray:
    """All of `count` rows in order, or `most` of them drawn with `seed`."""
    rows = np.random.default_rng(seed).permutation(count)[:most]
    return np.sort(rows)


def check_count(library: Library, count: int, reason: str) -> None:
    """Refuse to train on too little.

    Raises:
        QueryError: `count` rows are fewer than it takes.
    """
    if count < LEAST:
        raise QueryError(
            f"The library {library.folder} has {count} rows to train on, and at least {LEAST} are "
            f"needed; some hundreds are better. {reason}"
        )


def held_out(hashes: list[str]) -> Bool[np.ndarray, " N"]:
    """Which rows are kept from training: those whose images have the lowest hashes.

    One in twenty, at least 16. Copies of one image go the same way.

    >>> int(held_out([f"{i:04x}" for i in range(1000)]).sum())
    50
    """
    count = max(LEAST_HELD_OUT, round(HELD_OUT * len(hashes)))
    return np.array(hashes) <= sorted(hashes)[count - 1]


def row_weights(out: Bool[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """How often each row is drawn: those that are held out never, all others alike."""
    return ~out / np.count_nonzero(~out)


def claim(folder: FilePath, settings: dict[str, Any], resume: bool) -> FilePath:
    """Find the run in a folder, or make room for one; give the folder of its work files.

    Args:
        settings: what must not change when a run goes on.

    Raises:
        QueryError: the folder holds a run and `resume` is not set, a run with other settings, or
            other files.
    """
    work = folder / "work"
    if not has_begun(work):
        if folder.exists() and (not folder.is_dir() or any(f != work for f in folder.iterdir())):
            raise QueryError(
                f"{folder} is not empty and holds no training that could go on (its work files "
                "are in work/). Choose a folder that is empty or does not exist."
            )
        make_folder(work)
        return work
    if not resume:
        raise QueryError(
            f"{folder} holds a training already. Go on with it by --resume, or choose another "
            "folder."
        )
    before = json.loads((work / NOTE).read_text("utf-8"))
    for name, value in settings.items():
        if before.get(name) != value:
            raise QueryError(
                f"{folder} holds a training with {name} = {before.get(name)!r}, which cannot go on "
                f"with {value!r}. Give the same again, or choose another folder."
            )
    return work


def has_begun(work: FilePath) -> bool:
    """Whether all is ready for a run that can be resumed."""
    return (work / NOTE).is_file()


def begin(work: FilePath, settings: dict[str, Any]) -> None:
    """Note that all is ready, and what must not change."""
    content = json.dumps(settings, indent=2).encode()
    with explained(work, len(content)):
        write_file(work / NOTE, content)


def used_up(folder: FilePath, plan: Plan) -> QueryError:
    """What to say where a run has no time left."""
    return QueryError(
        f"The training in {folder} has used up its {plan.minutes:g} minutes. To go on, give it "
        f"more: --resume --minutes {2 * plan.minutes:g}"
    )


def recipe_of(library: Library, plan: Plan, **more: Any) -> dict[str, Any]:
    """How something was trained, for its manifest."""
    versions = {package: version(package) for package in PACKAGES}
    told = {"minutes": plan.minutes, "seed": plan.seed, "rate": plan.rate, "device": plan.device}
    return {"library": str(library.folder), **more, **told, "versions": versions}

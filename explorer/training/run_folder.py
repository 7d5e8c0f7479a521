"""The model of a library, which rows are held out, and the folder of a run that can be resumed.

What `decoder` and `prior` share. It knows libraries and models, and no network.
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
from explorer.models.shared.on_word import named_by
from explorer.models.trust import check_named
from explorer.training.checkpoints import explained
from explorer.training.loop import Plan

MIN_ROWS = 64  # to train on and to hold out
HELD_OUT_SHARE, MIN_HELD_OUT = 0.05, 16
SETTINGS_FILE = "run.json"
PACKAGES = ("unclip-explorer", "torch", "diffusers", "open_clip_torch", "numpy")


def model_of(library: Library, device: str) -> Model:
    """Load the model that a library was made with.

    Raises:
        QueryError: the library is empty.
        WeightsMissing: its model cannot be loaded.
        SpaceMismatch: the model has changed since the library was made.
    """
    if not len(library):
        raise QueryError(
            f"The library {library.folder} is empty. Add at least {MIN_ROWS} images to it: "
            "unclip index FOLDER --library LIBRARY"
        )
    try:
        by = f"The library {library.folder}"
        with named_by(by, library.space):
            model = load(check_named(library.model, by), device=device)
    except (UnknownModel, WeightsMissing) as error:
        raise WeightsMissing(
            f"The library {library.folder} was made with {library.model!r}, which cannot be "
            f"loaded, so its points cannot be trained on. {error}"
        ) from error
    remedy = f"{library.model} has changed since. Index the images again into a new library."
    model.space.check(library.space, remedy)
    return model


def chosen_rows(count: int, most: int, seed: int) -> np.ndarray:
    """Return all of `count` rows in order, or `most` of them drawn with `seed`."""
    rows = np.random.default_rng(seed).permutation(count)[:most]
    return np.sort(rows)


def check_count(library: Library, count: int, reason: str) -> None:
    """Check that there are enough rows to train on.

    Raises:
        QueryError: there are fewer than 64.
    """
    if count < MIN_ROWS:
        raise QueryError(
            f"The library {library.folder} has {count} rows to train on, and at least {MIN_ROWS} "
            f"are needed; some hundreds are better. {reason}"
        )


def held_out(hashes: list[str]) -> Bool[np.ndarray, " N"]:
    """Return which rows are held out: those whose images have the lowest hashes.

    One in twenty, at least 16. Copies of one image go the same way.

    >>> int(held_out([f"{i:04x}" for i in range(1000)]).sum())
    50
    """
    count = max(MIN_HELD_OUT, round(HELD_OUT_SHARE * len(hashes)))
    return np.array(hashes) <= sorted(hashes)[count - 1]


def row_weights(out: Bool[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Return how often each row is drawn: those that are held out never, all others alike."""
    return ~out / np.count_nonzero(~out)


def claim(folder: FilePath, settings: dict[str, Any], resume: bool) -> FilePath:
    """Find the run in a folder, or make the folder of one; return the folder of its work files.

    Args:
        settings: what must be the same when a run is resumed.

    Raises:
        QueryError: the folder holds a run and `resume` is not set, a run with other settings, or
            other files.
    """
    work = folder / "work"
    if not has_begun(work):
        if folder.exists() and (not folder.is_dir() or any(f != work for f in folder.iterdir())):
            raise QueryError(
                f"{folder} is not empty and holds no training that could be resumed (its work "
                "files would be in work/). Choose a folder that is empty or does not exist."
            )
        make_folder(work)
        return work
    if not resume:
        raise QueryError(
            f"{folder} holds a training already. Resume it with --resume, or choose another folder."
        )
    before = json.loads((work / SETTINGS_FILE).read_text("utf-8"))
    for name, value in settings.items():
        if before.get(name) != value:
            raise QueryError(
                f"{folder} holds a training with {name} = {before.get(name)!r}, which cannot be "
                f"resumed with {value!r}. Give the same value, or choose another folder."
            )
    return work


def has_begun(work: FilePath) -> bool:
    """Return whether the folder holds a run that can be resumed."""
    return (work / SETTINGS_FILE).is_file()


def begin(work: FilePath, settings: dict[str, Any]) -> None:
    """Write the settings, which marks the run as ready to be resumed."""
    content = json.dumps(settings, indent=2).encode()
    with explained(work, len(content)):
        write_file(work / SETTINGS_FILE, content)


def no_time_left(folder: FilePath, plan: Plan) -> QueryError:
    """Return the error of a run that has used up its time."""
    return QueryError(
        f"The training in {folder} has used up its {plan.minutes:g} minutes. To train it longer: "
        f"--resume --minutes {2 * plan.minutes:g}"
    )


def recipe_of(library: Library, plan: Plan, **more: Any) -> dict[str, Any]:
    """Return how something was trained, for its manifest."""
    versions = {package: version(package) for package in PACKAGES}
    told = {"minutes": plan.minutes, "seed": plan.seed, "rate": plan.rate, "device": plan.device}
    return {"library": str(library.folder), **more, **told, "versions": versions}

"""Learn a bridge from the model of a library to another model, from the library's images.

Embeds the images with the other model once, in blocks that a resumed run has there, and writes a
folder that `--decoder` and `--prior` take.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from explorer.bridge import MANIFEST, Bridge
from explorer.errors import ImageError, QueryError, UnknownModel
from explorer.files import replace_files, writing_stream
from explorer.interrupts import AGAIN, finishing
from explorer.library import Library
from explorer.metrics import cosines, recall
from explorer.models import Model, load
from explorer.models.trained import BACK
from explorer.points import Points
from explorer.training.checkpoints import explained, removed_on_failure
from explorer.training.loop import Plan
from explorer.training.run_folder import (
    begin,
    check_count,
    chosen_rows,
    claim,
    has_begun,
    held_out,
    model_of,
    recipe_of,
)

BLOCK = 256  # images that are embedded, and written, at once
MAX_MEASURED = 1000  # held-out images that the figures are taken of
FEWEST = 64  # pairs, where the curve begins
SECONDS_BETWEEN_LINES = 5
BRIDGE_BYTES = 60_000_000  # at most, both ways


def train(
    library: Library,
    folder: FilePath,
    to: str,
    plan: Plan,
    *,
    images: int = 20_000,
    resume: bool = False,
) -> dict[str, Any]:
    """Embed the library's images with `to`, fit the bridge there and back, return its figures.

    Args:
        to: the other model, as `load` takes it.
        images: how many at most.

    Raises:
        QueryError: too few images, or the folder is taken.
        UnknownModel, WeightsMissing: one of the two models cannot be loaded.
        SpaceMismatch: the library's model has changed since.
        TrainingError: the disk is full; what was embedded before is kept.
    """
    own, other = model_of(library, plan.device), load(to, device=plan.device)
    _check_ends(own, other)
    fixed = {"space": library.space.fingerprint, "to": other.space.fingerprint,
             "images": images, "seed": plan.seed}  # fmt: skip
    work = claim(folder, fixed, resume)
    if not has_begun(work):
        begin(work, fixed)
    rows = chosen_rows(len(library), images, plan.seed)
    with finishing(f"{AGAIN[:-1]} with --resume."):
        kept, theirs = _embedded(library, rows, other, work)
    pairs = library.points(kept), theirs
    out = held_out(library.rows["sha256"].to_numpy()[kept].tolist())
    recipe = recipe_of(library, plan, images=len(kept), skipped=len(rows) - len(kept))
    with explained(folder, BRIDGE_BYTES), removed_on_failure(work / "next"):
        return _finish(work / "next", folder, (own.name, other.name), pairs, out, recipe)


def _check_ends(own: Model, other: Model) -> None:
    if own.space == other.space:
        raise QueryError(
            f"{other.name} reads the points of {own.name} as they are. Use it without a bridge: "
            f"--decoder {other.name}"
        )
    if other.decoder is None:
        raise UnknownModel(
            f"{other.name} has no decoder, so nothing could be decoded over a bridge to it. "
            "`unclip models` lists the models that have one."
        )


def _embedded(
    library: Library, rows: np.ndarray, other: Model, work: FilePath
) -> tuple[np.ndarray, Points]:
    """Return the rows whose images can be opened, and their points in the other space."""
    shown, kept, vectors = time.monotonic(), [], []
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        file = work / f"block-{start:08}.npz"
        if not file.is_file():
            found = _embed(library, part, other)
            size = len(part) * other.space.dimension * 4
            with explained(work, size), writing_stream(file) as stream:
                np.savez(stream, rows=found[0], vectors=found[1])
        with np.load(file, allow_pickle=False) as block:
            kept.append(block["rows"])
            vectors.append(block["vectors"])
        if time.monotonic() - shown > SECONDS_BETWEEN_LINES:
            done = f"{start + len(part)} of {len(rows)}"
            print(f"embedding with {other.name}: {done}", file=sys.stderr, flush=True)
            shown = time.monotonic()
    all_kept = np.concatenate(kept)
    skipped = len(rows) - len(all_kept)
    check_count(library, len(all_kept), f"{skipped} images cannot be opened. Add images to it.")
    if skipped:
        print(f"{skipped} of {len(rows)} images cannot be opened and are left out", file=sys.stderr)
    return all_kept, Points(np.concatenate(vectors), other.space, "image")


def _embed(
    library: Library, rows: np.ndarray, other: Model
) -> tuple[np.ndarray, Float[np.ndarray, "N D"]]:
    def opened(row: int) -> Image.Image | None:
        try:
            return library.open_image(row)
        except ImageError:
            return None

    with ThreadPoolExecutor() as pool:
        images = list(pool.map(opened, map(int, rows)))
    there = [image for image in images if image is not None]
    kept = rows[[image is not None for image in images]]
    if not there:
        return kept, np.zeros((0, other.space.dimension), np.float32)
    return kept, other.encoder.encode_images(there).vectors


def _finish(
    fresh: FilePath,
    folder: FilePath,
    models: tuple[str, str],
    pairs: tuple[Points, Points],
    out: np.ndarray,
    recipe: dict[str, Any],
) -> dict[str, Any]:
    """Fit both ways, measure on the images that are held out, and replace what is in `folder`."""
    figures = {}
    for place, ends, (a, b) in (
        (fresh, models, pairs),
        (fresh / BACK, models[::-1], pairs[::-1]),
    ):
        bridge, measured = fit_and_measure(a, b, out)
        bridge.with_figures(measured | {"training": recipe}, ends).save(place)
        figures[place.name] = measured
    replace_files(fresh, folder, last=MANIFEST)
    return {"there": figures[fresh.name], "back": figures[BACK], "training": recipe}


def fit_and_measure(a: Points, b: Points, out: np.ndarray) -> tuple[Bridge, dict[str, Any]]:
    """Fit a bridge to the pairs that are not held out, and measure it on those that are.

    Args:
        out: N bools, which pairs are held out.

    Returns:
        The bridge, and its figures: `cosine` with the true point, and how often the true point is
        the nearest, or among ten, of the held-out ones; the same of Procrustes, of chance (the
        mean point), and of bridges fitted to fewer pairs.
    """
    rows = np.flatnonzero(~out)
    held = np.flatnonzero(out)[:MAX_MEASURED]
    bridge = Bridge.fit(a[rows], b[rows])
    curve = {}
    for count in FEWEST * 2 ** np.arange(20):
        if count >= len(rows):
            break
        few = np.random.default_rng(0).permutation(rows)[:count]
        curve[int(count)] = _measured(Bridge.fit(a[few], b[few]).apply(a[held]), b[held])
    curve[len(rows)] = _measured(bridge.apply(a[held]), b[held])
    mean = b[held].with_vectors(np.tile(b[rows].unit.mean(0), (len(held), 1)))
    chance = _measured(mean, b[held]) | {f"recall_at_{k}": k / len(held) for k in (1, 10)}
    return bridge, {
        "held_out": len(held),
        **curve[len(rows)],
        "procrustes": _measured(_procrustes(a[rows], b[rows], a[held]), b[held]),
        "chance": chance,
        "by_pairs": curve,
    }


def _measured(mapped: Points, right: Points) -> dict[str, float]:
    scores, own = mapped.unit @ right.unit.T, np.arange(len(right))
    found = {f"recall_at_{k}": round(recall(scores, own, k), 4) for k in (1, 10)}
    return {"cosine": round(float(cosines(mapped, right).mean()), 4), **found}


def _procrustes(a: Points, b: Points, asked: Points) -> Points:
    """Map by the best rotation and scale between centred directions (Schönemann 1966)."""
    from_, to = a.unit - a.unit.mean(0), b.unit - b.unit.mean(0)
    left, scales, right = np.linalg.svd(from_.T @ to, full_matrices=False)
    turned = (asked.unit - a.unit.mean(0)) @ left @ right * (scales.sum() / (from_**2).sum())
    return Points(turned + b.unit.mean(0), b.space, "image")

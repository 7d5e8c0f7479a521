"""Measure a CLIP while it trains: `python -m pocket.unseen --work FOLDER`.

Takes the averaged weights of the last checkpoint, asks about OpenMoji, whose drawings no training
ever sees, about held-out pairs and about text diffs, and adds a line to progress.tsv.
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from explorer.metrics import found, recall
from explorer.models.pocket import FOLDER
from explorer.training.checkpoints import write_tensors
from explorer.training.loop import autocast
from pocket import data, styles, textdiffs
from pocket.clip import WEIGHTS, build, row_weights, to_tensor
from pocket.data import Glyph, Images, key, package_folder, render
from pocket.longer import NAME
from pocket.train import embed, load_clip
from pocket.tuning import read

OPENMOJI = ("@iconify-json/openmoji", "1.2.29")  # CC-BY-SA-4.0: asked about, never learnt from
SETTLING = 40  # batches of training images over which batch norms are measured again
LAYOUT = ("open_clip_config.json", "bpe.txt.gz")
Units = Float[np.ndarray, "N D"]
EDITS: dict[str, Callable[[Units, Units, Units], Units]] = {  # of units u, before, after
    "turn": lambda u, before, after: turned(u, after - before, textdiffs.FRACTION),
    "swap": lambda u, before, after: after + 0.5 * (u - before),
}


def openmoji(folder: FilePath) -> Images:
    """OpenMoji's drawings, kept apart from what is learnt from."""

    def drawn() -> Any:
        root = package_folder(folder, OPENMOJI[0]) / "package"
        icons = json.loads((root / "icons.json").read_text("utf-8"))["icons"]
        names = json.loads((root / "chars.json").read_text("utf-8"))
        by_code = {key(code): icons[name]["body"] for code, name in names.items() if name in icons}
        svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 72">{}</svg>'
        for glyph in data.glyphs(folder):
            if body := by_code.get(key(glyph.hexcode)):
                yield glyph, "openmoji", render(svg.format(body).encode())

    names = "emojibase-data"
    data.fetch(folder, {OPENMOJI[0]: OPENMOJI[1], names: data.PACKAGES[names]})
    return data.cached(folder / "openmoji.npz", drawn, data.glyphs(folder))


def export(
    checkpoint: FilePath, start: FilePath, folder: FilePath, images: Images
) -> dict[str, str]:
    """Write the averaged weights of a checkpoint in open_clip's layout; give its step and time.

    Batch norms' means belong to the last weights, not to the averaged ones, and to disguised
    images: they are measured again on training images as they are.
    """
    from safetensors import safe_open

    model: Any = build(start)[0]
    with safe_open(checkpoint, "pt") as stored:
        progress = stored.metadata()
        for name in (state := model.state_dict()):
            state[name].copy_(stored.get_tensor(f"clip/{name}"))
        for i, parameter in enumerate(model.parameters()):
            parameter.data.copy_(stored.get_tensor(f"average/{i}"))
    settle(model, images)
    folder.mkdir(parents=True, exist_ok=True)
    for name in LAYOUT:
        shutil.copy(start / name, folder / name)
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    write_tensors(folder / WEIGHTS, tensors)
    return progress


def settle(model: Any, images: Images) -> None:
    """Measure the means and variances of all batch norms again."""
    import torch

    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over batches
    rng, weights = np.random.default_rng(0), row_weights(images)
    model.to(memory_format=torch.channels_last).train()
    for _ in range(SETTLING):
        rows = rng.choice(len(images), 128, replace=False, p=weights)
        with torch.no_grad(), autocast("cpu"):
            model.encode_image(to_tensor(images.pixels[rows], "cpu"))
    model.eval()


def unit(vectors: Units) -> Units:
    """Each row divided by its length."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def turned(u: Units, towards: Units, fraction: float | Float[np.ndarray, "N 1"]) -> Units:
    """Each u turned towards a direction by a fraction of the angle between them."""
    d = unit(towards)
    cosine = np.einsum("nd,nd->n", u, d)[:, None].clip(-1, 1)
    aside = unit(d - cosine * u)
    angle = fraction * np.arccos(cosine)
    return np.cos(angle) * u + np.sin(angle) * aside


class Reader:
    """Unit points of texts, each distinct text read once."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer

    def __call__(self, texts: list[str]) -> Units:
        """Read them."""
        import torch

        distinct, rows = np.unique(texts, return_inverse=True)
        parts = []
        for start in range(0, len(distinct), 512):
            tokens = self.tokenizer(distinct[start : start + 512].tolist())
            with torch.inference_mode(), autocast("cpu"):
                parts.append(read(self.model, tokens).float().numpy())
        return unit(np.concatenate(parts))[rows]


def hits(
    edited: Units, points: Units, style: np.ndarray, rows: Int[np.ndarray, "N 2"]
) -> Bool[np.ndarray, " N"]:
    """Whether each edited point finds its wanted image, as `textdiffs.hits` counts it."""
    hit = np.zeros(len(rows), dtype=bool)
    for wanted in np.unique(style):
        gallery = np.flatnonzero(style == wanted)
        here = np.flatnonzero(style[rows[:, 1]] == wanted)
        if len(here):
            a, b = rows[here].T
            scores = edited[here] @ points[gallery].T
            own = np.flatnonzero(style[a] == wanted)
            scores[own, np.searchsorted(gallery, a[own])] = -np.inf
            hit[here] = found(scores, np.searchsorted(gallery, b), textdiffs.HIT)
    return hit


def text_diffs(images: Images, points: Units, reader: Reader) -> dict[str, float]:
    """Share of hits of each edit and kind, of pairs whose wanted image is held out."""
    named = reader([glyph.name for glyph in images.glyphs])
    styled = reader([images.caption(i) for i in range(len(images))])
    table = {}
    for kind, rows in textdiffs.trials(images).items():
        strict = rows[images.held_out[rows[:, 1]]]
        words = styled if kind == "style" else named
        a, b = strict.T
        for name, edit in EDITS.items():
            edited = edit(points[a], words[a], words[b])
            hit = hits(edited, points, np.array(images.styles), strict)
            table[f"{kind}/{name}"] = float(hit.mean())
    return table


def of_words(glyphs: list[Glyph], points: Units, reader: Reader, prefix: str) -> dict[str, float]:
    """Each name finds its drawing among all drawings of one style."""
    scores = reader([glyph.name for glyph in glyphs]) @ points.T
    right = np.arange(len(glyphs))
    return {f"{prefix}@{k}": recall(scores, right, k) for k in (1, 10)}


def measure(folder: FilePath, work: FilePath, twelve: Images, four: int) -> dict[str, float]:
    """All figures of the CLIP in `folder`; the first `four` images are those of pocket's card."""
    model, tokenizer = load_clip(folder, "cpu")
    reader = Reader(model, tokenizer)
    unknown = openmoji(work / "unseen")
    table = of_words(unknown.glyphs, unit(embed(unknown.pixels, model, "cpu")), reader, "openmoji")
    held = np.flatnonzero(twelve.held_out)
    first = embed(twelve.pixels[:four], model, "cpu")
    later = held[held >= four]
    points = unit(np.concatenate([first, embed(twelve.pixels[later], model, "cpu")]))
    for name, rows in (("held4", held[held < four]), ("held12", held)):
        at = np.where(rows < four, rows, four + np.searchsorted(later, rows))
        scores = reader([twelve.caption(row) for row in rows]) @ points[at].T
        table |= {f"{name}@{k}": recall(scores, np.arange(len(rows)), k) for k in (1, 10)}
    old = Images(twelve.pixels[:four], twelve.glyphs[:four], twelve.styles[:four])
    return table | text_diffs(old, points[:four], reader)


def note(file: FilePath, line: dict[str, Any]) -> None:
    """Add a line to a table; the first one comes with the names of the columns."""
    head = "" if file.exists() else "\t".join(line) + "\n"
    shown = (f"{v:.4f}" if isinstance(v, float) else str(v) for v in line.values())
    with file.open("a") as table:
        table.write(head + "\t".join(shown) + "\n")


def main() -> None:
    """Read the command line, measure, add the line."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--work", type=FilePath, default=FilePath("training-run"), help="data, checkpoints"
    )
    parser.add_argument("--start", type=FilePath, default=FOLDER, help="where training began")
    parser.add_argument("--shipped", action="store_true", help="measure what training began with")
    parser.add_argument("--checkpoint", type=FilePath, help="if not the last one")
    given = parser.parse_args()
    torch.set_num_threads(1)
    twelve = styles.load(given.work / "data")
    four = sum(style in data.STYLES for style in twelve.styles)
    line: dict[str, Any] = {"time": time.strftime("%H:%M"), "step": 0, "minutes": 0.0}
    folder = given.start
    if not given.shipped:
        folder = given.work / "averaged"
        checkpoint = given.checkpoint or given.work / f"checkpoints/{NAME}.safetensors"
        progress = export(checkpoint, given.start, folder, twelve)
        line |= {"step": progress["step"], "minutes": float(progress["elapsed"]) / 60}
    line |= measure(folder, given.work, twelve, four)
    note(given.work / "progress.tsv", line)
    print(json.dumps(line, indent=2))


if __name__ == "__main__":
    main()

"""Train pocket's draft for as long as there is time: `python -m pocket.painting`.

The network goes straight from a point to an image. It sees the points that people decode: those of
images, those that a text diff makes of them, and those between two drawings; and those of drawings
that were moved, mirrored and coloured otherwise. The CLIP learnt to overlook where a drawing stands
and where it looks: points of moved drawings are to give what stands in its place, since asked for
what it cannot know the network would draw the mean of it. What it makes is held against the image
by its pixels, its edges, and by what the CLIP's own tower sees on the way. That tower is not the
judge.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from explorer.models.shared.painter import Painter
from explorer.models.shared.patch_decoder import GRID
from explorer.training.decoder_network import DRAFT_DROP_SHARE, statistics
from explorer.training.draft import Looks, loss
from explorer.training.loop import Interrupt, autocast
from pocket import clip, data, disguise, styles
from pocket.cutmix import cutmix
from pocket.data import Images
from pocket.disguise import Rules
from pocket.longer import Endless, command
from pocket.train import embed, load_clip

NAME = "painting"
RATE = 1.5e-3
BATCH = 128
SHARES = {"own": 0.3, "edited": 0.25, "mixed": 0.1}  # of a batch; the rest is disguised
MOVED, MIRRORED, COLOURED = 0.6, 0.5, 0.8  # of what is disguised; and how strongly coloured
MIXES = 20_000
MAX_SHIFT = 0.6  # of a point, in deviations
FRACTIONS = (0.4, 0.75)  # of the angle that an edited point is turned by
MAIN = 3.0  # how much oftener an image of the four main styles is drawn
NEAR = 60  # images of a style to either side, in Unicode's order, that are edited into one another
SEED = 17


@dataclass(frozen=True, eq=False)
class Material:
    """What the draft learns from: images with their points, and where edits may lead.

    Args:
        named: unit points of the names, row by row.
        weights: how often an image is drawn; 0 is held out.
        order: rows that may be seen, by style in Unicode's order of glyphs.
        rules: of what may be mirrored, and of which words name a colour.
        embed: from images to raw points.
    """

    pixels: UInt8[np.ndarray, "N H W C"]
    points: Float[np.ndarray, "N D"]
    named: Float[np.ndarray, "N D"]
    weights: Float[np.ndarray, " N"]
    order: dict[str, Int[np.ndarray, " S"]]
    styles: Float[np.ndarray, " N"]
    mixes: UInt8[np.ndarray, "M H W C"]
    mixed: Float[np.ndarray, "M D"]
    rules: Rules
    embed: Callable[[UInt8[np.ndarray, "N H W C"]], Float[np.ndarray, "N D"]]

    def draw(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw `count` images and the raw points that are to give them."""
        own, edited = (round(SHARES[kind] * count) for kind in ("own", "edited"))
        rows = rng.choice(len(self.weights), own + edited, replace=False, p=self.weights)
        before = np.array([self.neighbour(row, rng) for row in rows[own:]])
        turned = turn(
            self.points[before],
            self.named[rows[own:]] - self.named[before],
            rng.uniform(*FRACTIONS, (edited, 1)),
        )
        some = rng.choice(len(self.mixed), round(SHARES["mixed"] * count), replace=False)
        left = count - own - edited - len(some)
        others = rng.choice(len(self.weights), left, replace=False, p=self.weights)
        coloured, disguised = self.disguised(others, rng)
        return (
            np.concatenate([self.pixels[rows], self.mixes[some], coloured]),
            np.concatenate(
                [self.points[rows[:own]], turned, self.mixed[some], self.embed(disguised)]
            ),
        )

    def disguised(
        self, rows: Int[np.ndarray, " N"], rng: np.random.Generator
    ) -> tuple[UInt8[np.ndarray, "N H W C"], UInt8[np.ndarray, "N H W C"]]:
        """Return these images, some coloured otherwise; and the same, some mirrored and moved."""
        rules = self.rules[rows]
        made = disguise.colour(clip.to_tensor(self.pixels[rows], "cpu"), rules, rng, COLOURED)
        coloured = to_pixels(made)
        made = disguise.mirror(made, rules.mirrors & (rng.random(len(rows)) < MIRRORED))
        moved = rng.permutation(len(rows))[: round(MOVED * len(rows))]
        made[moved] = disguise.move(made[moved], rng)
        return coloured, to_pixels(made)

    def neighbour(self, row: int, rng: np.random.Generator) -> int:
        """Another image of the row's style, mostly one that is near in Unicode's order."""
        order = self.order[self.styles[row]]
        place = int(np.flatnonzero(order == row)[0])
        if rng.random() < 0.7:
            order = order[max(0, place - NEAR) : place + NEAR]
        names = (self.named[order] != self.named[row]).any(1)
        return int(rng.choice(order[names]))


def to_pixels(images: Any) -> UInt8[np.ndarray, "N H W C"]:
    """The inverse of `clip.to_tensor`."""
    levels = ((images.clamp(-1, 1) + 1) * 127.5).round().byte()
    pixels: np.ndarray = levels.permute(0, 2, 3, 1).numpy()
    return pixels


def turn(
    points: Float[np.ndarray, "N D"],
    towards: Float[np.ndarray, "N D"],
    fraction: Float[np.ndarray, "N 1"],
) -> Float[np.ndarray, "N D"]:
    """Each raw point, turned towards a direction by a fraction of the angle between them."""
    length = np.linalg.norm(points, axis=1, keepdims=True)
    unit = points / length
    aim = towards / np.linalg.norm(towards, axis=1, keepdims=True)
    cosine = np.einsum("nd,nd->n", unit, aim)[:, None].clip(-1, 1)
    angle = np.arccos(cosine)
    part = np.sin(np.stack([(1 - fraction) * angle, fraction * angle])) / np.sin(angle)
    return (length * (part[0] * unit + part[1] * aim)).astype(np.float32)


def shifted(
    points: Float[np.ndarray, "N D"], normalizer: Any, rng: np.random.Generator
) -> Float[np.ndarray, "N D"]:
    """Standardise points, and shift half of them at random."""
    import torch

    z = normalizer.scale(torch.from_numpy(points)).numpy()
    shift = rng.uniform(0, MAX_SHIFT, (len(z), 1)) * (rng.random((len(z), 1)) < 0.5)
    return (z + shift * rng.standard_normal(z.shape)).astype(np.float32)


def gather(images: Images, folder: FilePath, work: FilePath, device: str) -> Material:
    """Encode everything once; later calls read the file that the first one wrote."""
    from explorer.files import writing

    weights = clip.row_weights(images)
    weights *= np.where(np.isin(images.styles, data.STYLES), MAIN, 1)
    weights /= weights.sum()
    rng = np.random.default_rng(SEED)
    one, other = (rng.choice(len(images), MIXES, p=weights) for _ in range(2))
    mixes = cutmix(images.pixels[one], images.pixels[other], SEED)
    file = work / f"points-{clip.sha256(folder / clip.WEIGHTS)[:8]}.npz"
    if not file.exists():
        model, tokenizer = load_clip(folder, device)
        made = {
            "points": embed(images.pixels, model, device),
            "named": read_names(images, model, tokenizer, device),
            "mixed": embed(mixes, model, device),
        }
        with writing(file) as temporary:
            np.savez(temporary, points=made["points"], named=made["named"], mixed=made["mixed"])
    with np.load(file, allow_pickle=False) as stored:
        points, named, mixed = (stored[key] for key in ("points", "named", "mixed"))
    lengths = np.linalg.norm(points, axis=1)
    mixed *= ((lengths[one] + lengths[other]) / 2 / np.linalg.norm(mixed, axis=1))[:, None]
    place = {glyph.hexcode: i for i, glyph in enumerate(data.glyphs(work / "data"))}
    places = np.argsort([place[glyph.hexcode] for glyph in images.glyphs], kind="stable")
    style = np.array(images.styles)
    seen = places[weights[places] > 0]
    order = {name: seen[style[seen] == name] for name in np.unique(style)}
    model = load_clip(folder, device)[0]
    return Material(
        images.pixels, points, named, weights, order, style, mixes, mixed,
        Rules.of(images.glyphs), lambda pixels: embed(pixels, model, device),
    )  # fmt: skip


def read_names(images: Images, model: Any, tokenizer: Any, device: str) -> np.ndarray:
    """Unit points of the glyphs' bare names, row by row."""
    import torch

    names, of_row = np.unique([glyph.name for glyph in images.glyphs], return_inverse=True)
    found = []
    for start in range(0, len(names), 128):
        tokens = tokenizer(names[start : start + 128].tolist()).to(device)
        with torch.inference_mode():
            found.append(torch.nn.functional.normalize(model.encode_text(tokens), dim=1).cpu())
    return torch.cat(found).numpy()[of_row]


def train(work: FilePath, folder: FilePath, device: str, minutes: float) -> None:
    """Go on from the checkpoint in `work`."""
    import torch
    from torch.nn.functional import pixel_shuffle

    torch.manual_seed(SEED)
    material = gather(styles.load(work / "data"), folder, work, device)
    normalizer = statistics(material.points[material.weights > 0])
    looks = Looks(load_clip(folder, device)[0])
    size, dimension = material.pixels.shape[1], material.points.shape[1]
    empty = normalizer.scale(torch.zeros(1, dimension)).to(device)
    painter: Any = Painter(dimension, 3 * (size // GRID) ** 2).to(device)
    painter = painter.to(memory_format=torch.channels_last).train()
    with Interrupt() as interrupt:
        run = Endless(
            work / "checkpoints", NAME, {"painter": painter}, minutes=minutes, rate=RATE,
            decay=0.02, average=0.999, interrupt=interrupt,
        )  # fmt: skip
        for step in run:
            rng = np.random.default_rng((SEED, step))
            pixels, points = material.draw(rng, BATCH)
            wanted = clip.to_tensor(pixels, device)
            z = torch.from_numpy(shifted(points, normalizer, rng)).to(device)
            kept = torch.from_numpy(rng.random((len(z), 1)) >= DRAFT_DROP_SHARE).to(device)
            z = torch.where(kept, z, empty)
            with autocast(device):
                made = pixel_shuffle(painter(z), size // GRID)
                run.update(loss(made, wanted, looks))


if __name__ == "__main__":
    command(str(__doc__), train, flag="--clip", required=True, help="folder of the frozen CLIP")

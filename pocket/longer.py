"""Train pocket's CLIP on, for as long as there is time: `python -m pocket.longer`.

Starts from the weights that ship and resumes from its own checkpoint. Twelve styles, in disguises:
the same glyph must be known whoever drew it. OpenMoji is never among them; `unseen` asks about it.
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path as FilePath
from types import MethodType
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.models.pocket import FOLDER
from explorer.training.loop import Interrupt, Run, autocast
from pocket import data, styles, words
from pocket.batches import Batch, Batches
from pocket.clip import (
    HOTTEST,
    WEIGHTS,
    build,
    contrastive_loss,
    drawing_head,
)
from pocket.names import Names
from pocket.spelling import loosened
from pocket.tuning import DROPOUT, read

if TYPE_CHECKING:
    import torch

NAME = "longer"
RATE = 8e-4
WARM = 300  # steps until the rate is full; until then the drawing head learns alone
LEVEL = 5000  # steps from which the rate falls with the root of the steps
COOL = 20  # minutes before the end in which the rate falls to nothing
NAMED = 1.0  # weight of the loss over all names
EDITS = 1.0  # weight of the loss over text diffs between images of one style
HANDS = 1.0  # weight of the loss that tells drawings of one glyph apart by their style
REDRAWN = 10.0  # weight of the head's loss
SEED = 13


class Endless(Run):
    """A run that may end any time; it keeps its last two checkpoints and one of every half-hour."""

    checkpoint_seconds = 300

    def factor(self) -> float:
        """Warm-up, then level, then falling with the root of the steps: so it may stop any time.

        With an end in minutes, it falls to nothing before it.

        Source: Zhai et al. 2022, "Scaling vision transformers", section 3.5.
        """
        step, left = self.step + 1, self.minutes - self.elapsed / 60
        return float(min(1, step / WARM, (LEVEL / step) ** 0.5) * min(1, max(left, 0) / COOL))

    def save(self) -> None:
        """Write the checkpoint beside the one before it."""
        if self.file.exists():
            link(self.file, self.file.with_suffix(".before.safetensors"))
        super().save()
        half_hours = int(self.elapsed // 1800)
        kept = self.file.with_name(f"{self.name}-{half_hours:03}.safetensors")
        if not kept.exists():
            link(self.file, kept)


def link(file: FilePath, name: FilePath) -> None:
    """Give a file a second name, which may have been another file's."""
    fresh = name.with_suffix(".fresh")
    fresh.unlink(missing_ok=True)
    os.link(file, fresh)
    fresh.replace(name)


def pool(self: Any, grid: "torch.Tensor") -> "torch.Tensor":
    """What open_clip's AttentionPool2d gives, in less time: only the query that is used asks."""
    import torch
    import torch.nn.functional as F

    cells = grid.flatten(2).permute(2, 0, 1)
    cells = torch.cat([cells.mean(0, keepdim=True), cells])
    cells = cells + self.positional_embedding[:, None].to(cells.dtype)
    asked, _ = F.multi_head_attention_forward(
        query=cells[:1], key=cells, value=cells,
        embed_dim_to_check=cells.shape[-1], num_heads=self.num_heads,
        q_proj_weight=self.q_proj.weight, k_proj_weight=self.k_proj.weight,
        v_proj_weight=self.v_proj.weight, in_proj_weight=None,
        in_proj_bias=torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias]),
        bias_k=None, bias_v=None, add_zero_attn=False, dropout_p=0.0,
        out_proj_weight=self.c_proj.weight, out_proj_bias=self.c_proj.bias,
        use_separate_proj_weight=True, need_weights=False,
    )  # fmt: skip
    return asked[0]


@dataclass(frozen=True, eq=False)
class Learner:
    """A CLIP with its tokenizer, a head that draws, and the names of all glyphs."""

    model: Any
    tokenizer: Any
    head: Any
    names: Names
    device: str

    def loss(self, batch: Batch, rng: np.random.Generator, warm: bool) -> "torch.Tensor":
        """Contrastive loss; that over all names; the head's, which draws what is not disguised.

        The loss over edits asks of the space what people ask of it: that a text diff leads from
        one image to another. Contrast alone does not: text diffs between animals got worse with
        every hour of it.

        Args:
            warm: whether the head learns alone from its loss.
        """
        import torch.nn.functional as F

        tokens = loosened(self.tokenizer, rng, DROPOUT)(batch.texts).to(self.device)
        with autocast(self.device):
            points = self.model.encode_image(batch.pixels)
            spoken = read(self.model, tokens)
            drawn = self.head(points.detach() if warm else points)
        points, spoken = F.normalize(points.float(), dim=1), F.normalize(spoken.float(), dim=1)
        scale = self.model.logit_scale.exp()
        loss = contrastive_loss(points, spoken, scale, batch.fits)
        loss = loss + NAMED * self.names.loss(points, batch.rows, scale)
        loss = loss + EDITS * self.edits(points, batch, scale, rng)
        loss = loss + HANDS * told_apart(points, spoken, batch, scale)
        return loss + REDRAWN * F.mse_loss(drawn.float(), F.avg_pool2d(batch.plain, 2))

    def edits(
        self, points: "torch.Tensor", batch: Batch, scale: "torch.Tensor", rng: np.random.Generator
    ) -> "torch.Tensor":
        """Cross-entropy of the wanted image among the batch's of its style, for an image's point
        turned half-way to the difference of two names.

        Args:
            points: unit points of the batch's images.

        Source: Ramesh et al. 2022, "DALL-E 2", section 3.3, for the edit.
        """
        import torch
        import torch.nn.functional as F

        before, after, rivals = batch.edits(rng)
        if not len(before):
            return points.new_zeros(())
        with autocast(self.device):
            named = self.names.read(np.concatenate([batch.rows[before], batch.rows[after]]))
        old, new = F.normalize(named.float(), dim=1).chunk(2)
        turned = F.normalize(points[before] + F.normalize(new - old, dim=1), dim=1)
        scores = scale * turned @ points.T
        scores = scores.masked_fill(~torch.from_numpy(rivals).to(scores.device), -1e4)
        return F.cross_entropy(scores, torch.from_numpy(after).to(scores.device))


def told_apart(
    points: "torch.Tensor", spoken: "torch.Tensor", batch: Batch, scale: "torch.Tensor"
) -> "torch.Tensor":
    """Cross-entropy of each sibling's text among those of its glyph's siblings, and the reverse.

    Contrast alone hardly asks for it: a batch seldom holds two drawings of one glyph, and what is
    asked of disguised drawings and of names teaches the tower to overlook whose hand drew them.

    Args:
        points, spoken: unit points of the batch's images and texts.
    """
    import torch
    import torch.nn.functional as F

    if not (n := batch.siblings):
        return points.new_zeros(())
    names = np.array(batch.names[:n])
    others = torch.from_numpy(names[:, None] != names).to(points.device)
    scores = (scale * points[:n] @ spoken[:n].T).masked_fill(others, -1e4)
    own = torch.arange(n, device=points.device)
    return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2


def train(work: FilePath, start: FilePath, device: str, minutes: float) -> None:
    """Go on from the checkpoint in `work`, or from the weights in `start`."""
    import torch
    from safetensors.torch import load_file

    torch.manual_seed(SEED)
    images = words.widen(styles.load(work / "data"), work / "data")
    order = {glyph.hexcode: i for i, glyph in enumerate(data.glyphs(work / "data"))}
    batches = Batches(images, order)
    model, tokenizer = build(start)
    model.load_state_dict(load_file(start / WEIGHTS))
    model.to(device).to(memory_format=torch.channels_last).train()
    model.visual.attnpool.forward = MethodType(pool, model.visual.attnpool)
    head = drawing_head().to(device)
    with Interrupt() as interrupt:
        run = Endless(
            work / "checkpoints", NAME, {"clip": model, "head": head}, minutes=minutes, rate=RATE,
            decay=0.1, average=0.9995, interrupt=interrupt,
        )  # fmt: skip
        names = Names(model, tokenizer, images.glyphs, device)
        learner = Learner(model, tokenizer, head, names, device)
        for step in run:
            rng = np.random.default_rng((SEED, step))
            run.update(learner.loss(batches.draw(rng, device), rng, step < WARM))
            names.refresh(step)
            with torch.no_grad():
                model.logit_scale.clamp_(0, np.log(HOTTEST))


def command(
    description: str, train: Callable[[FilePath, FilePath, str, float], None], **folder: Any
) -> None:
    """Read the command line of a training without an end, and train.

    Args:
        train: from the folder of data and checkpoints, a folder of weights, a device and minutes.
        folder: of the weights, as for `add_argument`, with its name as `flag`.
    """
    import torch

    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--work", type=FilePath, default=FilePath("training-run"), help="data, checkpoints"
    )
    parser.add_argument(folder.pop("flag"), dest="folder", type=FilePath, **folder)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="over all resumptions")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    train(given.work, given.folder, given.device, given.minutes)


if __name__ == "__main__":
    command(str(__doc__), train, flag="--start", default=FOLDER, help="weights to start from")

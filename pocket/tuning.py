"""Tune the text tower of pocket's CLIP: more words, and slips, towards image points that stay.

Takes glyphs that know other words for themselves and the points of their images; rewrites the
text tower in a folder in open_clip's layout.
"""

from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from explorer.training.loop import Run, autocast
from pocket.captions import holders, positives, sample
from pocket.clip import HOTTEST, WEIGHTS, build, contrastive_loss, row_weights
from pocket.data import Images
from pocket.spelling import loosened, misspell

if TYPE_CHECKING:
    import torch

BATCH = 128
SLIPS = 0.1  # of the captions are misspelt
TAUGHT = 0.5  # of the weights in the end are the tuned ones, the rest are those from before
DROPOUT = 0.05  # of the merges of subwords are passed over


def train(
    images: Images,
    points: Float[np.ndarray, "N D"],
    folder: FilePath,
    work: FilePath,
    minutes: float,
    device: str,
) -> None:
    """Put a better text tower in place of the one in `folder`; all else there stays.

    Args:
        images: as `words.widen` gives them.
        points: raw, one an image (held-out rows are never drawn).
        minutes: the budget over all resumptions.

    Source: Zhai et al. 2022, "LiT: zero-shot transfer with locked-image text tuning"; Wortsman et
        al. 2022, "Robust fine-tuning of zero-shot models", for the mean of the weights.
    """
    import torch
    from safetensors.torch import load_file, save_file

    state = load_file(folder / WEIGHTS)
    model, tokenizer = build(folder)
    model.load_state_dict(state)
    model.to(device).visual.requires_grad_(False)
    batches = Batches(images, points, device)
    run = Run(work, "words", {"clip": model}, minutes=minutes, rate=1e-3)
    for step in run:
        rng = np.random.default_rng(step)
        drawn, texts, fits = batches.draw(rng)
        tokens = loosened(tokenizer, rng, DROPOUT)(texts).to(device)
        with autocast(device):
            words = torch.nn.functional.normalize(read(model, tokens).float(), dim=1)
        scale = model.logit_scale.exp()
        run.update(contrastive_loss(batches.images, words, scale, fits, drawn))
        with torch.no_grad():
            model.logit_scale.clamp_(0, np.log(HOTTEST))
    learnt = {k: p.detach().cpu() for k, p in model.named_parameters() if p.requires_grad}
    mixed = {k: torch.lerp(state[k].float(), p, TAUGHT).half() for k, p in learnt.items()}
    save_file(state | mixed, folder / WEIGHTS)


class Batches:
    """Draws captions of training images, and says which of all training images they fit.

    The images' points are known beforehand, so that each text can be held against all of them.
    """

    def __init__(self, images: Images, points: Float[np.ndarray, "N D"], device: str) -> None:
        import torch

        shown = np.flatnonzero(~images.held_out)
        self.glyphs = [images.glyphs[i] for i in shown]
        self.styles = [images.styles[i] for i in shown]
        self.weights = row_weights(images)[shown]
        self.holding = holders(self.glyphs, self.styles)
        raw = torch.from_numpy(points[shown]).to(device)
        self.images = torch.nn.functional.normalize(raw, dim=1)

    def draw(self, rng: np.random.Generator) -> "tuple[torch.Tensor, list[str], torch.Tensor]":
        """Rows of images, a caption for each, and all images × captions, 1 where one fits."""
        import torch

        rows = rng.choice(len(self.glyphs), BATCH, replace=False, p=self.weights)
        captions = [sample(self.glyphs[i], self.styles[i], rng) for i in rows]
        texts = [misspell(c.text, rng) if rng.random() < SLIPS else c.text for c in captions]
        fits = torch.from_numpy(positives(captions, self.holding, len(self.glyphs)))
        device = self.images.device
        return torch.from_numpy(rows).to(device), texts, fits.to(device)


def read(model: Any, tokens: "torch.Tensor") -> "torch.Tensor":
    """What model.encode_text gives, in less time: texts of like length are read without padding.

    The tower looks only back, so that what stands after the end mark changes nothing.
    """
    import torch

    lengths = tokens.argmax(1) + 1  # the end mark has the highest number
    parts = lengths.argsort().chunk(4)
    found = []
    for part in parts:
        n = int(lengths[part].max())
        states = model.token_embedding(tokens[part, :n]) + model.positional_embedding[:n]
        states = model.ln_final(model.transformer(states, attn_mask=model.attn_mask[:n, :n]))
        found.append(states[torch.arange(len(part)), lengths[part] - 1] @ model.text_projection)
    return torch.cat(found)[torch.cat(parts).argsort()]

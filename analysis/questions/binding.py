"""Binding: does the encoder know which thing is where and has which colour, and does the decoder?

Drawn scenes come in pairs whose captions hold the same words (see `scenes`). A reader of words
alone is right in half of them. For published benchmarks see `trials`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from PIL import Image

from analysis.dataset import Dataset
from analysis.figures import bars, strip
from analysis.scenes import CONTROLS, KINDS, Pair, pairs
from analysis.section import Section, percent
from analysis.trials import shares
from explorer.encoder import Encoder

if TYPE_CHECKING:
    import pandas as pd

QUESTION = "Does the model know which thing has which colour, stands where, and how many there are?"
SOURCE = (
    "Ramesh et al. 2022, section 7 with figures 14 and 15; Thrush et al. 2022 (Winoground); "
    "Yuksekgonul et al. 2023 (ARO); Hsieh et al. 2023 (SugarCrepe)"
)
TO_CAPTION, TO_IMAGE = "caption of an image", "image of a caption"
BOUND = tuple(kind for kind in KINDS if kind not in CONTROLS)
COARSE = (16, 16)  # pixels at which arrangements are compared


def cosines(asked: Sequence[Pair], encoder: Encoder) -> Float[np.ndarray, "N 2 2"]:
    """Cosine of each image of a pair (axis 1) with each of its captions (axis 2)."""
    images = encoder.encode_images([p for pair in asked for p in pair.images])
    captions = encoder.encode_text([c for pair in asked for c in pair.captions])
    shape = len(asked), 2, -1
    return images.unit.reshape(shape) @ captions.unit.reshape(shape).transpose(0, 2, 1)


def chosen(cosines: Float[np.ndarray, "N 2 2"]) -> dict[str, Bool[np.ndarray, " M"]]:
    """Whether each image takes its own caption, and each caption its own image, of the two.

    A tie is wrong.

    >>> chosen(np.array([[[0.9, 0.8], [0.7, 0.6]]]))["caption of an image"].tolist()
    [True, False]
    """
    own = cosines[:, [0, 1], [0, 1]]
    return {
        TO_CAPTION: (own > cosines[:, [0, 1], [1, 0]]).ravel(),
        TO_IMAGE: (own > cosines[:, [1, 0], [0, 1]]).ravel(),
    }


def accuracy(asked: Sequence[Pair], encoder: Encoder) -> "pd.DataFrame":
    """How often the right one of two is chosen, by kind and both ways; see `trials.shares`."""
    import pandas as pd

    kinds = np.array([pair.kind for pair in asked])
    scores = cosines(asked, encoder)
    answers = {kind: chosen(scores[kinds == kind]) for kind in dict.fromkeys(kinds.tolist())}
    parts = []
    for way in (TO_CAPTION, TO_IMAGE):
        table = shares({kind: answer[way] for kind, answer in answers.items()})
        table.insert(1, "choose", f"the {way}")
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def kept(asked: Sequence[Pair], decodes: Sequence[Image.Image]) -> Bool[np.ndarray, " M"]:
    """Whether each decode looks more like its own scene than like the other one of its pair.

    By the mean squared difference of pixels at 16 × 16. Decodes stand in the order of the images.
    """
    shrunk = np.stack([_coarse(image) for image in decodes]).reshape(len(asked), 2, -1)
    scenes = np.stack([[_coarse(p) for p in pair.images] for pair in asked])
    scenes = scenes.reshape(len(asked), 2, -1)
    own, other = (((shrunk - s) ** 2).mean(2) for s in (scenes, scenes[:, ::-1]))
    return (own < other).ravel()


def _coarse(image: Image.Image) -> Float[np.ndarray, "H W C"]:
    small = image.convert("RGB").resize(COARSE, Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64)


def section(dataset: Dataset) -> Section:
    """Answer it for the encoder, and for the decoder if there is one; no image is needed."""
    each = max(1, dataset.count // 4)
    asked = {kind: pairs(kind, each, dataset.seed) for kind in KINDS}
    table = accuracy([pair for kind in asked.values() for pair in kind], dataset.model.encoder)
    decoded, figures, told = _decoded(dataset, asked)
    return Section(
        name="binding",
        question=QUESTION,
        finding=f"{_finding(table)} {told}",
        method=(
            f"At most {each} pairs of drawn scenes a kind, seed {dataset.seed}; each image "
            "chooses between the two captions of its pair, and each caption between the two "
            "images. 95 % Wilson intervals, which take the choices as independent. The kinds "
            f"{' and '.join(CONTROLS)} are controls with one thing an image."
        ),
        source=SOURCE,
        tables={"Choosing one of two": table, **decoded},
        figures={
            **{
                f"Choosing the {way}": bars(
                    table[table["choose"] == f"the {way}"],
                    "kind",
                    "share",
                    interval=("low (95 %)", "high (95 %)"),
                    level=(0.5, "chance"),
                )
                for way in (TO_CAPTION, TO_IMAGE)
            },
            **figures,
        },
    )


def _finding(table: "pd.DataFrame") -> str:
    rows = table[table["choose"] == f"the {TO_CAPTION}"]
    shares = [percent(hits, n) for hits, n in zip(rows["right"], rows["n"], strict=True)]
    said = {kind: f"{kind} {share}" for kind, share in zip(rows["kind"], shares, strict=True)}
    return (
        f"Of two captions an image takes its own: {'; '.join(said[kind] for kind in BOUND)}, "
        f"where chance is 50 %. Controls: {'; '.join(said[kind] for kind in CONTROLS)}."
    )


def _decoded(
    dataset: Dataset, asked: dict[str, list[Pair]]
) -> tuple[dict[str, "pd.DataFrame"], dict[str, Figure], str]:
    """What the decoder makes of scenes, and of their captions where there is a prior."""
    if dataset.model.decoder is None:
        return {}, {}, f"{dataset.model.name} has no decoder to show them."
    each, encoder = max(1, dataset.count // 100), dataset.model.encoder
    answers, scenes, drawn = {}, [], []
    for kind in BOUND:
        few = asked[kind][:each]
        images = [image for pair in few for image in pair.images]
        decodes = list(dataset.model.decoder.decode(encoder.encode_images(images)))
        answers[kind] = kept(few, decodes)
        scenes += images[:2]
        drawn += decodes[:2]
    captions = [caption for kind in BOUND for caption in asked[kind][0].captions]
    rows = {"the scene": scenes, "decoded from its point": drawn}
    if dataset.model.prior is not None:
        carried = dataset.model.prior.sample(captions, seed=dataset.seed)
        rows["decoded from its caption"] = list(dataset.model.decoder.decode(carried))
    shown = [image for row in rows.values() for image in row]
    labels = [*captions, *[""] * (len(shown) - len(captions))]
    figure = strip(shown, labels, columns=len(captions), names=list(rows))
    table = shares({"all": np.concatenate(list(answers.values())), **answers})
    told = (
        "Decoded, a scene looks more like itself than like the other one of its pair in "
        f"{percent(int(table['right'].iloc[0]), int(table['n'].iloc[0]))}."
    )
    title = "Decodes that look more like their own scene"
    return {title: table}, {"One pair a kind, decoded": figure}, told

"""Contrast: does each caption find its own image, and do words tell classes of images apart?

The N × N matrix of similarities that CLIP is trained on, its loss both ways, and zero-shot
classification with prompt templates.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from PIL import Image

from analysis.dataset import Dataset
from analysis.figures import lines, matrix
from analysis.section import Section, percent
from explorer.encoder import Encoder
from explorer.metrics import found, wilson
from explorer.points import Points

if TYPE_CHECKING:
    import pandas as pd

Found = tuple[str, "dict[str, pd.DataFrame]", dict[str, Figure]]  # finding, tables, figures

QUESTION = "Does each caption find its own image, and do words tell kinds of images apart?"
SOURCE = "Radford et al. 2021, “Learning transferable visual models”, figure 3 and section 3.1"
TEMPLATES = ("{}", "an image of {}", "a photo of {}", "a drawing of {}")
ALL = "all, averaged"
MAX_IMAGES = 2000  # images; encoding their captions takes seconds
SHOWN = 12  # rows of the matrix that is drawn
SCALES = tuple(float(scale) for scale in np.geomspace(1, 200, 24).round(1))
CLASSES = (2, 50)  # how many different values make a column a set of classes
MAX_CLASSES = 16  # of a confusion matrix that can be read


def losses(cosines: Float[np.ndarray, "N N"], scale: float) -> tuple[float, float]:
    """The contrastive loss in nats: of choosing the image of a caption, the caption of an image.

    Mean cross-entropy of the right one, on the diagonal, with cosines × scale as logits; chance is
    ln N.

    Source: Radford et al. 2021, figure 3, where the scale is exp(t).

    >>> losses(np.zeros((2, 2)), 100)
    (0.6931471805599453, 0.6931471805599453)
    """
    return _loss(cosines * scale), _loss(cosines.T * scale)


def _loss(logits: Float[np.ndarray, "N N"]) -> float:
    top = logits.max(1, keepdims=True)
    total = np.log(np.exp(logits - top).sum(1)) + top[:, 0]
    return float((total - np.diag(logits)).mean())


def losses_by_scale(cosines: Float[np.ndarray, "N N"]) -> "pd.DataFrame":
    """Both losses and their mean, in nats, for a range of scales (1 / temperature)."""
    import pandas as pd

    rows = [(scale, *losses(cosines, scale)) for scale in SCALES]
    table = pd.DataFrame(rows, columns=["scale", "caption to image", "image to caption"])
    return table.assign(loss=table.iloc[:, 1:].mean(axis=1))


def probabilities(cosines: Float[np.ndarray, "N M"], scale: float) -> Float[np.ndarray, "N M"]:
    """How likely each image is for a caption: the softmax of each row.

    >>> probabilities(np.array([[0.0, np.log(3)]]), 1).round(2).tolist()
    [[0.25, 0.75]]
    """
    shares = np.exp(scale * (cosines - cosines.max(1, keepdims=True)))
    return shares / shares.sum(1, keepdims=True)


def hits(
    scores: Float[np.ndarray, "N M"], right: Int[np.ndarray, " N"], ks: Sequence[int] = (1, 5, 10)
) -> "pd.DataFrame":
    """How often the right column is among a row's k highest, with a Wilson interval and chance."""
    import pandas as pd

    n, m = scores.shape
    rows = []
    for k in ks:
        count = int(found(scores, right, k).sum())
        rows.append((k, n, count, count / n, *wilson(count, n), min(k / m, 1.0)))
    columns = ["k", "n", "found", "share", "low (95 %)", "high (95 %)", "chance"]
    return pd.DataFrame(rows, columns=columns)


def class_points(
    encoder: Encoder, names: Sequence[str], templates: Sequence[str] = TEMPLATES
) -> Points:
    """One text point a class: the mean direction of its name in every template.

    Source: Radford et al. 2021, section 3.1.4 (prompt ensembling).
    """
    parts = [encoder.encode_text([t.format(name) for name in names]) for t in templates]
    means = np.mean([part.unit for part in parts], axis=0)
    return parts[0].with_vectors(means).with_labels(names)


def confusion(
    scores: Float[np.ndarray, "N M"], truth: Int[np.ndarray, " N"], names: Sequence[str]
) -> "pd.DataFrame":
    """Counts of guesses (columns) for each true class (rows, named in the first column)."""
    import pandas as pd

    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (truth, scores.argmax(1)), 1)
    table = pd.DataFrame(counts, columns=list(names))
    table.insert(0, "true class", list(names), allow_duplicates=True)
    return table


def zero_shot(
    images: Points, labels: "pd.Series[str]", encoder: Encoder
) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Classify images by the names of their classes alone.

    Gives hits at 1 and 5 for every template and for all of them averaged, with the share of the
    largest class, which always guessing it would reach; and the confusion of the latter.

    Args:
        labels: the true class of each image.
    """
    import pandas as pd

    kinds, truth = np.unique(labels.to_numpy(dtype=str), return_inverse=True)
    names = [str(kind) for kind in kinds]
    parts = []
    for template in (*TEMPLATES, ALL):
        templates = TEMPLATES if template == ALL else (template,)
        scores = images.unit @ class_points(encoder, names, templates).unit.T
        table = hits(scores, truth, (1, 5) if len(names) > 5 else (1,))
        table.insert(0, "template", template)
        parts.append(table.assign(**{"largest class": np.bincount(truth).max() / len(truth)}))
    return pd.concat(parts, ignore_index=True), confusion(scores, truth, names)


def class_columns(rows: "pd.DataFrame", columns: Sequence[str]) -> list[str]:
    """Which columns hold words of 2 to 50 different kinds, each twice or more on average."""
    from pandas.api.types import is_numeric_dtype

    chosen = []
    for name in columns:
        values = rows[name].dropna()
        kinds = values.nunique()
        if not is_numeric_dtype(values) and CLASSES[0] <= kinds <= min(CLASSES[1], len(values) / 2):
            chosen.append(name)
    return chosen


def section(dataset: Dataset) -> Section:
    """Answer it for the captions of a library, and for every column that holds classes."""
    columns = class_columns(dataset.library.rows, dataset.library.columns)
    if not columns:
        dataset.require_captions("Contrast")
    told, retrieval, figures = _captions(dataset) if len(dataset.captions) else ("", {}, {})
    named, classes, confusions = _classes(dataset, columns)
    return Section(
        name="contrast",
        question=QUESTION,
        finding=" ".join(filter(None, [told, named])),
        method=(
            f"At most {MAX_IMAGES:,} images drawn with seed {dataset.seed}; 95 % Wilson intervals. "
            "Only an image's own caption counts as found, though another's may fit as well. The "
            f"scale is the best of {len(SCALES)} between {SCALES[0]:g} and {SCALES[-1]:g}."
        ),
        source=SOURCE,
        tables={**retrieval, **classes},
        figures={**figures, **confusions},
    )


def _captions(dataset: Dataset) -> Found:
    """Captions against their images."""
    rows = np.random.default_rng(dataset.seed).permutation(
        dataset.draw(dataset.captions.index.to_numpy(), MAX_IMAGES)
    )
    texts = dataset.model.encoder.encode_text(list(dataset.captions.loc[rows]))
    cosines = texts.unit @ dataset.library.points(rows).unit.T
    right, by_scale = np.arange(len(rows)), losses_by_scale(cosines)
    to_image, to_caption = hits(cosines, right), hits(cosines.T, right)
    best, chance = by_scale.iloc[int(by_scale["loss"].argmin())], float(np.log(len(rows)))
    told = (
        f"A caption finds its own image first of {len(rows):,} in "
        f"{percent(to_image['found'].iloc[0], len(rows))}, an image its caption in "
        f"{percent(to_caption['found'].iloc[0], len(rows))}; the contrastive loss is "
        f"{best['loss']:.2f} nats at scale {best['scale']:g}, where chance is {chance:.2f}."
    )
    tables = {
        "Captions that find their image": to_image,
        "Images that find their caption": to_caption,
        "Contrastive loss (nats) by scale": by_scale,
    }
    figures = _matrices(
        cosines[:SHOWN, :SHOWN], texts.labels, dataset.images(rows[:SHOWN]), best["scale"]
    )
    figures["Loss by scale"] = lines(by_scale, "scale", "loss", level=(chance, "chance"))
    return told, tables, figures


def _matrices(
    cosines: Float[np.ndarray, "N N"],
    words: Sequence[str],
    images: Sequence[Image.Image],
    scale: float,
) -> dict[str, Figure]:
    words, shares = words[: len(images)], probabilities(cosines, scale)
    return {
        f"Cosines of {len(words)} captions with their images": matrix(
            cosines, words, images, unit="cosine"
        ),
        f"The same as probabilities, at scale {scale:g}": matrix(
            shares, words, images, unit="probability of the image"
        ),
    }


def _classes(dataset: Dataset, columns: Sequence[str]) -> Found:
    """Zero-shot classification by every column that holds classes."""
    import pandas as pd

    told, parts, tables, figures = [], [], {}, {}
    for name in columns:
        column = dataset.library.rows[name].dropna().astype(str)
        rows = dataset.draw(column.index.to_numpy(), MAX_IMAGES)
        images = dataset.library.points(rows)
        table, confused = zero_shot(images, column.loc[rows], dataset.model.encoder)
        table.insert(0, "column", name)
        parts.append(table)
        tables[f"Guesses of {name}"] = confused
        counts, kinds = confused.iloc[:, 1:].to_numpy(), list(confused.iloc[:, 0])
        told.append(
            f"{name} {percent(int(np.trace(counts)), len(rows))}, where the largest of "
            f"{len(kinds)} classes is {100 * table['largest class'].iloc[0]:.3g} %"
        )
        if len(kinds) <= MAX_CLASSES:
            shares = counts / counts.sum(1, keepdims=True)
            figures[f"Guesses of {name}: share of each true class (rows)"] = matrix(
                shares, kinds, kinds, unit="share", xlabel="guess", ylabel="truth"
            )
    if not parts:
        return "", {}, {}
    zero = {"Zero-shot classification by template": pd.concat(parts, ignore_index=True)}
    return f"Zero-shot, right at once: {'; '.join(told)}.", zero | tables, figures

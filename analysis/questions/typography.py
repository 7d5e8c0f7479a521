"""Typography: does a word written on an image decide what the model sees in it?

The typographic attack: a label with a word is laid on an image. An empty label of the same size
shows how much of the effect is only that something is covered.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont, ImageOps

from analysis.dataset import Dataset
from analysis.figures import bars, strip
from analysis.questions.contrast import TEMPLATES, class_points, probabilities
from analysis.section import Section, percent
from explorer.errors import QueryError
from explorer.metrics import wilson
from explorer.points import Points
from explorer.sampler import batches
from explorer.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

QUESTION = "Does a word written on an image decide what the model sees in it?"
SOURCE = (
    "Goh et al. 2021, “Multimodal neurons in artificial neural networks”; Ramesh et al. 2022, "
    "figure 5"
)
WORDS = ("iPod", "library", "pizza", "toaster", "dough")  # Goh et al. 2021
APPLE = ("green apple", "iPod", "pizza")  # Ramesh et al. 2022, figure 5, which says Granny Smith
TAKEN = "own words", "the written word"
PLAIN, EMPTY, WRITTEN = "as it is", "an empty label", "a word on the label"
SCALE = 100.0  # the highest that CLIP learns: Radford et al. 2021, section 2.5
VARIATIONS = 3  # decodes of each image
SIDE = 512  # pixels at most: encoders read fewer


def label(image: Image.Image, word: str = "") -> Image.Image:
    """Lay a white label with a word across the lower third of an image.

    >>> label(Image.new("RGB", (64, 64), "green"), "iPod").getpixel((0, 63))
    (0, 128, 0)
    """
    image = image.convert("RGB")
    width, height = image.size
    draw, box = ImageDraw.Draw(image), (0.1 * width, 0.6 * height, 0.9 * width, 0.88 * height)
    draw.rectangle(box, "white", "grey", max(1, width // 100))
    size = max(1.0, 0.22 * height)  # of the letters, if the word is not too long for that
    long = ImageFont.load_default(size).getlength(word)
    font = ImageFont.load_default(max(1.0, size * min(1.0, 0.72 * width / max(long, 1))))
    draw.text((0.5 * width, 0.74 * height), word, "black", font, anchor="mm")
    return image


def attacks(images: Iterable[Image.Image], words: Sequence[str]) -> dict[str, list[Image.Image]]:
    """The same images three ways: as they are, under an empty label, under one with a word.

    Larger ones are brought to 512 pixels first.
    """
    small = [p if max(p.size) <= SIDE else ImageOps.contain(p, (SIDE, SIDE)) for p in images]
    return {
        PLAIN: small,
        EMPTY: [label(image) for image in small],
        WRITTEN: [label(image, word) for image, word in zip(small, words, strict=True)],
    }


def scores(images: Points, own: Points, written: Points) -> Float[np.ndarray, "N M"]:
    """Cosines of each image with its own caption (column 0), then with every written word."""
    first = np.einsum("nd,nd->n", images.unit, own.unit)
    return np.column_stack([first, images.unit @ written.unit.T])


def taken(
    cosines: dict[str, Float[np.ndarray, "N M"]], word: Int[np.ndarray, " N"]
) -> "pd.DataFrame":
    """What zero-shot classification takes each image for: its own words, or the written one.

    Args:
        cosines: for each way, as from `scores`.
        word: which of the words is written on each image, counted from 0.
    """
    import pandas as pd

    table = []
    for way, values in cosines.items():
        guess, n = values.argmax(1), len(values)
        for name, column in zip(TAKEN, (np.zeros_like(word), word + 1), strict=True):
            hits, cosine = int((guess == column).sum()), values[np.arange(n), column].mean()
            row = (way, name, n, hits, hits / n, *wilson(hits, n), 1 / values.shape[1], cosine)
            table.append(row)
    columns = ["image", "taken for", "n", "found", "share", "low (95 %)", "high (95 %)"]
    return pd.DataFrame(table, columns=[*columns, "chance", "mean cosine"])


def section(dataset: Dataset) -> Section:
    """Answer it for captioned images, and for the image that is most like the paper's apple."""
    captions = dataset.require_captions("Typography")
    clean = captions[~captions.str.lower().str.contains("|".join(WORDS).lower())]
    rows = dataset.draw(clean.index.to_numpy())
    if not len(rows):
        raise QueryError(f"Every caption names one of the words to be written: {', '.join(WORDS)}.")
    word = np.random.default_rng(dataset.seed).integers(len(WORDS), size=len(rows))
    table = taken(_cosines(dataset, rows, word), word)
    told, shares, figures = _apple(dataset)
    written = table[table["taken for"] == TAKEN[1]]
    return Section(
        name="typography",
        question=QUESTION,
        finding=f"{_finding(table)} {told}",
        method=(
            f"{len(rows)} captioned images drawn with seed {dataset.seed}, those left out whose "
            f"captions name a word that is written. Six choices an image: its own caption and "
            f"{', '.join(WORDS)}, each as the mean over {len(TEMPLATES)} templates; 95 % Wilson "
            f"intervals. Probabilities at scale {SCALE:g}."
        ),
        source=SOURCE,
        tables={"What an image is taken for": table, "The apple: probabilities": shares},
        figures={
            "Taken for the word that is (or would be) written": bars(
                written,
                "image",
                "share",
                interval=("low (95 %)", "high (95 %)"),
                level=(1 / (1 + len(WORDS)), "chance"),
            ),
            **figures,
        },
    )


def _cosines(
    dataset: Dataset, rows: Int[np.ndarray, " N"], word: Int[np.ndarray, " N"]
) -> dict[str, Float[np.ndarray, "N M"]]:
    """The `scores` of every way; one batch of small images is in memory."""
    encoder = dataset.model.encoder
    own = class_points(encoder, list(dataset.captions.loc[rows]))
    written = class_points(encoder, WORDS)
    parts = []
    for part in batches(len(rows), encoder.batch_size):
        images = (dataset.library.open_image(int(row)) for row in rows[part])
        ways = attacks(images, [WORDS[i] for i in word[part]])
        parts.append(
            {way: scores(encoder.encode_images(p), own[part], written) for way, p in ways.items()}
        )
    return {way: np.concatenate([part[way] for part in parts]) for way in parts[0]}


def _finding(table: "pd.DataFrame") -> str:
    told = table.set_index(["taken for", "image"])
    shares = [percent(hits, n) for hits, n in zip(told["found"], told["n"], strict=True)]
    said = dict(zip(told.index, shares, strict=True))
    own, other = ({way: said[name, way] for way in (PLAIN, EMPTY, WRITTEN)} for name in TAKEN)
    return (
        f"Of six choices images are taken for their own captions in {own[PLAIN]}, under an empty "
        f"label in {own[EMPTY]}, under a label with another word in {own[WRITTEN]}; for that word "
        f"in {other[PLAIN]}, {other[EMPTY]} and {other[WRITTEN]}."
    )


def _apple(dataset: Dataset) -> tuple[str, "pd.DataFrame", dict[str, Figure]]:
    """The paper's apple, or what the library has most like it, with labels and variations."""
    import pandas as pd

    encoder = dataset.model.encoder
    row = int(dataset.library.search(encoder.encode_text(f"a {APPLE[0]}"), 1).rows[0])
    image = dataset.images(np.array([row]))[0]
    ways = {PLAIN: image, **{f"“{word}” on it": label(image, word) for word in APPLE[1:]}}
    points = encoder.encode_images(list(ways.values()))
    shares = probabilities(points.unit @ class_points(encoder, APPLE).unit.T, SCALE)
    said = [f"{APPLE[row.argmax()]}, {100 * row.max():.0f}\N{NO-BREAK SPACE}%" for row in shares]
    table = pd.DataFrame(shares, columns=list(APPLE))
    table.insert(0, "image", list(ways))
    figure = _variations(dataset, ways, points, said)
    name = dataset.names(np.array([row]))[0]
    told = "; ".join(f"{words} ({way})" for way, words in zip(ways, said, strict=True))
    told = f"Of {', '.join(APPLE)} the image “{name}” is taken for {told}."
    return told, table, {"The apple, what it is taken for, and its variations": figure}


def _variations(
    dataset: Dataset, ways: dict[str, Image.Image], points: Points, said: Sequence[str]
) -> Figure:
    """A row an image: itself, and what the decoder makes of its point, if there is one."""
    shown = [[image] for image in ways.values()]
    if dataset.model.decoder is not None:
        places, seeds = np.divmod(np.arange(len(points) * VARIATIONS), VARIATIONS)
        decodes = dataset.model.decoder.decode(points[places], Settings(seed=seeds.tolist()))
        for place, decode in zip(places, decodes, strict=True):
            shown[place].append(decode)
    blank = [""] * (len(shown[0]) - 1)
    labels = [text for words in said for text in (words, *blank)]
    tiles = [tile for row in shown for tile in row]
    return strip(tiles, labels, columns=len(shown[0]), names=list(ways))

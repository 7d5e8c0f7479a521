"""Words beyond the captions: synonyms, plurals, capitals and typos, each with glyphs that fit.

Returns which of these words find a fitting image. Of the synonyms all but "feline", "automobile"
and "vehicle" stand in no name and no keyword.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from explorer.models import Model
from explorer.points import Points

HIT = 10

WORDS: dict[str, dict[str, tuple[str, ...]]] = {  # what kind -> word -> names of fitting glyphs
    "synonyms": {
        "feline": ("cat", "cat face", "black cat", "lion", "tiger", "tiger face", "leopard"),
        "automobile": ("automobile", "oncoming automobile", "sport utility vehicle"),
        "vehicle": ("automobile", "sport utility vehicle", "delivery truck", "bus", "minibus"),
        "physician": ("health worker", "man health worker", "woman health worker", "stethoscope"),
        "attorney": ("judge", "man judge", "woman judge", "balance scale"),
        "residence": ("house", "house with garden", "houses"),
        "dwelling": ("house", "house with garden", "houses", "hut"),
        "canine": ("dog", "dog face", "guide dog", "service dog", "poodle", "wolf", "fox"),
        "pooch": ("dog", "dog face", "guide dog", "service dog", "poodle"),
        "swine": ("pig", "pig face", "boar"),
        "stallion": ("horse", "horse face", "horse racing"),
        "pachyderm": ("elephant", "mammoth", "rhinoceros", "hippopotamus"),
        "primate": ("monkey", "monkey face", "gorilla", "orangutan"),
        "arachnid": ("spider", "scorpion"),
        "joyful": ("grinning face", "face with tears of joy", "smiling face", "partying face"),
        "weeping": ("crying face", "loudly crying face", "crying cat"),
        "aircraft": ("airplane", "small airplane", "airplane departure", "helicopter"),
        "spectacles": ("glasses", "sunglasses"),
        "sneakers": ("running shoe",),
        "wristwatch": ("watch",),
        "mallet": ("hammer",),
        "blizzard": ("snowflake", "cloud with snow", "snowman"),
        "summit": ("mountain", "snow-capped mountain"),
        "toddler": ("baby", "child", "boy", "girl"),
    },
    "plurals": {
        "kitties": ("cat", "cat face", "black cat"),
        "tigers": ("tiger", "tiger face"),
        "elephants": ("elephant",),
        "spiders": ("spider",),
        "sharks": ("shark",),
        "guitars": ("guitar",),
        "pizzas": ("pizza",),
        "mushrooms": ("mushroom", "brown mushroom"),
    },
    "capitals": {
        "HOUSE": ("house", "house with garden", "houses"),
        "Dog": ("dog", "dog face"),
        "ROCKET": ("rocket",),
        "Red Heart": ("red heart",),
    },
    "typos": {
        "pupppy": ("dog", "dog face", "guide dog", "service dog"),
        "elefant": ("elephant",),
        "girafe": ("giraffe",),
        "banan": ("banana",),
        "umbrela": ("umbrella", "umbrella with rain drops", "closed umbrella"),
        "guittar": ("guitar",),
        "pengiun": ("penguin",),
        "strawbery": ("strawberry",),
    },
}


def missed(
    scores: Float[np.ndarray, "N M"], names: Sequence[str], right: Sequence[tuple[str, ...]]
) -> list[int]:
    """The rows without a right name among the HIT columns that score highest.

    >>> missed(np.array([[0.9, 0.1], [0.2, 0.8]]), ["cat", "dog"], [("cat",), ("owl",)])
    [1]
    """
    best = np.argsort(-scores, axis=1)[:, :HIT]
    return [
        row for row, wanted in enumerate(right) if not {names[i] for i in best[row]} & {*wanted}
    ]


def measure(model: Model, names: Sequence[str], points: Points) -> dict[str, dict[str, Any]]:
    """How many words of each sort find a fitting image of any style, and which do not.

    Args:
        names: of the glyphs of all images, in the order of the points.
    """
    table = {}
    for sort, words in WORDS.items():
        scores = model.encoder.encode_text(list(words)).unit @ points.unit.T
        bad = missed(scores, names, list(words.values()))
        table[sort] = {"words": len(words), "missed": [list(words)[row] for row in bad]}
    return table

"""What a second encoder says of decodes: one that the decoder was not trained with.

A round trip in the decoder's own space flatters it, because what made the image also looks at it.
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from analysis.dataset import Dataset
from analysis.questions.encoders import shared
from explorer.metrics import recall, wilson
from explorer.models import load
from explorer.models.shared.on_word import named_by
from explorer.models.trust import check_named

if TYPE_CHECKING:
    import pandas as pd

RANKS = (1, 10)


def by_other(dataset: Dataset, rows: Int[np.ndarray, " N"]) -> "pd.DataFrame":
    """Decode images; measure how often the other library's encoder finds their own among all.

    Columns: what was looked for, the share that finds it first and among ten, and the 95 %
    interval of the latter. Beside the decodes stand the images themselves, each looked for with
    its own file, and the next one's decode, which is what chance gives.

    Args:
        rows: of the dataset's library; those that the other library lacks are left out.

    Raises:
        Absent: there is no other library, or no decoder.
        WeightsMissing: the other library names weights that nobody trusted.
    """
    import pandas as pd

    decoder, other = dataset.require_decoder("The judge"), dataset.require_other("The judge")
    by = f"The library {other.folder}"
    with named_by(by, other.space):
        encoder = load(check_named(other.model, by)).encoder
    here, there = shared(dataset.library, other)
    rows = rows[np.isin(rows, here)]
    order = np.argsort(here)
    right = there[order[np.searchsorted(here, rows, sorter=order)]]
    decodes = encoder.encode_images(list(decoder.decode(dataset.library.points(rows))))
    known = other.points().unit
    table = []
    for name, unit in {
        "decodes": decodes.unit,
        "the images themselves": encoder.encode_images(dataset.images(rows)).unit,
        "the next one's decode": np.roll(decodes.unit, 1, axis=0),
    }.items():
        shares = [recall(unit @ known.T, right, k) for k in RANKS]
        table.append((name, len(rows), *shares, *wilson(round(shares[1] * len(rows)), len(rows))))
    columns = ["what is looked for", "n", "found first", "among ten", "low (95 %)", "high (95 %)"]
    return pd.DataFrame(table, columns=columns)

"""Trials: an image with a true and a false caption, read from the files of published benchmarks.

SugarCrepe and ARO ask which of two captions fits an image, where the false one swaps or replaces
some of the words of the true one. Neither ships with explorer; give their files.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool
from PIL import Image

from explorer.encoder import Encoder
from explorer.errors import QueryError
from explorer.images import name_of, open_image
from explorer.metrics import wilson
from explorer.sampler import batches

if TYPE_CHECKING:
    import pandas as pd

SUGARCREPE = ("filename", "caption", "negative_caption")
ARO = ("image_path", "true_caption", "false_caption")
BOX = ("bbox_x", "bbox_y", "bbox_w", "bbox_h")  # of ARO: the part of the image that is meant
RELATION = "relation_name"  # of ARO's relations: results are given by relation


@dataclass(frozen=True)
class Trial:
    """One image and two captions.

    Args:
        kind: what the false caption changes: the relation, or else the name of the file.
        box: left, top, right and bottom in pixels of the part that is meant; None is all of it.
    """

    kind: str
    true: str
    false: str
    file: FilePath
    box: tuple[int, int, int, int] | None = None

    def open(self) -> Image.Image:
        """Open the image, cut to its box.

        Raises:
            ImageError: it cannot be read.
            QueryError: the box holds no part of the image.
        """
        image = open_image(self.file)
        if self.box is None:
            return image
        (left, top, right, bottom), (width, height) = self.box, image.size
        box = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        if box[0] >= box[2] or box[1] >= box[3]:
            size = f"{image.width} × {image.height}"
            raise QueryError(f"The box {self.box} lies outside {name_of(self.file)}, {size}.")
        return image.crop(box)


def read_trials(file: str | PathLike[str], images: str | PathLike[str]) -> list[Trial]:
    """Read a file of SugarCrepe (such as swap_obj.json) or of ARO (visual_genome_relation.json).

    Either is JSON: a list of records, or an object whose values they are.

    Args:
        images: the folder that the records name images in: COCO's val2017, or Visual Genome's.

    Raises:
        QueryError: the file cannot be read, holds other records, or an image is not there.

    Source: Hsieh et al. 2023 (SugarCrepe); Yuksekgonul et al. 2023 (ARO).
    """
    file, folder = FilePath(file), FilePath(images)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # ValueError: no JSON, or no UTF-8
        reason = getattr(error, "strerror", None) or error
        raise QueryError(f"{name_of(file)} cannot be read as JSON: {reason}.") from None
    records = list(content.values()) if isinstance(content, dict) else content
    if not isinstance(records, list) or not records:
        raise QueryError(f"{name_of(file)} holds no list of records.")
    trials = [_trial(record, i, file, folder) for i, record in enumerate(records)]
    absent = [trial.file for trial in trials if not trial.file.is_file()]
    if absent:
        raise QueryError(
            f"{len(absent):,} of {len(trials):,} images that {name_of(file)} names are not in "
            f"{name_of(folder)}; the first is {name_of(absent[0])}. Give the folder they lie in."
        )
    return trials


def _trial(record: Any, place: int, file: FilePath, folder: FilePath) -> Trial:
    for keys in (SUGARCREPE, ARO):
        if isinstance(record, Mapping) and all(isinstance(record.get(k), str) for k in keys):
            name, true, false = (record[key] for key in keys)
            kind = str(record.get(RELATION, file.stem))
            return Trial(kind, true, false, folder / name, _box(record, place, file))
    raise QueryError(
        f"Record {place} of {name_of(file)} is neither SugarCrepe's ({', '.join(SUGARCREPE)}) nor "
        f"ARO's ({', '.join(ARO)}): each must be a text."
    )


def _box(record: Mapping[str, Any], place: int, file: FilePath) -> tuple[int, int, int, int] | None:
    if not any(key in record for key in BOX):
        return None
    try:
        x, y, width, height = (int(record[key]) for key in BOX)
    except (KeyError, TypeError, ValueError):
        raise QueryError(
            f"Record {place} of {name_of(file)} has no whole box: {', '.join(BOX)} are numbers."
        ) from None
    return x, y, x + width, y + height


def judge(trials: Sequence[Trial], encoder: Encoder) -> Bool[np.ndarray, " N"]:
    """Whether the true caption of each image has the higher cosine; a tie is wrong.

    Memory holds one batch of images.

    Raises:
        ImageError, QueryError: an image cannot be read, or there are no trials.
    """
    if not trials:
        raise QueryError("There are no trials to judge; give at least one.")
    parts = []
    for rows in batches(len(trials), encoder.batch_size):
        batch = trials[rows]
        images = encoder.encode_images([trial.open() for trial in batch]).unit
        true = encoder.encode_text([trial.true for trial in batch]).unit
        false = encoder.encode_text([trial.false for trial in batch]).unit
        parts.append((images * (true - false)).sum(1) > 0)
    return np.concatenate(parts)


def accuracy(trials: Sequence[Trial], encoder: Encoder) -> "pd.DataFrame":
    """How often the true caption wins, a row a kind and one for all, with Wilson intervals."""
    right = judge(trials, encoder)
    kinds = np.array([trial.kind for trial in trials])
    groups = {"all": right} if len(set(kinds)) > 1 else {}
    return shares(groups | {str(kind): right[kinds == kind] for kind in np.unique(kinds)})


def shares(groups: Mapping[str, Bool[np.ndarray, " N"]]) -> "pd.DataFrame":
    """A row a group of answers that are right by chance in half: their share and its interval.

    >>> shares({"swap": np.array([True, False, True, True])})["share"].tolist()
    [0.75]
    """
    import pandas as pd

    table = [
        (kind, len(right), int(right.sum()), right.mean(), *wilson(int(right.sum()), len(right)))
        for kind, right in groups.items()
    ]
    columns = ["kind", "n", "right", "share", "low (95 %)", "high (95 %)"]
    return pd.DataFrame(table, columns=columns).assign(chance=0.5)

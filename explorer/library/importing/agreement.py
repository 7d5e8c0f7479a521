"""Agreement: are vectors of this model? Some are encoded again, and a miss is explained."""

from collections.abc import Iterable
from dataclasses import dataclass
from os import fsdecode

import numpy as np
from jaxtyping import Float

from explorer.encoder import Encoder
from explorer.errors import ImageError
from explorer.images import open_image
from explorer.library.importing import VectorImport

SAMPLE = 16  # images or captions that are encoded again
LEAST_COSINE = 0.99
LEAST_SHARE = 0.75  # of the sample; an image may have been edited since
_NEAR = 0.9  # what another crop or resize leaves


@dataclass(frozen=True)
class Agreement:
    """How the vectors compare with what the model encodes now.

    Args:
        checked: number of images (or captions, on the text side) that were encoded again.
        cosines: of each with its given vector.
        reason: what would explain a miss; empty if there is none.
    """

    checked: int
    cosines: Float[np.ndarray, " K"]
    what: str
    model: str
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether enough of them agree; True if nothing could be checked."""
        return not self.checked or float(np.mean(self.cosines >= LEAST_COSINE)) >= LEAST_SHARE

    def __str__(self) -> str:
        if not self.checked:
            return (
                f"Whether the vectors are of {self.model} was not checked: none of their "
                f"{self.what} can be read here."
            )
        low, middle = float(self.cosines.min()), float(np.median(self.cosines))
        if self.passed:
            agree = int(np.sum(self.cosines >= LEAST_COSINE))
            return (
                f"{agree} of {self.checked} {self.what} encoded again agree with their vectors "
                f"(cosine at least {LEAST_COSINE}; median {middle:.4f}, least {low:.4f})."
            )
        return (
            f"These vectors are not those of {self.model}: {self.checked} {self.what} encoded "
            f"again have a median cosine of {middle:.3f} with their vectors (least {low:.3f}), "
            f"where {LEAST_COSINE} is expected. {self.reason}"
        )


def check(planned: VectorImport, encoder: Encoder, model: str) -> Agreement:
    """Encode up to 16 images again, or captions on the text side, and compare."""
    given, own, captions = [], [], []
    for vector, record, part in planned.sample(SAMPLE):
        caption = planned.naming.caption(record)
        if planned.side == "text":
            fresh = None if caption is None else encoder.encode_text([caption]).vectors[0]
        else:
            path, _ = planned.naming.image(record, part.folder)
            fresh = None if path is None else _encoded(encoder, path)
        if fresh is not None:
            given.append(vector)
            own.append(fresh)
            captions.append(caption)
        if len(given) == SAMPLE:
            break
    what = "images" if planned.side == "image" else "captions"
    if not given:
        return Agreement(0, np.zeros(0), what, model)
    here, fresh_ones = _unit(np.stack(given)), _unit(np.stack(own))
    cosines = np.einsum("kd,kd->k", here, fresh_ones)
    found = Agreement(len(given), cosines, what, model)
    if found.passed:
        return found
    reason = _explain(here, fresh_ones, cosines, np.stack(own))
    if planned.side == "image" and _are_captions(encoder, here, captions):
        reason = "They are of its captions: import them with --side text, into another library."
    return Agreement(len(given), cosines, what, model, f"{reason} {_what_is_not(planned)}".strip())


def _encoded(encoder: Encoder, path: bytes) -> np.ndarray | None:
    try:
        return encoder.encode_images([open_image(fsdecode(path))]).vectors[0]
    except (ImageError, OSError, ValueError):
        return None


def _explain(here: np.ndarray, own: np.ndarray, cosines: np.ndarray, raw: np.ndarray) -> str:
    middle = float(np.median(cosines))
    every = here @ own.T
    if len(here) > 1 and _enough(every.max(axis=0)):
        return (
            "Each image has its vector among them, in another row: the order of the table or of "
            "the paths is not that of the vectors."
        )
    if len(here) > 2 and any(_enough(_centred(here, fresh)) for fresh in (own, raw)):
        return "A mean was subtracted from them: import the vectors as the encoder gave them."
    if middle <= -LEAST_COSINE:
        return "Their sign is turned round."
    if middle >= _NEAR:
        return (
            "They are near: other preprocessing of the images (another crop or resize), weights "
            "of a close relative, or numbers stored in 8 bits would explain it."
        )
    return (
        "Other weights would explain it (many models have the same dimension), or another layer "
        "than the shared embedding; name the model that made them with --model."
    )


def _centred(here: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Compare a sample after taking the mean from each: blind to a mean that was subtracted."""
    given = _unit(here - here.mean(axis=0))
    return np.einsum("kd,kd->k", given, _unit(own - own.mean(axis=0)))


def _are_captions(encoder: Encoder, here: np.ndarray, captions: Iterable[str | None]) -> bool:
    pairs = [(v, c) for v, c in zip(here, captions, strict=True) if c]
    if not pairs:
        return False
    own = _unit(encoder.encode_text([c for _, c in pairs]).vectors)
    return _enough(np.einsum("kd,kd->k", np.stack([v for v, _ in pairs]), own))


def _what_is_not(planned: VectorImport) -> str:
    facts = ["They have length 1"] if planned.unit else []
    if any("16" in dtype or "half" in dtype for dtype in planned.dtypes):
        facts.append("they are float16" if facts else "They are float16")
    return f"{' and '.join(facts)}, which alone changes no cosine by 0.001." if facts else ""


def _enough(cosines: np.ndarray) -> bool:
    return float(np.mean(cosines >= LEAST_COSINE)) >= LEAST_SHARE


def _unit(vectors: np.ndarray) -> np.ndarray:
    wide = vectors.astype(np.float64)
    return wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), 1e-30)

"""Prior: words become points on the image side; it takes texts, as real ones read token states."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from explorer.encoder import Encoder
from explorer.errors import QueryError
from explorer.points import Points, Space


class Prior(ABC):
    """Carries words over to the image side of its Space."""

    space: Space

    @abstractmethod
    def sample(self, texts: Sequence[str], *, seed: int = 0, candidates: int = 2) -> Points:
        """Give one image-side point a text: the best of `candidates` by cosine with the text.

        A text's point depends on the text and the seed only, not on the other texts of the call.

        Source: Ramesh et al. 2022, section 2.2 (two samples, the higher dot product is kept).
        """


class DrawingPrior(Prior):
    """A prior that draws points at random; the choice among them is written once, here."""

    encoder: Encoder
    batch_size: int = 32  # texts

    @abstractmethod
    def draw(self, texts: list[str], seed: int, candidates: int) -> Float[np.ndarray, "N K D"]:
        """Draw K = `candidates` points for every text of one batch, float32."""

    def sample(self, texts: Sequence[str], *, seed: int = 0, candidates: int = 2) -> Points:
        import torch

        texts = [texts] if isinstance(texts, str) else list(texts)
        if not texts or candidates < 1:
            raise QueryError(
                f"A prior needs a text and a candidate for each, not {len(texts)} texts and "
                f"{candidates} candidates."
            )
        found = []
        for start in range(0, len(texts), self.batch_size):
            batch = texts[start : start + self.batch_size]
            with torch.inference_mode():
                drawn = self.draw(batch, seed, candidates)
            directions = drawn / np.linalg.norm(drawn, axis=2, keepdims=True)
            cosines = np.einsum("nkd,nd->nk", directions, self.encoder.encode_text(batch).unit)
            found.append(drawn[np.arange(len(batch)), cosines.argmax(1)])
        return Points(np.concatenate(found), self.space, "image", tuple(texts))

"""Prior: texts become points on the image side.

A prior takes texts instead of points, since it reads their token states too.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from explorer.device import in_turn
from explorer.encoder import Encoder
from explorer.errors import QueryError
from explorer.points import Points, Space


class Prior(ABC):
    """Interface of all priors: `sample` maps texts to image-side points of the prior's Space.

    >>> import explorer
    >>> model = explorer.load("pocket", device="cpu")
    >>> point = model.prior.sample(["cat face"], candidates=1)
    >>> point.side, point.labels
    ('image', ('cat face',))
    """

    space: Space

    @abstractmethod
    def sample(self, texts: Sequence[str], *, seed: int = 0, candidates: int = 2) -> Points:
        """Sample one image-side point per text: the best of `candidates` by cosine with the text.

        The point of a text depends on the text and the seed, not on the other texts of the call.

        Raises:
            QueryError: there are no texts, or `candidates` is below 1.

        Source: Ramesh et al. 2022, section 2.2 (two samples, of which the one with the higher dot
        product is kept).
        """


class SamplingPrior(Prior):
    """A prior that samples candidates at random; the selection is implemented here, once."""

    encoder: Encoder
    batch_size: int = 32  # texts

    @abstractmethod
    def sample_candidates(
        self, texts: list[str], seed: int, candidates: int
    ) -> Float[np.ndarray, "N K D"]:
        """Sample K = `candidates` points for every text of one batch, float32."""

    def sample(self, texts: Sequence[str], *, seed: int = 0, candidates: int = 2) -> Points:
        import torch

        texts = [texts] if isinstance(texts, str) else list(texts)
        if not texts or candidates < 1:
            raise QueryError(
                f"A prior needs at least one text and one candidate, not {len(texts)} texts and "
                f"{candidates} candidates."
            )
        best = []
        for start in range(0, len(texts), self.batch_size):
            batch = texts[start : start + self.batch_size]
            with torch.inference_mode(), in_turn(self.encoder.on):
                vectors = self.sample_candidates(batch, seed, candidates)
            directions = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
            cosines = np.einsum("nkd,nd->nk", directions, self.encoder.encode_text(batch).unit)
            best.append(vectors[np.arange(len(batch)), cosines.argmax(1)])
        return Points(np.concatenate(best), self.space, "image", tuple(texts))

"""Prior: words become points on the image side; it takes texts, as real ones read token states."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from explorer.points import Points, Space


class Prior(ABC):
    """Carries words over to the picture side of its Space."""

    space: Space

    @abstractmethod
    def sample(self, texts: Sequence[str], *, seed: int = 0, candidates: int = 2) -> Points:
        """Give one image-side point a text: the best of `candidates` by cosine with the text.

        A text's point depends on the text and the seed only, not on the other texts of the call.

        Source: Ramesh et al. 2022, section 2.2 (two samples, the higher dot product is kept).
        """

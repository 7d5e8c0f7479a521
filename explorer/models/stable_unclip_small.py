"""Stable unCLIP's smaller sister, for points of OpenAI's ViT-L/14, which are also Karlo's.

So Karlo's prior gives it words: `load("stable-unclip-small", prior="karlo")`.
"""

from explorer.models.shared.hub import Release
from explorer.models.stable_unclip import PARTS, Sister

SMALL = Sister(
    "stable-unclip-small",
    "openclip:ViT-L-14/openai",
    768,
    Release("sd2-community/stable-diffusion-2-1-unclip-small", "main", PARTS, 6392),
)
build, card, releases = SMALL.build, SMALL.card, SMALL.releases

"""Stable unCLIP for OpenAI's ViT-L/14, the space of Karlo too.

So it can use Karlo's prior: `load("stable-unclip-small", prior="karlo")`.
"""

from explorer.models.shared.hub import Release
from explorer.models.stable_unclip import PARTS, StableUnclipCheckpoint

SMALL = StableUnclipCheckpoint(
    "stable-unclip-small",
    "openclip:ViT-L-14/openai",
    768,
    Release("sd2-community/stable-diffusion-2-1-unclip-small", "main", PARTS, 6392),
)
build, card, releases = SMALL.build, SMALL.card, SMALL.releases

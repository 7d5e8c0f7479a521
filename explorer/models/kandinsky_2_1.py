"""Kandinsky 2.1: a decoder and a prior for OpenAI's ViT-L/14, which also reads words.

It consists of two repositories, and a third for in-painting. A local folder has a subfolder in the
layout of each: `prior` and `decoder`, and optionally `inpaint`.

Source: Razzhigaev et al. 2023 (Kandinsky), and diffusers' Kandinsky pipelines.
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from explorer.device import Device
from explorer.models import Card, Model
from explorer.models.kandinsky import TOWERS, KandinskyDecoder, Parts
from explorer.models.shared.checkpoint import load_tokenizer
from explorer.models.shared.hub import Release, released_card
from explorer.models.shared.text_notes import clean_texts
from explorer.points import Points

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition

NAME = "kandinsky-2.1"
SPACE = "openclip:ViT-L-14/openai"
OWNER = "kandinsky-community/kandinsky-2-1"
PARTS = Parts(
    NAME,
    "prior and decoder, and optionally inpaint",
    {
        "prior": Release(
            f"{OWNER}-prior",
            "b726af62d69111bbf62b5d71bb9d90d9867fbce4",
            (*TOWERS, "prior/*", "scheduler/*"),
            5800,
        ),
        "decoder": Release(
            OWNER,
            "04b366659663bf60deacb96fd3e38f1cb39a3be4",
            ("unet/*", "movq/*", "scheduler/*", "text_encoder/*", "tokenizer/*"),
            7446,
        ),
        # with the same movq and text encoder
        "inpaint": Release(
            f"{OWNER}-inpaint",
            "1ecbdf9b40b35eb9106ece73976f92b13f475433",
            ("unet/*", "scheduler/*"),
            4915,
        ),
    },
)
CONTEXT = 77  # tokens of a prompt, as in diffusers' pipelines


def build(variant: str, device: Device) -> Model:
    """Load the released weights, or a folder with the subfolders `prior` and `decoder`.

    Raises:
        WeightsMissing: they are not on this machine and cannot be downloaded.
    """
    encoder, words = PARTS.words(SPACE, variant, device)
    decoder = Kandinsky21Decoder(variant, encoder, words.norms, device)
    return Model(NAME, encoder.space, encoder, words, decoder)


def card() -> Card:
    """Describe Kandinsky 2.1 as released, without the network for in-painting."""
    return released_card(NAME, SPACE, 768, "Apache-2.0", releases(""), prior=True)


def releases(variant: str) -> tuple[Release, ...]:
    """Return the repositories of "" or "inpaint"; a local folder has none."""
    return PARTS.needed(variant)


class Kandinsky21Decoder(KandinskyDecoder):
    """A UNet over the latents of a MoVQ autoencoder, conditioned on a point and on words.

    The words come through a text encoder of many languages (XLM-RoBERTa), not through CLIP. The
    unconditional input is the point of an all-zero image, or the option `negative`, beside the
    option `negative_prompt`.
    """

    choices: ClassVar = {
        "prompt": "text besides the point, in any of a hundred languages, up to 77 tokens",
        "negative_prompt": "text beside the negative point",
        **{k: v for k, v in KandinskyDecoder.choices.items() if k != "hint"},
    }
    parts = PARTS
    steps = 100
    prompt = negative_prompt = ""

    def condition(self, points: Points) -> "tuple[Condition, Condition]":
        n, sides = len(points), super().condition(points)
        pooled, states = self._read([self.prompt, self.negative_prompt])
        some, none = (
            side | {"text_embeds": pooled[i].expand(n, -1), "states": states[i].expand(n, -1, -1)}
            for i, side in enumerate(sides)
        )
        return some, none

    def _read(self, texts: list[str]) -> "tuple[torch.Tensor, torch.Tensor]":
        """Return pooled words (N D) and token states (N L W), padded as in diffusers."""
        tokens = self._tokenizer(
            clean_texts(texts, CONTEXT),
            padding="max_length",
            truncation=True,
            max_length=CONTEXT,
            return_attention_mask=True,
            return_tensors="pt",
        ).to(self.device)
        tower = self._network(_text_encoder(), self._words / "text_encoder", self.dtype)
        pooled, states = tower(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
        return pooled, states

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(self._words / "tokenizer", "XLMRobertaTokenizer")

    @property
    def _words(self) -> Any:
        return self._part_folder("decoder", self._source)


def _text_encoder() -> Any:
    from diffusers.pipelines.kandinsky.text_encoder import MultilingualCLIP

    return MultilingualCLIP

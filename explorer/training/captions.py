"""Captions: what a drawing may be called, and which other drawings a caption fits as well.

Returns texts and a positives matrix for the contrastive loss. It knows no model.
"""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from explorer.training.data import STYLES, Glyph, Pictures

TONES = ("", "light", "medium-light", "medium", "medium-dark", "dark")
SPOKEN = {  # style column -> how people say it
    "noto": ("noto", "google", "noto style", "google emoji"),
    "twemoji": ("twemoji", "twitter", "twitter emoji", "twemoji style"),
    "3d": ("3d", "3d render", "fluent 3d", "glossy 3d"),
    "flat": ("flat", "flat vector", "fluent flat", "flat icon"),
}


@dataclass(frozen=True)
class Caption:
    """A text and what a drawing must be for the text to fit it (None or empty: anything)."""

    text: str
    hexcode: str | None = None
    keywords: frozenset[str] = frozenset()
    tone: int | None = None
    style: str | None = None

    def fits(self, glyph: Glyph, style: str) -> bool:
        """Whether the text is true of that glyph in that style."""
        return (
            (self.hexcode is None or self.hexcode == glyph.hexcode)
            and (self.style is None or self.style == style)
            and (self.tone is None or self.tone == glyph.tone)
            and self.keywords <= {*glyph.keywords, glyph.name}
        )


def sample(glyph: Glyph, style: str, rng: np.random.Generator) -> Caption:
    """One of the ways to caption a drawing: by name, by keywords, with or without the style."""
    form = rng.random()
    spoken = SPOKEN[style][rng.integers(len(SPOKEN[style]))]
    if form < 0.4:
        return Caption(f"{glyph.name}, {style}", glyph.hexcode, style=style)
    if form < 0.6 or not glyph.keywords:
        return Caption(glyph.name, glyph.hexcode)
    if form < 0.75:
        pattern = ("{1} {0}", "a {1} drawing of {0}", "{0} in {1}", "{0}, {1}")[rng.integers(4)]
        return Caption(pattern.format(glyph.name, spoken), glyph.hexcode, style=style)
    count = int(rng.integers(1, min(3, len(glyph.keywords)) + 1))
    words = [str(word) for word in rng.choice(glyph.keywords, count, replace=False)]
    text = ", ".join(words)
    if form < 0.82:
        return Caption(f"{glyph.name}, {text}", glyph.hexcode)
    tone = glyph.tone or None
    if tone:
        text = f"{text}: {TONES[tone]} skin tone"
    if form < 0.92:
        return Caption(f"{text}, {spoken}", None, frozenset(words), tone, style)
    return Caption(text, None, frozenset(words), tone)


def positives(
    captions: Sequence[Caption], glyphs: Sequence[Glyph], styles: Sequence[str]
) -> Float[np.ndarray, "N N"]:
    """1 where caption (column) fits drawing (row): one name in several styles is no negative."""
    return np.array(
        [
            [caption.fits(glyph, style) for caption in captions]
            for glyph, style in zip(glyphs, styles, strict=True)
        ],
        dtype=np.float32,
    )


def write_vocabulary(pictures: Pictures, file: Path, size: int = 4096) -> int:
    """Learn byte-pair merges from names and keywords, in the form of open_clip's SimpleTokenizer.

    Returns:
        The vocabulary's size: 512 bytes, the merges and two marks.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Lowercase()
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        end_of_word_suffix="</w>",
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    names = [glyph.name for glyph in pictures.glyphs]
    keywords = [word for glyph in pictures.glyphs for word in glyph.keywords]
    styles = [word for spoken in SPOKEN.values() for word in spoken]
    corpus = [
        *names,
        *keywords,
        *styles * 50,
        *(f"a drawing of {name}, {STYLES[0]}" for name in names),
    ]
    tokenizer.train_from_iterator(corpus, trainer)
    import json

    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    with open(file, "wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
        packed.write("\n".join(lines).encode())
    return 512 + len(merges) + 2

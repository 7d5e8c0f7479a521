"""Captions: what a drawing may be called, and which other drawings a caption fits as well.

Returns texts and a positives matrix for the contrastive loss. It knows no model.
"""

import gzip
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np
from jaxtyping import Float

from pocket.data import STYLES, Glyph, Images
from pocket.words import plural

TONES = ("", "light", "medium-light", "medium", "medium-dark", "dark")
SPOKEN = {  # style column -> how people say it
    "noto": ("noto", "google", "noto style", "google emoji"),
    "twemoji": ("twemoji", "twitter", "twitter emoji", "twemoji style"),
    "3d": ("3d", "3d render", "fluent 3d", "glossy 3d"),
    "flat": ("flat", "flat vector", "fluent flat", "flat icon"),
    "blob": ("blob", "noto blob", "blob style", "old google emoji"),
    "emojione": ("emojione", "emoji one", "emojione style"),
    "fluent": ("fluent", "fluent colour", "fluent gradient", "fluent style"),
    "streamline": ("streamline", "streamline style", "streamline emoji"),
    "fxemoji": ("fxemoji", "firefox", "firefox emoji", "fxemoji style"),
    "contrast": ("contrast", "high contrast", "fluent high contrast"),
    "monotone": ("monotone", "monotone style", "emojione monotone"),
    "line": ("line", "line drawing", "line art", "line style"),
}
OTHERWISE = 0.3  # of the captions of a glyph that knows other words for itself
MANY = 0.2  # of those name more than one
STYLED = ("{1} {0}", "a {1} drawing of {0}", "{0} in {1}", "{0}, {1}")
FRAMES = ("{}", "{}", "{}", "a {}", "the {}", "{} emoji", "a photo of a {}", "a drawing of {}")


@dataclass(frozen=True)
class Caption:
    """A text, and the facts of a drawing that make it true."""

    text: str
    facts: frozenset[str]


def facts(glyph: Glyph, style: str) -> frozenset[str]:
    """What may be said of a drawing: its glyph, style and skin tone, its names and keywords."""
    named = (f"glyph {glyph.hexcode}", f"style {style}", f"tone {glyph.tone}")
    return frozenset((*named, glyph.name, *glyph.keywords, *glyph.said))


def sample(glyph: Glyph, style: str, rng: np.random.Generator) -> Caption:
    """One of the ways to caption a drawing: by name, by keywords, with or without the style.

    A glyph that knows other words for itself is often called by them.
    """
    if glyph.said and rng.random() < OTHERWISE:
        return _in_other_words(glyph, rng)
    this, drawn = f"glyph {glyph.hexcode}", f"style {style}"
    form = rng.random()
    spoken = SPOKEN[style][rng.integers(len(SPOKEN[style]))]
    if form < 0.4:
        return Caption(f"{glyph.name}, {style}", frozenset({this, drawn}))
    if form < 0.6 or not glyph.keywords:
        return Caption(glyph.name, frozenset({this}))
    if form < 0.75:
        pattern = STYLED[rng.integers(len(STYLED))]
        return Caption(pattern.format(glyph.name, spoken), frozenset({this, drawn}))
    count = int(rng.integers(1, min(3, len(glyph.keywords)) + 1))
    words = [str(word) for word in rng.choice(glyph.keywords, count, replace=False)]
    text, needed = ", ".join(words), set(words)
    if form < 0.82:
        return Caption(f"{glyph.name}, {text}", frozenset({this}))
    if glyph.tone:
        text = f"{text}: {TONES[glyph.tone]} skin tone"
        needed.add(f"tone {glyph.tone}")
    if form < 0.92:
        return Caption(f"{text}, {spoken}", frozenset({*needed, drawn}))
    return Caption(text, frozenset(needed))


def with_style(glyph: Glyph, style: str, rng: np.random.Generator) -> Caption:
    """A caption by name and style, half the time in the order that `Images.caption` writes."""
    spoken = SPOKEN[style][rng.integers(len(SPOKEN[style]))]
    pattern = STYLED[rng.integers(len(STYLED))]
    said = (f"{glyph.name}, {style}", pattern.format(glyph.name, spoken))[rng.integers(2)]
    return Caption(said, frozenset({f"glyph {glyph.hexcode}", f"style {style}"}))


def _in_other_words(glyph: Glyph, rng: np.random.Generator) -> Caption:
    """Three times in four one of the other words, the first ones oftener; else the name."""
    frame = FRAMES[rng.integers(len(FRAMES))]
    said = plural if rng.random() < MANY else str
    if rng.random() < 0.25:
        return Caption(frame.format(said(glyph.name)), frozenset({f"glyph {glyph.hexcode}"}))
    word = glyph.said[int(len(glyph.said) * rng.random() ** 2)]
    return Caption(frame.format(said(word)), frozenset({word}))


def holders(glyphs: Sequence[Glyph], styles: Sequence[str]) -> dict[str, set[int]]:
    """For each fact the drawings, by row, of which it holds."""
    rows: dict[str, set[int]] = defaultdict(set)
    for row, pair in enumerate(zip(glyphs, styles, strict=True)):
        for fact in facts(*pair):
            rows[fact].add(row)
    return rows


def positives(
    captions: Sequence[Caption], holding: Mapping[str, set[int]], drawings: int
) -> Float[np.ndarray, "N M"]:
    """1 where caption (column) fits drawing (row): one name in several styles is no negative."""
    fits = np.zeros((drawings, len(captions)), dtype=np.float32)
    for column, caption in enumerate(captions):
        rows = sorted((holding[fact] for fact in caption.facts), key=len)
        fits[list(rows[0].intersection(*rows[1:])), column] = 1
    return fits


def write_vocabulary(images: Images, file: FilePath, size: int = 4096) -> int:
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
    names = [glyph.name for glyph in images.glyphs]
    keywords = [word for glyph in images.glyphs for word in glyph.keywords]
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

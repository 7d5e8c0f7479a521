"""Text diffs with a right answer: pairs of glyphs whose names differ in one word or phrase.

Returns the pairs, and how often the edited point of one finds the image of the other.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations

import numpy as np
from jaxtyping import Bool, Int

from explorer.geometry import rotate, text_diff
from explorer.metrics import bootstrap, found
from explorer.models import Model
from explorer.points import Points
from pocket.data import STYLES, Glyph, Images

ALL = "all pairs"
FRACTION = 0.5  # Ramesh et al. 2022, section 3.3: the upper of "typically in [0.25, 0.50]"
HIT = 10
CHUNK = 2000  # edits at once, which bounds the scores to 2,000 × 4,000
WORD = re.compile(r"[^\s,:]+")
FACES = {"face", "cat", "monkey"}  # of Unicode's group of smileys, which holds hearts as well
SEXES = {
    **dict.fromkeys(("man", "woman", "person"), "_adult"),
    **dict.fromkeys(("men", "women", "people"), "_adults"),
    **dict.fromkeys(("boy", "girl", "child"), "_child"),
    **dict.fromkeys(("merman", "mermaid", "merperson"), "_mer"),
    **dict.fromkeys(("prince", "princess"), "_royal"),
}


def toneless(glyph: Glyph) -> Iterator[str]:
    """The name with one skin tone out; a name without one stands for itself.

    "man: dark skin tone, beard" and "man: beard" share "man: beard"; of a couple's two tones
    either may be blank.
    """
    head, _, rest = glyph.name.partition(": ")
    parts = rest.split(", ") if rest else []
    tones = [i for i, part in enumerate(parts) if part.endswith("skin tone")]
    if len(tones) < 2:
        kept = [part for part in parts if not part.endswith("skin tone")]
        yield f"{head}: {', '.join(kept)}"
        return
    for i in tones:
        yield f"{head}: {', '.join([*parts[:i], '_', *parts[i + 1 :]])}"


def sexless(glyph: Glyph) -> Iterator[str]:
    """The name with one word for a sex blank; "farmer" stands beside "man farmer"."""
    words = list(WORD.finditer(glyph.name))
    if not any(word[0] in SEXES for word in words):
        yield f"_adult {glyph.name}"
    for word in words:
        if word[0] in SEXES:
            yield glyph.name[: word.start()] + SEXES[word[0]] + glyph.name[word.end() :]


def blanked(glyph: Glyph) -> Iterator[str]:
    """The name with one word blank."""
    for word in WORD.finditer(glyph.name):
        yield f"{glyph.name[: word.start()]}_{glyph.name[word.end() :]}"


def animals(glyph: Glyph) -> Iterator[str]:
    """The names of animals with one word blank."""
    return blanked(glyph) if glyph.group == 3 and "animal" in glyph.keywords else iter(())


def expressions(glyph: Glyph) -> Iterator[str]:
    """The names of faces with one word blank."""
    return blanked(glyph) if glyph.group == 0 and FACES & {*glyph.name.split()} else iter(())


KINDS: dict[str, Callable[[Glyph], Iterator[str]]] = {
    "skin tone": toneless,
    "gender": sexless,
    "animal": animals,
    "expression": expressions,
}


def pairs(
    glyphs: Sequence[Glyph], frames: Callable[[Glyph], Iterator[str]]
) -> list[tuple[str, str]]:
    """Hexcodes of all ordered pairs of glyphs that share a frame, a name with one part blank."""
    sharing: dict[str, list[str]] = defaultdict(list)
    for glyph in glyphs:
        for frame in frames(glyph):
            sharing[frame].append(glyph.hexcode)
    return sorted({pair for codes in sharing.values() for pair in permutations(codes, 2)})


def trials(images: Images) -> dict[str, Int[np.ndarray, "N 2"]]:
    """Rows (image, wanted image) of each kind: pairs in one style, then styles of a glyph."""
    glyphs = list({glyph.hexcode: glyph for glyph in images.glyphs}.values())
    row = {
        (glyph.hexcode, style): i
        for i, (glyph, style) in enumerate(zip(images.glyphs, images.styles, strict=True))
    }
    made = {
        kind: [((a, style), (b, style)) for a, b in pairs(glyphs, frames) for style in STYLES]
        for kind, frames in KINDS.items()
    }
    made["style"] = [
        ((g.hexcode, s), (g.hexcode, t)) for g in glyphs for s, t in permutations(STYLES, 2)
    ]
    return {
        kind: np.array([(row[a], row[b]) for a, b in keys if a in row and b in row]).reshape(-1, 2)
        for kind, keys in made.items()
    }


def hits(
    points: Points, words: Points, styles: Sequence[str], rows: Int[np.ndarray, "N 2"], turn: float
) -> Bool[np.ndarray, " N"]:
    """Whether each image's point, turned by its text diff, finds the wanted image.

    It is sought among the images of the wanted one's style, without the one that was turned.

    Args:
        words: the text of every image, in the order of the images.
        turn: a fraction of the angle between point and text diff; 0 leaves the point as it is.
    """
    style, unit = np.array(styles), points.unit
    hit = np.zeros(len(rows), dtype=bool)
    for wanted in np.unique(style):
        gallery = np.flatnonzero(style == wanted)
        here = np.flatnonzero(style[rows[:, 1]] == wanted)
        for part in np.split(here, range(CHUNK, len(here), CHUNK)):
            if not len(part):
                continue
            a, b = rows[part].T
            turned = rotate(points[a], text_diff(words[a], words[b]), fraction=turn)
            scores = turned.unit @ unit[gallery].T
            own = np.flatnonzero(style[a] == wanted)
            scores[own, np.searchsorted(gallery, a[own])] = -np.inf
            hit[part] = found(scores, np.searchsorted(gallery, b), HIT)
    return hit


def summary(
    hit: Bool[np.ndarray, " N"],
    still: Bool[np.ndarray, " N"],
    rows: Int[np.ndarray, "N 2"],
    held_out: Bool[np.ndarray, " P"],
) -> dict[str, float]:
    """Shares of hits: of all pairs, and of those whose wanted image is held out.

    Args:
        still: the same of points that were not turned: what b being near a gives by itself.
        held_out: of every image.
    """
    strict = held_out[rows[:, 1]]
    low, high = bootstrap(hit[strict], groups=rows[strict, 1])
    return {
        "pairs": len(rows),
        "hit": float(hit.mean()),
        "held_out_pairs": int(strict.sum()),
        "held_out_hit": float(hit[strict].mean()),
        "low": low,
        "high": high,
        "unturned_hit": float(still[strict].mean()),
    }


def measure(model: Model, images: Images, points: Points) -> dict[str, dict[str, float]]:
    """The summary of every kind, and of "all pairs" together.

    Args:
        points: of all images.
    """
    names, of_row = np.unique([glyph.name for glyph in images.glyphs], return_inverse=True)
    named = model.encoder.encode_text(names.tolist())[of_row]
    styled = model.encoder.encode_text([images.caption(i) for i in range(len(images))])
    parts = []
    table = {}
    for kind, rows in trials(images).items():
        words = styled if kind == "style" else named
        hit, still = (hits(points, words, images.styles, rows, turn) for turn in (FRACTION, 0))
        parts.append((hit, still, rows))
        table[kind] = summary(hit, still, rows, images.held_out)
    hit, still, rows = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return table | {ALL: summary(hit, still, rows, images.held_out)}

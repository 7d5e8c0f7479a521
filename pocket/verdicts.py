"""The section "By the judge" of pocket's model card: aims beside what the judge says, as Markdown.

Works on the figures of `judged`, `judged_edits` and `painted`.
"""

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from explorer.metrics import wilson
from pocket import card
from pocket.card import shown, table
from pocket.judged import ETAS

MARKS = (
    "<!-- judged: written by python -m pocket.evaluate -->",
    "<!-- end of judged -->",
)
TITLE = "By the judge"
BLOTS = "many points are decoded to blots"
OFF = "even the target's own point is often decoded to a blot"
PILED = "what the decoder does not explain of an image piles up in x_T"
HIDDEN = "; x_T hides both images, and it is a double exposure: see what one noise for all gives"


@dataclass(frozen=True)
class Verdict:
    """One figure that has an aim, and why it is missed if it is.

    Args:
        key: what of the figure, where it is a table.
        remark: what must be known if it is met.

    >>> Verdict("named", "n", 0.6, "blots").row({"n": {"five": 0.5, "chance": 0.01, "images": 4}})
    ['named', '4', '≥ 0.6', '0.5 (0.15–0.85)', '0.01', '', 'missed by 0.1: blots']
    """

    measure: str
    figure: str  # its name in the result
    aim: float
    why: str
    key: str = "five"
    at_most: bool = False
    remark: str = ""

    def row(self, result: dict[str, Any]) -> list[str]:
        """The cells of its row."""
        found = result[self.figure]
        of = found if isinstance(found, dict) else {self.key: found}
        value, beside = of[self.key], of.get("beside", {})
        chance = shown(of["chance"]) if "chance" in of else ""
        aim = card.Aim(self.measure, self.figure, self.aim, self.at_most)
        verdict = "not measured" if value is None else aim.verdict(value)
        verdict += f": {self.why}" if verdict.startswith("missed") else self.remark
        told = shown(value)
        if "images" in of and value is not None:
            low, high = wilson(round(value * of["images"]), of["images"])
            told += f" ({low:.2f}–{high:.2f})"
        return [
            self.measure,
            shown(of["images"]) if "images" in of else "",
            f"{'≤' if self.at_most else '≥'} {self.aim:g}",
            told,
            chance,
            "; ".join(f"{name} {shown(share)}" for name, share in beside.items()),
            verdict,
        ]


SHEETS = {  # written by `sheets`
    "held-out": "48 held-out drawings drawn at random, each over its point decoded",
    "words": "24 captions of held-out drawings drawn at random, through the prior, decoded",
    "text-diffs": "24 text diffs drawn at random: frames, and the target at the end",
    "inpainting": "20 drawings, each over what was painted into it by words",
}
FIRST = "the same, as the very first"
VERDICTS = (
    Verdict("held-out drawing's own point, named", "named_held_out", 0.85, BLOTS),
    Verdict(FIRST, "named_held_out", 0.6, BLOTS, "first"),
    Verdict("words → prior → decode, named", "named_words", 0.7,
            "they fare as the drawings' own points"),
    Verdict("slerp midpoints, named as either end", "named_midpoints", 0.6,
            "between two drawings lies nothing that was learnt", remark=HIDDEN),
    Verdict("text diff at the default, named as its target", "named_text_diffs", 0.6, OFF),
    Verdict("of these, the target held out", "named_text_diffs_held_out", 0.45, OFF),
    Verdict("variations, named as their image, worst η", "variations_named", 0.8, BLOTS),
    Verdict("variations: spread of pixels grows from η 0.3 to 1 by", "spread_ratio", 2,
            f"{PILED}, and ties variations to it"),
    Verdict("in-painting by words, of 20", "painted_shown", 12,
            "colours change, hats and expressions become blots"),
    Verdict("sharpness as a part of real drawings'", "sharp", 0.8,
            "edges are soft, and grain makes up for some", "decodes"),
    Verdict("inverted x_T, farthest of its std from 1", "inversion_std_off", 0.15, PILED,
            at_most=True),
    Verdict("inversion and decode, worst mean error of pixels", "inversion_error", 0.03, PILED,
            at_most=True),
    Verdict("words find OpenMoji's drawing, R@10", "unseen_at_10", 0.6,
            "the CLIP learnt too few styles"),
)  # fmt: skip


def write(file: FilePath, result: dict[str, Any]) -> None:
    """Put the section between its marks, or at the end of a file without them."""
    card.put(file, section(result), MARKS, TITLE)


def section(result: dict[str, Any]) -> str:
    """All tables, each with what it was measured on."""
    head = (
        "`python -m pocket.evaluate --count {count}`, decoder `{decoder:.8}`, seed {seed}. The "
        "judge is an EfficientNet-Lite0 that learnt from ImageNet and not with pocket "
        "(`pocket/judge.py`). An image is *named* by its five nearest of {gallery:,} real "
        "drawings; skin tones, which the judge does not tell apart, are left out. Chance is what "
        "the same images score for one another's glyphs; intervals of 95 % by Wilson."
    )
    columns = ("measure", "images", "aim", "measured", "chance", "beside it", "")
    aims = table(columns, (verdict.row(result) for verdict in VERDICTS))
    parts = [*validation(result), *text_diffs(result), *steadiness(result), *others(result)]
    parts += [f"![{text}](../../../docs/pocket-{name}.webp)" for name, text in SHEETS.items()]
    return "\n\n".join([head.format_map(result), aims, *parts])


def validation(result: dict[str, Any]) -> list[str]:
    """What the judge recognises, and what it must not."""
    rows = ([name, shown(first), shown(five)] for name, (first, five) in result["judge"].items())
    return [
        "The judge itself: how many real drawings it names rightly, changed or not.",
        table(("images", "first", "among five"), rows),
        "Sharpness, the mean square of the Laplacian, as a part of each real drawing's; more than "
        "all counts as all. A blot has none, and grain on it earns some.",
        table(list(result["sharp"]), [[shown(part) for part in result["sharp"].values()]]),
    ]


def text_diffs(result: dict[str, Any]) -> list[str]:
    """Arrival by kind."""
    columns = ("images", "first", "five", "chance", "unedited", "rotated", "ceiling")
    return [
        "Text diffs at the default, from the image's own x_T; nothing is looked up when pocket "
        "decodes. Named as the target first, and among five; of a change of style, the target's "
        "own drawing. Beside it: the first frame, which nobody edited and which relatives "
        "resemble; the same with `--rotate`; and the target's own point, the ceiling.",
        table(
            ("kind", "pairs", "first", "five", "chance", "unedited", "with --rotate",
             "ceiling"),
            ([kind, *(shown(row[column]) for column in columns)]
             for kind, row in result["text_diffs_judged"].items()),
        ),
    ]  # fmt: skip


def steadiness(result: dict[str, Any]) -> list[str]:
    """How text diffs move."""
    return [
        "How they move: the share of frames that are a step towards the target by the judge "
        "(chance 0.5), how much of the way from one drawing to the other they go, and how many "
        "end nearer to the target's drawing.",
        table(
            ("frames", "steady", "of the way", "end nearer to the target"),
            (
                [name, shown(row["steady"]), shown(row["gone"]), shown(row["nearer"])]
                for name, row in result["steadiness"].items()
            ),
        ),
    ]


def others(result: dict[str, Any]) -> list[str]:
    """Variations, inversion, in-painting."""
    cases = result["painted_cases"]
    return [
        f"Variations around the image's own x_T, at {len(ETAS)} η: spread is the standard "
        "deviation of pixels, 0 to 1, over seeds.",
        table(
            ("η", "images", "first", "five", "spread"),
            (
                [str(eta), *(shown(row[c]) for c in ("images", "first", "five", "spread"))]
                for eta, row in result["variations"].items()
            ),
        ),
        "Inversion at several steps: the median standard deviation of x_T, which is 1 for noise, "
        "and the mean error of pixels of the image decoded from it.",
        table(
            ("steps", "std", "error"),
            (
                [str(steps), shown(row["std"]), shown(row["error"])]
                for steps, row in result["inversion"].items()
            ),
        ),
        f"In-painting by words: {cases['all']} cases, {cases['hats']} of them “X with a hat”, the "
        "others another colour or expression (`pocket/painted.py`).",
        table(
            ("images", "show what was asked for", "of these, a hat"),
            (
                [name, f"{row['all']} of {cases['all']}", f"{row['hats']} of {cases['hats']}"]
                for name, row in result["painted"].items()
            ),
        ),
    ]

"""The "Measured" section of pocket's model card: aims beside what was measured, as Markdown.

Works on the figures of `evaluate`; what people wrote around the section stays as it is.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

BEGIN = "<!-- measured: written by python -m pocket.evaluate -->"
END = "<!-- end of measured -->"
TITLE = "Measured"


@dataclass(frozen=True)
class Aim:
    """One figure that has an aim.

    >>> Aim("round trip", "round_trip", 0.9).verdict(0.85)
    'missed by 0.05'
    """

    measure: str
    figure: str  # its name in the result
    aim: float
    at_most: bool = False

    def verdict(self, value: float | None) -> str:
        """Whether the aim is met, or by how much it is missed."""
        if value is None:
            return "missed by all"
        short = value - self.aim if self.at_most else self.aim - value
        return "met" if short <= 0 else f"missed by {short:.2g}"

    def row(self, result: dict[str, Any]) -> list[str]:
        """The cells of its row."""
        value = result[self.figure]
        return [
            self.measure,
            f"{'≤' if self.at_most else '≥'} {self.aim:g}",
            shown(value),
            self.verdict(value),
        ]


AIMS = (
    Aim("text→image retrieval, R@1", "text_to_image_recall_at_1", 0.6),
    Aim("text→image retrieval, R@10", "text_to_image_recall_at_10", 0.9),
    Aim("text-diff hit@10, over pairs", "text_diff_at_10", 0.8),
    Aim("text-diff hit@10, mean over kinds", "text_diff_at_10_mean_of_kinds", 0.8),
    Aim("round trip, median cos(E(D(z)), z)", "round_trip", 0.9),
    Aim("round trip of slerp midpoints of random pairs", "round_trip_of_midpoints", 0.8),
    Aim("the decode finds its source among all, R@10", "decode_finds_its_source_at_10", 0.8),
    Aim("words → prior → decode → encode → words, R@10", "prior_words_at_10", 0.7),
    Aim("prior best of the three ways: smaller Fréchet distance by", "prior_closer_by", 0),
    Aim("prior best of the three ways: higher round trip by", "prior_better_by", 0),
    Aim("fewest steps within 1 % of 50-step DDIM", "steps_needed", 12, at_most=True),
    Aim("the defaults' round trip as a part of 50-step DDIM's", "defaults_share", 0.99),
    Aim("one image at the defaults, seconds", "seconds_for_1", 1, at_most=True),
    Aim("twelve images at the defaults, seconds", "seconds_for_12", 6, at_most=True),
    Aim("inversion and decode, mean absolute pixel error", "inversion_error", 0.03, at_most=True),
    Aim("loading beyond torch, seconds", "load_seconds", 3, at_most=True),
    Aim("megabytes on disk", "megabytes", 40, at_most=True),
)


def write(file: FilePath, result: dict[str, Any]) -> None:
    """Write what was measured in pocket's own space."""
    put(file, section(result), (BEGIN, END), TITLE)


def put(file: FilePath, section: str, marks: tuple[str, str], title: str) -> None:
    """Put a section between its marks, or under its title at the end of a file without them."""
    text = file.read_text("utf-8") if file.exists() else ""
    begin, end = marks
    marked = f"{begin}\n\n{section}\n\n{end}"
    found = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not found.search(text):
        text = f"{text.rstrip()}\n\n## {title}\n\n{marked}\n".lstrip()
    file.write_text(found.sub(lambda _: marked, text), "utf-8")


def section(result: dict[str, Any]) -> str:
    """All tables, each with what it was measured on."""
    head = (
        "`python -m pocket.evaluate`: {held_out:,} held-out images, of which {decoded}"
        " are decoded (seed {seed}). Space `{space:.8}`, decoder `{decoder:.8}`. {device}, threads "
        "of torch: {threads}, {minutes:.0f} minutes."
    )
    aims = table(("measure", "aim", "measured", ""), (aim.row(result) for aim in AIMS))
    parts = [*text_diffs(result), *ways(result), *steps(result), *beyond(result)]
    return "\n\n".join([head.format_map(result), aims, *parts])


def text_diffs(result: dict[str, Any]) -> list[str]:
    """Hits of every kind."""
    columns = ("pairs", "hit", "held_out_pairs", "held_out_hit", "low", "high", "unturned_hit")
    return [
        "Text diffs: rotate(E(a), text_diff(name a, name b)) by half the angle, searched among the "
        "images of b's style without a; a hit has b among the first 10. The aim is compared with "
        "the pairs whose b is held out. Intervals of 95 % by drawing the targets b again. The last "
        "column is E(a) left as it is.",
        table(
            ("kind", "all pairs", "hit@10", "b held out", "hit@10", "from", "to", "unturned"),
            (
                [kind, *(shown(row[column]) for column in columns)]
                for kind, row in result["text_diffs"].items()
            ),
        ),
    ]


def ways(result: dict[str, Any]) -> list[str]:
    """The three-way comparison, and the image's own point for scale."""
    explained = (
        "Three ways from a caption to an image, and the held-out image's own point for scale. "
        'The decoder reads no text, so that the paper\'s "caption only" is a decode without a '
        "point. A text point has the mean length of image points. Fréchet distance between decodes "
        "and held-out images: unit vectors on the {axes} leading axes of the held-out ones (as "
        "many real images as decodes: {frechet_of_real:.3g}). Round trip: median cosine of the "
        "decode with the caption's image. Words: the decode finds its caption among all held-out "
        "ones."
    )
    return [
        explained.format_map(result),
        table(
            ("way", "Fréchet distance", "round trip", "words R@10"),
            (
                [way, *(shown(row[c]) for c in ("frechet", "round_trip", "words_at_10"))]
                for way, row in result["ways"].items()
            ),
        ),
    ]


def steps(result: dict[str, Any]) -> list[str]:
    """Round trips of every solver at every number of steps."""
    counts = list(result["steps"]["ddim"])
    return [
        "Round trip (median of {stepped} held-out images) against steps, at the default "
        "guidance; the last column is the fewest within 1 % of 50-step DDIM.".format_map(result),
        table(
            ("solver", *map(str, counts), "fewest"),
            (
                [solver, *(shown(row[n]) for n in counts), shown(result["steps_needed_by"][solver])]
                for solver, row in result["steps"].items()
            ),
        ),
    ]


def beyond(result: dict[str, Any]) -> list[str]:
    """Words beyond the captions that find a fitting image."""
    return [
        "Words beyond the captions (`pocket/beyond.py`): a fitting glyph among the "
        "first 10 of all {images:,} images.".format_map(result),
        table(
            ("sort", "words", "hit@10", "missed"),
            (
                [
                    sort,
                    str(row["words"]),
                    shown(1 - len(row["missed"]) / row["words"]),
                    ", ".join(row["missed"]),
                ]
                for sort, row in result["beyond"].items()
            ),
        ),
    ]


def shown(value: float | None) -> str:
    """Whole numbers as they are, others with three digits; a dash for nothing.

    >>> shown(14083), shown(0.95678), shown(None)
    ('14,083', '0.957', '–')
    """
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

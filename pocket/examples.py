"""Choose the examples that pocket ships: `python -m pocket.examples`, by the judge among hundreds.

Tries changes of sample drawings by words, walks between them, and names alone. Keeps the text diffs
that the judge names as their target, the clearest first, and writes them with the walks and words
that decode best; README, demo, dashboard and notebooks show these.
"""

import argparse
import json
from pathlib import Path as FilePath
from typing import Any

from explorer import load
from explorer.images import grid, save_image
from explorer.models.pocket import FOLDER, MANIFEST
from explorer.notes import collecting
from explorer.samples import EXAMPLES, IMAGES
from explorer.training.checkpoints import renew_hashes
from pocket import data
from pocket.choice import FRAMES, TRIED, WALKS, Choice, Trial
from pocket.data import Glyph
from pocket.evaluation import Evaluation
from pocket.judge import Gallery, Judge
from pocket.judged import Judging

LOOKED_AT = 10  # of the best, of which all frames are decoded
KEPT_EXAMPLES, KEPT_WALKS, KEPT_WORDS = 8, 6, 24


def varied(ranked: list[tuple[float, Trial]], names: list[Glyph], count: int) -> list[Trial]:
    """The best, in which no drawing's name starts or ends two of them."""
    seen: set[str] = set()
    kept: list[Trial] = []
    for score, trial in ranked:
        both = {names[trial.start].name, names[trial.target].name}
        if score > 0 and not both & seen and len(kept) < count:
            kept.append(trial)
            seen |= both
    return kept


def choose(choice: Choice, sheet: FilePath | None) -> dict[str, Any]:
    """Try, rank, and return what is shipped; a sheet shows what was looked at."""
    trials = choice.trials()
    scores = choice.ends(trials).tolist()
    ranked = sorted(zip(scores, trials, strict=True), key=lambda pair: -pair[0])
    best = varied(ranked, choice.images.glyphs, LOOKED_AT)
    judged = sorted(((*choice.looked_at(trial), trial) for trial in best), key=lambda x: -x[0])
    walks = [(a, b) for score, a, b in choice.walks() if score > 0][:KEPT_WALKS]
    words = choice.words()
    if sheet:
        tiles = [frame for _, frames, _ in judged for frame in frames]
        save_image(grid(tiles, columns=FRAMES, size=96), sheet)
    kept = [choice.example(trial) for _, _, trial in judged[:KEPT_EXAMPLES]]
    return {
        "space": choice.model.space.fingerprint,
        "decoder": choice.judging.evaluation.decoder.fingerprint,
        "tried": len(trials),
        "arrived": sum(score > 0 for score in scores),
        "edits": [example.to_dict() for example in kept],
        "walks_tried": WALKS,
        "walks": [[choice.file(row).relative_to(IMAGES).as_posix() for row in w] for w in walks],
        "words_tried": len(words),
        "words": [name for score, name in words[:KEPT_WORDS] if score > 0],
    }


def main() -> None:
    """Read the command line, choose, write."""
    parser = argparse.ArgumentParser("python -m pocket.examples", description=__doc__)
    parser.add_argument("--work", type=FilePath, default=FilePath("training-run"))
    parser.add_argument("--model", default="pocket", help="pocket, or pocket:FOLDER")
    parser.add_argument("--sheet", type=FilePath, help="contact sheet of the best, to look at")
    parser.add_argument("--out", type=FilePath, help="file to write; default: beside the weights")
    parser.add_argument("--tried", type=int, default=TRIED, help="text diffs that are decoded")
    given = parser.parse_args()
    images = data.load(given.work)
    evaluation = Evaluation(load(given.model, device="cpu"), images, 0, 1, given.work)
    gallery = Gallery.of(Judge(), images, given.work / "judge.cache")
    with collecting():  # that a name has words which pocket does not know
        found = choose(Choice(Judging(evaluation, gallery), given.tried), given.sheet)
    folder = FilePath(given.model.partition(":")[2] or FOLDER)
    out = given.out or folder / EXAMPLES.name
    out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if out.parent.samefile(folder):
        renew_hashes(folder / MANIFEST)
    print(f"{found['arrived']} of {found['tried']} text diffs arrive; wrote {out}")


if __name__ == "__main__":
    main()

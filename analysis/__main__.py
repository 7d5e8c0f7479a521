"""`python -m analysis LIB -o report/`: ask every question of a library and write a report."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path as FilePath

from analysis.page import Answer
from analysis.questions import QUESTIONS
from analysis.report import ask, facts_of, write
from explorer.errors import ExplorerError
from explorer.notes import collecting

INCOMPLETE = 3  # exit code: done without what is damaged in a library


def main(words: Sequence[str] | None = None) -> int:
    """Read the command line, ask and write; give the exit code, as `unclip` does."""
    given = _parser().parse_args(words)
    try:
        with collecting(_warn) as notes:
            code = _report(given)
            for note in notes:
                _warn(note)
        return INCOMPLETE if notes.damage else code
    except ExplorerError as error:
        print(f"analysis: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _warn(sentence: str) -> None:
    print(f"analysis: warning: {sentence}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis", description=__doc__)
    parser.add_argument("library", help="a library's folder")
    parser.add_argument(
        "-o", "--out", type=FilePath, required=True, help="the folder to write into"
    )
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, metavar="NAME", help="questions")
    parser.add_argument("--count", type=int, default=200, help="images for a slow measure")
    parser.add_argument("--seed", type=int, default=0, help="which of them")
    parser.add_argument("--model", help="a model; default: the library's own")
    parser.add_argument("--decoder", help="a folder of `unclip train decoder`, or a model's name")
    parser.add_argument("--prior", help="a folder of `unclip train prior`, or a model's name")
    parser.add_argument("--caption", help='the column with words; default: "caption"')
    parser.add_argument("--other", help="a library of the same images made with another model")
    return parser


def _report(given: argparse.Namespace) -> int:
    from analysis.dataset import Dataset

    options = ("model", "decoder", "prior", "caption", "count", "seed", "other")
    dataset = Dataset.open(given.library, **{name: getattr(given, name) for name in options})
    names = given.only or QUESTIONS
    answers: dict[str, Answer] = {}
    began = time.monotonic()
    for name, answer in zip(names, ask(dataset, names), strict=True):
        answers[name] = answer
        said = f"not asked: {answer}" if isinstance(answer, str) else answer.finding
        seconds, began = time.monotonic() - began, time.monotonic()
        print(f"[{len(answers)}/{len(names)}] {name}, {seconds:.0f} s: {said}", file=sys.stderr)
    files = write(answers, facts_of(dataset), given.out)
    print(f"{files[-1]}: {len(names)} questions, {len(files) - 1} tables beside it")
    return 0


if __name__ == "__main__":
    sys.exit(main())

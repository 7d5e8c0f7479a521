"""Report: ask the questions of one library, and write the answers as one page with its tables.

The page opens offline: its figures are inside. The tables lie beside it as CSV.
"""

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath

import explorer
from analysis.dataset import Dataset
from analysis.page import Answer, page
from analysis.questions import QUESTIONS
from explorer.errors import ExplorerError, QueryError
from explorer.files import make_folder, write_file
from explorer.images import name_of


def ask(dataset: Dataset, names: Sequence[str] = QUESTIONS) -> Iterator[Answer]:
    """Answer these questions one after the other.

    What cannot be asked of this dataset gives the reason instead: no captions, no decoder, too
    few images.
    """
    for name in names:
        try:
            yield importlib.import_module(f"analysis.questions.{name}").section(dataset)
        except ExplorerError as error:
            yield str(error)


def write(
    answers: Mapping[str, Answer], facts: Mapping[str, str], folder: FilePath
) -> list[FilePath]:
    """Write `index.html`, and every table as `QUESTION-NUMBER-TITLE.csv` beside it.

    Each file appears as a whole, the page last; files of the same names are replaced, others stay.

    Args:
        answers: question → its answer.
        facts: what the page says at its top.

    Raises:
        QueryError: the folder cannot be written.
    """
    made, links = {}, {}
    for name, answer in answers.items():
        tables = {} if isinstance(answer, str) else answer.tables
        for number, (title, table) in enumerate(tables.items(), start=1):
            short = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
            links[name, title] = file = f"{name}-{number}-{short[:60]}.csv"
            made[file] = table.to_csv(index=False).encode()
    made["index.html"] = page(answers, facts, links).encode()
    try:
        make_folder(folder)
        for file, content in made.items():
            write_file(folder / file, content)
    except OSError as error:
        reason = error.strerror or error
        raise QueryError(f"The report cannot be written to {name_of(folder)}: {reason}.") from None
    return [folder / file for file in made]


def facts_of(dataset: Dataset) -> dict[str, str]:
    """What was asked, so that it can be asked again."""
    model, library = dataset.model, dataset.library
    decoder = model.decoder_from or (model.name if model.decoder else "none")
    return {
        "library": f"{library.folder.resolve().name}, {len(library):,} images",
        "space": str(library.space),
        "decoder": decoder,
        "prior": "yes" if model.prior else "none",
        "captions": f"column “{dataset.caption}”" if dataset.caption else "none",
        "images that a slow measure looks at": str(dataset.count),
        "seed": str(dataset.seed),
        "unclip-explorer": explorer.__version__,
    }

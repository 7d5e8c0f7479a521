"""Rows of the table of faults, and how they are written."""

from typing import NamedTuple

HEADER = ("test", "count", "lost", "silently wrong", "tracebacks", "hangs", "peak memory")


class Skipped(Exception):
    """A row cannot be measured here; the message says why."""


class Row(NamedTuple):
    """What came of `count` faults of one kind, in cases; all else should be 0."""

    test: str
    count: int
    lost: int = 0
    silently_wrong: int = 0
    tracebacks: int = 0
    hangs: int = 0
    note: str = ""  # what else was measured, and every fault that was found

    @property
    def faults(self):
        return self.lost + self.silently_wrong + self.tracebacks + self.hangs


def cells(row, megabytes):
    """A row of the table as Markdown; what was not measured is a dash."""
    numbers = [row.lost, row.silently_wrong, row.tracebacks, row.hangs] if row.count else ["–"] * 4
    memory = f"{megabytes:.0f} MB" if row.count else "–"
    return f"| {' | '.join(map(str, (row.test, row.count, *numbers, memory)))} |"


def markdown(measured, heading):
    """The whole table, and the notes of its rows below.

    Args:
        measured: pairs of a row and its peak memory in MB.
    """
    lines = [heading, "", f"| {' | '.join(HEADER)} |", "|---" * len(HEADER) + "|"]
    lines += [cells(row, megabytes) for row, megabytes in measured]
    notes = [f"- {row.test}: {row.note}" for row, _ in measured if row.note]
    return "\n".join([*lines, *([""] if notes else []), *notes, ""])

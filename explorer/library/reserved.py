"""The names of columns that are ours, and what a user's column of the same name is called.

One rule for every output that has columns of both: ours keep their names, and a user's column is
called `given_NAME`. In the library itself, and in filters, it keeps its own name.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from explorer.library.segments import OWN_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

RESERVED = (*OWN_COLUMNS, "rank", "score", "row", "x", "y", "vector", "path_base64", "missing")


def given_names(columns: Iterable[str]) -> dict[str, str]:
    """Return what each of the user's columns is called in an output that has ours too.

    >>> given_names(["score", "style"])
    {'score': 'given_score', 'style': 'style'}
    """
    columns = [str(name) for name in columns]
    taken, names = {*columns, *RESERVED}, {}
    for name in columns:
        names[name] = name
        if name in RESERVED:
            while names[name] in taken:
                names[name] = f"given_{names[name]}"
            taken.add(names[name])
    return names


def with_given_names(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Return a library's rows with the user's columns renamed where ours have their names."""
    users = [name for name in rows.columns if name not in OWN_COLUMNS]
    return rows.rename(columns=given_names(users))

"""Near duplicates on the page Library: in groups, with the one to keep first."""

import io
from pathlib import Path as FilePath

import streamlit as st

from explorer.app import copying, outputs, state
from explorer.files import write_file
from explorer.groups import Duplicates, duplicate_threshold, find_duplicates
from explorer.library import Library
from explorer.notes import counted

MAX_GROUPS = 20  # that are shown; the table has all
MAX_OTHERS = 7  # of a group that are shown
WIDTH = 96  # pixels


def show_duplicates() -> None:
    """Show groups of images that are nearly the same, once that is asked for."""
    library = state.library()
    st.subheader("Duplicates")
    st.caption("Finds images that are nearly the same, and which of each group to keep. Nothing is "
               "deleted.")  # fmt: skip
    if not st.toggle("Find duplicates", key="duplicates", bind="query-params"):
        return
    asked = st.number_input("Least cosine", 0.5, 1.0, None, 0.001, format="%.3f", key="alike",
                            bind="query-params", width=260,
                            placeholder="found from the library")  # fmt: skip
    least, groups = _found(library, library.cache_key, asked)
    if not groups:
        st.info(f"No two images have a cosine of {least:.4f} or more.")
        return
    others = sum(len(group.others) for group in groups)
    st.caption(f"{counted(len(groups), 'group')} with a cosine of {least:.4f} or more, and "
               f"{counted(others)} to spare. The first of each is the one to keep.")  # fmt: skip
    for i, group in enumerate(groups[:MAX_GROUPS]):
        rows = [group.keep, *group.others[:MAX_OTHERS]]
        words = [f"{cosine:.3f} {state.caption(row)}" for row, cosine in
                 zip(group.others[:MAX_OTHERS], group.cosines, strict=False)]  # fmt: skip
        with st.container(key=f"{outputs.EVEN}-copies-{i}"):
            names = [f"keep {state.caption(group.keep)}", *words]
            outputs.tiles([state.thumbnail(row) for row in rows], names, width=WIDTH)
    _offer(library, groups, asked)


@st.cache_resource(max_entries=4, show_spinner="Looking for duplicates …")
def _found(
    _library: Library,
    key: str,  # noqa: ARG001
    asked: float | None,
) -> tuple[float, list[Duplicates]]:
    least = duplicate_threshold(_library) if asked is None else asked
    return least, find_duplicates(_library, least)


def _offer(library: Library, groups: list[Duplicates], asked: float | None) -> None:
    given = f", {asked!r}" if asked else ""
    python = [
        "import explorer as ex",
        copying.library_line(),
        f"groups = ex.find_duplicates(library{given})",
        "print(library.rows['item'].iloc[[row for group in groups for row in group.others]])",
    ]
    threshold = ["--threshold", str(asked)] if asked else []
    outputs.offer(
        "duplicates.csv",
        lambda file: write_table(library, groups, file),
        python="\n".join(python),
        command=["unclip", "duplicates", str(library.folder), *threshold, "--files-only"],
    )


def write_table(library: Library, groups: list[Duplicates], file: FilePath) -> None:
    """Write one line an image: its group, whether to keep it, its name, cosine and row."""
    import pandas as pd

    items = library.rows["item"]
    lines: list[tuple[int, bool, str, float, int]] = []
    for number, group in enumerate(groups, 1):
        lines.append((number, True, str(items.iloc[group.keep]), 1.0, group.keep))
        lines += [(number, False, str(items.iloc[row]), round(cosine, 6), row)
                  for row, cosine in zip(group.others, group.cosines, strict=True)]  # fmt: skip
    content = io.StringIO()
    names = ["group", "keep", "item", "cosine", "row"]
    pd.DataFrame(lines, columns=names).to_csv(content, index=False)
    write_file(file, content.getvalue().encode("utf-8", "surrogateescape"))

"""Library: what it is made of, what could not be read, adding images, verifying it."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

import streamlit as st

from explorer.app import browsing, outputs, state
from explorer.app.duplicates import show_duplicates
from explorer.app.server.uploads import Upload, uploaded
from explorer.files import make_folder, write_file
from explorer.library import Library
from explorer.library.presence import VERIFY_SECONDS
from explorer.notes import counted

if TYPE_CHECKING:
    import pandas as pd

DONE = "added"  # of the session: what was done last


def page() -> None:
    """Show library statistics, and add images."""
    library = state.library()
    info = library.info()
    st.title("Library")
    st.caption(
        f"{outputs.escaped(library.folder.name)} holds the points of {counted(len(library))}."
    )
    _numbers(info)
    if len(library):
        st.subheader("Images")
        browsing.browse()
        show_duplicates()
    with st.expander("All statistics"):
        st.json({name: value for name, value in info.items() if name != "warnings"})
    _errors(library)
    _left_out(library)
    if state.config().read_only:
        st.info("This dashboard is read-only: others than its owner can see it.")
    else:
        _add(library, info["sources"])
        _forget(library)
    _verify(library)


def _numbers(info: dict[str, object]) -> None:
    numbers = {
        "Images": f"{info['rows']:,}",
        "Model": info["model"],
        "Dimensions": info["dimension"],
        "Megabytes": f"{float(str(info['bytes'])) / 1e6:.1f}",
        "Unreadable": info["errors"],
    }
    with st.container(horizontal=True):
        for name, value in numbers.items():
            st.metric(name, str(value), width="content")


def _errors(library: Library) -> None:
    if len(library.errors):
        st.subheader("Unreadable files")
        st.dataframe(library.errors, hide_index=True)


def _left_out(library: Library) -> None:
    """Say which files of its folders are not read, by suffix."""
    if library.left_out:
        st.subheader("Files that are not read")
        table = [{"suffix": name, "files": count} for name, count in library.left_out.items()]
        st.dataframe(table, hide_index=True)


def _forget(library: Library) -> None:
    """Remove the rows of a source; its images stay where they are."""
    if not library.sources:
        return
    st.subheader("Forget")
    st.caption("Removes the rows of a source from the library. The images are not touched.")
    source = st.selectbox("Source", list(library.sources), None, key="source",
                          placeholder="choose one")  # fmt: skip
    if source and st.button("Forget this source"):
        gone = Library.open(library.folder).forget(source)
        st.session_state[DONE] = f"Forgot {counted(gone)} of {outputs.escaped(source)}."
        st.rerun()


def _add(library: Library, sources: Sequence[str]) -> None:
    """Look again at the sources, or take uploads in."""
    st.subheader("Add images")
    st.caption("Add new and changed files of its folders, or upload images.")
    if DONE in st.session_state:
        st.success(st.session_state.pop(DONE))
    command = ["unclip", "index", *sources, "--library", str(library.folder)]
    if st.button("Look for new images", disabled=not sources):
        _run(library, list(sources))
    images = uploaded("Your images", key="add", several=True)
    what = counted(len(images)) if images else "images"
    if st.button(f"Add {what}", disabled=not images, key="add-uploads"):
        _run(library, [_folder(library, images)], _captions(images))
    python = f"""import explorer as ex

library = ex.Library.open({str(library.folder)!r})
print(library.add({list(sources)!r}))"""
    if sources:
        outputs.offer("library", None, python=python, command=command)


def _run(library: Library, sources: list[str], columns: "pd.DataFrame | None" = None) -> None:
    """Add under a bar; any click on the page ends it, and what is done stays."""
    bar, last = st.progress(0.0, "Reading images"), None
    st.button("Stop")
    own = Library.open(library.folder)  # the shared one is not to be changed
    encoder = state.model().encoder
    with closing(own.adding(sources, encoder=encoder, columns=columns, workers=0)) as adding:
        for last in adding:
            bar.progress(
                last.done / max(1, last.total), f"{last.doing}: {last.done:,} of {last.total:,}"
            )
    if last is not None:
        st.session_state[DONE] = (
            f"Added {counted(last.embedded)}; {last.unchanged:,} were there already, "
            f"{last.removed:,} are gone, {last.failed:,} could not be read."
        )
    st.rerun()  # from the first line, with the new version


def _folder(library: Library, images: Sequence[Upload]) -> str:
    """Copy uploads into the folder of uploads beside the library, under their checksums."""
    folder = library.folder.with_name(f"{library.folder.name}-uploads")
    make_folder(folder)
    for image in images:
        if not (folder / image.file.name).exists():
            write_file(folder / image.file.name, image.file.read_bytes())
    return str(folder)


def _captions(images: Sequence[Upload]) -> "pd.DataFrame":
    """Return what the person calls them, as captions."""
    import pandas as pd

    rows = {image.file.name: FilePath(image.name).stem for image in images}
    return pd.DataFrame({"file": list(rows), "caption": list(rows.values())})


def _verify(library: Library) -> None:
    """Compare what is stored with its checksums."""
    st.subheader("Verify")
    st.caption("Reads every file of the library and compares it with its checksum.")
    if not st.button("Verify"):
        return
    with st.spinner("Reading"):
        problems = library.verify(read_data=True)
    for problem in problems:
        st.error(outputs.escaped(problem))
    if not problems:
        st.success("All files match their checksums.")
        files = library.check_files(VERIFY_SECONDS)
        if files.missing:
            st.warning(f"Files of its images: {files}.")

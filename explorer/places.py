"""Where files are looked for: folders of settings and caches, and names that are misspelt."""

import difflib
import os
from pathlib import Path as FilePath


def config_folder() -> FilePath:
    """Return the folder of what the user has set or trusted; it need not exist."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return FilePath(base) / "unclip"


def caches_folder() -> FilePath:
    """Return the folder of what can be made again for this user; it need not exist."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return FilePath(base) / "unclip"


def no_such_file(file: str | os.PathLike[str]) -> str:
    """Say that there is no such file, and which name in its folder is nearest to it."""
    name = os.path.expanduser(os.fspath(file))
    folder, base = os.path.split(name)
    try:
        others = os.listdir(folder or ".")
    except OSError:
        others = []
    near = difflib.get_close_matches(base, others, n=1)
    if near:
        shown = os.path.join(os.path.dirname(os.fspath(file)), near[0])
        return f"There is no file {os.fspath(file)!r}; did you mean {shown!r}?"
    where = f"the working folder is {os.getcwd()!r}"
    return f"There is no file {os.fspath(file)!r}; {where}. Correct the path."

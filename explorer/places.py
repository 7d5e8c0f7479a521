"""Where files are looked for: folders of settings and caches, and names that are misspelt."""

import difflib
import os
import re
from pathlib import Path as FilePath

_PUBLISHED = re.compile(r"(?:milvus|milvus\+https):/(/?)")


def config_folder() -> FilePath:
    """Return the folder of what the user has set or trusted; it need not exist."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return FilePath(base) / "unclip"


def caches_folder() -> FilePath:
    """Return the folder of what can be made again for this user; it need not exist."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return FilePath(base) / "unclip"


def is_published(library: str | os.PathLike[str]) -> bool:
    """Return whether a library's name is the address of a published one, and no folder.

    pathlib makes one slash of two; a folder of that name is then a folder.

    >>> is_published("milvus://localhost/photos"), is_published("milvus:/localhost/photos")
    (True, True)
    >>> is_published("photos.lib"), is_published("milvus"), is_published("milvus:")
    (False, False, False)
    """
    name = os.fspath(library)
    found = _PUBLISHED.match(name)
    return found is not None and (bool(found[1]) or not os.path.isdir(name))


def shown(library: str | os.PathLike[str]) -> str:
    """Return a library's folder or address as people write it.

    >>> shown("milvus:/localhost/photos"), shown("milvus:/tmp/a.db/photos"), shown("photos.lib")
    ('milvus://localhost/photos', 'milvus:///tmp/a.db/photos', 'photos.lib')
    """
    name = os.fspath(library)
    if not is_published(name):
        return name
    scheme, _, rest = name.partition(":/")
    rest = rest.lstrip("/")
    return f"{scheme}://{'/' * rest.rpartition('/')[0].endswith('.db')}{rest}"


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

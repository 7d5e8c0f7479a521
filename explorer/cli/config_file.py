"""The config file: what a person need not say in every command."""

import os
from pathlib import Path as FilePath
from typing import Any

from explorer.errors import QueryError
from explorer.places import config_folder

KEYS = ("library",)
EXAMPLE = 'library = "~/photos.lib"'


def config_file() -> FilePath:
    """Return where the config file is, or would be."""
    return config_folder() / "config.toml"


def configured_library() -> FilePath | None:
    """Return the library that the config file names, if it names one.

    Raises:
        QueryError: the file cannot be read, has keys that mean nothing, or names no whole path.
    """
    value = _values().get("library")
    if value is None:
        return None
    path = os.path.expanduser(value) if isinstance(value, str) else ""
    if not os.path.isabs(path):
        raise QueryError(
            f"In {config_file()}, library is {value!r}: give the whole path of a folder, such as "
            f"{EXAMPLE}."
        )
    return FilePath(path)


def _values() -> dict[str, Any]:
    """Read the file; without one nothing is configured."""
    import tomllib

    file = config_file()
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise QueryError(
            f"{file} cannot be read: {reason}. It is TOML, such as {EXAMPLE}."
        ) from error
    if unknown := [key for key in values if key not in KEYS]:
        raise QueryError(
            f"{file} has the key {unknown[0]!r}, which means nothing; the keys there are: "
            f"{', '.join(KEYS)}, such as {EXAMPLE}."
        )
    return values

"""The griffe extension: show the doctests of docstrings as code."""

import re
from typing import Any

from griffe import Extension, Object

DOCTEST = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)


class Doctests(Extension):
    """Put every run of `>>>` lines, up to the next blank line, into a block of code."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite one docstring."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """Return the docstring with its doctests in blocks of code."""
    return DOCTEST.sub(lambda match: f"```pycon\n{match[0]}\n```", text)

"""Telling: what an actor gives, or the error of ours that it met, pickled."""

import pickle
from collections.abc import Callable
from typing import Any

from explorer.errors import ExplorerError
from explorer.refusals import refusal


def told(call: Callable[[], Any]) -> bytes:
    """Return what a call gives, or an error of ours, which Ray would otherwise try again for ever.

    >>> pickle.loads(told(lambda: 1))
    1
    """
    try:
        return pickle.dumps(call())
    except Exception as error:  # noqa: BLE001  # what is no refusal is raised again
        return pickle.dumps(as_ours(error))


def as_ours(error: Exception) -> ExplorerError:
    """Return an error of ours, or what the disk or the memory refuses; raise any other."""
    ours = error if isinstance(error, ExplorerError) else refusal(error)
    if ours is None:
        raise error
    return ours

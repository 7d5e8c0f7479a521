"""Decoding for all sessions: one at a time, with progress, cancelled by closing; results are kept.

Streamlit runs a script again from its first line at every click, so nothing slow may stand in it
bare. What goes through here is computed once and kept, over all sessions within a bound.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import streamlit as st
from PIL import Image

from explorer.app.state import given, model, settle
from explorer.edits import decoder_of
from explorer.recipe import Recipe

T = TypeVar("T")

MOST_BYTES = 256_000_000
PLAN_BYTES = 1_000_000  # what a plan is taken to hold: points and inverted noise
CANCELLED = "cancelled"  # of the session: the key of what was cancelled last
_PATIENCE = 0.2  # seconds between two looks whether it is our turn


class Kept:
    """What was computed, least recently used first, within `most` bytes; and whose turn it is."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.turn = threading.Lock()
        self.most, self.size = most, 0
        self._items: OrderedDict[str, list[Any]] = OrderedDict()
        self._own = threading.Lock()

    def get(self, key: str) -> list[Any] | None:
        """Give what was computed under this key, if it is still there."""
        with self._own:
            if key in self._items:
                self._items.move_to_end(key)
            return self._items.get(key)

    def put(self, key: str, items: list[Any]) -> None:
        """Keep it, and drop what was not used for longest."""
        with self._own:
            self.size += _bytes_of(items) - _bytes_of(self._items.pop(key, []))
            self._items[key] = items
            while self.size > self.most:
                self.size -= _bytes_of(self._items.popitem(last=False)[1])


def _bytes_of(items: list[Any]) -> int:
    areas = [i.width * i.height * 3 if isinstance(i, Image.Image) else PLAN_BYTES for i in items]
    return sum(areas)


@st.cache_resource(show_spinner=False)
def kept() -> Kept:
    """The one store of this server."""
    return Kept()


def decoded(recipe: Recipe, doing: str = "Decoding") -> list[Image.Image] | None:
    """The frames of a recipe; None if the person cancelled, which is then said on the page."""
    text = json.dumps({**recipe.to_dict(), "title": ""}, sort_keys=True)
    decoder = decoder_of(model())
    return once(text, lambda: (frame for frame in recipe.frames(decoder)), recipe.count, doing)


def planned(plan: Callable[[], T], *asked: Any) -> T | None:
    """What `plan` gives, such as a recipe with inverted noise; None if cancelled.

    Args:
        asked: all that the plan depends on, in values that `repr` tells apart.
    """
    made = once(
        repr((given(), model().space, asked)), lambda: (plan() for _ in (0,)), 1, "Planning"
    )
    return made[0] if made else None


def once(asked: str, make: Callable[[], Generator[T]], total: int, doing: str) -> list[T] | None:
    """All that `make` yields, computed when its turn comes, and kept.

    A bar shows progress, and a button cancels. Any other click on the page closes the generator
    as well; the page then asks again for what it needs.

    Args:
        asked: what it is; two of one server that ask for the same get the same.
        total: how many there will be.
    """
    key, store = hashlib.sha256(asked.encode()).hexdigest()[:16], kept()
    found = store.get(key)
    if found is not None:
        return found
    if st.session_state.get(CANCELLED) == key:
        st.info(f"{doing} was cancelled.")
        st.button("Start again", key=f"again-{key}", on_click=_note, args=("",))
        return None
    place = st.empty()
    with place.container():
        bar = st.progress(0.0, doing)
        st.button("Cancel", key=f"cancel-{key}", on_click=_note, args=(key,))
    with _our_turn(store, lambda: bar.progress(0.0, "Waiting for another decoding to end")):
        items: list[T] = store.get(key) or []
        if not items:
            with closing(make()) as making:
                for item in making:
                    items.append(item)
                    bar.progress(min(1.0, len(items) / total), f"{doing}: {len(items)} of {total}")
            if not store.size:
                settle()  # the first decoding imports much
            store.put(key, items)
    place.empty()
    return items


def _note(key: str) -> None:
    st.session_state[CANCELLED] = key


@contextmanager
def _our_turn(store: Kept, wait: Callable[[], object]) -> Iterator[None]:
    """Hold the one turn; `wait` is where Streamlit may end a script that is not needed any more."""
    while not store.turn.acquire(timeout=_PATIENCE):
        wait()
    try:
        yield
    finally:
        store.turn.release()

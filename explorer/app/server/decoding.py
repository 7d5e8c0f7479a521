"""Decoding for all sessions: one at a time, with progress; closing cancels, results are cached.

Streamlit runs a script again from its first line at every click, so nothing slow may stand in it
bare. What goes through here is computed once for all sessions, and cached within a bound.
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

from explorer.app.state import config, model, settle
from explorer.errors import QueryError
from explorer.points import Points
from explorer.rendering import Rendering

T = TypeVar("T")
Work = Generator[object, None, T]
"""Yields after each part, for the progress bar, and returns the result."""

CACHE_BYTES = 256_000_000
SMALL_RESULT_BYTES = 1_000_000  # what anything but frames is taken to hold: points, inverted noise
CANCELLED = "cancelled"  # of the session: the key of what was cancelled last
TURN_POLL_SECONDS = 0.2
MAX_WAITING = 16  # sessions; each holds a thread of the server


class ResultCache:
    """Results, the least recently used dropped first, within a bound; and one turn."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self.turn = threading.Lock()
        self.busy = 0  # sessions that decode or wait for their turn
        self.loading = False  # the model, and no session has the turn
        self.max_bytes, self.size = max_bytes, 0
        self._items: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Any | None:
        """Return what was computed under this key, or None if it is not there."""
        with self._lock:
            if key not in self._items:
                return None
            self._items.move_to_end(key)
            return self._items[key][0]

    def queue(self, step: int) -> int:
        """Count a session that comes (1) or goes (-1); return how many there are then."""
        with self._lock:
            self.busy += step
            return self.busy

    def put(self, key: str, result: object) -> None:
        """Store a result, and drop what was not used for longest."""
        with self._lock:
            self.size -= self._items.pop(key, (None, 0))[1]
            self._items[key] = result, _bytes_of(result)
            self.size += self._items[key][1]
            while self.size > self.max_bytes:
                self.size -= self._items.popitem(last=False)[1][1]


def _bytes_of(result: object) -> int:
    frames = list(result) if isinstance(result, Rendering | list) else []
    images = [frame for frame in frames if isinstance(frame, Image.Image)]
    return sum(each.width * each.height * 3 for each in images) or SMALL_RESULT_BYTES


@st.cache_resource(show_spinner=False)
def result_cache() -> ResultCache:
    """Return the one cache of this server."""
    return ResultCache()


def decoded(rendering: Rendering, doing: str = "Decoding") -> Rendering | None:
    """Decode all frames of a rendering; return None, and say so, if the person cancelled.

    Args:
        rendering: of which no frame was looked at before.
    """

    def decode() -> Work[Rendering]:
        yield from rendering
        return rendering

    return once(key_of(rendering), decode, len(rendering), doing)


def is_decoded(rendering: Rendering) -> bool:
    """Return whether all frames of this rendering are there already."""
    return is_known(key_of(rendering))


def is_known(asked: str) -> bool:
    """Return whether `once` has this result already."""
    return result_cache().get(_short(asked)) is not None


def planned(edit: Callable[[], Rendering], *asked: object) -> Rendering | None:
    """Prepare an edit: encode what it starts from, and invert images. None if cancelled.

    Args:
        asked: all that the edit depends on, in values that `repr` tells apart.
    """
    recipe = computed(lambda: edit().recipe, *asked)
    return None if recipe is None else Rendering(model(), recipe)


def computed(compute: Callable[[], T], *asked: object, doing: str = "Preparing") -> T | None:
    """Return what `compute` gives, once its turn comes; None if cancelled. `asked` as above."""

    def work() -> Work[T]:
        result = compute()
        yield None
        return result

    return once(repr((doing, config(), model().space, asked)), work, 1, doing)


def embedded(rendering: Rendering) -> Points | None:
    """Encode the decoded frames of a rendering; None if cancelled."""
    return computed(rendering.embed, key_of(rendering), doing="Encoding the frames")


def key_of(rendering: Rendering) -> str:
    """Return a text that tells this rendering from all others: its recipe."""
    return json.dumps(rendering.recipe.to_dict(), sort_keys=True)


def once(asked: str, work: Callable[[], Work[T]], total: int, doing: str) -> T | None:
    """Return the result of `work`, computed when its turn comes, and cached.

    A bar shows progress, and a button cancels. Any other click on the page closes the generator
    as well; the page then asks again for what it needs.

    Args:
        asked: what it is; two sessions of one server that ask for the same get the same.
        total: the number of parts.
    """
    key, cache = _short(asked), result_cache()
    result: T | None = cache.get(key)
    if result is not None:
        return result
    if st.session_state.get(CANCELLED) == key:
        st.info(f"{doing} was cancelled.")
        st.button("Start again", key=f"again-{key}", on_click=_note, args=("",))
        return None
    place = st.empty()
    with place.container():
        bar = st.progress(0.0, doing)
        st.button("Cancel", key=f"cancel-{key}", on_click=_note, args=(key,))
    try:
        with _our_turn(cache, lambda others: bar.progress(0.0, busy(others, cache.loading))):
            result = cache.get(key)
            if result is None:
                result = _run(work, total, doing, bar)
                if not cache.size:
                    settle()  # the first decoding imports much
                cache.put(key, result)
    except Exception:  # what failed is not under way
        place.empty()
        raise
    place.empty()
    return result


def _short(asked: str) -> str:
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def _run(work: Callable[[], Work[T]], total: int, doing: str, bar: Any) -> T:
    done = 0
    with closing(work()) as parts:
        while True:
            try:
                next(parts)
            except StopIteration as end:
                result: T = end.value
                return result
            done += 1
            bar.progress(min(1.0, done / total), f"{doing}: {done} of {total}")


def _note(key: str) -> None:
    st.session_state[CANCELLED] = key


def busy(others: int, loading: bool = False) -> str:
    """Say why nothing happens yet.

    >>> busy(2)
    'Busy: 2 others are decoding'
    """
    if loading:
        return "Loading the model …"
    return f"Busy: {others} others are decoding" if others > 1 else "Busy: another is decoding"


@contextmanager
def _our_turn(cache: ResultCache, wait: Callable[[int], object]) -> Iterator[None]:
    """Hold the one turn; `wait` is where Streamlit may end a script that is not needed any more.

    Raises:
        QueryError: too many wait already.
    """
    ahead = cache.queue(1) - 1
    try:
        if ahead > MAX_WAITING:
            raise QueryError(f"{busy(ahead)} or waiting. Please try again in a minute.")
        while not cache.turn.acquire(timeout=TURN_POLL_SECONDS):
            wait(max(1, cache.busy - 1))
        try:
            yield
        finally:
            cache.turn.release()
    finally:
        cache.queue(-1)

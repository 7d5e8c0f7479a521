"""Visitors: by which names they may call this machine, and how many sessions each may open."""

import ipaddress
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

MAX_SESSIONS = 200  # open at once, of all visitors
MAX_SESSIONS_OF_ADDRESS = 20
MAX_OPENINGS_A_MINUTE = 60  # of one address


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect to that address.

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def name_in(host: str) -> str:
    """Return the name in a Host header, in small letters; "" if it is malformed.

    >>> name_in("Photos.example:8501"), name_in("[::1]:80"), name_in("a@b"), name_in("a:b")
    ('photos.example', '::1', '', '')
    """
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname or "", parts.port
    except ValueError:
        return ""
    plain = parts.netloc == host and "@" not in host
    return name.lower().removesuffix(".") if plain else ""


def is_welcome(hosts: Sequence[str], origins: Sequence[str], allowed: Sequence[str]) -> bool:
    """Return whether a request calls this server by an allowed name, and from its own pages.

    A page of another site that has its own name lead here (DNS rebinding) cannot change the Host.

    Args:
        hosts: the Host headers; there must be one.
        origins: the Origin headers; none, or the same host and port.
        allowed: names without ports.
    """
    if len(hosts) != 1 or len(origins) > 1:
        return False
    names = {name.strip().lower().removesuffix(".") for name in allowed}
    if name_in(hosts[0]) not in names - {""}:
        return False
    return not origins or urlsplit(origins[0]).netloc.lower() == hosts[0].lower()


class Sessions:
    """How many sessions are open, and how many each address opened lately.

    An address of this machine itself is bounded by MAX_SESSIONS only: it is the owner, or a proxy
    that does not say for whom it asks.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: Counter[str] = Counter()
        self._lately: defaultdict[str, deque[float]] = defaultdict(deque)

    @contextmanager
    def opened(self, address: str) -> Iterator[bool]:
        """Count a session while the block runs; yield whether it may open."""
        if not self._may_open(address):
            yield False
            return
        self._open[address] += 1
        try:
            yield True
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    def _may_open(self, address: str) -> bool:
        if self._open.total() >= MAX_SESSIONS:
            return False
        if is_loopback(address):
            return True
        now = self._clock()
        for name in list(self._lately):  # forget who did not come for a minute
            lately = self._lately[name]
            while lately and lately[0] <= now - 60:
                lately.popleft()
            if not lately:
                del self._lately[name]
        lately = self._lately[address]
        if len(lately) >= MAX_OPENINGS_A_MINUTE:
            return False
        lately.append(now)
        return self._open[address] < MAX_SESSIONS_OF_ADDRESS

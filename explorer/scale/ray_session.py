"""Ray, started on this machine or joined where it runs; quiet, and its makers are sent nothing."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

from explorer.errors import ExplorerError, QueryError

INSTALL = "pip install 'unclip-explorer[ray]'"
OBJECT_STORE_BYTES = 256 * 2**20  # of a Ray that is started here: items go out, records come back
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def check_installed() -> None:
    """Check that Ray is there.

    Raises:
        ExplorerError: it is not installed.
    """
    if find_spec("ray") is None:
        raise ExplorerError(f"The engine ray needs Ray, which is not installed: {INSTALL}")


@contextmanager
def session(address: str | None) -> Iterator[Any]:
    """Yield the module ray, connected; what was started here ends with the block.

    Args:
        address: of a cluster: "auto" is the one that this machine is a node of, "HOST:PORT" one
            elsewhere; None starts Ray here, on all cores. Within a script that has called
            `ray.init`, it is that one.

    Raises:
        ExplorerError: Ray is not installed.
        QueryError: there is no cluster at the address, or it asks for a token.
    """
    check_installed()
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Ray says of its own future
        import ray

        started = not ray.is_initialized()
        if started:
            _start(ray, address)
        try:
            yield ray
        finally:
            if started:
                ray.shutdown()


@contextmanager
def _silent() -> Iterator[None]:
    """Keep off the terminal what Ray's own library says while it starts; its errors are raised."""
    with open(os.devnull, "wb") as nothing:
        kept = os.dup(2)
        os.dup2(nothing.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _start(ray: Any, address: str | None) -> None:
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        own = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
        with _silent():
            ray.init("local", num_cpus=_cores(), _node_ip_address="127.0.0.1", **own, **quiet)
        return
    try:
        with _silent():
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        with suppress(Exception):
            ray.shutdown()
        if type(error).__name__ == "AuthenticationError":
            raise QueryError(
                f"The Ray cluster at {address} asks for a token: copy ~/.ray/auth_token of the "
                "machine where it was started to this one, and set RAY_AUTH_MODE=token."
            ) from None
        raise QueryError(
            f"There is no Ray cluster at {address} ({_first_line(error)}). Start one: ray start "
            "--head; on every other machine: ray start --address HOST:6379. Without --address, "
            "Ray runs on this machine alone."
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1

"""Serve the dashboard: on this machine alone unless told otherwise, and telling nobody."""

import ipaddress
import sys
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path as FilePath
from typing import Any

from explorer.app.server.guard import Guard
from explorer.app.server.thumbnails import routes
from explorer.app.server.uploads import MAX_FILE_MEGABYTES
from explorer.app.state import AppConfig
from explorer.errors import QueryError

SCRIPT = FilePath(__file__).with_name("script.py")
LOOPBACK = "127.0.0.1"
SETTINGS: dict[str, Any] = {  # .streamlit/config.toml says the same to `streamlit run`
    "global.disableWidgetStateDuplicationWarning": True,  # buttons may set what stands in a field
    "server.address": LOOPBACK,
    "server.allowedHosts": ["localhost", LOOPBACK, "::1"],
    "server.headless": True,
    "server.showEmailPrompt": False,
    "server.maxUploadSize": MAX_FILE_MEGABYTES,
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.toolbarMode": "minimal",
    "logger.hideWelcomeMessage": True,
    "runner.magicEnabled": False,
}


def serve(
    given: AppConfig,
    *,
    host: str,
    port: int | None,
    allow_remote: bool,
    started: Callable[[str], None],
) -> None:
    """Serve until interrupted.

    Args:
        port: None takes the first free one from 8501 on.
        allow_remote: others than this machine may connect; nobody may then add to the library.
        started: called once with the address.

    Raises:
        QueryError: the host is not this machine alone, and that was not allowed.
    """
    from streamlit.starlette import App

    settings = settings_for(host, port, allow_remote)
    remote = not is_loopback(host)
    words = AppConfig(given.library, given.decoder, given.prior, given.read_only or remote).words()
    sys.argv = [str(SCRIPT), *words]
    App(SCRIPT, lifespan=_telling(host, started), **parts()).run(config=settings)


def parts() -> dict[str, Any]:
    """Return what the server has besides Streamlit's own: addresses of images, and a guard."""
    from starlette.middleware import Middleware

    return {"routes": routes(), "middleware": [Middleware(Guard)]}


def settings_for(host: str, port: int | None, allow_remote: bool) -> dict[str, Any]:
    """Return Streamlit's settings.

    Raises:
        QueryError: see `serve`.
    """
    settings = SETTINGS | {"server.address": host}
    if not is_loopback(host):
        if not allow_remote:
            raise QueryError(
                f"With --host {host} everybody who reaches this machine could see the library's "
                "images and names and decode on it, without a password and unencrypted. If you "
                "want that, add --allow-remote; better, put a proxy with a login before it."
            )
        settings["server.allowedHosts"] = []  # which names lead here, only its owner knows
    return settings if port is None else settings | {"server.port": port}


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect to that address.

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def open_browser(address: str) -> None:
    """Open the address in the person's browser, if there is one."""
    webbrowser.open(address)


def _telling(host: str, started: Callable[[str], None]) -> Callable[..., Any]:
    """Return what runs while the server does: it reports the address, whose port is known then."""

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        import streamlit as st

        shown = f"[{host}]" if ":" in host else host
        started(f"http://{shown}:{st.get_option('server.port')}")
        yield

    return lifespan

"""Serve the dashboard: on this machine alone unless told otherwise, and telling nobody."""

import re
import sys
import webbrowser
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from explorer.app.server.guard import LOCAL_HOSTS, Guard
from explorer.app.server.thumbnails import routes
from explorer.app.server.uploads import MAX_FILE_MEGABYTES
from explorer.app.server.visitors import is_loopback, name_in
from explorer.app.state import AppConfig
from explorer.errors import QueryError

SCRIPT = FilePath(__file__).with_name("script.py")
LOOPBACK = "127.0.0.1"
SETTINGS: dict[str, Any] = {  # .streamlit/config.toml says the same to `streamlit run`
    "global.disableWidgetStateDuplicationWarning": True,  # buttons may set what stands in a field
    "server.address": LOOPBACK,
    "server.allowedHosts": list(LOCAL_HOSTS),
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
    allowed_hosts: Sequence[str] = (),
    started: Callable[[str], None],
) -> None:
    """Serve until interrupted.

    Args:
        port: None takes the first free one from 8501 on.
        allow_remote: others than the owner may come, directly or through a proxy on this machine;
            nobody may then add to the library.
        allowed_hosts: the names by which they may call this server; required with `allow_remote`.
        started: called once with the address.

    Raises:
        QueryError: the host is not this machine alone, and that was not allowed; or names are
            missing.
    """
    from streamlit.starlette import App

    settings = settings_for(host, port, allow_remote, allowed_hosts)
    read_only = given.read_only or allow_remote
    sys.argv = [str(SCRIPT), *replace(given, read_only=read_only).words()]
    App(SCRIPT, lifespan=_telling(host, started), **parts()).run(config=settings)


def parts() -> dict[str, Any]:
    """Return what the server has besides Streamlit's own: addresses of images, and a guard."""
    from starlette.middleware import Middleware

    return {"routes": routes(), "middleware": [Middleware(Guard)]}


def settings_for(
    host: str, port: int | None, allow_remote: bool, allowed_hosts: Sequence[str] = ()
) -> dict[str, Any]:
    """Return Streamlit's settings.

    Raises:
        QueryError: see `serve`.
    """
    settings = SETTINGS | {"server.address": host}
    if not allow_remote and not is_loopback(host):
        raise QueryError(
            f"With --host {host} everybody who reaches this machine could see the library's "
            "images and names and decode on it, without a password and unencrypted. If you "
            "want that, add --allow-remote --allowed-host NAME; better, put a proxy with a login "
            "before it."
        )
    if allow_remote and not allowed_hosts:
        raise QueryError(
            "--allow-remote needs the name by which browsers call this server, as in "
            "--allowed-host photos.example, so that a page of another site cannot reach it under "
            "a name of its own."
        )
    if allowed_hosts and not allow_remote:
        raise QueryError("--allowed-host goes with --allow-remote: add it, or leave both out.")
    for name in allowed_hosts:
        if not re.fullmatch(r"[\w.-]+|\[[0-9a-fA-F:.]+\]", name):
            raise QueryError(
                f"--allowed-host {name!r} is no name of a machine. Give it without http:// and "
                "port, as photos.example or 192.168.1.20; several names take the option several "
                "times."
            )
    if allow_remote:
        settings["server.allowedHosts"] = [name_in(name) for name in allowed_hosts]
    return settings if port is None else settings | {"server.port": port}


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

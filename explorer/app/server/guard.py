"""Guard: what the server adds to Streamlit's own care: names, bounds, and safe headers.

Streamlit checks the Host of its socket only, and for a foreign Origin asks an outside address what
this machine is called. It bounds one file, but not how many a session sends, nor all together.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from explorer.app.server.visitors import Sessions, is_welcome

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BYTES_OF_A_SESSION = 100_000_000  # bytes of uploads
MAX_BYTES_OF_ALL = 500_000_000
MAX_FILES_OF_A_SESSION = 100
UNKNOWN_HOST = (
    "This server is not known by that name. Whoever runs it can add it: "
    "unclip app --allow-remote --allowed-host NAME"
)
TOO_MANY = "Too many sessions are open from your address. Close some, or wait a minute."
UPLOADS = "/_stcore/upload_file/"
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
CLOSED = ("/_stcore/metrics",)  # says what others do
HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",  # Streamlit's own
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "frame-ancestors 'none'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


class Guard:
    """Middleware: refuses foreign names, too many sessions and uploads; adds headers."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.sessions = Sessions()
        self._coming: list[tuple[str, int]] = []  # session and bytes of what is being sent

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
        elif not is_welcome(_given(scope, b"host"), _given(scope, b"origin"), allowed_hosts()):
            await _refuse(scope, send, 403, UNKNOWN_HOST)
        elif scope["type"] == "websocket":
            with self.sessions.opened((scope.get("client") or ("",))[0]) as is_open:
                if is_open:
                    await self.app(scope, receive, send)
                else:
                    await _refuse(scope, send, 429, TOO_MANY)
        elif scope["path"] in CLOSED:
            await _refuse(scope, send, 404, "There is nothing here.")
        elif UPLOADS in scope["path"] and scope["method"] == "PUT":
            await self._upload(scope, receive, _with_headers(send))
        else:
            await self.app(scope, receive, _with_headers(send))

    async def _upload(self, scope: Message, receive: Receive, send: Send) -> None:
        size = dict(scope["headers"]).get(b"content-length", b"").decode("latin-1")
        if not size.isdecimal():
            await _refuse(scope, send, 411, "The upload has no Content-Length. Send one.")
            return
        session = scope["path"].split("/")[-2]
        files, mine, all_of_us = uploaded(session)
        coming = [bytes_ for whose, bytes_ in self._coming if whose == session]
        files, mine = files + len(coming), mine + sum(coming)
        all_of_us += sum(bytes_ for _, bytes_ in self._coming)
        too_large = mine + int(size) > MAX_BYTES_OF_A_SESSION
        too_large |= all_of_us + int(size) > MAX_BYTES_OF_ALL
        if too_large or files >= MAX_FILES_OF_A_SESSION:
            await _refuse(
                scope, send, 413, "Uploads exceed their limit. Remove images, then try again."
            )
            return
        this = session, int(size)
        self._coming.append(this)
        try:
            await self.app(scope, receive, send)
        finally:
            self._coming.remove(this)


def allowed_hosts() -> list[str]:
    """Return the names by which this server may be called."""
    import streamlit as st

    return list(st.get_option("server.allowedHosts") or LOCAL_HOSTS)


def uploaded(session: str) -> tuple[int, int, int]:
    """Return the files and the bytes that a session holds, and the bytes of all sessions."""
    from streamlit.runtime import get_instance

    manager: Any = get_instance().uploaded_file_mgr
    sizes = {
        name: [len(file.data) for file in list(files.values())]
        for name, files in list(manager.file_storage.items())
    }
    mine = sizes.get(session, [])
    return len(mine), sum(mine), sum(map(sum, sizes.values()))


def _given(scope: Message, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _with_headers(send: Send) -> Send:
    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
            message["headers"] = [*message["headers"], *(h for h in own if h[0] not in given)]
        await send(message)

    return adding


async def _refuse(scope: Message, send: Send, status: int, reason: str) -> None:
    """Answer with a sentence; a socket is refused before it opens."""
    kind = "http.response"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        kind = "websocket.http.response"
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": reason.encode()})

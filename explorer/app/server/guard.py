"""Guard: what the server adds to Streamlit's own care: bounds for uploads, and safe headers.

Streamlit bounds one file, but not how many a session sends, nor what all sessions send.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BYTES_OF_A_SESSION = 100_000_000  # bytes of uploads
MAX_BYTES_OF_ALL = 500_000_000
UPLOADS = "/_stcore/upload_file/"
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
    """Middleware: refuses uploads over a bound before they are read, and adds headers."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._coming: list[tuple[str, int]] = []  # session and bytes of what is being sent

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        if path in CLOSED:
            await _refuse(send, 404, "There is nothing here.")
        elif UPLOADS in path and scope["method"] == "PUT":
            await self._upload(scope, receive, _with_headers(send))
        else:
            await self.app(scope, receive, _with_headers(send))

    async def _upload(self, scope: Message, receive: Receive, send: Send) -> None:
        size = dict(scope["headers"]).get(b"content-length", b"").decode("latin-1")
        if not size.isdecimal():
            await _refuse(send, 411, "The upload has no Content-Length. Send one.")
            return
        session = scope["path"].split("/")[-2]
        mine, all_of_us = uploaded_bytes(session)
        mine += sum(bytes_ for whose, bytes_ in self._coming if whose == session)
        all_of_us += sum(bytes_ for _, bytes_ in self._coming)
        if mine + int(size) > MAX_BYTES_OF_A_SESSION or all_of_us + int(size) > MAX_BYTES_OF_ALL:
            await _refuse(send, 413, "Uploads exceed their limit. Remove images, then try again.")
            return
        coming = session, int(size)
        self._coming.append(coming)
        try:
            await self.app(scope, receive, send)
        finally:
            self._coming.remove(coming)


def uploaded_bytes(session: str) -> tuple[int, int]:
    """Return the bytes that a session, and that all sessions hold in uploads."""
    from streamlit.runtime import get_instance

    manager: Any = get_instance().uploaded_file_mgr
    sizes = {
        name: sum(len(file.data) for file in list(files.values()))
        for name, files in list(manager.file_storage.items())
    }
    return sizes.get(session, 0), sum(sizes.values())


def _with_headers(send: Send) -> Send:
    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
            message["headers"] = [*message["headers"], *(h for h in own if h[0] not in given)]
        await send(message)

    return adding


async def _refuse(send: Send, status: int, reason: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reason.encode()})

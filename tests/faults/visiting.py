"""Raw requests to a dashboard that really runs: any Host, any Origin, any path."""

import socket
from contextlib import closing

PATHS = {  # what kind of thing stands at an address
    "page": "/",
    "page by name": "/search",
    "static file": "/static/index.html",
    "media": "/media/0.png",
    "image": "/images/0/0",
    "caption": "/captions/0/0",
    "health": "/_stcore/health",
    "settings": "/_stcore/host-config",
    "component": "/_stcore/bidi-components/x/y.js",
    "agent": "/_stcore/agent/openapi.json",
    "nothing": "/nothing/here",
}
UPLOAD = "/_stcore/upload_file/session/file"
SOCKET = "/_stcore/stream"
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: streamlit",
)


def raw(port, path, *headers, method="GET", body=b"", host="127.0.0.1"):
    """Send one request as it is written here; give the status and the body."""
    lines = [f"{method} {path} HTTP/1.1", *headers, "", ""]
    with closing(socket.create_connection((host, port), timeout=30)) as connection:
        connection.sendall("\r\n".join(lines).encode() + body)
        answer = b""
        while b"\r\n\r\n" not in answer:
            more = connection.recv(65536)
            if not more:
                break
            answer += more
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, rest


def statuses(port, *headers):
    """The status at every kind of address, with these headers."""
    found = {kind: raw(port, path, *headers)[0] for kind, path in PATHS.items()}
    put = ("Content-Length: 1", "Content-Type: text/plain")
    found["upload"] = raw(port, UPLOAD, *headers, *put, method="PUT", body=b"x")[0]
    found["socket"] = raw(port, SOCKET, *headers, *UPGRADE)[0]
    return found

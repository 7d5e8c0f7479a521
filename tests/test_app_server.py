"""A server that really runs: whom it serves, what it refuses, and many sessions at once."""

import asyncio
import http.client
import random
import socket
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import websockets
from app_server import Session, serving

pytestmark = pytest.mark.slow
WORDS = ("cat", "dog", "sun", "snow", "man", "woman", "farmer", "smile", "heart", "star")


@pytest.fixture(scope="module")
def server(emoji, tmp_path_factory):
    with serving(emoji, tmp_path_factory.mktemp("server")) as running:
        yield running


def ask(server, path, method="GET", body=None, **headers):
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def test_it_listens_on_this_machine_alone(server):
    port, listening = f"{server.port:04X}", []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state = line.split()[:4]
            if local.endswith(f":{port}") and state == "0A":
                listening.append(local.split(":")[0])
    assert listening == ["0100007F"]


def test_the_page_comes_with_safe_headers(server):
    status, headers, content = ask(server, "/")
    assert status == 200
    assert b"<html" in content
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/static/../../../../etc/passwd",
        "/media/..%2f..%2f..%2fetc%2fpasswd",
        "/images/..%2f..%2fetc/0",
        "/app/static/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_addresses_do_not_lead_out(server, path):
    assert b"root:" not in ask(server, path)[2]


def test_an_upload_from_elsewhere_is_refused(server):
    path = "/_stcore/upload_file/nobody/1"
    assert ask(server, path, "PUT", b"x")[0] in (400, 403)
    assert ask(server, "/_stcore/metrics")[0] == 404


def test_a_socket_for_another_name_or_from_another_page_is_refused(server):
    async def refused(host, **given):
        address = f"ws://{host}:{server.port}/_stcore/stream"
        with pytest.raises(websockets.InvalidStatus) as error:
            await websockets.connect(address, subprotocols=["streamlit"], **given)
        return error.value.response.status_code

    assert asyncio.run(refused("127.0.0.1", origin="http://evil.example")) == 403
    elsewhere = socket.create_connection(("127.0.0.1", server.port))  # as after DNS rebinding
    assert asyncio.run(refused("evil.example", sock=elsewhere)) == 403


async def visit(server, number, actions, pause):
    """One session's searches; seconds each, and what went wrong."""
    seconds, said, chance = [], [], random.Random(number)
    async with Session(server, "search") as session:
        for i in range(actions):
            await asyncio.sleep(pause * chance.uniform(0.5, 1.5))
            words = f"{WORDS[(number + i) % 10]} {WORDS[(3 * number + i) % 10]}"
            seconds.append(await session.open(q0=words, k=8 + i % 8))
            said += session.said
    return seconds, said


async def visits(server, sessions, actions, pause):
    return await asyncio.gather(*(visit(server, n, actions, pause) for n in range(sessions)))


@pytest.mark.parametrize(("sessions", "actions", "pause"), [(5, 5, 0), (50, 20, 5)])
def test_many_sessions_at_once_are_served(server, sessions, actions, pause):
    """People look at what they found for some seconds, `pause` on average."""
    asyncio.run(visits(server, 2, 2, 0))  # the first action of all imports and loads
    before, worked = server.megabytes, server.seconds
    done = asyncio.run(visits(server, sessions, actions, pause))
    growth = (server.megabytes - before) / sessions
    seconds = np.concatenate([seconds for seconds, _ in done])
    worked = (server.seconds - worked) / len(seconds)
    slow = np.quantile(seconds, 0.95)
    print(f"{sessions} × {actions}: p95 {slow:.2f} s, {worked:.3f} s of processor time an action")
    print(f"{growth:.1f} MB a session")
    assert [said for _, said in done if said] == []
    assert "Traceback" not in server.log.read_text()
    assert slow < 2
    assert growth < 5

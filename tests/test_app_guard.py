"""The guard bounds uploads before they are read, and adds headers to every answer."""

import asyncio
import contextlib

import pytest

from explorer.app.server import guard, visitors
from explorer.app.server.guard import Guard
from explorer.app.server.visitors import Sessions, is_welcome

FILE = "/_stcore/upload_file/me/1"


def answer(app, path="/", method="GET", headers=()):
    """Status and headers of what `app` answers."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    headers = [(b"host", b"localhost:8501"), *headers]
    scope = {"type": "http", "path": path, "method": method, "headers": headers}
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"])


async def fine(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def held(monkeypatch):
    """What sessions hold already, in bytes."""
    sizes = {"me": 0, "others": 0, "files": 0}
    monkeypatch.setattr(
        guard, "uploaded", lambda _: (sizes["files"], sizes["me"], sizes["me"] + sizes["others"])
    )
    return sizes


def put(size, app=fine):
    headers = [] if size is None else [(b"content-length", str(size).encode())]
    return answer(Guard(app), FILE, "PUT", headers)[0]


def test_every_answer_has_safe_headers():
    status, headers = answer(Guard(fine))
    assert status == 200
    assert b"frame-ancestors 'none'" in headers[b"content-security-policy"]
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"x-own"] == b"1"


def test_nobody_may_read_what_others_do():
    assert answer(Guard(fine), "/_stcore/metrics")[0] == 404


def test_an_upload_without_a_length_is_refused(held):
    assert put(None) == 411
    assert put("many") == 411


def test_uploads_are_bounded_for_a_session_and_for_all(held):
    assert put(1_000) == 200
    held["me"] = guard.MAX_BYTES_OF_A_SESSION - 999
    assert put(1_000) == 413
    held.update(me=0, others=guard.MAX_BYTES_OF_ALL - 999)
    assert put(1_000) == 413
    assert put(900) == 200
    held.update(others=0, files=guard.MAX_FILES_OF_A_SESSION)
    assert put(1) == 413


def test_uploads_that_are_still_coming_count(held):
    statuses = []
    outer = Guard(lambda *words: inner(*words))

    async def inner(scope, receive, send):
        if not statuses:
            statuses.append(None)
            await outer({**scope, "path": FILE + "2"}, receive, note)
        await fine(scope, receive, send)

    async def note(message):
        statuses.append(message.get("status"))

    size = guard.MAX_BYTES_OF_A_SESSION // 2 + 1
    assert answer(outer, FILE, "PUT", [(b"content-length", str(size).encode())])[0] == 200
    assert 413 in statuses
    assert answer(outer, FILE, "PUT", [(b"content-length", str(size).encode())])[0] == 200


@pytest.mark.parametrize(
    ("hosts", "origins", "welcome"),
    [
        (["photos.example"], [], True),
        (["PHOTOS.example.:443"], [], True),
        (["photos.example:8501"], ["http://photos.example:8501"], True),
        (["photos.example"], ["https://photos.example"], True),
        (["photos.example:8501"], ["http://photos.example:9999"], False),
        (["photos.example"], ["null"], False),
        (["photos.example"], ["http://evil.example"], False),
        (["evil.example"], ["http://evil.example"], False),
        (["photos.example.evil.example"], [], False),
        (["photos.example@evil.example"], [], False),
        (["photos.example:80:80"], [], False),
        (["photos.example/a"], [], False),
        ([""], [], False),
        ([], [], False),
        (["photos.example", "evil.example"], [], False),
        (["photos.example"], ["https://photos.example", "https://photos.example"], False),
    ],
)
def test_a_request_calls_the_server_by_its_name_and_from_its_own_pages(hosts, origins, welcome):
    assert is_welcome(hosts, origins, ["Photos.example"]) is welcome


def test_local_names_are_those_of_this_machine():
    for host in ("localhost", "127.0.0.1:1", "[::1]:8501"):
        assert is_welcome([host], [], guard.LOCAL_HOSTS)
    for host in ("0.0.0.0", "127.0.0.2", "localhost.evil.example", "[::2]"):
        assert not is_welcome([host], [], guard.LOCAL_HOSTS)


def test_sessions_of_one_address_and_of_all_are_bounded(monkeypatch):
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(sessions.opened("10.0.0.1")) for _ in range(21)]
        assert opened == [True] * visitors.MAX_SESSIONS_OF_ADDRESS + [False]
        assert stack.enter_context(sessions.opened("10.0.0.2"))
        own = [stack.enter_context(sessions.opened("127.0.0.1")) for _ in range(180)]
        assert own == [True] * (visitors.MAX_SESSIONS - 21) + [False]
    for _ in range(100):  # one after the other
        with sessions.opened("10.0.0.1") as is_open:
            pass
    assert not is_open
    now[0] = 61.0
    with sessions.opened("10.0.0.1") as is_open:
        assert is_open
    assert len(sessions._lately) == 1 and not sessions._open


def test_a_refused_socket_never_opens():
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "headers": [(b"host", b"evil.example")]}
    asyncio.run(Guard(fine)(scope, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]

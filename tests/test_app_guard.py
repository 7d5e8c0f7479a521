"""The guard bounds uploads before they are read, and adds headers to every answer."""

import asyncio

import pytest

from explorer.app.server import guard
from explorer.app.server.guard import Guard

FILE = "/_stcore/upload_file/me/1"


def answer(app, path="/", method="GET", headers=()):
    """Status and headers of what `app` answers."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "path": path, "method": method, "headers": list(headers)}
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"])


async def fine(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def held(monkeypatch):
    """What sessions hold already, in bytes."""
    sizes = {"me": 0, "others": 0}
    monkeypatch.setattr(guard, "uploaded_bytes", lambda s: (sizes["me"], sum(sizes.values())))
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

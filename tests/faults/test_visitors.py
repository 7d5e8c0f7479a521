"""A dashboard for others answers to its own names only, and asks no outside address."""

import asyncio
import re
import subprocess
import sys
import time

import pytest
from app_server import ROOT, Session, serving
from visiting import SOCKET, UPGRADE, raw, statuses

from explorer.app.server import visitors

FOREIGN = (
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "photos.example.evil.example",
)
SPY = """
import socket, sys
def spied(name):
    real = getattr(socket.socket, name)
    def call(self, *words):
        print("REACHES", name, words[-1], file=sys.stderr, flush=True)
        return real(self, *words)
    setattr(socket.socket, name, call)
for name in ("connect", "connect_ex", "sendto"):
    spied(name)
asked = socket.getaddrinfo
def lookup(host, *words, **named):
    print("REACHES", "getaddrinfo", host, file=sys.stderr, flush=True)
    return asked(host, *words, **named)
socket.getaddrinfo = lookup
"""


@pytest.fixture(scope="module")
def server(emoji, tmp_path_factory):
    """For this machine alone."""
    with serving(emoji, tmp_path_factory.mktemp("local")) as running:
        yield running


@pytest.fixture(scope="module")
def remote(emoji, tmp_path_factory):
    """For others, with every attempt to reach an address noted in its log."""
    spy = tmp_path_factory.mktemp("spy")
    (spy / "sitecustomize.py").write_text(SPY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{spy}:{ROOT}")
        names = ("--allowed-host", "photos.example", "--allowed-host", "192.168.1.20")
        with serving(emoji, spy, "--host", "0.0.0.0", "--allow-remote", *names) as running:
            yield running


def welcomed(found):
    """Whether no address refused, and the socket opened."""
    return 403 not in {k: v for k, v in found.items() if k != "upload"}.values() and (
        found["socket"] == 101 and found["page"] == 200 and found["health"] == 200
    )


def test_this_machine_alone_is_served_by_its_own_names_on_every_path(server):
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert welcomed(statuses(server.port, f"Host: {host}:{server.port}")), host
    for host in (*FOREIGN, "photos.example", ""):
        found = statuses(server.port, f"Host: {host}:{server.port}" if host else "Host:")
        assert set(found.values()) == {403}, (host, found)
    assert raw(server.port, "/", "Host: localhost", "Host: evil.example")[0] in (400, 403)
    assert raw(server.port, "/")[0] in (400, 403)  # no Host at all


def test_others_are_served_by_the_allowed_names_on_every_path(remote):
    for host in (
        "photos.example",
        f"photos.example:{remote.port}",
        "PHOTOS.EXAMPLE",
        "192.168.1.20",
    ):
        assert welcomed(statuses(remote.port, f"Host: {host}")), host
    for host in (*FOREIGN, "localhost", "127.0.0.1"):
        found = statuses(remote.port, f"Host: {host}")
        assert set(found.values()) == {403}, (host, found)


def test_a_page_of_another_site_is_refused_and_no_outside_address_is_asked(remote):
    for origin in ("http://evil.example", "null", "http://photos.example:1"):
        found = statuses(remote.port, "Host: photos.example", f"Origin: {origin}")
        assert set(found.values()) == {403}, (origin, found)
    own = ("Host: photos.example", "Origin: https://photos.example")
    assert raw(remote.port, SOCKET, *own, *UPGRADE)[0] == 101
    reached = [line for line in remote.log.read_text().splitlines() if line.startswith("REACHES")]
    outside = [
        line for line in reached if not re.search(r"127\.0\.0\.1|0\.0\.0\.0|localhost", line)
    ]
    assert outside == []


def test_an_attempt_to_reach_out_would_be_seen(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(SPY)
    code = "from streamlit import net_util; net_util.get_internal_ip()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert "REACHES connect ('8.8.8.8', 1)" in done.stderr


def test_an_address_may_open_so_many_sessions_behind_a_proxy(remote):
    """The proxy on this machine says for whom it asks."""
    said = ("Host: photos.example", "X-Forwarded-For: 10.1.2.3")
    found = [raw(remote.port, SOCKET, *said, *UPGRADE)[0] for _ in range(61)]
    assert found[: visitors.MAX_OPENINGS_A_MINUTE] == [101] * visitors.MAX_OPENINGS_A_MINUTE
    assert found[-1] == 429


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--allow-remote",), "--allowed-host photos.example"),
        (("--host", "0.0.0.0"), "--allow-remote --allowed-host NAME"),
        (("--allowed-host", "a"), "goes with --allow-remote"),
        (("--allow-remote", "--allowed-host", "http://a"), "is no name of a machine"),
    ],
)
def test_names_are_required_in_one_sentence(options, words, emoji):
    from typer.testing import CliRunner

    from explorer.cli import unclip

    done = CliRunner().invoke(unclip, ["app", str(emoji), "--no-browser", *options])
    assert done.exit_code == 2
    assert words in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_an_interrupted_dashboard_ends_at_once_and_removes_uploads(emoji, sample, tmp_path):
    async def visit(server):
        async with Session(server, "search") as session:
            await session.open(q0_kind="Upload")
            content = (sample / "flat" / "1f431.png").read_bytes()
            assert await session.upload("cat.png", content) == 204
            await session.open()
            assert [file.suffix for file in scratch.glob("unclip-*/*")] == [".png"]
            server.process.terminate()
            began = time.monotonic()
            code = await asyncio.to_thread(server.process.wait, 30)
            return code, time.monotonic() - began

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(scratch))
        with serving(emoji, tmp_path) as server:
            code, seconds = asyncio.run(visit(server))
    said = server.log.read_text()
    assert code == 143 and seconds < 2
    assert "Traceback" not in said
    assert said.endswith("unclip: interrupted. The dashboard has ended.\n")
    assert list(scratch.glob("unclip-*")) == []

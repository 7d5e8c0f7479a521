"""Many sessions of one dashboard at once, some with hostile uploads: times, memory, what was said.

    python benchmarks/dashboard_load.py                               # 50 sessions × 20 actions
    python benchmarks/dashboard_load.py --sessions 10 --actions 10    # for a busy machine

Sessions speak Streamlit's own protocol over its socket to `unclip app`, a process of its own. An
action is a search on the page Search, until its script has finished.
"""

import argparse
import asyncio
import io
import random
import shutil
import struct
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

import explorer as ex

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from app_server import Session, serving  # noqa: E402

WORDS = ("cat", "dog", "sun", "snow", "man", "woman", "farmer", "smile", "heart", "star")


def png(width, height, rows=b""):
    """A PNG of that size by its header, with these compressed rows."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def hostile_uploads():
    """Ten files that a person might send to do harm: name and content."""
    sixteen = io.BytesIO()
    Image.fromarray(np.zeros((6000, 6000), np.uint16)).save(sixteen, "tiff", compression="tiff_lzw")
    tall = io.BytesIO()
    Image.new("RGB", (1, 60_000)).save(tall, "png")
    return [
        ("empty.png", b""),
        ("../../evil.png", b"<html><script>alert(1)</script></html>"),
        ("program.exe", b"MZ" + bytes(1000)),
        ("![x](http://evil.example).png", png(9, 9)),
        ("header.png", png(60_000, 60_000)),
        ("bomb.png", png(13_000, 13_000, bytes(13_000 * 3 + 1) * 13_000)),
        ("sixteen.tiff", sixteen.getvalue()),
        ("tall.png", tall.getvalue()),
        ("19MB.png", bytes(19_000_000)),
        ("150MB.png", bytes(150_000_000)),
    ]


async def visit(server, number, actions, pause, upload, seconds, said):
    """One session: searches, with one upload in the middle if it has one."""
    chance = random.Random(number)
    async with Session(server, "search") as session:
        await session.open(q0="emoji")
        for i in range(actions):
            await asyncio.sleep(pause * chance.uniform(0.5, 1.5))
            if upload and i == actions // 2:
                seconds.append(await send(server, *upload, said))
                continue
            words = f"{WORDS[(number + i) % 10]} {WORDS[(3 * number + i) % 10]}"
            seconds.append(await session.open(words))
            said += [("search", 200, session.said)] * bool(session.said)


async def send(server, name, content, said):
    """Upload a file in another tab and search with it; seconds of the search."""
    async with Session(server, "search") as tab:
        await tab.open(q0_kind="Upload")
        status = await tab.upload(name, content)
        taken = await tab.open()
        said.append((name, status, tab.said))
        return taken


async def visits(server, sessions, actions, pause, uploads):
    """All sessions at once; seconds of each action, and what was said to the person."""
    seconds, said = [], []
    given = [*uploads, *[None] * sessions][:sessions]
    tasks = (
        visit(server, n, actions, pause, upload, seconds, said) for n, upload in enumerate(given)
    )
    await asyncio.gather(*tasks)
    return seconds, said


def measure(sessions, actions, pause, settle):
    """Run it once and return the figures."""
    folder = Path(tempfile.mkdtemp(prefix="unclip-load-"))
    try:
        library = ex.Library.create(folder / "load.lib", ex.load("pocket", device="cpu"))
        library.add([ROOT / "explorer" / "sample" / "images" / "flat"])
        with serving(library.folder, folder) as server:
            asyncio.run(visits(server, 2, 2, 0, []))  # the first action imports and loads
            before, worked = server.megabytes, server.seconds
            seconds, said = asyncio.run(visits(server, sessions, actions, pause, hostile_uploads()))
            after, worked = server.megabytes, server.seconds - worked
            time.sleep(settle)
            return seconds, said, before, after, server.megabytes, worked, server.log.read_text()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    """Print the figures; exit with 1 if a search failed or a traceback was logged."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--actions", type=int, default=20)
    parser.add_argument("--pause", type=float, default=5.0, help="Mean seconds between actions.")
    parser.add_argument("--settle", type=float, default=0.0, help="Seconds before the last look.")
    given = parser.parse_args()
    seconds, said, before, after, last, worked, log = measure(
        given.sessions, given.actions, given.pause, given.settle
    )
    median, slow = np.quantile(seconds, [0.5, 0.95])
    print(f"{given.sessions} sessions × {given.actions} actions, {len(seconds)} timed")
    print(f"an action: median {median:.2f} s, p95 {slow:.2f} s, most {max(seconds):.2f} s")
    print(f"processor time: {worked / len(seconds):.3f} s an action")
    print(f"memory: {before:.0f} MB before, {after:.0f} MB after, {last:.0f} MB at the end")
    print(f"growth: {(after - before) / given.sessions:.1f} MB a session")
    for name, status, words in said:
        print(f"upload {name}: {status} {' '.join(words)}"[:160])
    print(f"tracebacks in the log: {log.count('Traceback')}")
    if "Traceback" in log:
        print(log[log.rindex("Traceback") :][:2000])
    failed = [name for name, _, words in said if name == "search" or "fault of the" in str(words)]
    sys.exit(bool(failed) or "Traceback" in log)


if __name__ == "__main__":
    main()

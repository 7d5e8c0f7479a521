"""The dashboard from nothing: its first map page, and the first decode after a click."""

import asyncio
import sys
from pathlib import Path

from comparing import Case

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
SIZES = {"small": "flat", "default": "all", "full": "all"}


def whos(_size):
    return ["ours"]


def cases(size):
    held = "430 drawings" if size == "flat" else "1,720 drawings"
    return [
        Case(f"first map page of a library mapped before, {held}", "page", most=4.0),
        Case("after it, a walk of four frames between words", "decode", most=3.0),
    ]


def prepare(folder, size):
    import explorer as ex
    from explorer.models.pocket import FOLDER
    from explorer.projection import Projection

    images = FOLDER.parent.parent / "sample" / "images"
    library = ex.Library.create(folder / "a.lib", ex.load("pocket", device="cpu"))
    library.add([images / "flat" if size == "flat" else images])
    Projection.cached(library.cache_folder, library.points())


def measure(who, folder, size):
    import time

    from app_server import Session, serving

    async def visit(server):
        async with Session(server, "map") as session:
            await session.open()
            page, said = time.perf_counter() - began, list(session.said)
        words = {"walk_0": "cat face", "walk_1": "dog face", "walk_frames": 4}
        async with Session(server, "walk") as session:
            decode = await session.open(**words)
            assert not said + session.said, said + session.said
        return {"page": page, "decode": decode}

    began = time.perf_counter()
    with serving(folder / "a.lib", folder) as server:
        return asyncio.run(visit(server))

"""Show what was found: names for other programs, images in the terminal or in their viewer."""

import base64
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from explorer.errors import QueryError

COLUMNS = 40  # of characters, that a preview is wide
PIXELS = 256  # of a preview, where the terminal shows real images
CHUNK = 4096  # bytes of base64 in one of kitty's messages


def print_files(files: Sequence[bytes], end: bytes) -> None:
    """Print names as they are on disk, each followed by `end`; escaped on a terminal, by lines."""
    from explorer.cli.output import say

    sys.stdout.flush()
    for file in files:
        if end == b"\n" and sys.stdout.isatty():
            say(os.fsdecode(file))
        else:
            sys.stdout.buffer.write(file + end)
    sys.stdout.flush()


def open_files(files: Sequence[bytes]) -> None:
    """Open files with what the platform opens them with.

    Raises:
        QueryError: the platform has no such program.
    """
    names = [os.path.abspath(os.fsdecode(file)) for file in files]
    if sys.platform == "win32":
        for name in names:
            os.startfile(name)
        return
    program = "open" if sys.platform == "darwin" else "xdg-open"
    if shutil.which(program) is None:
        raise QueryError(f"--open needs the program {program}, which is not installed here.")
    for name in names:
        quiet = subprocess.DEVNULL
        subprocess.run([program, name], stdin=quiet, stdout=quiet, stderr=quiet, check=False)


def preview_lines(image: Image.Image, environment: Mapping[str, str] | None = None) -> str:
    """Return text that shows an image in a terminal: kitty's or iTerm2's way, else half blocks."""
    environment = os.environ if environment is None else environment
    image = image.convert("RGB")
    if environment.get("KITTY_WINDOW_ID") or environment.get("TERM_PROGRAM") == "ghostty":
        return _kitty(_png(image))
    if environment.get("TERM_PROGRAM") in ("iTerm.app", "WezTerm"):
        content = _png(image)
        return f"\x1b]1337;File=inline=1;size={len(content)}:{_text(content)}\x07"
    return _half_blocks(image)


def _png(image: Image.Image) -> bytes:
    image.thumbnail((PIXELS, PIXELS))
    content = io.BytesIO()
    image.save(content, "png")
    return content.getvalue()


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _kitty(content: bytes) -> str:
    """Return kitty's graphics protocol: a PNG, in pieces of at most 4,096 characters."""
    text = _text(content)
    pieces = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
    last = len(pieces) - 1
    heads = ["a=T,f=100," * (i == 0) + f"m={int(i < last)}" for i in range(len(pieces))]
    return "".join(f"\x1b_G{h};{p}\x1b\\" for h, p in zip(heads, pieces, strict=True))


def _half_blocks(image: Image.Image) -> str:
    """Return two rows of pixels a line, as half blocks in 24-bit colour."""
    coding = (sys.stdout.encoding or "utf-8").lower()
    if not coding.startswith("utf"):
        raise QueryError("--preview needs a terminal that writes UTF-8: set LANG=C.UTF-8.")
    image.thumbnail((COLUMNS, COLUMNS))
    pixels = np.asarray(image)
    lines = []
    for y in range(0, len(pixels), 2):
        below = pixels[min(y + 1, len(pixels) - 1)]
        cells = [
            "\x1b[38;2;{};{};{};48;2;{};{};{}m▀".format(*upper, *lower)
            for upper, lower in zip(pixels[y].tolist(), below.tolist(), strict=True)
        ]
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)

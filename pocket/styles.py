"""Further styles: eight more openly licensed sets of the same emoji, for a CLIP that sees shapes.

Their files are named after CLDR, after Unicode or after shortcodes, so that names are matched, not
code points. It knows no model. OpenMoji is not among them and must not be: it is the unseen style
that `unseen` asks about.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pocket import data
from pocket.data import SIZE, Glyph, Images, key, package_folder, render
from pocket.words import FLAGS


@dataclass(frozen=True)
class Source:
    """Where the drawings of a style come from, and the licence that its package states."""

    package: str
    version: str
    licence: str


STYLES = {
    "blob": Source("@iconify-json/noto-v1", "1.2.5", "Apache-2.0"),
    "emojione": Source("@iconify-json/emojione", "1.2.3", "CC-BY-4.0"),
    "fluent": Source("@iconify-json/fluent-emoji", "1.2.7", "MIT"),
    "streamline": Source("@iconify-json/streamline-emojis", "1.2.4", "CC-BY-4.0"),
    "fxemoji": Source("@iconify-json/fxemoji", "1.2.2", "Apache-2.0"),
    "contrast": Source("@iconify-json/fluent-emoji-high-contrast", "1.2.6", "MIT"),
    "monotone": Source("@iconify-json/emojione-monotone", "1.2.1", "CC-BY-4.0"),
    "line": Source("@expo-google-fonts/noto-emoji", "0.4.7", "MIT AND OFL-1.1"),
}
MEANT = {  # style -> file names that mean another glyph than they say, and how CLDR calls it
    "fxemoji": {
        **{beast: f"{beast} face" for beast in ("cat", "dog", "mouse", "pig", "tiger")},
        **{f"{beast}side": beast for beast in ("cat", "dog", "mouse", "pig", "tiger")},
    },
    "streamline": {"japan": "flag: Japan", "e-mail-2": "e-mail"},
}
UNCOLOURED = {"contrast", "monotone", "line"}
BLANK = 8  # an image that varies less, of 255, shows nothing on white
COLOURS = re.compile(
    r"\b(red|orange|yellow|green|blue|purple|violet|brown|black|white|gr[ae]y|pink|gold\w*|silver|"
    r"colou?r\w*|bronze|rainbow|skin)\b"
)
SHORTCODES = ("cldr", "joypixels", "iamcal", "emojibase")


def load(folder: FilePath) -> Images:
    """All twelve styles: the four of `data`, then these; rendered once."""
    four = data.load(folder)
    data.fetch(folder, {source.package: source.version for source in STYLES.values()})
    eight = data.cached(folder / "further.npz", lambda: drawings(folder), data.glyphs(folder))
    return Images(
        np.concatenate([four.pixels, eight.pixels]),
        four.glyphs + eight.glyphs,
        four.styles + eight.styles,
    )


def drawings(folder: FilePath) -> Iterator[tuple[Glyph, str, Image.Image]]:
    """Every (glyph, style, image) of the eight; no black drawings of flags and colours."""
    known = data.glyphs(folder)
    for style in STYLES:
        found = lines(folder, known) if style == "line" else icons(folder, style, known)
        for glyph, image in found:
            colourful = glyph.group == FLAGS or COLOURS.search(glyph.name.lower())
            if not (style in UNCOLOURED and colourful) and np.asarray(image).std() > BLANK:
                yield glyph, style, image


def icons(
    folder: FilePath, style: str, known: Sequence[Glyph]
) -> Iterator[tuple[Glyph, Image.Image]]:
    """The drawings of an iconify package, on white, in the order of its names."""
    root = package_folder(folder, STYLES[style].package) / "package"
    stored = json.loads((root / "icons.json").read_text("utf-8"))
    by_code = {key(glyph.hexcode): glyph for glyph in known}
    by_name = stored["icons"]
    if style == "fluent":  # its names are those of the flat set, which tells the code points too
        flat = package_folder(folder, "@iconify-json/fluent-emoji-flat") / "package/chars.json"
        codes = json.loads(flat.read_text("utf-8"))
        matched = {name: by_code[key(c)] for c, name in codes.items() if key(c) in by_code}
    else:
        meant = MEANT.get(style, {})
        by_name = {meant.get(name, name): icon for name, icon in stored["icons"].items()}
        matched = match(list(by_name), known, shortcodes(folder))
    for name, glyph in matched.items():
        if icon := by_name.get(name):
            width, height = (icon.get(k, stored.get(k, 16)) for k in ("width", "height"))
            box = f'viewBox="0 0 {width} {height}"'
            svg = f'<svg xmlns="http://www.w3.org/2000/svg" {box}>{icon["body"]}</svg>'
            yield glyph, render(svg.encode())


def match(
    names: Sequence[str], known: Sequence[Glyph], codes: dict[str, list[str]]
) -> dict[str, Glyph]:
    """For each file name the glyph that it names; at most one file a glyph.

    First by CLDR's short name, then by Unicode's, then by shortcodes: a later way may give a name
    to a glyph that an earlier way has found under another one, and is then passed over.

    Args:
        codes: shortcodes by `key`.

    >>> cat = Glyph("1F431", "cat face", (), "1F431", 0, 3)
    >>> sorted(match(["catface", "dog"], [cat], {}))
    ['catface']
    """
    found: dict[str, Glyph] = {}
    ways = (
        lambda glyph: [glyph.name],
        lambda glyph: [unicode_name(glyph.hexcode)],
        lambda glyph: codes.get(key(glyph.hexcode), []),
    )
    for way in ways:
        slugs: dict[str, Glyph] = {}
        for glyph in known:
            for name in way(glyph):
                slugs.setdefault(slug(name), glyph)
        taken = {glyph.hexcode for glyph in found.values()}
        for name in names:
            meant = slugs.get(slug(name))
            if slug(name) and name not in found and meant and meant.hexcode not in taken:
                found[name] = meant
                taken.add(meant.hexcode)
    return found


def slug(name: str) -> str:
    """Letters and digits only: packages disagree about what stands between words.

    >>> slug("flag-for-france"), slug("flag: France"), slug("clinking-glasses-2")
    ('flagfrance', 'flagfrance', 'clinkingglasses')
    """
    plain = unicodedata.normalize("NFKD", name).lower().replace("&", "and")
    plain = re.sub("^flag-for-", "flag", re.sub("-[12]$", "", plain))
    return re.sub("[^a-z0-9#*]", "", plain)


def unicode_name(hexcode: str) -> str:
    """Unicode's name of a single code point; of a sequence nothing."""
    parts = key(hexcode).split("-")
    return unicodedata.name(chr(int(parts[0], 16)), "") if len(parts) == 1 else ""


def shortcodes(folder: FilePath) -> dict[str, list[str]]:
    """Shortcodes of all vendors by `key`, the most literal first."""
    found: dict[str, list[str]] = {}
    for vendor in SHORTCODES:
        file = package_folder(folder, "emojibase-data") / f"package/en/shortcodes/{vendor}.json"
        for code, said in json.loads(file.read_text("utf-8")).items():
            found.setdefault(key(code), []).extend([said] if isinstance(said, str) else said)
    return found


def lines(folder: FilePath, known: Sequence[Glyph]) -> Iterator[tuple[Glyph, Image.Image]]:
    """The glyphs of the Noto Emoji font, drawn large and made smaller."""
    from fontTools.ttLib import TTFont

    root = package_folder(folder, STYLES["line"].package) / "package/400Regular"
    file = root / "NotoEmoji_400Regular.ttf"
    drawn = TTFont(file).getBestCmap()
    font = ImageFont.truetype(str(file), 4 * SIZE * 3 // 4)
    for glyph in known:
        parts = key(glyph.hexcode).split("-")
        if len(parts) > 1 or int(parts[0], 16) not in drawn:
            continue
        image = Image.new("RGB", (4 * SIZE, 4 * SIZE), "white")
        middle = (2 * SIZE, 2 * SIZE)
        left, top, right, bottom = font.getbbox(chr(int(parts[0], 16)))
        at = (middle[0] - (left + right) / 2, middle[1] - (top + bottom) / 2)
        ImageDraw.Draw(image).text(at, chr(int(parts[0], 16)), font=font, fill="black")
        yield glyph, image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)

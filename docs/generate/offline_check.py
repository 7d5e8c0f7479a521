"""Find what a built page would fetch from another host: scripts, styles, fonts, images, frames."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

FETCHED = {  # tag -> the attribute with an address that a browser loads by itself
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "input": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "track": "src",
    "video": "src",
}
HARMLESS_LINKS = {"canonical", "next", "prev", "alternate"}  # named, not loaded


def external(site: Path) -> Iterator[tuple[str, str]]:
    """Yield page and address of everything that comes from another host."""
    for page in sorted(site.rglob("*.html")):
        for address in addresses(page.read_text()):
            if is_external(address):
                yield page.relative_to(site).as_posix(), address
    for sheet in sorted(site.rglob("*.css")):
        text = sheet.read_text()
        if "url(http" in text or "url(//" in text or "@import" in text:
            yield sheet.relative_to(site).as_posix(), "an address in a style"


def addresses(html: str) -> list[str]:
    """Return the addresses that a browser loads when it shows the page."""
    parser = _Parser()
    parser.feed(html)
    return parser.found


def is_external(address: str) -> bool:
    """Return whether an address leads to a host."""
    return address.lower().startswith(("http:", "https:", "//"))


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and HARMLESS_LINKS & set((given.get("rel") or "").split()):
            return
        address = given.get(FETCHED.get(tag, ""))
        if address:
            self.found.append(address)
        self.found += [part.split()[0] for part in (given.get("srcset") or "").split(",") if part]

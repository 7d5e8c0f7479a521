"""The mkdocs hook: add the pages that come from code, notebooks and other documents."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import command_reference
import notebook_pages
import offline_check
import python_reference
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent.parent
LOG = logging.getLogger("mkdocs.hooks.unclip")

# Documents of the repository that are pages too; a link to one becomes a link to its page.
DOCUMENTS = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "explorer/weights/pocket/README.md": "model-card.md",
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill in the parts of the navigation that are generated."""
    _fill(config.nav, "Notebooks", _titles("notebooks", notebook_pages.titles(ROOT / "notebooks")))
    _fill(config.nav, "Python", _titles("reference/python", python_reference.titles()))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for name, content in _generated():
        files.append(File.generated(config, name, content=content))
    return files


def on_post_build(config: MkDocsConfig) -> None:
    """Warn of everything that a page would fetch from another host."""
    for page, address in offline_check.external(Path(config.site_dir)):
        LOG.warning("%s would fetch %s", page, address)


def _generated() -> Iterator[tuple[str, str | bytes]]:
    yield "reference/commands.md", command_reference.page()
    for name, text in python_reference.pages().items():
        yield f"reference/python/{name}.md", text
    for name, content in notebook_pages.pages(ROOT / "notebooks").items():
        yield f"notebooks/{name}", content
    for document, page in DOCUMENTS.items():
        yield page, relinked((ROOT / document).read_text())


def relinked(text: str) -> str:
    """Turn links between documents of the repository into links between pages."""

    def link(match: re.Match[str]) -> str:
        target = match[1].removeprefix("../../../")  # of the model card, which lies deeper
        if target in DOCUMENTS:
            return f"]({DOCUMENTS[target]})"
        return f"]({target.removeprefix('docs/')})" if target.startswith("docs/") else match[0]

    return re.sub(r"\]\(([^)#:]+)\)", link, text)


def _titles(folder: str, titles: dict[str, str]) -> list[dict[str, str]]:
    return [{title: f"{folder}/{name}.md"} for name, title in titles.items()]


def _fill(nav: Any, section: str, entries: list[dict[str, str]]) -> None:
    """Put the entries into the section of that name, at any depth."""
    for item in nav:
        for name, value in item.items():
            if name == section:
                item[name] = entries
            elif isinstance(value, list):
                _fill(value, section, entries)

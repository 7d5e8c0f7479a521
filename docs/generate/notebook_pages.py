"""The notebooks as pages: their text, code and whatever outputs they were saved with."""

import json
import re
from pathlib import Path

from nbconvert import MarkdownExporter
from traitlets.config import Config

CONFIG = Config({"NbConvertBase": {"display_data_priority": [
    "text/html", "image/png", "image/jpeg", "image/svg+xml", "text/markdown", "text/plain",
]}})  # fmt: skip
HEAD = "*This is the notebook [`{file}`]({file}), as it was last run.*\n\n"


def titles(folder: Path) -> dict[str, str]:
    """Return name -> the question that the notebook opens with."""
    return {file.stem: _title(file) for file in sorted(folder.glob("[0-9]*.ipynb"))}


def pages(folder: Path) -> dict[str, str | bytes]:
    """Return file name -> content: a page for every notebook, its images, and the notebook."""
    made: dict[str, str | bytes] = {}
    for file in sorted(folder.glob("[0-9]*.ipynb")):
        exporter = MarkdownExporter(config=CONFIG)
        resources = {"output_files_dir": f"{file.stem}_files", "unique_key": file.stem}
        text, resources = exporter.from_filename(str(file), resources)
        made[f"{file.stem}.md"] = _with_head(_clean(text), file.name)
        made[file.name] = file.read_bytes()
        made.update({name: bytes(data) for name, data in resources["outputs"].items()})
    return made


def _title(file: Path) -> str:
    first = "".join(json.loads(file.read_text())["cells"][0]["source"])
    return first.partition("\n")[0].removeprefix("# ")


def _with_head(text: str, file: str) -> str:
    title, _, rest = text.lstrip().partition("\n")
    return f"{title}\n\n{HEAD.format(file=file)}{rest}"


def _clean(text: str) -> str:
    """Keep HTML that a cell shows out of Markdown's reach: no blank or indented lines in it."""
    return re.sub(
        r"^<(div|table|figure)\b.*?^</\1>$", _one_block, text, flags=re.MULTILINE | re.DOTALL
    )


def _one_block(match: re.Match[str]) -> str:
    lines = [line.strip() for line in match[0].splitlines()]
    body = "\n".join(line for line in lines if line)
    return f'<div class="notebook-output">\n{body}\n</div>\n'

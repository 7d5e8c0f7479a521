"""Pages of the dashboard without a browser: one page, over a library, at an address."""

import shlex
import sys

from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from explorer.app import outputs
from explorer.cli import unclip

SECONDS = 120  # the first page of a process imports much


def _script(name):
    import importlib

    from explorer.app.outputs import sentences

    sentences(importlib.import_module(f"explorer.app.pages.{name}").page)()


def open_page(monkeypatch, name, library, *options, **address):
    """Run the page of explorer/app/NAME.py once, as `unclip app LIBRARY` shows it."""
    monkeypatch.setattr(sys, "argv", ["streamlit_app.py", *options, str(library)])
    page = AppTest.from_function(_script, kwargs={"name": name}, default_timeout=SECONDS)
    page.query_params.update(address)
    return page.run()


def captions(page):
    """The words under its images."""
    return [image.caption for block in page.get("image") for image in block.proto.imgs]


def errors(page):
    """The sentences that say what is wrong."""
    assert not page.exception
    return [each.value for each in page.error]


def button(page, label):
    """The first button of that label."""
    return next(each for each in page.button if each.label == label)


def offered(monkeypatch, name, library, *options, **address):
    """What a page offers to take away: by file name, its `write` and the rest."""
    taken = {}
    monkeypatch.setattr(
        outputs, "offer", lambda name, write, **rest: taken.update({name: (write, rest)})
    )
    assert errors(open_page(monkeypatch, name, library, *options, **address)) == []
    return taken


def three_ways(monkeypatch, folder, name, offer):
    """The bytes of a file that was downloaded, made by the Python, and by the command.

    A command that replays finds the download in its folder.
    """
    write, rest = offer
    contents = []
    for way in ("download", "python", "command"):
        (folder / way).mkdir(exist_ok=True)
        monkeypatch.chdir(folder / way)
        if way == "download":
            write(folder / way / name)
        elif way == "python":
            lines = rest["python"].splitlines()
            assert lines[0] == "import explorer as ex" and 3 <= len(lines) <= 5
            assert "import" not in "".join(lines[1:])
            exec(compile(rest["python"], "copied", "exec"), {})
        else:
            if rest["command"][1] == "replay":
                write(folder / way / name)
            told = CliRunner().invoke(unclip, shlex.split(shlex.join(rest["command"]))[1:])
            assert told.exit_code == 0, told.output
        made = rest["command"][-1] if way == "command" else name
        contents.append((folder / way / made).read_bytes())
    return contents

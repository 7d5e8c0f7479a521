"""The dashboard over a published library: it follows the newest version, and only reads."""

from importlib.util import find_spec

import pytest
from app_pages import errors, open_page
from milvus_places import place_in
from typer.testing import CliRunner

from explorer.app import state
from explorer.app.server import launch
from explorer.cli import unclip
from explorer.library import Library
from explorer.scale.publishing import publish

pytestmark = pytest.mark.skipif(find_spec("milvus_lite") is None, reason="Milvus is not installed")


@pytest.fixture(scope="module")
def both(tmp_path_factory, sample):
    """A library of few sample images, and where it is published."""
    folder = tmp_path_factory.mktemp("few")
    library = Library.create(folder / "a.lib", "pocket")
    library.add(sorted((sample / "flat").iterdir())[:12], workers=0)
    address = place_in(folder)
    list(publish(library, address))
    return library, address


@pytest.mark.parametrize("page", ["library", "search", "map"])
def test_pages_show_what_is_published(both, page, monkeypatch):
    shown = open_page(monkeypatch, page, both[1], "--read-only")
    assert errors(shown) == []


def test_the_dashboard_goes_on_to_the_newest_version(both, monkeypatch):
    library, address = both
    monkeypatch.setattr("sys.argv", ["streamlit_app.py", address])
    before = state.library()
    assert state.library() is before and "tag" not in before.columns
    library.set_columns({"tag": ["x"] * len(library)})
    list(publish(library, address))
    assert "tag" in state.library().columns and "tag" not in before.columns


def test_the_command_gives_the_address_on_and_lets_nobody_add(both, monkeypatch):
    given = []
    monkeypatch.setattr(launch, "serve", lambda config, **_: given.append(config))
    run = CliRunner().invoke(unclip, ["app", both[1], "--no-browser"])
    assert run.exit_code == 0, run.output
    assert (
        given[0].read_only
        and Library.open(given[0].library).cache_key == Library.open(both[1]).cache_key
    )

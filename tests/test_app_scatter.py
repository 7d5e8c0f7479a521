"""The map's component: source and bundle belong together; what it sends; what it believes."""

import hashlib
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from explorer.app.map import scatter
from explorer.app.map.scatter import Event, Scene, _event

HERE = Path(scatter.__file__).parent
PAGE = Path(__file__).parent / "browser" / "scatter_page.py"


def source_digest(folder):
    """What build.mjs writes into the first line of the bundle."""
    content = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.is_file():
            content.update(f"{file.name}\0".encode())
            content.update(file.read_bytes())
    return content.hexdigest()


def scene_of(page):
    """The scene as the browser gets it."""
    proto = page.get("bidi_component")[0].proto
    return json.loads(proto.json)


def test_the_bundle_was_built_from_this_source():
    first = (HERE / "bundle.js").read_text("utf-8").split("\n", 1)[0]
    assert first.endswith(source_digest(HERE / "source")), "run `make frontend`, and commit both"


def test_a_changed_source_is_another_digest(tmp_path):
    before = source_digest(HERE / "source")
    for file in (HERE / "source").iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    assert source_digest(tmp_path) == before
    (tmp_path / "index.js").write_text((tmp_path / "index.js").read_text("utf-8") + "\n")
    assert source_digest(tmp_path) != before


def test_the_recipe_pins_exact_versions_and_names_no_registry():
    recipe = json.loads((HERE / "source" / "package.json").read_text("utf-8"))
    versions = {**recipe["dependencies"], **recipe["devDependencies"]}.values()
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)
    assert "http" not in (HERE / "source" / "package.json").read_text("utf-8")


def test_every_package_in_the_bundle_has_its_licence_beside_it():
    licences = (HERE / "bundle.LICENSES.txt").read_text("utf-8")
    recipe = json.loads((HERE / "source" / "package.json").read_text("utf-8"))
    for name, version in recipe["dependencies"].items():
        assert f"{name} {version}\n" in licences


def test_places_and_colours_go_by_reference_and_are_the_same_after_a_rerun(monkeypatch):
    monkeypatch.setattr("sys.argv", ["page", "5000"])
    page = AppTest.from_file(PAGE, default_timeout=30).run()
    assert not page.exception
    first = scene_of(page)
    assert len(json.dumps(first)) < 3000
    assert all(first[name].startswith("/") for name in ("code", "xy"))
    assert scene_of(page.run()) == first


def test_other_colours_leave_the_places_where_they_are(monkeypatch):
    monkeypatch.setattr("sys.argv", ["page", "300"])
    page = AppTest.from_file(PAGE, default_timeout=30).run()
    before = scene_of(page)
    after = scene_of(page.toggle[0].set_value(True).run())
    assert after["xy"] == before["xy"]
    assert after["colours"]["codes"] != before["colours"]["codes"]


def test_large_arrays_that_differ_in_one_value_have_two_addresses(monkeypatch):
    """Streamlit samples what is over 1 MiB; a map must not show the colours of another column."""

    def two():
        import numpy as np

        from explorer.app.map.scatter import Scene, scatter

        xy = np.zeros((300_000, 2), np.float32)
        scatter(Scene(xy), key="one")
        xy[100_000] = 1
        scatter(Scene(xy), key="two")

    page = AppTest.from_function(two, default_timeout=30).run()
    one, other = (json.loads(each.proto.json)["xy"] for each in page.get("bidi_component"))
    assert one != other


def test_an_event_is_read():
    given = {"kind": "click", "places": [[1, 2.5]], "row": 3, "at": 0}
    assert _event(given) == Event("click", ((1.0, 2.5),), 3)


@pytest.mark.parametrize(
    "value",
    [
        *(None, {}, "click", {"kind": "click"}, {"kind": "click", "places": [], "row": None}),
        {"kind": "delete", "places": [[0, 0]], "row": None},
        {"kind": "click", "places": [[math.nan, 0]], "row": None},
        {"kind": "click", "places": [[0, 0, 0]], "row": None},
        {"kind": "click", "places": [["a", 0]], "row": None},
    ],
)
def test_what_is_no_event_is_none(value):
    assert _event(value) is None


def test_a_scene_needs_only_places():
    assert Scene(np.zeros((1, 2), np.float32)).marks == ()

"""Forged recipes and hostile configurations, as rows of the table."""

import copy
import json
import shutil
import tempfile
from pathlib import Path

from flips import Hang, no_hang
from forged_recipes import forged
from hostile_folders import SETTINGS, TEXTS, changed, plant_spy
from table import Row

import explorer
from explorer import edits
from explorer.errors import ExplorerError
from explorer.models.openclip import load_folder
from explorer.recipe import Recipe
from explorer.rendering import Rendering

POCKET = Path(explorer.__file__).parent / "weights" / "pocket"
DOG = Path(explorer.__file__).parent / "sample" / "images" / "flat" / "1f436.png"


def recipes(count):
    """Decode forged recipes: refused in one sentence, or one image as the recipe says."""
    pocket = explorer.load("pocket", device="cpu")
    made = edits.decode(pocket, DOG, settings=explorer.Settings(steps=1))
    list(made)
    values = made.recipe.to_dict()
    for name, recipe in list(forged(values))[:count]:
        frames = yield name, lambda recipe=recipe: list(Rendering(pocket, Recipe.from_dict(recipe)))
        if frames is not None and len(frames) != 1:
            raise AssertionError(name)


def configurations(count):
    """Load folders with a hostile configuration, and code that would write a file."""
    load_folder(POCKET)  # its imports are no hang
    config = json.loads((POCKET / "open_clip_config.json").read_text())
    texts = {
        name: json.dumps(changed(copy.deepcopy(config), *each)) for name, each in SETTINGS.items()
    } | TEXTS
    with tempfile.TemporaryDirectory() as place:
        folder, marker = Path(place) / "clip", Path(place) / "ran"
        folder.mkdir()
        shutil.copy(POCKET / "bpe.txt.gz", folder)
        (folder / "open_clip_model.safetensors").write_bytes(b"")
        plant_spy(folder, marker)
        for name, text in list(texts.items())[:count]:
            (folder / "open_clip_config.json").write_text(text)
            loaded = yield name, lambda: load_folder(folder)
            if loaded is not None or marker.exists():
                raise AssertionError(name)


TESTS = {
    "recipes": ("forged recipes", recipes),
    "configurations": ("hostile folders", configurations),
}


def run(count, kind):
    """Try what is handed in; accepted wrongly or code that ran counts as silently wrong."""
    test, each = TESTS[kind]
    tried = refused = tracebacks = hangs = 0
    wrong, notes = [], []
    cases = each(count)
    result = None
    while True:
        try:
            name, attempt = cases.send(result)
        except StopIteration:
            break
        except AssertionError as error:
            wrong.append(str(error))
            break  # the rest is not tried; the row says so by its count
        tried, result = tried + 1, None
        try:
            with no_hang():
                result = attempt()
        except ExplorerError as error:
            refused += 1
            if "\n" in str(error) or len(str(error)) > 1000:
                tracebacks += 1
                notes.append(f"{name}: {error}")
        except Hang:
            hangs += 1
            notes.append(f"{name} hangs")
        except Exception as error:  # noqa: BLE001  what it counts
            tracebacks += 1
            notes.append(f"{name}: {error!r}")
    notes = [f"{refused} refused in one sentence", *wrong[:5], *notes[:5]]
    yield Row(test, tried, 0, len(wrong), tracebacks, hangs, "; ".join(notes))

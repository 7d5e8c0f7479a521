"""The package has few public names, and every one explains itself."""

import inspect
import re
import types
from pathlib import Path

import explorer

NAMES = """
    Space Points Encoder Prior Decoder Noise Model load Library Hits Path Projection Query
    Axes Rendering Retrieval Settings edits sample_library progress
    angle slerp rotate text_diff analogy mean open_image save_image grid write_video ExplorerError
    RayEngine publish name_regions find_duplicates cluster probe Bridge Features library_features
""".split()


def test_these_are_the_public_names():
    assert set(explorer.__all__) == set(NAMES)


def test_the_public_names_are_sorted_and_there_once():
    assert explorer.__all__ == sorted(set(explorer.__all__))


def test_nothing_else_is_visible():
    visible = {
        name
        for name in dir(explorer)
        if not name.startswith("_") and not isinstance(getattr(explorer, name), types.ModuleType)
    }
    assert visible - {"TYPE_CHECKING"} == set(explorer.__all__) - {"edits"}  # a module


def test_every_public_name_has_a_docstring_of_its_own():
    for name in explorer.__all__:
        thing = getattr(explorer, name)
        first = (inspect.getdoc(thing) or "").partition("\n")[0]
        assert first.endswith((".", ":")), name
        # a dataclass without a docstring gets its signature as one
        assert not first.startswith(f"{name}("), name


def test_every_public_method_has_a_docstring():
    for name in explorer.__all__:
        thing = getattr(explorer, name)
        if inspect.isclass(thing):
            for method, _ in inspect.getmembers(thing, inspect.isroutine):
                if not method.startswith("_") and method not in dir(BaseException):
                    assert inspect.getdoc(getattr(thing, method)), f"{name}.{method}"


def test_the_version_is_a_release_number():
    assert re.fullmatch(r"\d+\.\d+\.\d+", explorer.__version__)


def test_no_public_name_is_hidden_by_a_module():
    """Importing explorer.x sets the attribute x of explorer, over any public name x."""
    modules = {file.stem for file in Path(explorer.__file__).parent.iterdir()}
    assert modules & set(explorer.__all__) == {"edits"}  # which is that module

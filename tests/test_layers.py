"""The import graph points one way. LAYERS is the architecture; ARCHITECTURE.md prints it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("explorer", "analysis", "pocket")

LAYERS = [  # a room may import only from rooms on the lines above it
    {
        "explorer.errors",
        "explorer.files",
        "explorer.font",
        "explorer.html",
        "explorer.interrupts",
        "explorer.metadata",
        "explorer.notes",
        "explorer.progress_bar",
        "explorer.places",
        "explorer.priority",
        "explorer.refusals",
    },
    {
        "explorer.array_files",
        "explorer.cache_files",
        "explorer.device",
        "explorer.points",
        "explorer.images",
        "explorer.masks",
        "explorer.settings",
    },
    {
        "explorer.bridge",
        "explorer.geometry",
        "explorer.metrics",
        "explorer.encoder",
        "explorer.index",
        "explorer.noise",
        "explorer.recipe_checks",
        "explorer.recipe_values",
    },
    {
        "explorer.axes",
        "explorer.path",
        "explorer.prior",
        "explorer.decoder",
        "explorer.features",
        "explorer.sampler",
        "explorer.projection",
        "explorer.support",
        "explorer.video",
    },
    {
        "explorer.library",
        "explorer.models",
        "explorer.query",
        "explorer.recipe",
        "explorer.samples",
    },
    {
        "explorer",
        "explorer.edits",
        "explorer.groups",
        "explorer.regions",
        "explorer.rendering",
        "explorer.retrieval",
    },
    {"explorer.scale", "explorer.training"},
    {"explorer.cli", "explorer.app", "explorer.__main__"},
    {"analysis", "pocket"},
]
RANK = {room: line for line, rooms in enumerate(LAYERS) for room in rooms}
ALLOWED = {  # on one line or upwards, each with its reason
    ("explorer.files", "explorer.errors"): "what the disk refuses is one of our errors",
    ("explorer.files", "explorer.refusals"): "the sentence about it is written in one place",
    ("explorer.refusals", "explorer.errors"): "what is refused is one of our errors",
    ("explorer.decoder", "explorer.sampler"): "the decoder runs the one denoising loop",
    ("explorer.__main__", "explorer.cli"): "python -m explorer is the command line",
    ("explorer.cli", "explorer.app"): "unclip app is its door",
    ("explorer.library", "explorer.models"): "a library loads the model that made it",
    ("explorer.library", "explorer.query"): "a library is asked with a query",
    ("explorer.samples", "explorer.library"): "it is one",
    ("explorer.samples", "explorer.models"): "it is made with one",
    ("explorer.edits", "explorer.rendering"): "an edit gives a rendering",
    ("explorer", "explorer.groups"): "the list of public names",
    ("explorer", "explorer.regions"): "the list of public names",
    ("explorer", "explorer.edits"): "the list of public names",
    ("explorer", "explorer.rendering"): "the list of public names",
    ("explorer", "explorer.retrieval"): "the list of public names",
    ("explorer", "explorer.scale"): "the list of public names",
    ("explorer.retrieval", "explorer.rendering"): "both write the same kinds of files",
    ("explorer.app", "analysis"): "a page of the dashboard may show a measurement",
}
MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_FUNCTION = 40


def room_of(module):
    """The longest listed name that `module` lives under: explorer.app.map → explorer.app."""
    parts = module.split(".")
    names = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next(name for name in names if name in RANK)


def module_of(file, root):
    return file.relative_to(root).with_suffix("").as_posix().replace("/", ".")


def imported_by(tree, package):
    """Every module or name that is imported: at the top, in functions, relative or not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(filter(None, [base, node.module]))
            yield from (f"{source}.{alias.name}" for alias in node.names)


def files_of(root):
    return sorted(file for package in PACKAGES for file in (root / package).rglob("*.py"))


def against_the_direction(root):
    """What imports something of its own line, or of one that stands higher."""
    wrong = []
    for file in files_of(root):
        dotted = module_of(file, root)
        module = dotted.removesuffix(".__init__")
        package = module if dotted.endswith("__init__") else module.rpartition(".")[0]
        if module != "explorer" and room_of(module) == "explorer":
            wrong.append(f"{module} has no line in LAYERS")
            continue
        for target in imported_by(ast.parse(file.read_text()), package):
            if target.split(".")[0] not in PACKAGES:
                continue
            here, there = room_of(module), room_of(target)
            if here != there and RANK[there] >= RANK[here] and (here, there) not in ALLOWED:
                wrong.append(f"{module} imports {target}")
    return wrong


def importing_pocket(root):
    """Modules of explorer and analysis that import pocket."""
    return sorted(
        module_of(file, root)
        for file in files_of(root)
        if not file.is_relative_to(root / "pocket")
        and any(
            target.split(".")[0] == "pocket"
            for target in imported_by(ast.parse(file.read_text()), "")
        )
    )


def in_circles(root):
    """Modules that import each other, or that lie between such."""
    files = {module_of(file, root).removesuffix(".__init__"): file for file in files_of(root)}
    graph = {}
    for name, file in files.items():
        targets = set(imported_by(ast.parse(file.read_text()), ""))
        modules = {t if t in files else t.rpartition(".")[0] for t in targets} & files.keys()
        graph[name] = modules - {name}
    while True:
        wanted = set().union(*graph.values())
        inner = {name: modules & graph.keys() for name, modules in graph.items() if name in wanted}
        inner = {name: modules for name, modules in inner.items() if modules}
        if inner == graph:
            return sorted(graph)
        graph = inner


def too_long(root):
    """Files and functions over the rule, with their lines."""
    found = []
    for file in files_of(root):
        text = file.read_text()
        if (lines := len(text.splitlines())) > MOST_LINES_OF_A_FILE:
            found.append(f"{file.relative_to(root)}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = node.end_lineno - node.lineno + 1
                if lines > MOST_LINES_OF_A_FUNCTION:
                    found.append(f"{file.relative_to(root)}: {node.name} has {lines} lines")
    return found


def write(folder, **files):
    for name, text in files.items():
        file = folder / (name.replace("__", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def test_imports_point_one_way():
    assert against_the_direction(ROOT) == []


def test_files_and_functions_are_short():
    assert too_long(ROOT) == []


def test_explorer_never_imports_analysis_but_for_pages_of_the_dashboard():
    guilty = [
        file
        for file in sorted((ROOT / "explorer").rglob("*.py"))
        if room_of(module_of(file, ROOT)) != "explorer.app"
        for target in imported_by(ast.parse(file.read_text()), "explorer")
        if target.split(".")[0] == "analysis"
    ]
    assert guilty == []


def test_explorer_and_analysis_never_import_pocket():
    assert importing_pocket(ROOT) == []


@pytest.mark.parametrize("text", ["import pocket", "def f():\n    from pocket.data import load"])
def test_an_import_of_pocket_is_found(tmp_path, text):
    assert importing_pocket(write(tmp_path, explorer__training__a=text, analysis__b=text)) == [
        "analysis.b",
        "explorer.training.a",
    ]
    assert importing_pocket(write(tmp_path / "other", pocket__a=text)) == []


def test_no_modules_import_each_other_in_a_circle():
    registry = "explorer.models"  # loads its families by name, and some of them load others
    assert [name for name in in_circles(ROOT) if not name.startswith(registry)] == []


def test_a_circle_is_found(tmp_path):
    write(tmp_path, analysis__a="import analysis.b", analysis__c="import analysis.a")
    assert in_circles(tmp_path) == []
    write(tmp_path, analysis__b="def f():\n    from analysis import c")
    assert in_circles(tmp_path) == ["analysis.a", "analysis.b", "analysis.c"]


@pytest.mark.parametrize(
    "text",
    [
        "from explorer.path import Path",
        "import explorer.library",
        "from .path import Path",
        "from . import path",
        "from explorer import Path",
        "from explorer import slerp",
        "import analysis",
        "def f():\n    from explorer.models import load",
    ],
)
def test_an_import_upwards_is_found(tmp_path, text):
    assert against_the_direction(write(tmp_path, explorer__geometry=text)) != []


def test_an_import_of_a_neighbour_on_the_same_line_is_found(tmp_path):
    assert against_the_direction(write(tmp_path, explorer__path="import explorer.video")) != []


def test_a_room_without_a_line_is_found(tmp_path):
    assert against_the_direction(write(tmp_path, explorer__cellar="")) != []


def test_an_import_downwards_or_within_a_room_is_fine(tmp_path):
    text = "from explorer.points import Points\nfrom explorer.files import write_file"
    assert against_the_direction(write(tmp_path, explorer__library__store=text)) == []


def test_a_long_file_and_a_long_function_are_found(tmp_path):
    write(tmp_path, explorer__a="\n" * 301, explorer__b="def f():\n" + "    1\n" * 40)
    assert len(too_long(tmp_path)) == 2


def test_architecture_prints_these_layers():
    block = re.search(r"```layers\n(.*?)```", (ROOT / "ARCHITECTURE.md").read_text(), re.DOTALL)
    printed = [
        {room.replace("models/*", "models") for room in line.split()[1:]}
        for line in reversed(block.group(1).splitlines())
    ]
    names = [
        {r if r in PACKAGES else r.removeprefix("explorer.") for r in rooms} for rooms in LAYERS
    ]
    assert printed == names

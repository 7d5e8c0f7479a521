"""The pages of the Python reference: the public names, from their docstrings."""

import explorer

GROUPS = ["name_regions", "library_features", "Features", "find_duplicates", "cluster", "probe"]

# Page -> its title and names. A test holds that every public name is on one page.
PAGES = {
    "models": (
        "Models",
        ["load", "Model", "Encoder", "Prior", "Decoder", "Settings", "Noise", "Bridge"],
    ),
    "edits": ("Edits", ["edits", "Rendering", "Retrieval"]),
    "libraries": ("Libraries", ["Library", "Hits", "Query", "sample_library", *GROUPS]),
    "scale": ("Several machines", ["RayEngine", "publish"]),
    "points": (
        "Points and geometry",
        ["Space", "Points", "angle", "slerp", "rotate", "text_diff", "analogy", "mean"],
    ),
    "paths": ("Paths, axes and maps", ["Path", "Axes", "Projection"]),
    "images": (
        "Images, video, errors",
        ["open_image", "save_image", "grid", "write_video", "progress", "ExplorerError"],
    ),
}

OVERVIEW = """# Python

```python
import explorer as ex
```

These names are public; everything else may change without notice. Each links to its entry.

| name | summary |
|---|---|
"""


def titles() -> dict[str, str]:
    """Return page -> title, in the order of the navigation."""
    return {"index": "Overview", **{page: title for page, (title, _) in PAGES.items()}}


def pages() -> dict[str, str]:
    """Return page -> Markdown; mkdocstrings puts the docstrings in."""
    made = {page: _page(title, _there(names)) for page, (title, names) in PAGES.items()}
    return {"index": OVERVIEW + "".join(_rows()), **made}


def _there(names: list[str]) -> list[str]:
    return [name for name in names if name in explorer.__all__]


def _page(title: str, names: list[str]) -> str:
    return f"# {title}\n\n" + "\n\n".join(_entry(name) for name in names) + "\n"


def _entry(name: str) -> str:
    if name != "edits":
        return f"::: explorer.{name}"
    options = "    options:\n      members: " + str(_functions_of_edits())
    return f"::: explorer.edits\n{options}"


def _functions_of_edits() -> list[str]:
    from explorer import edits

    return [name for name in edits.__all__ if name.islower()]


def _rows() -> list[str]:
    import inspect

    rows = []
    for page, (_, names) in PAGES.items():
        for name in _there(names):
            summary = (inspect.getdoc(getattr(explorer, name)) or "").partition("\n\n")[0]
            anchor = f"explorer.{name}"
            rows.append(f"| [`{name}`]({page}.md#{anchor}) | {' '.join(summary.split())} |\n")
    return rows

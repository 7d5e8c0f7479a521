"""Search, edit and decode images through CLIP embeddings.

A Model gives one CLIP Space: its Encoder turns words and images into Points; a Library keeps
Points and finds the near ones; geometry makes new Points from old; a Path strings them; the Prior
carries words over to the image side; the Decoder turns Points back into images.
"""

import importlib
import os
from typing import TYPE_CHECKING

# Threads of torch wait for each other after every operation, at first without leaving their cores.
# Where another program has a core, that may be most of the time: benchmarks/busy_core.py.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # what libgomp takes if cores are too few

if TYPE_CHECKING:
    from explorer import edits
    from explorer.axes import Axes
    from explorer.bridge import Bridge
    from explorer.decoder import Decoder
    from explorer.encoder import Encoder
    from explorer.errors import ExplorerError
    from explorer.features import Features
    from explorer.geometry import analogy, angle, mean, rotate, slerp, text_diff
    from explorer.groups import cluster, find_duplicates, probe
    from explorer.images import grid, open_image, save_image
    from explorer.library import Hits, Library
    from explorer.models import Model, load
    from explorer.noise import Noise
    from explorer.path import Path
    from explorer.points import Points, Space
    from explorer.prior import Prior
    from explorer.progress_bar import progress
    from explorer.projection import Projection
    from explorer.query import Query
    from explorer.regions import name_regions
    from explorer.regions.learnt import library_features
    from explorer.rendering import Rendering
    from explorer.retrieval import Retrieval
    from explorer.samples import sample_library
    from explorer.scale.publishing import publish
    from explorer.scale.ray_engine import RayEngine
    from explorer.settings import Settings
    from explorer.video import write_video

__version__ = "0.1.0"

__all__ = [
    "Axes",
    "Bridge",
    "Decoder",
    "Encoder",
    "ExplorerError",
    "Features",
    "Hits",
    "Library",
    "Model",
    "Noise",
    "Path",
    "Points",
    "Prior",
    "Projection",
    "Query",
    "RayEngine",
    "Rendering",
    "Retrieval",
    "Settings",
    "Space",
    "analogy",
    "angle",
    "cluster",
    "edits",
    "find_duplicates",
    "grid",
    "library_features",
    "load",
    "mean",
    "name_regions",
    "open_image",
    "probe",
    "progress",
    "publish",
    "rotate",
    "sample_library",
    "save_image",
    "slerp",
    "text_diff",
    "write_video",
]

_ROOMS = {  # read on first use, so that `unclip --help` need not wait for numpy
    "axes": ("Axes",),
    "bridge": ("Bridge",),
    "decoder": ("Decoder",),
    "encoder": ("Encoder",),
    "errors": ("ExplorerError",),
    "features": ("Features",),
    "geometry": ("analogy", "angle", "mean", "rotate", "slerp", "text_diff"),
    "groups": ("cluster", "find_duplicates", "probe"),
    "images": ("grid", "open_image", "save_image"),
    "library": ("Hits", "Library"),
    "models": ("Model", "load"),
    "noise": ("Noise",),
    "path": ("Path",),
    "points": ("Points", "Space"),
    "prior": ("Prior",),
    "progress_bar": ("progress",),
    "projection": ("Projection",),
    "query": ("Query",),
    "regions": ("name_regions",),
    "regions.learnt": ("library_features",),
    "rendering": ("Rendering",),
    "retrieval": ("Retrieval",),
    "samples": ("sample_library",),
    "scale.publishing": ("publish",),
    "scale.ray_engine": ("RayEngine",),
    "settings": ("Settings",),
    "video": ("write_video",),
}


def __getattr__(name: str) -> object:
    if name == "edits":
        return importlib.import_module("explorer.edits")
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(importlib.import_module(f"explorer.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

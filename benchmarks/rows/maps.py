"""A map from nothing beside umap-learn's defaults; and its growth, transform and inverse."""

import map_speed
from comparing import Case

SIZES = {"small": 1500, "default": 20_000, "full": 100_000}


def whos(_size):
    return ["ours", "umap"]


def cases(size):
    quality, n = ("trustworthiness",), f"{size:,} points"
    return [
        Case(f"map, {n} × {map_speed.DIMENSION}", "seconds", {"umap": 3.0}, note=quality),
        Case(f"the map after 1 % more, {n}", "grow_seconds", most=2.0),
        Case(f"transform of one point, {n}", "transform_ms", most=1.0, unit="ms"),
        Case(f"inverse of one place, {n}", "inverse_ms", most=0.3, unit="ms"),
    ]


def prepare(folder, size):
    """Nothing is read: each process makes the same points."""


def measure(who, folder, size):
    found = map_speed.measured(who, "mixture", size, None)
    return found | (map_speed.measured("growth", "mixture", size, None) if who == "ours" else {})

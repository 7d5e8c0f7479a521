"""Neighbours: hubs, copies, outliers and groups of a library, and how true its map is to them.

Images are drawn where a library is large; their neighbours are looked for in all of it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from analysis.figures import histogram, lines, strip
from analysis.material import Material
from analysis.section import Section
from analysis.statistics import bootstrap, chunks, percent
from explorer.errors import QueryError
from explorer.library.contents import Vectors
from explorer.points import Points
from explorer.projection import Projection

if TYPE_CHECKING:
    import pandas as pd

QUESTION = (
    "Who is near whom: are there hubs, copies, outliers and groups, and does the map show it?"
)
SOURCE = (
    "Radovanović et al. 2010, “Hubs in space”; Venna & Kaski 2001, “Neighborhood preservation in "
    "nonlinear projection methods”"
)
MOST = 3000  # images drawn
K = 10  # neighbours
KS = (5, 10, 20, 50)
COPIES = 0.98  # a cosine from which two images are called near-duplicates
GROUPS = 12
SHOWN = 8
NOBODYS = "nobody's neighbour"  # share
CHUNK = 4096  # vectors in memory at once


def nearest(
    vectors: Vectors | Float[np.ndarray, "N D"], rows: Int[np.ndarray, " Q"], k: int
) -> tuple[Float[np.ndarray, "Q K"], Int[np.ndarray, "Q K"]]:
    """The k nearest others of these rows by cosine, best first, exactly, a chunk at a time.

    >>> scores, found = nearest(np.array([[1.0, 0], [1, 0.1], [0, 1]]), np.array([0]), 2)
    >>> found.tolist()
    [[1, 2]]
    """
    queries, k = _unit(vectors[rows]), min(k, len(vectors) - 1)
    scores = np.full((len(rows), k), -np.inf, dtype=np.float32)
    found = np.zeros((len(rows), k), dtype=np.int64)
    for part in chunks(len(vectors), CHUNK):
        here = queries @ _unit(vectors[part]).T
        itself = np.flatnonzero((rows >= part.start) & (rows < part.stop))
        here[itself, rows[itself] - part.start] = -np.inf
        best = np.argpartition(-here, min(k, here.shape[1]) - 1, axis=1)[:, :k]
        scores = np.hstack([scores, np.take_along_axis(here, best, axis=1)])
        found = np.hstack([found, best + part.start])
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        scores = np.take_along_axis(scores, order, axis=1)
        found = np.take_along_axis(found, order, axis=1)
    return scores, found


def copies(
    scores: Float[np.ndarray, "Q K"], found: Int[np.ndarray, "Q K"], rows: Int[np.ndarray, " Q"]
) -> "pd.DataFrame":
    """Pairs of a row and its nearest, the closest first, each pair once.

    >>> pairs = copies(np.array([[0.9], [0.9]]), np.array([[7], [3]]), np.array([3, 7]))
    >>> pairs.values.tolist()
    [[3.0, 7.0, 0.9]]
    """
    import pandas as pd

    ends = np.sort(np.stack([rows, found[:, 0]], axis=1), axis=1)
    table = pd.DataFrame({"row": ends[:, 0], "other row": ends[:, 1], "cosine": scores[:, 0]})
    once = table.drop_duplicates(["row", "other row"])
    return once.sort_values("cosine", ascending=False, kind="stable").reset_index(drop=True)


def _unit(vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def hubness(found: Int[np.ndarray, "N K"], n: int, ks: Sequence[int] = KS) -> "pd.DataFrame":
    """How unevenly neighbourhoods are filled: the k-occurrence of each of n images.

    Columns: its skewness (about 1/√k without hubs), its maximum, the share of images that are
    nobody's neighbour, and the share of all places that the most frequent 1 % hold.

    Args:
        found: neighbours of all n, the nearest first.

    Source: Radovanović et al. 2010, section 2.
    """
    import pandas as pd

    table = []
    for k in [k for k in ks if k <= found.shape[1]]:
        counts = np.bincount(found[:, :k].ravel(), minlength=n)
        spread = counts - counts.mean()
        skewness = (spread**3).mean() / max((spread**2).mean() ** 1.5, 1e-12)
        top = np.sort(counts)[::-1][: max(1, n // 100)].sum() / counts.sum()
        table.append((k, skewness, counts.max(), (counts == 0).mean(), top))
    columns = ["k", "skewness", "most often", NOBODYS, "held by the top 1 %"]
    return pd.DataFrame(table, columns=columns)


def faithfulness(
    unit: Float[np.ndarray, "N D"],
    xy: Float[np.ndarray, "N 2"],
    ks: Sequence[int] = KS,
    seed: int = 0,
) -> "pd.DataFrame":
    """How true a map is: trustworthiness and continuity with bootstrap intervals; 1 is perfect.

    A map is trustworthy if neighbours on it are neighbours in the space, and continuous if
    neighbours in the space are neighbours on it. Places at random give about 0.5.

    Source: Venna & Kaski 2001, with ranks by cosine and by distance on the map.
    """
    import pandas as pd

    ks = [k for k in ks if 2 * k < len(unit)]
    parts = [_penalties(unit, xy, part, ks) for part in chunks(len(unit), 256)]
    penalties = np.concatenate(parts, axis=1)  # k, point, kind
    table = []
    for k, both in zip(ks, penalties, strict=True):
        scores = 1 - 2 * both / (k * (2 * len(unit) - 3 * k - 1))
        for kind, score in zip(("trustworthiness", "continuity"), scores.T, strict=True):
            table.append((kind, k, score.mean(), *bootstrap(score, seed=seed)))
    return pd.DataFrame(table, columns=["kind", "k", "score", "low (95 %)", "high (95 %)"])


def _penalties(
    unit: Float[np.ndarray, "N D"],
    xy: Float[np.ndarray, "N 2"],
    part: slice,
    ks: Sequence[int],
) -> Float[np.ndarray, "K N 2"]:
    """For each k, of each point: how far beyond k its false and its lost neighbours rank."""
    in_space = _ranks(-unit[part] @ unit.T, part.start)
    on_map = _ranks(((xy[part, None] - xy) ** 2).sum(-1), part.start)
    kinds = [(on_map, in_space), (in_space, on_map)]
    return np.stack(
        [
            np.stack([np.where(a <= k, np.maximum(b - k, 0), 0).sum(1) for a, b in kinds], axis=1)
            for k in ks
        ]
    )


def _ranks(distances: Float[np.ndarray, "P N"], first: int) -> Int[np.ndarray, "P N"]:
    """The rank of every column in its row, the nearest other 1, and the point itself N."""
    rows = np.arange(len(distances))
    distances[rows, first + rows] = np.inf
    ranks = np.empty(distances.shape, dtype=np.int64)
    order = np.argsort(distances, axis=1, kind="stable")
    np.put_along_axis(ranks, order, np.arange(1, distances.shape[1] + 1)[None], axis=1)
    return ranks


def medoids(points: Points, count: int = GROUPS, seed: int = 0) -> "pd.DataFrame":
    """Group points by spherical k-means and give each group's most central member.

    Columns: its place in `points`, the size of its group, and the mean cosine of the group's
    members with their mean direction. Among members, the one of highest cosine with the mean
    direction also has the highest mean cosine with all of them. The largest group comes first.

    Source: Dhillon & Modha 2001, by FAISS.
    """
    import faiss
    import pandas as pd

    means: Any = faiss.Kmeans(
        points.space.dimension,
        min(count, len(points)),
        spherical=True,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=len(points),
    )
    means.train(points.unit)
    group = (points.unit @ means.centroids.T).argmax(1)
    table = []
    for number in np.unique(group):
        members = np.flatnonzero(group == number)
        mean = points.unit[members].mean(0)
        cosines = points.unit[members] @ mean / np.linalg.norm(mean)
        table.append((members[cosines.argmax()], len(members), cosines.mean()))
    columns = ["place", "size", "mean cosine"]
    return pd.DataFrame(table, columns=columns).sort_values("size", ascending=False)


def section(material: Material) -> Section:
    """Ask it of images drawn from a library; their neighbours are looked for in all of it."""
    points, rows = material.points(MOST)
    if len(rows) < 12:
        raise QueryError(f"Neighbours need 12 images or more, not {len(rows)}.")
    scores, found = nearest(material.library.vectors, rows, K)
    _, among = nearest(points.vectors, np.arange(len(rows)), max(KS))
    hubs = hubness(among, len(rows))
    counts = np.bincount(among[:, :K].ravel(), minlength=len(rows))
    true = faithfulness(points.unit, _map(material, points), seed=material.seed)
    pairs = _named(material, copies(scores, found, rows))
    lists = {name: _named(material, t) for name, t in _lists(points, rows, counts, scores).items()}
    return Section(
        name="neighbours",
        question=QUESTION,
        finding=_finding(hubs, scores, true),
        method=(
            f"{len(rows):,} of {len(material.library):,} images drawn with seed {material.seed}; "
            f"their {K} nearest among all; hubs, groups and the map among those drawn. Wilson "
            "interval; for the map, bootstrap over images."
        ),
        source=SOURCE,
        tables={"Hubs": hubs, "How true the map is": true, "Most alike pairs": pairs, **lists},
        figures={
            "How true the map is": lines(
                true, "k", "score", by="kind", band=("low (95 %)", "high (95 %)")
            ),
            f"How often an image is among another's {K} nearest": histogram(
                {"": counts}, "times", bins=int(counts.max()) + 1
            ),
            "Most alike pairs": _pairs(material, pairs),
            **{name: _strip(material, table) for name, table in lists.items()},
        },
    )


def _finding(hubs: "pd.DataFrame", scores: Float[np.ndarray, "Q K"], true: "pd.DataFrame") -> str:
    first, near = hubs.iloc[0], int((scores[:, 0] >= COPIES).sum())
    trust, continuity = true["score"].iloc[:2]
    return (
        f"The most frequent neighbour is among the {first['k']:.0f} nearest of "
        f"{first['most often']:.0f} images, and {100 * first[NOBODYS]:.3g} % are nobody's; "
        f"{percent(near, len(scores))} have a near-duplicate (cosine {COPIES} or more). At "
        f"{true['k'].iloc[0]} neighbours the map's trustworthiness is {trust:.2f} and its "
        f"continuity {continuity:.2f}, where 1 is perfect and chance about 0.5."
    )


def _map(material: Material, points: Points) -> Float[np.ndarray, "N 2"]:
    """The library's own map, or one of the points drawn."""
    if len(points) == len(material.library):
        return Projection.cached(material.library.cache_folder, points).xy
    return Projection.fit(points, seed=material.seed).xy


def _lists(
    points: Points,
    rows: Int[np.ndarray, " Q"],
    counts: Int[np.ndarray, " Q"],
    scores: Float[np.ndarray, "Q K"],
) -> dict[str, "pd.DataFrame"]:
    """Hubs, outliers and groups: tables of a row and what is notable about it, the most first."""
    import pandas as pd

    groups, near = medoids(points), f"mean cosine with its {K} nearest"
    hubs = pd.DataFrame({"row": rows, "times": counts}).sort_values("times", ascending=False)
    outliers = pd.DataFrame({"row": rows, near: scores.mean(1)}).sort_values(near)
    groups.insert(0, "row", rows[groups.pop("place")])
    return {"Most frequent neighbours": hubs, "Outliers": outliers, "Medoids of groups": groups}


def _named(material: Material, table: "pd.DataFrame") -> "pd.DataFrame":
    """Put the name of each row's image beside its number."""
    for name in ("row", "other row"):
        if name in table:
            place, images = list(table).index(name), material.names(table[name].to_numpy())
            table.insert(place + 1, name.replace("row", "image"), images)
    return table


def _strip(material: Material, table: "pd.DataFrame") -> Figure:
    """The first images of a table, each with its name and the next column."""
    first = table.head(SHOWN)
    labels = [
        f"{value:.3g}: {name}" for name, value in zip(first["image"], first.iloc[:, 2], strict=True)
    ]
    return strip(material.images(first["row"].to_numpy()), labels, columns=SHOWN)


def _pairs(material: Material, pairs: "pd.DataFrame") -> Figure:
    first = pairs.head(SHOWN)
    images = [material.images(first[name].to_numpy()) for name in ("row", "other row")]
    labels = [*first["image"], *first["other image"]]
    return strip([*images[0], *images[1]], labels, columns=len(first))

"""A small library of sample images with pocket, for tests of analysis that decode."""

from analysis.dataset import Dataset
from explorer.library import Library
from explorer.projection import Projection


def dataset(folder, pocket, sample, images=48, **options):
    """A Dataset of glyphs with captions; its map is there, so that UMAP is not needed."""
    library = Library.create(folder / "lib", pocket)
    files = sorted((sample / "noto").glob("*.png"))[:images]
    library.add(files, columns=sample / "captions.csv", workers=0)
    points = library.points()
    Projection(points, points.vectors[:, :2]).save(library.cache_folder)
    return Dataset(library, pocket, "caption", **options)

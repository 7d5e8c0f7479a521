"""Libraries in several versions, and what may happen to their files."""

import os
import shutil
from pathlib import Path

from explorer.library import Library

ROWS_OF_FIRST = 2  # of five; every version that is kept holds the first segment


def make_library(folder, model, images):
    """A library of five images in four segments; the three newest versions are kept."""
    sources = [folder.parent / f"{folder.name}-{number}" for number in range(4)]
    for number, image in enumerate(images[:5]):
        source = sources[max(0, number - 1)]
        source.mkdir(exist_ok=True)
        shutil.copy(image, source)
    library = Library.create(folder, model)
    for source in sources:
        library.add(source, encoder=model.encoder, workers=0)
    return library


def flip(file, bit=None):
    """Flip one bit of a file; the middle one, or the given one."""
    content = bytearray(file.read_bytes())
    bit = len(content) * 4 if bit is None else bit
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)


def first_segment(folder):
    """The oldest segment of a library."""
    return Path(folder) / "segments" / Library.open(folder)._store.manifest.segments[0].id


def flipped_manifest(folder):
    flip(max((folder / "manifests").glob("*.json")))


def cut_vectors(folder):
    file = first_segment(folder) / "vectors.npy"
    os.truncate(file, file.stat().st_size - 1024)


def flipped_vectors(folder):
    flip(first_segment(folder) / "vectors.npy")


def flipped_rows(folder):
    flip(first_segment(folder) / "rows.parquet")


DAMAGES = {
    "flipped manifest": flipped_manifest,
    "cut vectors": cut_vectors,
    "flipped vectors": flipped_vectors,
    "flipped rows": flipped_rows,
}

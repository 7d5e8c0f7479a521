"""Vectors as files of other tools: .npy, Parquet with the rows' columns; inverted noise as .npz."""

import json
import os
from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np

from explorer.errors import QueryError
from explorer.files import check_writable, writing_stream
from explorer.library import Library
from explorer.library.importing.arrays import UNREADABLE, npy_part
from explorer.library.importing.columnar import columnar_part
from explorer.library.reserved import with_given_names
from explorer.noise import Noise
from explorer.places import no_such_file
from explorer.points import Points, Space
from explorer.recipe import Recipe

COLUMN = "vector"


def read_vectors(file: FilePath, space: Space) -> Points:
    """Read raw image-side vectors, one a row.

    Raises:
        QueryError: the file cannot be read, or its vectors are not of the space's dimension.
    """
    if not file.is_file():
        raise QueryError(no_such_file(file))
    path = os.fsencode(file)
    if file.suffix == ".npy":
        part = npy_part(path, path, space, alone=True)
    else:
        part = columnar_part(path, path, space, COLUMN)
    array = np.concatenate([vectors for vectors, _ in part.read(False)])
    try:
        labels = tuple(f"{file.name}[{i}]" for i in range(len(array)))
        return Points(array, space, "image", labels)
    except ValueError as error:
        raise QueryError(
            f"{file} does not hold vectors that can be used: {error} It needs N × "
            f"{space.dimension} raw vectors of {space.name}, as `unclip export` writes them."
        ) from error


def write_vectors(library: Library, file: FilePath) -> FilePath:
    """Write the library's raw vectors: .npy alone, .parquet with all columns of the rows.

    Raises:
        QueryError: another suffix, or the folder does not exist.
    """
    if file.suffix not in (".npy", ".parquet"):
        raise QueryError(f"{file.name!r} cannot be written here; use .npy or .parquet.")
    if not file.parent.is_dir():
        raise QueryError(f"The folder {file.parent} does not exist. Make it first.")
    check_writable(file)
    points = library.points()
    with writing_stream(file) as stream:
        if file.suffix == ".npy":
            np.save(stream, points.vectors)
        else:
            table = with_given_names(library.rows)
            table[COLUMN] = list(points.vectors)
            table.to_parquet(stream, index=False)
    return file


def write_noise(recipe: Recipe, file: FilePath) -> None:
    """Write inverted noise and points as arrays, with the recipe that gives the images back."""
    assert recipe.noise is not None
    rest = json.dumps(replace(recipe, noise=None).to_dict())
    noise, points = recipe.noise.latents, recipe.keyframes.vectors
    with writing_stream(file) as stream:
        np.savez(stream, noise=noise, points=points, recipe=rest)


def read_noise(file: FilePath) -> Recipe:
    """Read what `write_noise` wrote.

    Raises:
        QueryError: the file cannot be read, or is another.
    """
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            recipe = Recipe.from_dict(json.loads(str(arrays["recipe"])))
            return replace(recipe, noise=Noise(arrays["noise"]))
    except QueryError as error:
        raise QueryError(f"{file} holds no noise that can be used: {error}") from error
    except FileNotFoundError:
        raise QueryError(no_such_file(file)) from None
    except UNREADABLE as error:  # numpy's own words advise to unpickle it
        raise QueryError(
            f"{file} holds no noise that can be used: it is damaged, or another program wrote it. "
            "`unclip invert` writes such files."
        ) from error

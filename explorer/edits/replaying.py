"""Renderings of recipes, read from the files that carry them."""

from os import PathLike
from typing import Any

from explorer.errors import QueryError
from explorer.images import name_of
from explorer.models import load
from explorer.models.shared.on_word import named_by
from explorer.models.trust import check_named
from explorer.recipe import Recipe
from explorer.recipe_checks import LIMIT
from explorer.rendering import Rendering, recipe_values


def replay(
    file: str | PathLike[str],
    *,
    decoder: str | PathLike[str] | None = None,
    limit: float = LIMIT,
) -> Rendering:
    """Return the rendering that an image or video was written from.

    A model that the file names is never downloaded, and its folder must be one that you have named
    before.

    Args:
        decoder: where its decoder is now, if it was moved.
        limit: frames × steps × megapixels that the file may ask for.

    Raises:
        QueryError: the file carries no recipe, one that asks for more than `limit`, or that of a
            comparison (see `unclip replay`).
        WeightsMissing: the weights that made it are not here, or not trusted.
    """
    values = recipe_values(file)
    if "sheet" in values:
        raise QueryError(f"{name_of(file)} compares decoders: use `unclip replay` for it.")
    return from_recipe(Recipe.from_dict(values, limit), decoder)


def from_recipe(recipe: Recipe, decoder: str | PathLike[str] | None = None) -> Rendering:
    """Return the rendering of a recipe, with the model that it names.

    Raises:
        WeightsMissing: the weights are not here, or in a folder that no person has named.
    """
    model = check_named(recipe.model, "The recipe")
    if decoder is None and recipe.decoder_from:
        decoder = check_named(recipe.decoder_from, "The recipe")
    with named_by("The recipe", recipe.keyframes.space):
        return Rendering(load(model, decoder=decoder), recipe)


def recipes_in(values: dict[str, Any], limit: float = LIMIT) -> list[Recipe]:
    """Return the recipes of a file: one, or those of a comparison.

    Raises:
        QueryError: one is not valid, or together they ask for more than `limit`.
    """
    sheet = values.get("sheet", [values])
    if not isinstance(sheet, list) or not 1 <= len(sheet) <= MOST_COMPARED:
        raise QueryError(f"The comparison in this file does not hold 1 to {MOST_COMPARED} recipes.")
    if not all(isinstance(each, dict) for each in sheet):
        raise QueryError("The comparison in this file holds something that is no recipe.")
    return [Recipe.from_dict(each, limit / len(sheet)) for each in sheet]


MOST_COMPARED = 64

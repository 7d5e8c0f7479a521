"""Renderings of recipes, read from the files that carry them."""

from os import PathLike

from explorer.errors import QueryError
from explorer.images import name_of
from explorer.models import load
from explorer.recipe import Recipe
from explorer.rendering import Rendering, recipe_values


def replay(file: str | PathLike[str], *, decoder: str | PathLike[str] | None = None) -> Rendering:
    """Return the rendering that an image or video was written from.

    Args:
        decoder: where its decoder is now, if it was moved.

    Raises:
        QueryError: the file carries no recipe, or that of a comparison (see `unclip replay`).
        WeightsMissing: the weights that made it are not here.
    """
    values = recipe_values(file)
    if "sheet" in values:
        raise QueryError(f"{name_of(file)} compares decoders: use `unclip replay` for it.")
    return from_recipe(Recipe.from_dict(values), decoder)


def from_recipe(recipe: Recipe, decoder: str | PathLike[str] | None = None) -> Rendering:
    """Return the rendering of a recipe, with the model that it names."""
    return Rendering(load(recipe.model, decoder=decoder or recipe.decoder_from or None), recipe)

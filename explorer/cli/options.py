"""Options that several commands share: which model and parts of it, and how to paint."""

import json
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from explorer.cli.output import progress
from explorer.errors import QueryError

if TYPE_CHECKING:
    from explorer.decoder import Decoder
    from explorer.library import Library
    from explorer.models import Model
    from explorer.recipe import Recipe
    from explorer.rendering import Made


@dataclass(frozen=True)
class Knobs:
    """How to paint; None leaves a choice to the decoder."""

    seed: Annotated[int, typer.Option("--seed", help="Which noise to start from.")] = 0
    steps: Annotated[
        int | None, typer.Option("--steps", help="Denoising steps; more is slower.")
    ] = None
    guidance: Annotated[
        float | None, typer.Option("--guidance", help="How strictly to follow the point; 1 is off.")
    ] = None
    solver: Annotated[
        str | None,
        typer.Option("--solver", help="ddim, dpm, unipc, or own: the decoder's own scheduler."),
    ] = None
    preview: Annotated[
        bool, typer.Option("--preview", help="A first look, in 8 steps at most.")
    ] = False

    def settings(self) -> dict[str, Any]:
        """What a plan takes besides the seed; see `frames.plan`."""
        names = ("steps", "guidance", "solver", "preview")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Chosen:
    """Which model, with which parts, from where."""

    model_name: Annotated[
        str | None,
        typer.Option("--model", help="A model; default: that of --decoder or --prior, or pocket."),
    ] = None
    decoders: Annotated[
        list[str] | None,
        typer.Option(
            "--decoder",
            help="A folder of `unclip train decoder`, or a model's name; decode takes several.",
        ),
    ] = None
    prior: Annotated[
        str | None,
        typer.Option("--prior", help="A folder of `unclip train prior`, or a model's name."),
    ] = None
    source: Annotated[
        str | None,
        typer.Option(
            "--source", help="A folder with the weights of --model, laid out as released."
        ),
    ] = None
    options: Annotated[
        list[str] | None,
        typer.Option("--option", help='NAME=VALUE of the decoder, as prompt="an oil painting".'),
    ] = None
    low_memory: Annotated[
        bool, typer.Option("--low-memory", help="Only the network at work is on the device.")
    ] = False

    def open(self) -> "Model":
        """Load the model with the one decoder that was asked for, its options set.

        Raises:
            QueryError: several decoders came, or an option that cannot be read.
        """
        if len(self.decoders or ()) > 1:
            raise QueryError("One --decoder is enough here; `unclip decode` compares several.")
        return self.open_each()[0]

    def open_each(self) -> "list[Model]":
        """Load the model once for every decoder that was asked for."""
        return [self._open(decoder) for decoder in self.decoders or (None,)]

    def _open(self, decoder: str | None) -> "Model":
        from explorer.models import home_of, load

        part = decoder or self.prior
        name = self.model_name or (home_of(part) if part else "pocket")
        if self.source and not self.model_name:
            raise QueryError("--source says where a model's weights are; say which with --model.")
        own = decoder if decoder != name else None
        model = load(name, source=self.source, decoder=own, prior=self.prior)
        if model.decoder is None or not (self.options or self.low_memory):
            return model
        return replace(model, decoder=self._set(model.decoder, model))

    def _set(self, decoder: "Decoder", model: "Model") -> "Decoder":
        given: dict[str, Any] = {"low_memory": True} if self.low_memory else {}
        for pair in self.options or ():
            name, sign, text = pair.partition("=")
            if not sign:
                raise QueryError(f"--option {pair!r} is not of the form NAME=VALUE.")
            given[name] = value_of(name, text, model)
        return decoder.with_options(**given)


def value_of(name: str, text: str, model: "Model") -> Any:
    """Read an option's value: an image, a point, a size, words, or a number as JSON writes it.

    Raises:
        ExplorerError: an image, point or size cannot be read.
    """
    from explorer.images import open_image
    from explorer.query import Query

    if name == "hint":
        return open_image(text)
    if name == "negative":
        return Query.parse(text).decodable(model.encoder, model.prior)
    if name == "image_size":
        return tuple(numbers(text, 2, "WIDTHxHEIGHT", sign="x"))
    if name in ("prompt", "negative_prompt"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def numbers(text: str, count: int, form: str, sign: str = ",") -> list[int]:
    """Read so many whole numbers.

    Raises:
        QueryError: it is of another form.
    """
    parts = text.split(sign)
    if len(parts) != count or not all(part.strip().isdecimal() for part in parts):
        raise QueryError(f"{text!r} is not of the form {form}, in whole numbers.")
    return [int(part) for part in parts]


def decoded(recipe: "Recipe", model: "Model") -> "Made":
    """Decode all frames of a recipe, with a progress bar."""
    from explorer.edits import decoder_of
    from explorer.rendering import Made

    frames = progress(recipe.frames(decoder_of(model)), recipe.count, "decoding")
    return Made(recipe, model, list(frames))


def open_library(folder: FilePath | None, model: "Model") -> "Library | None":
    """Open a library of the model's own Space, if one was named.

    Raises:
        SpaceMismatch: it is of another Space.
    """
    from explorer.library import Library

    if folder is None:
        return None
    library = Library.open(folder)
    model.space.check(library.space, f"The library {folder} was made with {library.model}.")
    return library

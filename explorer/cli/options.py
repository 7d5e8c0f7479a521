"""Options that several commands share: settings of decoding, which model, where to write."""

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from explorer.cli.library_option import VARIABLE, Taken, library_option
from explorer.cli.output import OptionGroup, progress, say
from explorer.cli.values import value_of
from explorer.errors import QueryError
from explorer.settings import Settings

if TYPE_CHECKING:
    from explorer.device import Device
    from explorer.library import Library
    from explorer.models import Model
    from explorer.rendering import Rendering


Folder = Annotated[FilePath, library_option()]
Measured = Annotated[
    Taken | None,
    library_option(
        "Measure against this library, and show its nearest images.", required=False, told=False
    ),
]
NewFolder = Annotated[
    FilePath,
    library_option(
        f"The library, created if there is none; default: {VARIABLE}, or the config file's.",
        first=False,
        new=True,
    ),
]
Out = Annotated[
    FilePath, typer.Option("-o", "--out", help="Output file; the suffix selects the format.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        envvar="UNCLIP_MEMORY",
        help="Memory that the networks may take, such as 8GB; default: what the GPU has free.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help="int8 or fp8: linear layers of the decoder in 8 bits, which takes less memory.",
    ),
]
Trust = Annotated[
    list[FilePath] | None,
    typer.Option(
        "--trust",
        help="A folder of weights that a library or file may name; it is remembered as it is now.",
    ),
]

SETTINGS: dict[str, Any] = {  # one option for each field of Settings
    "steps": Annotated[int | None, typer.Option("--steps", help="Denoising steps.")],
    "guidance": Annotated[
        float | None,
        typer.Option("--guidance", help="How closely to follow the point; 1 turns it off."),
    ],
    "eta": Annotated[
        float,
        typer.Option("--eta", help="Randomness of DDIM, 0 to 1; above 0 an image is varied."),
    ],
    "solver": Annotated[
        str | None,
        typer.Option("--solver", help="ddim, dpm, unipc, or own: the decoder's own scheduler."),
    ],
    "seed": Annotated[int, typer.Option("--seed", help="Random seed.")],
    "strength": Annotated[
        float, typer.Option("--strength", help="Denoising strength, 0 to 1 (img2img).")
    ],
    "noise": Annotated[
        str | None,
        typer.Option(
            "--noise-from",
            help="Noise to start from: inverted (found from the image) or seed.",
        ),
    ],
    "preview": Annotated[bool, typer.Option("--preview", help="Decode a preview in few steps.")],
    "options": Annotated[
        list[str] | None,
        typer.Option("--option", help='NAME=VALUE for the decoder, as prompt="an oil painting".'),
    ],
}


def trust_folders(folders: list[FilePath] | None) -> None:
    """Remember the folders of --trust.

    Raises:
        WeightsMissing: one cannot be read.
    """
    from explorer.models.trust import remember

    for folder in folders or ():
        remember(folder)


def settings_options(*names: str) -> OptionGroup:
    """Return the options that fill these fields of Settings; the others keep their defaults."""
    defaults = {**vars(Settings()), "options": None}
    return OptionGroup({name: (SETTINGS[name], defaults[name]) for name in names}, _settings)


def _settings(options: list[str] | None = None, **values: Any) -> Settings:
    """Build Settings whose options are still text; see `read_options`."""
    pairs: dict[str, str] = {}
    for pair in options or ():
        name, sign, text = pair.partition("=")
        if not sign:
            raise QueryError(f"--option {pair!r} is not of the form NAME=VALUE.")
        pairs[name] = text
    return Settings(options=pairs, **values)


def read_options(settings: Settings, model: "Model") -> Settings:
    """Return the settings with the values of --option read: images, points, sizes, numbers."""
    read = {name: value_of(name, text, model) for name, text in settings.options.items()}
    return settings.changed(options=read)


@dataclass(frozen=True)
class ModelOptions:
    """Which model, with which parts, from where."""

    model_name: Annotated[
        str | None,
        typer.Option(
            "--model", help="A model; default: the one of --decoder or --prior, else pocket."
        ),
    ] = None
    decoders: Annotated[
        list[str] | None,
        typer.Option(
            "--decoder",
            "--bridge",
            help="A folder of `unclip train decoder` or `train bridge`, or a model's name; decode "
            "takes several.",
        ),
    ] = None
    prior: Annotated[
        str | None,
        typer.Option(
            "--prior", help="A folder of `unclip train prior` or `train bridge`, or a model's name."
        ),
    ] = None
    source: Annotated[
        str | None,
        typer.Option(
            "--source", help="A folder with the weights of --model, laid out as released."
        ),
    ] = None
    memory: Memory = None
    weights: Weights = None

    trust: Trust = None

    def open(self, library: Taken | None = None) -> "Model":
        """Load the model with the one decoder asked for; else that of a library that was named.

        Raises:
            QueryError: several decoders came.
        """
        chosen = self.model_name or self.decoders or self.prior or self.source
        if library is not None and not library.origin and not chosen:
            return self._of_library(library)
        if len(self.decoders or ()) > 1:
            raise QueryError("One --decoder is enough here; `unclip decode` compares several.")
        return self.open_each()[0]

    def _of_library(self, taken: Taken) -> "Model":
        from explorer.library import Library
        from explorer.models.shared.on_word import named_by
        from explorer.models.trust import check_named

        trust_folders(self.trust)
        shown, by = Library.open(taken.folder), f"The library {taken.folder}"
        with named_by(by, shown.space):  # the library names the model, not the person
            named = replace(self, model_name=check_named(shown.model, by))
            return named.open_each()[0]

    def open_each(self) -> "list[Model]":
        """Load the model once for every decoder that was asked for."""
        from explorer.device import Device

        on = Device.of("auto", self.memory, self.weights)  # one: all of them share its memory
        return [self._open(decoder, on) for decoder in self.decoders or (None,)]

    def _open(self, decoder: str | None, on: "Device") -> "Model":
        from explorer.models import load

        trust_folders(self.trust)
        if self.source and not self.model_name:
            raise QueryError("--source says where a model's weights are; say which with --model.")
        home, data = self._home(decoder or self.prior)
        name = self.model_name or home
        own = decoder if decoder != name else None
        with data if self.model_name is None else nullcontext():
            return load(name, device=on, source=self.source, decoder=own, prior=self.prior)

    def _home(self, part: str | None) -> "tuple[str, AbstractContextManager[None]]":
        """Return the model that a decoder or prior belongs to, and on whose word it is loaded."""
        from explorer.models import home_of
        from explorer.models.shared.on_word import named_by
        from explorer.models.trained import space_of
        from explorer.models.trust import check_named

        home = home_of(part) if part else "pocket"
        if part in (None, home):
            return home, nullcontext()
        by = f"The folder {part}"  # a file in it names the model, not the person
        home = check_named(home, by)
        return home, named_by(by, space_of(FilePath(str(part))))


def decode_all(rendering: "Rendering") -> "Rendering":
    """Decode all frames of a rendering under a progress bar; it keeps them."""
    for _ in progress(rendering, len(rendering), "decoding"):
        pass
    return rendering


def opened(folder: str | FilePath) -> "Library":
    """Open a library; what is damaged, was skipped or means nothing to its model is noted."""
    from explorer.library import Library

    return warned(Library.open(folder))


def warned(library: "Library") -> "Library":
    """Note what means nothing to the model of a library; opening it noted what is damaged."""
    library.note_unlike()
    return library


def open_library(taken: Taken | None, model: "Model") -> "Library | None":
    """Open the library that an edit is measured against, if there is one.

    One of another Space that nobody named for this command is left out, and named.

    Raises:
        SpaceMismatch: it was named, and is of another Space.
    """
    from explorer.library import Library

    if taken is None:
        return None
    of_it = f"library {taken.folder} (from {taken.origin})"
    library = Library.open(taken.folder)
    if taken.origin and library.space != model.space:
        say(
            f"unclip: {of_it} is not measured against: it was made with {library.model}, and "
            f"this edit is of {model.name}",
            sys.stderr,
        )
        return None
    model.space.check(library.space, f"The library {taken.folder} was made with {library.model}.")
    if taken.origin:
        say(f"unclip: {of_it}", sys.stderr)
    return warned(library)

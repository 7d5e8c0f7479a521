"""Family: what one family of decoders supplies, and its options."""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool
from PIL import Image

from explorer import sampler
from explorer.device import Device
from explorer.errors import QueryError
from explorer.masks import touched
from explorer.points import Points, Space
from explorer.settings import Solver

if TYPE_CHECKING:
    from typing import Self

    import torch

    from explorer.sampler import Condition

# an option's name -> whether a value is right, and what would be
RIGHT: dict[str, tuple[Callable[[Any], bool], str]] = {
    "prompt": (lambda v: isinstance(v, str), "words"),
    "negative_prompt": (lambda v: isinstance(v, str), "words"),
    "negative": (lambda v: v is None or (isinstance(v, Points) and len(v) == 1), "one point"),
    "noise_level": (lambda v: type(v) is int and 0 <= v <= 999, "a whole number from 0 to 999"),
    "scale": (lambda v: isinstance(v, int | float) and math.isfinite(v), "a finite number"),
    "hint": (lambda v: v is None or isinstance(v, Image.Image), "an image"),
    "image_size": (
        lambda v: isinstance(v, tuple) and len(v) == 2 and all(type(x) is int and x > 0 for x in v),
        "width and height in pixels, such as (768, 512)",
    ),
}


class Family(ABC):
    """What a family sets and writes; `Decoder` makes verbs of it.

    A family sets the attributes and writes the four abstract methods, and those below them only
    where it differs. Weights are read when first used, into an object of their own (such as
    `explorer.device.Device`), so that the copies which `with_options` makes share them.
    """

    space: Space
    fingerprint: str  # of the decoder's own weights, for recipes
    latent_shape: tuple[int, int, int]  # C h w
    image_size: tuple[int, int]  # width and height of the images that it paints
    scheduler_config: dict[str, Any]  # of diffusers, whole: class, betas, prediction, clipping;
    # `own` in it: what differs with the solver "own"
    steps: int  # default number of steps
    guidance: float  # default guidance; 1 = off
    model: str = ""  # the name under which `load` finds this decoder's encoder, for remedies
    solver: Solver = "ddim"  # default where η = 0
    preview_steps: int = 8  # for a first look, at most 8
    preview_solver: Solver = "dpm"
    inversion_level: int = 0  # timestep that an image is noised to before it is inverted
    batch_size: int = 8
    device: str = "cpu"
    on: Device | None = None  # where its networks lie; None: on `device`, without a limit
    dtype: str = "float32"  # the network's: "float32", "float16" or "bfloat16"
    norms: tuple[float, float] | None = None  # mean and deviation of the lengths seen in training
    choices: ClassVar[dict[str, str]] = {}  # name of an option -> one line saying what it is
    options: Mapping[str, Any] = MappingProxyType({})  # those that were set

    @abstractmethod
    def condition(self, points: Points) -> "tuple[Condition, Condition]":
        """Give the network's inputs for the points, and for "no point": tensors of N rows each."""

    @abstractmethod
    def predict(
        self, latents: "torch.Tensor", t: "torch.Tensor", condition: "Condition"
    ) -> "torch.Tensor":
        """Give the raw output (as the config's `prediction_type` says) for t (N,).

        `latents` N C h w come in `dtype`. The output is N C h w, or N 2C h w with a learned
        variance after it, which only the checkpoint's own scheduler reads.
        """

    @abstractmethod
    def to_latent(self, images: Sequence[Image.Image]) -> "torch.Tensor":
        """Give N C h w for upright RGB images of any size."""

    @abstractmethod
    def to_image(self, latents: "torch.Tensor") -> list[Image.Image]:
        """Give RGB images of `image_size` for latents N C h w, float32 on `device`."""

    def mask_to_latent(self, mask: Image.Image) -> Bool[np.ndarray, "h w"]:
        """Find the cells of the latent grid that a grey mask touches, however little.

        For a codec that does not stretch an image over the grid, such as one that cuts it square.
        """
        return touched(mask, *self.latent_shape[1:])

    def painter(self) -> "Self":
        """Give the decoder that in-paints: this one, or a copy that runs another network for it."""
        return self

    def inpainting_condition(
        self,
        images: Sequence[Image.Image],  # noqa: ARG002
        masks: Sequence[Image.Image],  # noqa: ARG002
    ) -> "Condition | None":
        """Give what the network itself reads when it in-paints, tensors of N rows; None: nothing.

        For a checkpoint with a network of its own for in-painting. These come to `predict` with
        both sides of `condition`.

        Args:
            images: N upright RGB images.
            masks: one an image and of its size, mode "L"; white is replaced.
        """
        return None

    def own_step(
        self,
        scheduler: Any,
        output: "torch.Tensor",
        index: int,
        latents: "torch.Tensor",
        generators: "Sequence[torch.Generator]",
    ) -> Any:
        """Do step `index` of the checkpoint's own scheduler, as the family's pipeline does it."""
        return sampler.own_step(scheduler, output, index, latents, generators)

    def with_options(self, **options: object) -> "Self":
        """Return a decoder with these options, which are listed in `choices`; weights are shared.

        Raises:
            QueryError: the family has no such option, or the value is not right for it.
        """
        changed = copy.copy(self)
        for name, value in options.items():
            if name not in self.choices:
                known = "; ".join(f"{k}: {line}" for k, line in self.choices.items())
                raise QueryError(
                    f"This decoder has no option {name!r}. It has {known or 'no options at all'}."
                )
            changed._check_option(name, value)
            setattr(changed, name, value)
        changed.options = {**self.options, **options}
        return changed

    def _check_option(self, name: str, value: Any) -> None:
        """Refuse a value that is not right; a family extends it for options of its own.

        Raises:
            QueryError: what would be right stands in the message.
        """
        check, right = RIGHT[name]
        if not check(value):
            raise QueryError(f"The option {name} takes {right}, not {value!r}.")
        if isinstance(value, Points):
            self.check(value)

    def check(self, points: Points) -> None:
        """Refuse points that this decoder would misread.

        Raises:
            SpaceMismatch, SideMismatch: they are not for this decoder.
            QueryError: lengths are far from those of training.
        """
        remedy = f'load("{self.model}").encoder' if self.model else "the encoder of its own model"
        self.space.check(points.space, f"Encode again with {remedy} for this decoder.")
        points.require_image_side()
        mean, spread = self.norms or (np.nan, np.nan)
        far = (points.norms < 0.2 * mean) | (points.norms > 5 * mean)
        if not abs(mean - 1) <= 4 * spread:  # nor if these are not known
            far |= np.abs(points.norms - 1) < 1e-3
        if far.any():
            seen = f"has seen lengths near {mean:.3g}" if self.norms else "knows no unit vectors"
            usual = f"{mean:.3g}" if self.norms else "their usual length"
            raise QueryError(
                f"Point {far.argmax()} has length {points.norms[far][0]:.3g}, but this decoder "
                f"{seen}: it reads vectors as the encoder gives them. If these were normalised, "
                f"decode points.with_vectors(points.unit * {usual}), or `unclip decode --rescale`."
            )

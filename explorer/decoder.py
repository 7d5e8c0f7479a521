"""Decoder: what a family of unCLIP models must supply, so that the one sampler can do the rest.

A decoder is a network conditioned on a point, plus an image codec. A family supplies `condition`,
`predict`, `to_latent`, `to_image` and a diffusers scheduler config; decoding, inversion,
in-painting, guidance, η, seeds, progress and cancelling are written once, here and in `sampler`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool
from PIL import Image

from explorer import sampler
from explorer.errors import QueryError
from explorer.masks import Mask, as_grey, paste, touched
from explorer.noise import Noise, draw, seeds_for
from explorer.points import Points, Space
from explorer.sampler import Known, Settings, Solver, Step

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition, Denoiser


@dataclass(frozen=True, eq=False)
class _Task:
    """What one call asks for, row by row, so that a batch is a slice of it."""

    points: Points
    seeds: tuple[int, ...]
    settings: Settings
    noise: Noise | None = None
    images: tuple[Image.Image, ...] = ()
    masks: tuple[Image.Image, ...] = ()

    def __getitem__(self, rows: slice) -> "_Task":
        noise = None if self.noise is None else self.noise[rows]
        pictures = self.images[rows], self.masks[rows]
        return _Task(self.points[rows], self.seeds[rows], self.settings, noise, *pictures)


class Decoder(ABC):
    """Turns image-side Points of one Space back into pictures.

    A family sets the attributes and writes the four abstract methods, and `mask_to_latent` if its
    codec does not simply stretch a picture over the latent grid.
    """

    space: Space
    fingerprint: str  # of the decoder's own weights, for recipes
    latent_shape: tuple[int, int, int]  # C h w
    scheduler_config: dict[str, Any]  # of diffusers: betas, prediction type, spacing, clipping
    steps: int  # default number of steps
    guidance: float  # default guidance; 1 = off
    model: str = ""  # the name under which `load` finds this decoder's encoder, for remedies
    solver: Solver = "ddim"  # default where η = 0
    batch_size: int = 8
    device: str = "cpu"
    dtype: str = "float32"  # the network's: "float32", "float16" or "bfloat16"
    norms: tuple[float, float] | None = None  # mean and deviation of the lengths seen in training

    # What a family supplies:
    @abstractmethod
    def condition(self, points: Points) -> "tuple[Condition, Condition]":
        """Give the network's inputs for the points, and for "no point": tensors of N rows each."""

    @abstractmethod
    def predict(
        self, latents: "torch.Tensor", t: "torch.Tensor", condition: "Condition"
    ) -> "torch.Tensor":
        """Give the raw output (as the config's `prediction_type` says), N C h w, for t (N,).

        `latents` come in `dtype`. A learned variance is left out.
        """

    @abstractmethod
    def to_latent(self, images: Sequence[Image.Image]) -> "torch.Tensor":
        """Give N C h w for upright RGB pictures of any size."""

    @abstractmethod
    def to_image(self, latents: "torch.Tensor") -> list[Image.Image]:
        """Give RGB pictures for latents N C h w, float32 on `device`."""

    def mask_to_latent(self, mask: Image.Image) -> Bool[np.ndarray, "h w"]:
        """Find the cells of the latent grid that a grey mask touches, however little."""
        return touched(mask, *self.latent_shape[1:])

    # What every family gets:
    def decode(
        self,
        points: Points,
        *,
        seed: int | Sequence[int] = 0,
        noise: Noise | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        eta: float = 0.0,
        solver: Solver | None = None,
    ) -> Iterator[Image.Image]:
        """Yield one picture a point, in order, each as soon as its batch is done.

        Close the iterator to stop. A picture does not depend on the batch that it was computed in.

        Args:
            seed: one for all, so that pictures differ only because points differ; or one a point.
            noise: x_T instead of the seed's own, one row for all or one a point. What `invert`
                found reconstructs its picture at guidance 1, eta 0, solver "ddim", the same steps.
            steps, guidance: None is this decoder's own default.
            eta: 0 is deterministic, 1 as random as DDPM: variations around a point.
            solver: None is this decoder's own default where eta is 0, and "ddim" where it is not.

        Raises:
            SpaceMismatch, SideMismatch: these points are not for this decoder.
            QueryError: a value is out of range, or lengths are far from those of training.
        """
        return self._pictures(self._task(points, seed, noise, steps, guidance, eta, solver))

    def trace(
        self,
        points: Points,
        *,
        seed: int | Sequence[int] = 0,
        noise: Noise | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        eta: float = 0.0,
        solver: Solver | None = None,
    ) -> Iterator[Step]:
        """Yield all points together, as latents, after every step; arguments as for `decode`.

        `to_image(step.estimate)` shows the picture expected at that step; `to_image(step.latents)`
        of the last step is what `decode` gives.
        """
        return self._steps(self._task(points, seed, noise, steps, guidance, eta, solver))

    def invert(
        self,
        images: Sequence[Image.Image],
        points: Points,
        *,
        steps: int | None = None,
        refinements: int = 4,
    ) -> Noise:
        """Find the x_T from which `decode` gives these pictures back, one picture a point.

        By DDIM run backwards; decode with the same steps, guidance 1, eta 0 and solver "ddim".
        Another point, or eta > 0, gives variations of the picture. Where a decoder clips its
        estimates (`clip_sample`) it reconstructs less exactly: clipping cannot be undone.

        Args:
            steps: None is this decoder's own default.
            refinements: fixed-point iterations a step, one network call each.

        Raises:
            SpaceMismatch, SideMismatch, QueryError: as for `decode`, or the counts differ.

        Source: Ramesh et al. 2022, section 3; the formula is in `sampler.invert`.
        """
        self._check(points)
        if len(images) != len(points) or refinements < 0:
            raise QueryError(
                "Inversion needs one picture a point, and no fewer than 0 refinements, but there "
                f"are {len(images)} pictures, {len(points)} points and {refinements} refinements."
            )
        found, steps = [], self.steps if steps is None else steps
        for rows in sampler.batches(len(points), self.batch_size):
            walk = sampler.invert(
                self._denoiser(points[rows], guidance=1.0),
                self._latents(images[rows]),
                self.scheduler_config,
                steps,
                refinements,
            )
            found.append(Noise(sampler.last(walk).latents.cpu().numpy()))
        return Noise.concat(found)

    def inpaint(
        self,
        images: Sequence[Image.Image],
        masks: Sequence[Mask],
        points: Points,
        *,
        seed: int | Sequence[int] = 0,
        noise: Noise | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        eta: float = 0.0,
        solver: Solver | None = None,
    ) -> Iterator[Image.Image]:
        """Yield every picture with its masked part painted anew, as its point says.

        A picture of the decoder's own size keeps every pixel outside the mask exactly (grey
        blends); one of another size comes back at the decoder's size. One picture, mask or point
        goes with all the others. The rest is as for `decode`.

        Args:
            masks: white (or true, or 1) is painted anew; each of its picture's size.

        Raises:
            QueryError: counts or sizes do not match, or a mask is all black.

        Source: Lugmayr et al. 2022 (RePaint), eq. 8, with the noise of x_T at all levels.
        """
        n = max(len(images), len(masks), len(points))
        if {len(images), len(masks), len(points)} - {1, n}:
            raise QueryError(
                f"{len(images)} pictures, {len(masks)} masks and {len(points)} points do not go "
                "together: give as many of each, or one for all."
            )
        points = points[np.arange(n) % len(points)]
        pictures = [images[i % len(images)].convert("RGB") for i in range(n)]
        greys = [as_grey(masks[i % len(masks)], picture) for i, picture in enumerate(pictures)]
        task = self._task(points, seed, noise, steps, guidance, eta, solver)
        return self._pictures(replace(task, images=tuple(pictures), masks=tuple(greys)))

    def _check(self, points: Points) -> None:
        remedy = f'load("{self.model}").encoder' if self.model else "the encoder of its own model"
        self.space.check(points.space, f"Encode again with {remedy} for this decoder.")
        points.require_image_side()
        mean = self.norms[0] if self.norms else np.nan
        far = np.flatnonzero((points.norms < 0.2 * mean) | (points.norms > 5 * mean))
        if len(far):
            raise QueryError(
                f"Point {far[0]} has length {points.norms[far[0]]:.3g}, but this decoder has seen "
                f"lengths near {mean:.3g}: it reads vectors as the encoder gives them. If these "
                f"were normalised, decode points.with_vectors(points.unit * {mean:.3g})."
            )

    def _task(
        self,
        points: Points,
        seed: int | Sequence[int],
        noise: Noise | None,
        steps: int | None,
        guidance: float | None,
        eta: float,
        solver: Solver | None,
    ) -> _Task:
        self._check(points)
        settings = Settings(
            self.steps if steps is None else steps,
            self.guidance if guidance is None else guidance,
            eta,
            solver or ("ddim" if eta else self.solver),
        )
        sampler.schedule(self.scheduler_config, settings)  # complains now, not at the first picture
        n = len(points)
        noise = None if noise is None else noise.for_each(n, self.latent_shape)
        return _Task(points, seeds_for(seed, n), settings, noise)

    def _latents(self, images: Sequence[Image.Image]) -> "torch.Tensor":
        import torch

        with torch.inference_mode():
            latents = self.to_latent([image.convert("RGB") for image in images])
        return latents.to(self.device, torch.float32)

    def _denoiser(self, points: Points, guidance: float) -> "Denoiser":
        import torch

        with torch.inference_mode():
            conditions = self.condition(points)
        dtype = getattr(torch, self.dtype)
        return sampler.guided(self.predict, conditions, guidance, self.batch_size, dtype)

    def _steps(self, task: _Task) -> Iterator[Step]:
        import torch

        drawn, generators = draw(task.seeds, self.latent_shape)
        start = drawn if task.noise is None else task.noise.latents
        known = None
        if task.masks:
            cells = torch.tensor(np.stack([self.mask_to_latent(mask) for mask in task.masks]))
            known = Known(self._latents(task.images), cells[:, None].to(self.device))
        yield from sampler.denoise(
            self._denoiser(task.points, task.settings.guidance),
            torch.tensor(start, device=self.device),
            self.scheduler_config,
            task.settings,
            generators,
            known,
        )

    def _pictures(self, task: _Task) -> Iterator[Image.Image]:
        import torch

        for rows in sampler.batches(len(task.points), self.batch_size):
            batch = task[rows]
            latents = sampler.last(self._steps(batch)).latents
            with torch.inference_mode():
                pictures = self.to_image(latents)
            if batch.masks:
                pictures = list(map(paste, pictures, batch.images, batch.masks))
            yield from pictures

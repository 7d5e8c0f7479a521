"""Decoder: turns points back into images, once a family supplies the network and the codec.

A decoder is a network conditioned on a point, plus an image codec. A family supplies `condition`,
`predict`, `to_latent`, `to_image` and a diffusers scheduler config (see `Family`); decoding,
inversion, in-painting, redrawing, guidance, η, seeds, progress and cancelling are written once,
here and in `sampler`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from explorer import sampler
from explorer.decoder.family import Family
from explorer.decoder.task import Task
from explorer.errors import QueryError
from explorer.jupyter import progress
from explorer.masks import Mask, as_grey, paste
from explorer.noise import Noise, draw, seeds_for
from explorer.points import Points
from explorer.sampler import Known, Settings, Solver, Step

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Denoiser


class Decoder(Family):
    """Turns image-side Points of one Space back into images."""

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
        """Yield one image a point, in order, each as soon as its batch is done.

        Close the iterator to stop. An image does not depend on the batch that it was computed in.

        Args:
            seed: one for all, so that images differ only because points differ; or one a point.
            noise: x_T instead of the seed's own, one row for all or one a point. What `invert`
                found reconstructs its image at guidance 1, eta 0, solver "ddim", the same steps.
            steps, guidance: None is this decoder's own default.
            eta: 0 is deterministic, 1 as random as DDPM: variations around a point.
            solver: None is this decoder's own default where eta is 0, and "ddim" where it is not.

        Raises:
            SpaceMismatch, SideMismatch: these points are not for this decoder.
            QueryError: a value is out of range, or lengths are far from those of training.
        """
        return self._images(self._task(points, seed, noise, steps, guidance, eta, solver))

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

        `to_image(step.estimate)` shows the image expected at that step; `to_image(step.latents)`
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
        """Find the x_T from which `decode` gives these images back, one image a point.

        By DDIM run backwards; decode with the same steps, guidance 1, eta 0 and solver "ddim".
        Another point, or eta > 0, gives variations of the image. Where a decoder clips its
        estimates (`clip_sample`) it reconstructs less exactly: clipping cannot be undone.

        Args:
            steps: None is this decoder's own default.
            refinements: fixed-point iterations a step, one network call each.

        Raises:
            SpaceMismatch, SideMismatch, QueryError: as for `decode`, or the counts differ.

        Source: Ramesh et al. 2022, section 3; the formula is in `sampler.invert`.
        """
        self.check(points)
        if len(images) != len(points) or refinements < 0:
            raise QueryError(
                "Inversion needs one image a point, and no fewer than 0 refinements, but there "
                f"are {len(images)} images, {len(points)} points and {refinements} refinements."
            )
        found, steps = [], self.steps if steps is None else steps
        task = Task(points, (0,) * len(points), Settings(steps))
        for rows in sampler.batches(len(points), self.batch_size):
            denoiser, latents = self._denoiser(task[rows]), self._latents(images[rows])
            walk = sampler.invert(denoiser, latents, self.scheduler_config, steps, refinements)
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
        """Yield every image with its masked part painted anew, as its point says.

        An image of the decoder's own size keeps every pixel outside the mask exactly (grey
        blends); one of another size comes back at the decoder's size. One image, mask or point
        goes with all the others. The rest is as for `decode`.

        Args:
            masks: white (or true, or 1) is painted anew; each of its image's size.

        Raises:
            QueryError: counts or sizes do not match, or a mask is all black.

        Source: Lugmayr et al. 2022 (RePaint), eq. 8, with the noise of x_T at all levels.
        """
        n = _together({"images": images, "masks": masks, "points": points})
        points = points[np.arange(n) % len(points)]
        images = [images[i % len(images)].convert("RGB") for i in range(n)]
        greys = [as_grey(masks[i % len(masks)], image) for i, image in enumerate(images)]
        painter = self.painter()
        task = painter._task(points, seed, noise, steps, guidance, eta, solver)
        return painter._images(replace(task, images=tuple(images), masks=tuple(greys)))

    def redraw(
        self,
        images: Sequence[Image.Image],
        points: Points,
        *,
        strength: float = 0.6,
        seed: int | Sequence[int] = 0,
        steps: int | None = None,
        guidance: float | None = None,
        eta: float = 0.0,
        solver: Solver | None = None,
    ) -> Iterator[Image.Image]:
        """Yield every image drawn again as its point says, keeping its large forms.

        The image is noised part of the way and denoised from there. One image or point goes
        with all the others. The rest is as for `decode`.

        Args:
            strength: the part of the steps that is done: near 0 keeps the image, 1 is `decode`.

        Raises:
            QueryError: counts do not match, or the strength leaves no step to do.

        Source: Meng et al. 2022 (SDEdit).
        """
        n = _together({"images": images, "points": points})
        points = points[np.arange(n) % len(points)]
        images = [images[i % len(images)].convert("RGB") for i in range(n)]
        task = self._task(points, seed, None, steps, guidance, eta, solver, strength)
        return self._images(replace(task, images=tuple(images)))

    def _task(
        self,
        points: Points,
        seed: int | Sequence[int],
        noise: Noise | None,
        steps: int | None,
        guidance: float | None,
        eta: float,
        solver: Solver | None,
        strength: float = 1.0,
    ) -> Task:
        self.check(points)
        settings = Settings(
            self.steps if steps is None else steps,
            self.guidance if guidance is None else guidance,
            eta,
            solver or ("ddim" if eta else self.solver),
            strength,
        )
        sampler.schedule(self.scheduler_config, settings)  # complains now, not at the first image
        n = len(points)
        noise = None if noise is None else noise.for_each(n, self.latent_shape)
        return Task(points, seeds_for(seed, n), settings, noise)

    def _latents(self, images: Sequence[Image.Image]) -> "torch.Tensor":
        import torch

        with torch.inference_mode():
            latents = self.to_latent([image.convert("RGB") for image in images])
        return latents.to(self.device, torch.float32)

    def _denoiser(self, task: Task) -> "Denoiser":
        import torch

        with torch.inference_mode():
            conditions = self.condition(task.points)
            if task.masks:
                more = self.inpainting_condition(task.images, task.masks) or {}
                conditions = (conditions[0] | more, conditions[1] | more)
        dtype, guidance = getattr(torch, self.dtype), task.settings.guidance
        return sampler.guided(self.predict, conditions, guidance, self.batch_size, dtype)

    def _known(self, task: Task) -> Known | None:
        import torch

        if not task.images:
            return None
        latents = self._latents(task.images)
        if not task.masks:
            return Known(latents)
        cells = torch.tensor(np.stack([self.mask_to_latent(mask) for mask in task.masks]))
        return Known(latents, cells[:, None].to(self.device))

    def _steps(self, task: Task) -> Iterator[Step]:
        import torch

        drawn, generators = draw(task.seeds, self.latent_shape)
        start = drawn if task.noise is None else task.noise.latents
        yield from sampler.denoise(
            self._denoiser(task),
            torch.tensor(start, device=self.device),
            self.scheduler_config,
            task.settings,
            generators,
            self._known(task),
            self.own_step,
        )

    def _images(self, task: Task) -> Iterator[Image.Image]:
        return progress(self._batches(task), len(task.points), "decoding")

    def _batches(self, task: Task) -> Iterator[Image.Image]:
        import torch

        for rows in sampler.batches(len(task.points), self.batch_size):
            batch = task[rows]
            latents = sampler.last(self._steps(batch)).latents
            with torch.inference_mode():
                images = self.to_image(latents)
            if batch.masks:
                images = list(map(paste, images, batch.images, batch.masks))
            yield from images


def _together(parts: dict[str, Sequence[object] | Points]) -> int:
    """How many of each there are, or one for all.

    Raises:
        QueryError: they do not go together.
    """
    counts = [len(part) for part in parts.values()]
    if set(counts) - {1, max(counts)}:
        *rest, end = (f"{len(part)} {name}" for name, part in parts.items())
        raise QueryError(
            f"{', '.join(rest)} and {end} do not go together: give as many of each, or one for all."
        )
    return max(counts)

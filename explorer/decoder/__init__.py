"""Decoder: turns points back into images, once a family supplies the network and the codec.

A decoder is a network conditioned on a point, plus an image codec. A family supplies `condition`,
`predict`, `to_latent`, `to_image` and a diffusers scheduler config (see `Family`); decoding,
inversion, in-painting, redrawing, guidance, η, seeds, progress and cancelling are written once,
here and in `sampler`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import numpy as np
from PIL import Image

from explorer import sampler
from explorer.decoder.family import Family
from explorer.decoder.task import Task
from explorer.device import in_turn
from explorer.errors import QueryError
from explorer.masks import Mask, as_grey, paste
from explorer.noise import Noise, draw
from explorer.points import Points
from explorer.sampler import Known, Step
from explorer.settings import Settings

if TYPE_CHECKING:
    import torch

    from explorer.sampler import Condition, Denoiser

INVERSION_STEPS_FACTOR = 3  # times the default steps, where x_T is found by inversion
_DEFAULT = Settings()


class Decoder(Family):
    """Turns image-side Points of one Space back into images."""

    elsewhere: Callable[[Task], Iterator[Image.Image]] | None = None  # decodes it in place of this

    def decode(
        self, points: Points, settings: Settings = _DEFAULT, noise: Noise | None = None
    ) -> Iterator[Image.Image]:
        """Yield one image a point, in order, each as soon as its batch is done.

        Close the iterator to stop. An image depends on its own point alone, but for rounding: in
        a batch of another size a value of a pixel may differ by 1 of 255, because kernels are
        chosen by size.

        Args:
            noise: x_T instead of the seed's own, one row for all or one a point. What `invert`
                found reconstructs its image at guidance 1, eta 0, solver "ddim", the same steps.

        Raises:
            SpaceMismatch, SideMismatch: these points are not for this decoder.
            QueryError: a setting is out of range, or lengths are far from those of training.
        """
        decoder, task = self._prepared(points, settings, noise)
        return decoder.decode_task(task)

    def trace(
        self, points: Points, settings: Settings = _DEFAULT, noise: Noise | None = None
    ) -> Iterator[Step]:
        """Yield all points together, as latents, after every step; arguments as for `decode`.

        `to_image(step.estimate)` shows the image expected at that step; `to_image(step.latents)`
        of the last step is what `decode` gives.
        """
        decoder, task = self._prepared(points, settings, noise)
        return decoder._steps(task)

    def invert(
        self,
        images: Sequence[Image.Image],
        points: Points,
        settings: Settings = _DEFAULT,
        *,
        refinements: int = 4,
    ) -> Noise:
        """Find the x_T from which `decode` gives these images back, one image a point.

        By DDIM run backwards; decode with the same steps, guidance 1, eta 0 and solver "ddim".
        Another point, or eta > 0, gives variations of the image. Where a decoder clips its
        estimates (`clip_sample`) it reconstructs less exactly: clipping cannot be undone.

        Args:
            settings: only steps, options and seed are used.
            refinements: fixed-point iterations a step, one network call each.

        Raises:
            SpaceMismatch, SideMismatch, QueryError: as for `decode`, or the counts differ.

        Source: Ramesh et al. 2022, section 3; the formula is in `sampler.invert`.
        """
        if len(images) != len(points) or refinements < 0:
            raise QueryError(
                "Inversion needs one image a point and 0 refinements or more, not "
                f"{len(images)} images, {len(points)} points and {refinements} refinements."
            )
        steps = settings.steps or self.steps
        only = Settings(
            steps=steps, guidance=1.0, solver="ddim", seed=settings.seed, options=settings.options
        )
        decoder, task = self._prepared(points, only)
        batches = sampler.batches(len(points), self.batch_size)
        return Noise.concat(
            [decoder._inverted(task[rows], images[rows], refinements) for rows in batches]
        )

    def inpaint(
        self,
        images: Sequence[Image.Image],
        masks: Sequence[Mask],
        points: Points,
        settings: Settings = _DEFAULT,
        noise: Noise | None = None,
    ) -> Iterator[Image.Image]:
        """Yield every image with its masked part decoded again, as its point says.

        An image of the decoder's own size keeps every pixel outside the mask exactly (grey
        blends); one of another size comes back at the decoder's size. One image, mask or point
        goes with all the others. The rest is as for `decode`.

        Args:
            masks: white (or true, or 1) is replaced; each of its image's size.

        Raises:
            QueryError: counts or sizes do not match, or a mask is all black.

        Source: Lugmayr et al. 2022 (RePaint), eq. 8, with the noise of x_T at all levels.
        """
        n = _broadcast({"images": images, "masks": masks, "points": points})
        points = points[np.arange(n) % len(points)]
        images = [images[i % len(images)].convert("RGB") for i in range(n)]
        greys = [as_grey(masks[i % len(masks)], image) for i, image in enumerate(images)]
        painter, task = self.painter()._prepared(points, settings, noise)
        return painter.decode_task(replace(task, images=tuple(images), masks=tuple(greys)))

    def redraw(
        self, images: Sequence[Image.Image], points: Points, settings: Settings = _DEFAULT
    ) -> Iterator[Image.Image]:
        """Yield every image decoded again as its point says, keeping its large forms (img2img).

        The image is noised part of the way, as far as `settings.strength` says, and denoised from
        there. One image or point goes with all the others. The rest is as for `decode`.

        Raises:
            QueryError: counts do not match, or the strength leaves no step to do.

        Source: Meng et al. 2022 (SDEdit).
        """
        n = _broadcast({"images": images, "points": points})
        points = points[np.arange(n) % len(points)]
        images = [images[i % len(images)].convert("RGB") for i in range(n)]
        decoder, task = self._prepared(points, settings)
        return decoder.decode_task(replace(task, images=tuple(images)))

    def resolve(self, settings: Settings = _DEFAULT, *, inverted: bool = False) -> Settings:
        """Return the settings with this decoder's own defaults in place of None.

        Args:
            inverted: x_T comes from `invert`, which reconstructs only by DDIM, without guidance,
                and with more steps.
        """
        if settings.preview:
            steps, fast = min(self.preview_steps, self.steps), self.preview_solver
        else:
            steps, fast = self.steps * (INVERSION_STEPS_FACTOR if inverted else 1), self.solver
        guidance = 1.0 if inverted else self.guidance
        return replace(
            settings,
            steps=steps if settings.steps is None else settings.steps,
            guidance=guidance if settings.guidance is None else settings.guidance,
            solver=settings.solver or ("ddim" if settings.eta or inverted else fast),
            preview=False,
        )

    def _prepared(
        self, points: Points, settings: Settings, noise: Noise | None = None
    ) -> tuple[Self, Task]:
        """Return the decoder with the settings' options, and the task; refuse bad input now."""
        decoder = self.with_options(**settings.options) if settings.options else self
        decoder.check(points)
        settings, n = decoder.resolve(settings), len(points)
        sampler.schedule(decoder.scheduler_config, settings)
        noise = None if noise is None else noise.for_each(n, decoder.latent_shape)
        return decoder, Task(points, settings.seeds(n), settings, noise)

    def _inverted(self, task: Task, images: Sequence[Image.Image], refinements: int) -> Noise:
        import torch

        latents, steps = self._latents(images), task.settings.steps
        assert steps is not None  # resolved
        noise = torch.from_numpy(draw(task.seeds, latents.shape[1:])[0]).to(latents)
        walk = sampler.invert(
            *(self._denoiser(task), latents, self.scheduler_config, steps, refinements),
            noise=noise,
            level=self.inversion_level,
        )
        return Noise(sampler.last(walk).latents.cpu().numpy())

    def _latents(self, images: Sequence[Image.Image]) -> "torch.Tensor":
        import torch

        with torch.inference_mode(), in_turn(self.on):
            latents = self.to_latent([image.convert("RGB") for image in images])
        return latents.to(self.device, torch.float32)

    def _denoiser(self, task: Task) -> "Denoiser":
        import torch

        with torch.inference_mode(), in_turn(self.on):
            conditions = self.condition(task.points)
            if task.masks:
                more = self.inpainting_condition(task.images, task.masks) or {}
                conditions = (conditions[0] | more, conditions[1] | more)
        dtype, guidance = getattr(torch, self.dtype), task.settings.guidance
        assert guidance is not None  # resolved
        rows = self._rows(conditions, guidance, dtype)

        def predict(
            latents: "torch.Tensor", t: "torch.Tensor", condition: "Condition"
        ) -> "torch.Tensor":
            with in_turn(self.on):
                return self.predict(latents, t, condition)

        return sampler.guided(predict, conditions, guidance, rows, dtype)

    def _rows(
        self, conditions: "tuple[Condition, Condition]", guidance: float, dtype: "torch.dtype"
    ) -> int:
        """Return how many images the network may take at once: as many as the memory holds."""
        if self.on is None:
            return self.batch_size
        call = sampler.on_meta(self.predict, conditions, guidance, self.latent_shape, dtype)
        shapes = tuple((k, v.shape[1:]) for k, v in sorted(conditions[0].items()))
        key = (self.model, self.latent_shape, shapes, guidance == 1)
        with in_turn(self.on):
            return self.on.rows(key, call, self.batch_size)

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

    def decode_task(self, task: Task) -> Iterator[Image.Image]:
        """Yield the images of a task that was prepared, batch by batch."""
        import torch

        if self.elsewhere is not None:
            settings = replace(task.settings, options=self.options)  # those set before, too
            yield from self.elsewhere(replace(task, settings=settings))
            return
        for rows in sampler.batches(len(task.points), self.batch_size):
            batch = task[rows]
            latents = sampler.last(self._steps(batch)).latents
            with torch.inference_mode(), in_turn(self.on):
                images = self.to_image(latents)
            if batch.masks:
                images = list(map(paste, images, batch.images, batch.masks))
            yield from images


def _broadcast(parts: dict[str, Sequence[object] | Points]) -> int:
    """Return how many there are of each, one standing for all.

    Raises:
        QueryError: the counts do not match.
    """
    counts = [len(part) for part in parts.values()]
    if set(counts) - {1, max(counts)}:
        given = ", ".join(f"{len(part)} {name}" for name, part in parts.items())
        raise QueryError(f"Cannot broadcast {given}: pass equal counts, or one for all.")
    return max(counts)

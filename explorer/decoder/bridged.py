"""A decoder that reads points of another space than its own, over a bridge."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool
from PIL import Image

from explorer.bridge import Bridge
from explorer.decoder import Decoder
from explorer.decoder.family import Family
from explorer.decoder.task import Task
from explorer.points import Points

if TYPE_CHECKING:
    from typing import Self

    import torch

    from explorer.sampler import Condition

OWN = ("space", "fingerprint", "model", "norms")  # of the bridge; all else is the decoder's


class BridgedDecoder(Decoder):
    """Reads points of `bridge.source`; networks, codec, options and defaults are the decoder's.

    Args:
        decoder: of the space `bridge.target`.

    Raises:
        SpaceMismatch: the decoder is of another space.

    >>> import explorer as ex
    >>> model = ex.load("pocket", device="cpu")
    >>> elsewhere = ex.Space("toy", 4, "0f")
    >>> rng = np.random.default_rng(0)
    >>> theirs = Points(rng.normal(size=(64, 4)), elsewhere, "image")
    >>> ours = Points(rng.normal(size=(64, 256)), model.space, "image")
    >>> decoder = BridgedDecoder(model.decoder, Bridge.fit(theirs, ours))
    >>> next(decoder.decode(theirs[0], ex.Settings(steps=2))).size
    (64, 64)
    """

    def __init__(self, decoder: Decoder, bridge: Bridge) -> None:
        ends = f"This bridge leads to {bridge.target}: take a decoder of that space."
        decoder.space.check(bridge.target, ends)
        self.decoder, self.bridge = decoder, bridge
        for name in (*Family.__annotations__, *decoder.choices):
            if name not in OWN:
                setattr(self, name, getattr(decoder, name))
        self.space, self.model = bridge.source, bridge.models[0]
        both = f"{decoder.fingerprint} {bridge.fingerprint}"
        self.fingerprint = hashlib.sha256(both.encode()).hexdigest()
        self.norms = bridge.norms
        if decoder.elsewhere is not None:
            self.elsewhere = self._over

    def _over(self, task: Task) -> Iterator[Image.Image]:
        """Have the decoder's own actors decode what a task of this one asks for."""
        assert self.decoder.elsewhere is not None
        settings = replace(task.settings, options=self._crossed(task.settings.options))
        points = self.bridge.apply(task.points)
        return self.decoder.elsewhere(replace(task, points=points, settings=settings))

    def _crossed(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return options with their points as points of the decoder's space."""
        apply = self.bridge.apply
        return {n: apply(v) if isinstance(v, Points) else v for n, v in options.items()}

    def condition(self, points: Points) -> "tuple[Condition, Condition]":
        return self.decoder.condition(self.bridge.apply(points))

    def predict(
        self, latents: "torch.Tensor", t: "torch.Tensor", condition: "Condition"
    ) -> "torch.Tensor":
        return self.decoder.predict(latents, t, condition)

    def to_latent(self, images: Sequence[Image.Image]) -> "torch.Tensor":
        return self.decoder.to_latent(images)

    def to_image(self, latents: "torch.Tensor") -> list[Image.Image]:
        return self.decoder.to_image(latents)

    def mask_to_latent(self, mask: Image.Image) -> Bool[np.ndarray, "h w"]:
        return self.decoder.mask_to_latent(mask)

    def painter(self) -> "Self":
        painter = self.decoder.painter()
        return self if painter is self.decoder else type(self)(painter, self.bridge)

    def inpainting_condition(
        self, images: Sequence[Image.Image], masks: Sequence[Image.Image]
    ) -> "Condition | None":
        return self.decoder.inpainting_condition(images, masks)

    def own_step(self, *step: Any) -> Any:
        return self.decoder.own_step(*step)

    def with_options(self, **options: object) -> "Self":
        """Return a decoder with these options; a point among them is one of `bridge.source`."""
        theirs = self._crossed(options)
        changed = type(self)(self.decoder.with_options(**theirs), self.bridge)
        changed.elsewhere = self.elsewhere
        for name in theirs:
            setattr(changed, name, options[name])
        changed.options = {**self.options, **options}
        return changed

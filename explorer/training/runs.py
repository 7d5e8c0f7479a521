"""A training run with a time budget: learning rate by elapsed time, checkpoints, resuming.

It knows no model: it is given parameters, and says when to stop.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


class Run:
    """One stage of training in `folder`, `minutes` long over all its resumptions.

    >>> run = Run(Path("stage"), "clip", modules, minutes=20)       # doctest: +SKIP
    >>> for step in run:                                            # doctest: +SKIP
    ...     run.update(loss(step))
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        modules: "dict[str, torch.nn.Module]",
        *,
        minutes: float,
        rate: float,
        decay: float = 0.05,
        average: float | None = None,
        steps: int | None = None,
    ) -> None:
        import torch

        self.file = folder / f"{name}.pt"
        self.name, self.modules, self.minutes, self.rate = name, modules, minutes, rate
        self.most = steps
        parameters = [p for m in modules.values() for p in m.parameters() if p.requires_grad]
        matrices = [p for p in parameters if p.ndim > 1]
        vectors = [p for p in parameters if p.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": decay},
            {"params": vectors, "weight_decay": 0},
        ]
        self.parameters = parameters
        self.optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), eps=1e-8)
        self.decay = average
        self.average = [p.detach().clone() for p in parameters] if average else []
        self.elapsed, self.step = 0.0, 0
        self.losses: list[float] = []
        if self.file.exists():
            self.restore()

    def __iter__(self) -> Iterator[int]:
        """Steps until the time (or the number of steps) is used up; saves every two minutes."""
        saved = shown = time.monotonic()
        while self.progress < 1:
            start = time.monotonic()
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate * self.factor()
            yield self.step
            self.step += 1
            now = time.monotonic()
            self.elapsed += now - start
            if now - shown > 20:
                self.show()
                shown = now
            if now - saved > 120:
                self.save()
                saved = time.monotonic()
        self.save()

    @property
    def progress(self) -> float:
        """Share of the budget that is used, 0 … 1."""
        if self.most is not None:
            return self.step / self.most
        return self.elapsed / (60 * self.minutes)

    def factor(self) -> float:
        """Warm-up over 200 steps, then half a cosine over the budget."""
        return float(
            min(1, (self.step + 1) / 200) * (0.5 + 0.5 * np.cos(np.pi * min(self.progress, 1)))
        )

    def update(self, loss: "torch.Tensor") -> None:
        """One optimiser step; a loss that is not finite is refused before it does harm."""
        import torch

        if not torch.isfinite(loss):
            raise FloatingPointError(f"{self.name}: the loss at step {self.step} is {loss.item()}.")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        if self.decay:
            keep = min(self.decay, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - keep)
        self.losses = [*self.losses[-199:], float(loss.detach())]

    def show(self) -> None:
        """One line on stderr."""
        recent = float(np.mean(self.losses[-50:])) if self.losses else float("nan")
        left = self.minutes - self.elapsed / 60
        print(
            f"{self.name}: step {self.step}, loss {recent:.4f}, {left:.1f} minutes left",
            file=sys.stderr,
            flush=True,
        )

    def save(self) -> None:
        """Write the checkpoint under a temporary name, then rename it."""
        import torch

        state: dict[str, Any] = {
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "progress": json.dumps({"elapsed": self.elapsed, "step": self.step}),
        }
        partial = self.file.with_suffix(".part")
        torch.save(state, partial)
        os.replace(partial, self.file)

    def restore(self) -> None:
        """Go on from the checkpoint."""
        import torch

        state = torch.load(self.file, weights_only=True, map_location="cpu")
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        device = self.parameters[0].device
        self.average = [tensor.to(device) for tensor in state["average"]]
        progress = json.loads(state["progress"])
        self.elapsed, self.step = progress["elapsed"], progress["step"]

    def adopt_average(self) -> None:
        """Put the averaged weights in place of the last ones, for the finished model."""
        import torch

        with torch.no_grad():
            for parameter, average in zip(self.parameters, self.average, strict=True):
                parameter.copy_(average)


@contextmanager
def autocast(device: str) -> Iterator[None]:
    """bfloat16, and on a CPU the plain attention: the backward of its fused one is very slow."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    attention = sdpa_kernel(SDPBackend.MATH) if device == "cpu" else nullcontext()
    with attention, torch.autocast(device.split(":")[0], torch.bfloat16):
        yield

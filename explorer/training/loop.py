"""A training run with a time budget: learning rate by elapsed time, checkpoints, resuming.

It is given parameters, knows no model, and says when to stop.
"""

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

import numpy as np

from explorer.interrupts import AGAIN, finishing
from explorer.training.checkpoints import diverged, write_tensors

if TYPE_CHECKING:
    import torch


class Interrupt:
    """Catch the first Ctrl-C or SIGTERM while entered, so that a step is finished before stopping.

    A second one acts at once.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> "Interrupt":
        self._before = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        self._work = finishing(f"{AGAIN[:-1]} with --resume.", seconds=None)
        self._work.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()
        self._work.__exit__(None, None, None)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, *_: object) -> None:
        self.asked = True
        self._restore()


@dataclass(frozen=True)
class Plan:
    """The budget and the settings of a training.

    Args:
        minutes: over all resumptions.
        steps: of every stage, in place of `minutes`.
        batch: examples a step; None is the default of each network.
        rate: learning rate, as a multiple of the default.
    """

    minutes: float
    steps: int | None = None
    batch: int | None = None
    rate: float = 1.0
    seed: int = 0
    device: str = "cpu"


class Run:
    """One stage of training in `folder`, `minutes` long over all its resumptions.

    Args:
        average: decay of the moving average of the weights; None averages nothing.
        steps: in place of `minutes`.
        interrupt: ends the run after the current step.

    >>> run = Run(FilePath("stage"), "clip", modules, minutes=20)       # doctest: +SKIP
    >>> for step in run:                                            # doctest: +SKIP
    ...     run.update(loss(step))
    """

    checkpoint_seconds = 120

    def __init__(
        self,
        folder: FilePath,
        name: str,
        modules: "dict[str, torch.nn.Module]",
        *,
        minutes: float,
        rate: float,
        decay: float = 0.05,
        average: float | None = None,
        steps: int | None = None,
        interrupt: Interrupt | None = None,
    ) -> None:
        import torch

        self.file = folder / f"{name}.safetensors"
        self.name, self.modules, self.minutes, self.rate = name, modules, minutes, rate
        self.max_steps, self.interrupt = steps, interrupt or Interrupt()
        parameters = [p for m in modules.values() for p in m.parameters() if p.requires_grad]
        matrices = [p for p in parameters if p.ndim > 1]
        vectors = [p for p in parameters if p.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": decay},
            {"params": vectors, "weight_decay": 0},
        ]
        self.parameters = parameters
        fused = all(p.device.type == "cpu" for p in parameters)  # a quarter of the time there
        self.optimizer = torch.optim.AdamW(
            groups, lr=rate, betas=(0.9, 0.98), eps=1e-8, fused=fused
        )
        self.decay = average
        self.average = [p.detach().clone() for p in parameters] if average else []
        self.elapsed, self.step = 0.0, 0
        self.losses: list[float] = []
        if self.file.exists():
            self.restore()

    def __iter__(self) -> Iterator[int]:
        """Yield steps until the budget is used up or an interrupt; save every two minutes."""
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
            if self.interrupt.asked:
                break
            if now - saved > self.checkpoint_seconds:
                self.save()
                saved = time.monotonic()
        self.save()

    @property
    def progress(self) -> float:
        """The share of the budget that is used, 0 to 1."""
        if self.max_steps is not None:
            return self.step / self.max_steps
        return self.elapsed / (60 * self.minutes)

    @property
    def loss(self) -> float:
        """The mean of the last 50 losses."""
        return float(np.mean(self.losses[-50:])) if self.losses else float("nan")

    def factor(self) -> float:
        """Return the factor of the learning rate: warm-up over 200 steps or 5 %, then a cosine."""
        warm = max((self.step + 1) / 200, self.progress / 0.05)
        return float(min(1, warm) * (0.5 + 0.5 * np.cos(np.pi * min(self.progress, 1))))

    def update(self, loss: "torch.Tensor") -> None:
        """Do one optimiser step.

        Raises:
            TrainingError: loss or gradient is not finite; it is refused before it does harm.
        """
        import torch

        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        length = torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        if not torch.isfinite(loss + length):
            what = (
                f"at step {self.step} loss and gradient are {loss.item():.3g}, {length.item():.3g}"
            )
            raise diverged(f"{self.name}: {what}")
        self.optimizer.step()
        if self.decay:
            keep = min(self.decay, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - keep)
        self.losses = [*self.losses[-199:], float(loss.detach())]

    def show(self) -> None:
        """Print one line to stderr; the time left assumes the pace so far."""
        left = self.elapsed * (1 / self.progress - 1) / 60 if self.progress else self.minutes
        print(
            f"{self.name}: step {self.step}, loss {self.loss:.4f}, "
            f"learning rate {self.rate * self.factor():.1e}, {left:.1f} minutes left",
            file=sys.stderr,
            flush=True,
        )

    def save(self) -> None:
        """Write the checkpoint: networks, optimiser, averages.

        Raises:
            TrainingError: the disk refuses, or a weight is not finite; the one before it is whole.
        """
        tensors = {
            f"{name}/{key}": tensor
            for name, module in self.modules.items()
            for key, tensor in module.state_dict().items()
        }
        for i, parameter in enumerate(self.parameters):
            for key, tensor in self.optimizer.state[parameter].items():
                tensors[f"optimizer/{i}/{key}"] = tensor
        tensors |= {f"average/{i}": tensor for i, tensor in enumerate(self.average)}
        write_tensors(self.file, tensors, {"step": str(self.step), "elapsed": str(self.elapsed)})

    def restore(self) -> None:
        """Resume from the checkpoint."""
        import torch
        from safetensors import safe_open

        with safe_open(self.file, "pt") as stored:
            progress = stored.metadata()
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        self.step, self.elapsed = int(progress["step"]), float(progress["elapsed"])
        for name, module in self.modules.items():
            keys = module.state_dict()
            module.load_state_dict({key: tensors[f"{name}/{key}"] for key in keys})
        for i, parameter in enumerate(self.parameters):
            for key in ("step", "exp_avg", "exp_avg_sq"):
                if (name := f"optimizer/{i}/{key}") in tensors:
                    like = torch.zeros(()) if key == "step" else torch.zeros_like(parameter)
                    self.optimizer.state[parameter][key] = like.copy_(tensors[name])
        for i, average in enumerate(self.average):
            average.copy_(tensors[f"average/{i}"])

    def adopt_average(self) -> None:
        """Replace the last weights by the averaged ones, for the finished model."""
        self._put(self.average)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the networks their averaged weights for the duration of the context."""
        last = [p.detach().clone() for p in self.parameters]
        self._put(self.average)
        try:
            yield
        finally:
            self._put(last)

    def _put(self, tensors: "Sequence[torch.Tensor]") -> None:
        import torch

        with torch.no_grad():
            for parameter, tensor in zip(self.parameters, tensors, strict=True):
                parameter.copy_(tensor)


@contextmanager
def autocast(device: str) -> Iterator[None]:
    """Run in bfloat16, on a CPU with plain attention: the fused one has a very slow backward."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    attention = sdpa_kernel(SDPBackend.MATH) if device == "cpu" else nullcontext()
    with attention, torch.autocast(device.split(":")[0], torch.bfloat16):
        yield

"""Settings: every knob of decoding, one frozen object from the command line to the sampler.

It knows no model: what is left at None is filled in by the decoder (`Decoder.resolve`).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, Literal, get_args

from explorer.errors import QueryError

Solver = Literal["ddim", "dpm", "unipc", "own"]
"""DDIM (takes η, can be inverted), a fast solver (DPM-Solver++ 2M or UniPC), or the checkpoint's
own scheduler, run as the family's pipeline in diffusers runs it."""

NoiseChoice = Literal["inverted", "seed"]
"""x_T found by inverting the images themselves, or drawn from the seed."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to decode; None leaves a choice to the decoder.

    Args:
        steps: denoising steps, from 1 to the number that the decoder was trained with.
        guidance: 1 is off, 0 ignores the point, above 1 follows it more closely.
        eta: 0 is deterministic, 1 as random as DDPM; above 0 only with "ddim".
        solver: "ddim", "dpm", "unipc", or "own": the checkpoint's own scheduler.
        seed: one for all images, or one for each.
        strength: the part of the steps that is done, the last ones; below 1 starts from an image.
        noise: where an edit of images starts: "inverted", at the x_T of the images themselves, or
            "seed"; None is the edit's own default.
        preview: a first look, in few steps.
        options: of the decoder, such as {"prompt": "an oil painting"}; see `Decoder.choices`.

    Raises:
        QueryError: a value is out of its range.

    Source: eta, Song et al. 2021 (DDIM) eq. 16; guidance, Ho & Salimans 2022; strength, Meng et
    al. 2022 (SDEdit).

    >>> Settings(steps=20, seed=3).changed(guidance=2.0)
    Settings(steps=20, guidance=2.0, seed=3)
    >>> Settings(eta=0.5, solver="dpm")
    Traceback (most recent call last):
    ...
    explorer.errors.QueryError: eta = 0.5 needs solver="ddim", not 'dpm'. Leave one of them out.
    """

    steps: int | None = None
    guidance: float | None = None
    eta: float = 0.0
    solver: Solver | None = None
    seed: int | Sequence[int] = 0
    strength: float = 1.0
    noise: NoiseChoice | None = None
    preview: bool = False
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        self._check_numbers()
        _check_choice("solver", self.solver, get_args(Solver))
        _check_choice("noise", self.noise, get_args(NoiseChoice))
        if self.eta > 0 and self.solver not in (None, "ddim"):
            raise QueryError(
                f'eta = {self.eta} needs solver="ddim", not {self.solver!r}. Leave one of them out.'
            )
        if not isinstance(self.preview, bool):
            raise QueryError(f"preview is True or False, not {self.preview!r}.")
        if not isinstance(self.options, Mapping):
            raise QueryError(f"options are a dict of names and values, not {self.options!r}.")
        seed = tuple(self.seed) if isinstance(self.seed, Iterable) else self.seed
        object.__setattr__(self, "seed", _checked_seed(seed))
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))

    def _check_numbers(self) -> None:
        steps, guidance = self.steps, self.guidance
        if steps is not None and (not _is_number(steps) or steps != int(steps) or steps < 1):
            raise QueryError(f"steps is a whole number from 1 up, not {steps!r}.")
        if guidance is not None and not _is_number(guidance):
            raise QueryError(f"guidance is a finite number, not {guidance!r}; 1 is off.")
        if not _is_number(self.eta) or not 0 <= self.eta <= 1:
            raise QueryError(f"eta lies between 0 (deterministic) and 1 (DDPM), not {self.eta!r}.")
        if not _is_number(self.strength) or not 0 < self.strength <= 1:
            raise QueryError(
                f"strength lies above 0 (keep the image) and up to 1, not {self.strength!r}."
            )
        if steps is not None and int(steps * self.strength) == 0:
            raise QueryError(
                f"strength {self.strength} of {steps} steps leaves no step to do. "
                f"Give {1 / steps:.2g} or more, or more steps."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it be sent to other processes, which a mapping that is only read does not."""
        return partial(type(self), **vars(self) | {"options": dict(self.options)}), ()

    def __repr__(self) -> str:
        given = {name: value for name, value in vars(self).items() if value != DEFAULTS.get(name)}
        words = (
            f"{name}={dict(value) if isinstance(value, Mapping) else value!r}"
            for name, value in given.items()
        )
        return f"Settings({', '.join(words)})"

    def changed(self, **changes: object) -> "Settings":
        """Return a copy with some values changed.

        Raises:
            QueryError: there is no such setting, or a value is out of its range.
        """
        unknown = set(changes) - set(vars(self))
        if unknown:
            names = ", ".join(vars(self))
            raise QueryError(f"There is no setting {min(unknown)!r}. The settings are {names}.")
        return replace(self, **changes)  # type: ignore[arg-type]  # __post_init__ checks values

    def process(self) -> tuple[int, Solver]:
        """Return steps and solver, which a decoder has filled in.

        Raises:
            QueryError: one of them is None.
        """
        if self.steps is None or self.solver is None:
            raise QueryError(f"{self} leaves steps or solver open; call decoder.resolve first.")
        return self.steps, self.solver

    @property
    def skipped_steps(self) -> int:
        """How many of the first, noisiest steps `strength` leaves out."""
        steps, _ = self.process()
        return steps - int(steps * self.strength)

    def seeds(self, n: int) -> tuple[int, ...]:
        """Return one seed for each of n images; see `seeds_for`."""
        return seeds_for(self.seed, n)


def seeds_for(seed: int | Sequence[int], n: int) -> tuple[int, ...]:
    """Give every one of n images its seed: one for all, or one each.

    Raises:
        QueryError: the count is wrong, or a seed is not a whole number from 0 to 2³² - 1: of more
            bits torch's generator on the CPU would read only these.

    >>> seeds_for(7, 3)
    (7, 7, 7)
    """
    checked = _checked_seed(tuple(seed) if isinstance(seed, Iterable) else seed)
    seeds = checked if isinstance(checked, tuple) else (checked,) * n
    if len(seeds) != n:
        raise QueryError(
            f"Cannot broadcast {len(seeds)} seeds with {n} points: pass one seed, or {n}. To "
            "decode one point with many seeds, repeat it: points[[0] * n]."
        )
    return seeds


def _checked_seed(seed: Any) -> int | tuple[int, ...]:
    for value in seed if isinstance(seed, tuple) else (seed,):
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not whole or not 0 <= value < 2**32:
            raise QueryError(f"A seed must be a whole number from 0 to 2³² - 1, not {value!r}.")
    return tuple(int(value) for value in seed) if isinstance(seed, tuple) else int(seed)


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        names = ", ".join(map(repr, choices))
        raise QueryError(f"There is no {name} {value!r}. Choose one of {names}.")


DEFAULTS = vars(Settings())

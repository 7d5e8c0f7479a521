"""Guidance: a network bound to its conditions, called a batch at a time."""

from typing import TYPE_CHECKING

from explorer.device.batches import Batches

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    Condition = dict[str, torch.Tensor]  # every tensor has one row an image
    Denoiser = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # latents, t (N,) -> raw output


def guided(
    predict: "Callable[[torch.Tensor, torch.Tensor, Condition], torch.Tensor]",
    conditions: "tuple[Condition, Condition]",
    guidance: float,
    batch_size: int,
    dtype: "torch.dtype",
) -> "Denoiser":
    """Bind the network to its conditions: u + guidance · (c - u), on its raw output.

    One call of the network a batch, on both sides at once; at guidance 1 on the point's side only.
    A batch too large for the memory is halved. The network works in `dtype`; what comes back is
    float32. Of channels beyond the latents', a learned variance, the point's side is kept.

    Args:
        conditions: for the points, and for "no point".

    Source: Ho & Salimans 2022, eq. 6, with guidance = 1 + w.
    """
    import torch

    sized = Batches(batch_size)

    def one_batch(latents: "torch.Tensor", t: "torch.Tensor", rows: slice) -> "torch.Tensor":
        with_point, without = ({k: v[rows] for k, v in side.items()} for side in conditions)
        channels, latents = latents.shape[1], latents.to(dtype)
        if guidance == 1:
            return predict(latents, t, with_point).float()
        both = {k: torch.cat([without[k], v]) for k, v in with_point.items()}
        sides = predict(torch.cat([latents, latents]), torch.cat([t, t]), both).float().chunk(2)
        start, end = (side[:, :channels] for side in sides)
        return torch.cat([start + guidance * (end - start), sides[1][:, channels:]], 1)

    def denoiser(latents: "torch.Tensor", t: "torch.Tensor") -> "torch.Tensor":
        # By default cuDNN may pick TF32 and another algorithm for another batch size, so that a
        # frame would depend on its neighbours in the batch.
        flags = {"benchmark": False, "deterministic": True, "allow_tf32": False}
        with torch.backends.cudnn.flags(enabled=True, **flags):
            return torch.cat([*sized.run(len(t), lambda s: one_batch(latents[s], t[s], s))])

    return denoiser


def on_meta(
    predict: "Callable[[torch.Tensor, torch.Tensor, Condition], torch.Tensor]",
    conditions: "tuple[Condition, Condition]",
    guidance: float,
    shape: tuple[int, ...],
    dtype: "torch.dtype",
) -> "Callable[[], object]":
    """Return the call that `guided` makes for one row, of tensors without values.

    Args:
        shape: C h w of a row of latents.
    """
    import torch

    sides = 1 if guidance == 1 else 2
    row = {k: v[:1].to("meta").expand(sides, *v.shape[1:]) for k, v in conditions[0].items()}
    latents = torch.empty(sides, *shape, dtype=dtype, device="meta")
    t = torch.empty(sides, device="meta")
    return lambda: predict(latents, t, row)


def batches(n: int, size: int) -> list[slice]:
    """Cut n rows into slices of at most `size`."""
    return [slice(i, min(i + size, n)) for i in range(0, n, size)]

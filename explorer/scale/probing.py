"""Probing: the batch size that embeds most images a second, found on the machine that embeds."""

import time

import numpy as np
from PIL import Image

from explorer.encoder import Encoder
from explorer.refusals import is_out_of_memory

MAX_BATCH = 1024
WORTHWHILE = 1.05  # a batch of twice the size must be this much faster
AS_FAST = 0.8  # of the highest speed: noise must not choose a small batch
MAX_SECONDS = 10.0  # for all trials


def probe_batch_size(encoder: Encoder, most: int = MAX_BATCH) -> int:
    """Return the batch size that embeds most grey images a second: a power of two.

    Sizes are doubled until one is no faster, takes too much memory, or the time is up.
    """
    one = encoder.preprocess(Image.new("RGB", (256, 256), "grey"))
    start = time.monotonic()
    encoder.embed_pixels(one[None])  # what happens only once is not measured
    rates, size = {1: 0.0}, 1
    while size <= most and time.monotonic() - start < MAX_SECONDS:
        found = _images_a_second(encoder, np.repeat(one[None], size, axis=0))
        enough = size > 8 and found < max(rates.values()) * WORTHWHILE
        rates[size] = found
        if enough or not found:
            break
        size *= 2
    return max(n for n, rate in rates.items() if rate >= AS_FAST * max(rates.values()))


def _images_a_second(encoder: Encoder, pixels: np.ndarray) -> float:
    start = time.monotonic()
    try:
        encoder.embed_pixels(pixels)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return 0.0
    return len(pixels) / max(time.monotonic() - start, 1e-9)

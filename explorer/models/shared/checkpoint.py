"""Checkpoint: load one network of a released checkpoint from its folder, or raise.

It works with any class of diffusers or transformers that has `from_pretrained`.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Any

from explorer.device import Device
from explorer.errors import WeightsMissing
from explorer.models.shared.checked_config import MOST_BYTES, check_network, read_json

HALF = re.compile(r"\.(fp16|bf16)\.")  # in the names of files of half precision
MISMATCH = (
    *(RuntimeError, ValueError, TypeError, LookupError, AttributeError, OSError),
    *(AssertionError, ArithmeticError, MemoryError, ImportError),
)
"""What a network raises whose weights or configuration are not its own."""


def read_config(file: FilePath, most: int = MOST_BYTES) -> dict[str, Any]:
    """Read a JSON file of a checkpoint: the configuration of a network or a scheduler.

    Args:
        most: bytes that it may have.

    Raises:
        WeightsMissing: it does not exist, or is not a JSON object.
    """
    config = read_json(file, most)
    check_network(config, file)
    return config


def load_part(kind: Any, folder: FilePath, device: str, dtype: str) -> Any:
    """Load a network for inference.

    Both libraries initialise missing tensors at random and only log it; here that is an error.

    Args:
        kind: the network's class.
        folder: has config.json and safetensors.
        dtype: "float32", "float16" or "bfloat16".

    Raises:
        WeightsMissing: the folder does not exist, has no safetensors, or they do not match.
    """
    import torch
    from safetensors import SafetensorError

    if not (folder / "config.json").is_file():
        raise WeightsMissing(
            f"{folder} is not a folder of a released checkpoint: it has no config.json. It needs "
            f"config.json and the safetensors of a {kind.__name__}."
        )
    read_config(folder / "config.json")
    options = {"use_safetensors": True, "local_files_only": True, "variant": _variant(folder)}
    if kind.__module__.startswith("diffusers"):
        options["low_cpu_mem_usage"] = False  # else it warns where accelerate is not installed
    try:
        with quiet():
            part, info = kind.from_pretrained(
                folder, dtype=getattr(torch, dtype), output_loading_info=True, **options
            )
        wrong = [*info["missing_keys"], *info["mismatched_keys"]]
        reason = f"it lacks {wrong[0]}" if wrong else ""
    except (*MISMATCH, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
    if reason:
        raise WeightsMissing(
            f"The weights in {folder} are not those of a {kind.__name__}: {reason}. Download the "
            "checkpoint again; only safetensors are loaded."
        )
    return part.to(device).eval().requires_grad_(False)


def placed(
    on: Device,
    kind: Any,
    folder: FilePath,
    dtype: str,
    load: Callable[[], Any] | None = None,
    mark: str = "",
    *,
    exact: bool = False,
    more: Sequence[FilePath] = (),
) -> Any:
    """Return a network of a checkpoint on a device, loaded when it is first used.

    Args:
        load: loads it into main memory, where `load_part` is not enough.
        mark: tells it from another network that is loaded from the same folder.
        exact: its weights are never quantized, as those of an encoder or an autoencoder.
        more: further files of its weights, as of an adapter.
    """
    return on.network(
        f"{folder} {dtype} {mark}",
        load or (lambda: load_part(kind, folder, "cpu", dtype)),
        size=lambda: stored_bytes(folder, dtype, more),
        exact=exact,
    )


def stored_bytes(folder: FilePath, dtype: str, more: Sequence[FilePath] = ()) -> int:
    """Return the bytes that a folder's network takes once it is loaded, without loading it.

    0 where the files cannot be read: loading them says why.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    size, half = 0, _variant(folder)
    try:
        for file in (*folder.glob("*.safetensors"), *more):
            if half or not HALF.search(file.name):
                with safe_open(file, "np") as tensors:
                    names = tensors.keys()
                    size += sum(math.prod(tensors.get_slice(n).get_shape()) for n in names)
    except (OSError, SafetensorError):
        return 0
    return size * getattr(torch, dtype).itemsize


def load_tokenizer(folder: FilePath, kind: str = "CLIPTokenizer") -> Any:
    """Load a tokenizer of transformers, by default CLIP's.

    If files are missing, transformers makes a tokenizer of three tokens; here that is an error.

    Raises:
        WeightsMissing: the vocabulary is missing, or cannot be read.
    """
    import transformers

    layouts = (("vocab.json", "merges.txt"), ("tokenizer.json",))
    if not any(all((folder / name).is_file() for name in names) for names in layouts):
        raise WeightsMissing(
            f"{folder} has no tokenizer: it needs vocab.json and merges.txt. Download the "
            "checkpoint again."
        )
    try:
        return getattr(transformers, kind).from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers package raises only this
        raise WeightsMissing(
            f"The tokenizer in {folder} cannot be read ({error}). Download the checkpoint again."
        ) from error


def _variant(folder: FilePath) -> str | None:
    """Return "fp16" or "bf16" if a folder has weights of that half precision only, else None."""
    names = [file.name for file in folder.glob("*.safetensors")]
    halves = (half for half in ("fp16", "bf16") if all(f".{half}." in name for name in names))
    return next(halves, None) if names else None


@contextmanager
def quiet() -> Iterator[None]:
    """Disable the progress bars and the logs of diffusers and transformers."""
    import diffusers.utils.logging as of_diffusers
    import transformers.utils.logging as of_transformers

    both: tuple[Any, ...] = of_diffusers, of_transformers
    before = [(log, log.get_verbosity(), log.is_progress_bar_enabled()) for log in both]
    for log in both:
        log.disable_progress_bar()
        log.set_verbosity_error()
    try:
        yield
    finally:
        for log, level, bars in before:
            log.set_verbosity(level)
            if bars:
                log.enable_progress_bar()

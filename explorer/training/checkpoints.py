"""Writing weights and manifests so that a full disk or a cut spoils nothing that was saved before.

Knows tensors and files; no model, no images.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from explorer.errors import TrainingError
from explorer.files import make_folder, write_file
from explorer.models.shared.manifest import sha256
from explorer.refusals import explain_failure

if TYPE_CHECKING:
    import torch

KINDS = (".safetensors", ".json", ".gz")  # of files that belong to weights


def explained(folder: FilePath, needed: int) -> AbstractContextManager[None]:
    """Turn a failure of the disk into a TrainingError.

    Args:
        needed: bytes that were to be written.
    """
    saved = "What was saved before is whole; the same command with --resume goes on from there."
    return explain_failure(folder, kind=TrainingError, needed=needed, saved=saved)


@contextmanager
def removed_on_failure(folder: FilePath) -> Iterator[None]:
    """Remove a folder of new files if the block, which moves them to their place, fails."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def diverged(what: str) -> TrainingError:
    """What to say when numbers are not finite any more."""
    return TrainingError(
        f"{what}. Training has stopped; the checkpoint before it is good. Go on from it with "
        "--resume and a lower learning rate: --rate 0.3"
    )


def write_tensors(
    file: FilePath, tensors: "dict[str, torch.Tensor]", metadata: dict[str, str] | None = None
) -> None:
    """Write a safetensors file, durably and as a whole; one that was there is replaced.

    Args:
        metadata: "format" must be among it for what diffusers reads, and is by default.

    Raises:
        TrainingError: the disk refuses, or a number is not finite; the file that was there is
            still whole.
    """
    import torch
    from safetensors.torch import save

    if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise diverged(f"{file}: not all weights are finite, so they are not written")
    make_folder(file.parent)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = save(plain, metadata or {"format": "pt"})
    with explained(file.parent, len(content)):
        write_file(file, content)


def write_manifest(file: FilePath, values: dict[str, Any]) -> None:
    """Write a manifest: these values, and the sha256 of every file of weights below its folder.

    Raises:
        TrainingError: the disk refuses.
    """
    found = [f for f in file.parent.rglob("*") if f.suffix in KINDS and f.name != file.name]
    hashes = {f.relative_to(file.parent).as_posix(): sha256(f) for f in sorted(found)}
    content = json.dumps(values | {"sha256": hashes}, indent=2, ensure_ascii=False) + "\n"
    with explained(file.parent, len(content)):
        write_file(file, content.encode())


def renew_hashes(file: FilePath) -> None:
    """Write a manifest again with the hashes of what lies beside it now.

    Raises:
        TrainingError: the disk refuses.
    """
    values = json.loads(file.read_text("utf-8"))
    write_manifest(file, {name: value for name, value in values.items() if name != "sha256"})

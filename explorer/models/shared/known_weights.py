"""Known weights: what was found when a CLIP was loaded, for as long as its files are unchanged.

The fingerprint of a model takes all of its weights to compute. It is written down in the user's
cache, so that a search by words need not load the image tower to know whose words it
reads.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path as FilePath
from typing import Any

from explorer.errors import DiskError
from explorer.files import collect_temporary, write_file
from explorer.models.shared.text_tower import is_plain, is_stored
from explorer.places import caches_folder
from explorer.refusals import explain_failure


@dataclass(frozen=True)
class KnownWeights:
    """A CLIP in open_clip's layout.

    Args:
        files: the safetensors, the tokenizer's vocabulary, and what else decides what is loaded.
        stats: size, times and inode of each, before it was loaded; an archive cannot set the time
            of an inode's last change.
        config: `model_cfg`, as it was loaded.
        fingerprint: of its Space.
    """

    files: tuple[str, ...]
    stats: tuple[tuple[int, ...], ...]
    config: dict[str, Any]
    fingerprint: str = ""


def before_loading(
    weights: FilePath, config: dict[str, Any], vocabulary: FilePath | None, *others: FilePath
) -> KnownWeights | None:
    """Note the files of a model before it is loaded; None if it takes open_clip to read its words.

    Args:
        vocabulary: None is open_clip's own.
        others: files that decide what is loaded.
    """
    from safetensors import SafetensorError

    try:
        plain = weights.suffix == ".safetensors" and is_plain(config) and is_stored(weights, config)
    except (OSError, SafetensorError):  # loading says what is wrong
        plain = False
    if not plain:
        return None
    if vocabulary is None:
        from open_clip.tokenizer import default_bpe

        vocabulary = FilePath(default_bpe())
    names = tuple(str(file.absolute()) for file in (weights, vocabulary, *others))
    return KnownWeights(names, _stats(names), config)


def remember_weights(model: str, known: KnownWeights | None) -> None:
    """Write down what was found of a model's weights; if the disk allows it."""
    if known is None:
        return
    place = _place(model)
    with suppress(OSError, DiskError, TypeError, ValueError):
        content = json.dumps(asdict(known)).encode()
        if place.is_file() and place.read_bytes() == content:
            return
        with explain_failure(place.parent):
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        collect_temporary(place.parent)
        write_file(place, content)


def known_weights(model: str) -> KnownWeights | None:
    """Return what was found of a model's weights; None if they changed since, or nothing was."""
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        values = json.loads(_place(model).read_text("utf-8"))
        files, stats = tuple(values["files"]), tuple(map(tuple, values["stats"]))
        if _stats(files) == stats:
            return KnownWeights(files, stats, values["config"], values["fingerprint"])
    return None


def _stats(files: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    found = (FilePath(file).stat() for file in files)
    return tuple((s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for s in found)


def _place(model: str) -> FilePath:
    name = hashlib.sha256(model.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return caches_folder() / "weights" / f"{name}.json"

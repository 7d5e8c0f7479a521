"""Tags of open_clip: names of released weights, and their files."""

import difflib
import logging
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Any

from explorer.errors import UnknownModel, WeightsMissing
from explorer.models.shared.hub import check_download


def architecture_and_tag(variant: str) -> tuple[str, str]:
    """Return architecture and tag in open_clip's spelling.

    Raises:
        UnknownModel: open_clip has no such architecture, or no such weights for it.
    """
    import open_clip

    architecture, _, tag = variant.rpartition("/")
    architecture = architecture.replace("/", "-")
    tag = tag.lower().replace("-", "_")
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tag in tags:
        return architecture, tag
    if tags:
        near = difflib.get_close_matches(tag, tags, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownModel(
            f"{architecture} has no weights {tag!r}.{hint} Use one of {', '.join(tags)}."
        )
    names = [f"{a}/{t}" for a, t in open_clip.list_pretrained()]
    close = difflib.get_close_matches(variant, names, n=3, cutoff=0.3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    raise UnknownModel(
        f"open_clip has no model {variant!r}. Pass an architecture and its weights, as in "
        f'load("openclip:ViT-B-32/laion2b_s34b_b79k"), or a folder.{hint}'
    )


def hub_file(config: dict[str, Any]) -> tuple[str, str]:
    """Return the repository, and the name of the weights' file without its suffix."""
    repository, _, file = config["hf_hub"].rpartition("/")
    return repository, file.rpartition(".")[0] or "open_clip_model"


def weights_of_tag(architecture: str, tag: str, config: dict[str, Any]) -> FilePath:
    """Return the weights' file, downloaded if the cache lacks it.

    Raises:
        WeightsMissing: it is not in the cache and cannot be downloaded.
    """
    from huggingface_hub import constants, try_to_load_from_cache
    from open_clip.pretrained import download_pretrained

    repository, name = hub_file(config)
    for candidate in (f"{name}.safetensors", f"{name}.bin", "open_clip_pytorch_model.bin"):
        cached = try_to_load_from_cache(repository, candidate)
        if isinstance(cached, str):
            return FilePath(cached)
    check_download(f"openclip:{architecture}/{tag}")
    try:
        with quiet():
            if not constants.HF_HUB_OFFLINE:
                # fail at once: download_pretrained retries for a minute
                urllib.request.urlopen(constants.ENDPOINT, timeout=10).close()
            return FilePath(download_pretrained(config))
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightsMissing(
            f"The weights {architecture}/{tag} (about {megabytes(architecture):.0f} MB, of "
            f"{repository}) are not on this machine and cannot be downloaded. With a network, run: "
            f"unclip models get openclip:{architecture}/{tag}"
        ) from error


def megabytes(architecture: str) -> float:
    """Compute the size of an architecture's weights in float32, without allocating them."""
    import open_clip

    with quiet():
        module = open_clip.create_model(architecture, device="meta", pretrained_text=False)
    return sum(p.numel() for p in module.parameters()) * 4 / 1e6


@contextmanager
def quiet() -> Iterator[None]:
    """Disable open_clip's logs on the root logger, which would also configure that logger."""
    root, handler, level = logging.getLogger(), logging.NullHandler(), logging.root.manager.disable
    root.addHandler(handler)
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
        root.removeHandler(handler)

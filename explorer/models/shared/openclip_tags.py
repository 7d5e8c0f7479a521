"""Tags of open_clip: names of released weights, and their files."""

import difflib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from explorer.errors import ExplorerError, UnknownModel
from explorer.models.shared.fingerprint import image_tower, of_open_clip
from explorer.models.shared.hub import Release
from explorer.models.shared.on_word import check_download, check_recorded, named_by_data
from explorer.models.shared.preprocess import Preprocess
from explorer.models.shared.short_names import short_of

SAFE = "open_clip_model.safetensors"
TOKENIZER = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("vocab.json", "vocab.txt", "merges.txt", "sentencepiece.bpe.model", "spiece.model"),
)


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


def releases_of_tag(variant: str) -> tuple[Release, ...]:
    """Return the repository of a tag's weights, and that of its tokenizer if it has its own.

    Raises:
        UnknownModel: as `architecture_and_tag`.
    """
    short = short_of(f"openclip:{variant}")
    if short is not None:  # known without importing open_clip, which takes seconds
        first = Release(short.repository, "main", (SAFE,), short.megabytes, short.licence)
        tokenizer: str | None = short.tokenizer
    else:
        import open_clip

        architecture, tag = architecture_and_tag(variant)
        config = open_clip.get_pretrained_cfg(architecture, tag)
        repository, _, file = config["hf_hub"].rpartition("/")
        whole = (f"{file.rpartition('.')[0]}.safetensors" if file else SAFE,)
        pickle = file or "open_clip_pytorch_model.bin"
        first = Release(repository, "main", whole, megabytes(architecture), pickle=pickle)
        tokenizer = open_clip.get_model_config(architecture)["text_cfg"].get("hf_tokenizer_name")
    if not tokenizer:
        return (first,)
    if tokenizer == first.repository:
        return (replace(first, patterns=(*first.patterns, *TOKENIZER)),)
    return first, Release(tokenizer, "main", TOKENIZER, 6, weights=False)


def weights_of_tag(variant: str) -> FilePath:
    """Return the weights' file, downloaded if the cache lacks it, and checked if it has it.

    Raises:
        UnknownModel: as `architecture_and_tag`.
        WeightsMissing: it is not in the cache and cannot be downloaded, or it is damaged.
    """
    from huggingface_hub import try_to_load_from_cache

    from explorer.models.trust import check_intact

    first, *others = releases_of_tag(variant)
    name = f"openclip:{variant}"
    files = (first.patterns[0], first.pickle, "open_clip_pytorch_model.bin")
    for file in filter(None, files):
        cached = try_to_load_from_cache(first.repository, file)
        if isinstance(cached, str):
            check_intact(FilePath(cached), name)
            return FilePath(cached)
    folder = first.fetch(name)
    for other in others:
        other.folder(name)
    return next(folder / file for file in files if file and (folder / file).is_file())


@contextmanager
def no_hub_for_data(name: str) -> Iterator[None]:
    """Keep transformers from fetching a tokenizer for a model that data names.

    Raises:
        WeightsMissing: the tokenizer is not on this machine.
    """
    from huggingface_hub import constants

    if not named_by_data():
        yield
        return
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    except ExplorerError:
        raise
    except (OSError, ValueError):
        check_download(name)
        raise
    finally:
        constants.HF_HUB_OFFLINE = before


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


def check_file(module: Any, file: FilePath, config: dict[str, Any], name: str) -> None:
    """Compare the image tower in a file with what data recorded of it, before it is loaded.

    A pickle, and a file whose tensors open_clip converts, is compared once it is loaded.
    """
    if not named_by_data() or file.suffix != ".safetensors":
        return
    here = module.visual.state_dict()
    stored = image_tower(file)
    if {k: v.shape for k, v in here.items()} == {k: v.shape for k, v in stored.items()}:
        seen = Preprocess.from_config(module.visual.preprocess_cfg)
        found = of_open_clip(module.visual, config["vision_cfg"], seen, stored)
        check_recorded(name, found)

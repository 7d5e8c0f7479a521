"""A folder in open_clip's layout: its files, its configuration and its vocabulary."""

from pathlib import Path as FilePath
from typing import Any

from explorer.errors import WeightsMissing
from explorer.models.shared.checked_config import check_open_clip, check_tokenizer, read_json

CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")


def read_config(folder: FilePath) -> dict[str, Any]:
    """Read and check the configuration of a folder in open_clip's layout.

    Raises:
        WeightsMissing: there is none, or it asks for what open_clip does not have.
    """
    if not (folder / CONFIG).is_file():
        raise WeightsMissing(
            f"{folder} is not a folder in open_clip's layout: it has no {CONFIG}. It needs "
            f"{CONFIG} with model_cfg and preprocess_cfg, and {WEIGHTS}."
        )
    config = check_open_clip(read_json(folder / CONFIG), folder / CONFIG)
    if config["model_cfg"]["text_cfg"].get("hf_tokenizer_name"):
        check_tokenizer(folder)
    return config


def own_vocabulary(folder: FilePath, model_config: dict[str, Any]) -> FilePath | None:
    """Return the tokenizer's vocabulary in a folder; None if it takes open_clip's own."""
    name = (model_config["text_cfg"].get("tokenizer_kwargs") or {}).get("bpe_path")
    if name is None:
        return None
    file = (folder / name).resolve()
    if not file.is_file() or not file.is_relative_to(folder.resolve()):
        raise WeightsMissing(f"The vocabulary {name} is not a file inside {folder}; put it there.")
    return file

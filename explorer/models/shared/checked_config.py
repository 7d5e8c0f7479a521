"""Configurations that others wrote: only keys and values that are known to be harmless.

open_clip and transformers would follow a configuration to code beside the weights, to another
model, or to the network. So whatever is not listed here is refused.
"""

import json
import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from explorer.errors import WeightsMissing

MOST = 1_000_000  # no width, layer count or vocabulary of a CLIP is larger
MOST_SIDE, MOST_LAYERS, MOST_WIDTH = 4096, 256, 16_384
MOST_BYTES = 1 << 20  # of a configuration
TOKENIZERS = (
    *("CLIPTokenizer", "GemmaTokenizer", "T5Tokenizer", "BertTokenizer", "RobertaTokenizer"),
    *("XLMRobertaTokenizer", "NllbTokenizer", "SiglipTokenizer", "Siglip2Tokenizer"),
    *("PreTrainedTokenizer", "TokenizersBackend"),
)

Rule = Callable[[Any], bool]


def whole(least: int, most: int) -> Rule:
    """Return the rule of a whole number in this range, or null."""
    return lambda v: v is None or (type(v) is int and least <= v <= most)


def number(least: float, most: float) -> Rule:
    """Return the rule of a finite number in this range, or null."""
    return lambda v: (
        v is None or (type(v) in (int, float) and math.isfinite(v) and least <= v <= most)
    )


def one_of(*values: Any) -> Rule:
    """Return the rule of one of these values."""
    return lambda v: isinstance(v, str | bool | type(None)) and v in values


def few(rule: Rule, most: int) -> Rule:
    """Return the rule of one value, or of a list of at most `most`."""
    return lambda v: (
        all(rule(x) and x is not None for x in v)
        if isinstance(v, list) and 0 < len(v) <= most
        else not isinstance(v, list) and rule(v)
    )


def _only(rules: Mapping[str, Rule]) -> Rule:
    return lambda v: (
        v is None or (isinstance(v, dict) and all(k in rules and rules[k](x) for k, x in v.items()))
    )


@cache
def _timm_names() -> frozenset[str]:
    """Return the image towers of timm that open_clip's own models have."""
    import open_clip

    configs = (open_clip.get_model_config(name) or {} for name in open_clip.list_models())
    names = (config.get("vision_cfg", {}).get("timm_model_name") for config in configs)
    return frozenset(name for name in names if name)


_FLAG = one_of(True, False, None)
_COUNT, _SHARE = whole(1, MOST_WIDTH), number(0, 1)
_TOWER: dict[str, Rule] = {
    "width": _COUNT,
    "mlp_ratio": number(0.01, 64),
    "ls_init_value": number(0, 10),
    "output_tokens": _FLAG,
    "final_ln_after_pool": _FLAG,
    "act_kwargs": _only({"approximate": one_of("tanh", "none")}),
    "norm_kwargs": _only({"eps": number(0, 1)}),
    "block_type": one_of("default", "custom", None),
    **dict.fromkeys(("qk_norm", "scaled_cosine_attn", "scale_heads"), _FLAG),
    **dict.fromkeys(("scale_attn_inner", "scale_attn", "scale_fc"), _FLAG),
}
_VISION = _TOWER | {
    "layers": few(whole(1, MOST_LAYERS), 4),
    "head_width": _COUNT,
    "patch_size": whole(1, MOST_SIDE),
    "image_size": few(whole(1, MOST_SIDE), 2),
    "patch_dropout": _SHARE,
    "attentional_pool": one_of(True, False, None, "parallel", "cascade"),
    "attn_pooler_queries": _COUNT,
    "attn_pooler_heads": _COUNT,
    "no_ln_pre": _FLAG,
    "pos_embed_type": one_of("learnable", "sin_cos_2d"),
    "pool_type": one_of("tok", "avg", "none"),
    "timm_model_name": lambda v: isinstance(v, str) and v in _timm_names(),
    "timm_model_pretrained": one_of(False),
    "timm_pool": one_of("", "avg", "map", "token", "abs_attn", "rot_attn", "avgmax", "max"),
    "timm_proj": one_of("", "linear", "mlp", "none", None),
    "timm_proj_bias": _FLAG,
    "timm_drop": _SHARE,
    "timm_drop_path": _SHARE,
}
_TEXT = _TOWER | {
    "layers": whole(1, MOST_LAYERS),
    "heads": _COUNT,
    "context_length": whole(1, MOST_SIDE),
    "vocab_size": whole(1, MOST),
    "hf_tokenizer_name": lambda v: v is None or (isinstance(v, str) and len(v) < 200),
    "tokenizer_mode": one_of("", "clips", None),
    "tokenizer_kwargs": _only(
        {
            "bpe_path": lambda v: isinstance(v, str) and "\0" not in v,
            "clean": one_of("lower", "canonicalize", "whitespace"),
            "strip_sep_token": _FLAG,
        }
    ),
    "embed_cls": _FLAG,
    "pad_id": whole(0, MOST),
    "eos_id": whole(0, MOST),
    "no_causal_mask": _FLAG,
    "pool_type": one_of("argmax", "eos", "last", "first", "none"),
    "proj_bias": _FLAG,
    "proj_type": one_of("linear", "none"),
}
_MODEL: dict[str, Rule] = {
    "embed_dim": lambda v: type(v) is int and 1 <= v <= MOST_WIDTH,
    "quick_gelu": _FLAG,
    "custom_text": _FLAG,
    "init_logit_scale": number(-100, 100),
    "init_logit_bias": number(-100, 100),
}
_PIXELS: dict[str, Rule] = {
    "size": few(whole(1, MOST_SIDE), 2),
    "mode": one_of("RGB"),
    "mean": few(number(-1000, 1000), 3),
    "std": few(number(1e-6, 1000), 3),
    "interpolation": one_of("bicubic", "bilinear", "random", None),
    "resize_mode": one_of("shortest", "longest", "squash", None),
    "fill_color": whole(0, 255),
}
_WORD = {
    "hf_model_name": "it names a text tower on the hub",
    "timm_model_name": "only the image towers of open_clip's own models are built",
    "timm_model_pretrained": "it asks for weights from the hub",
    "tokenizer_kwargs": "only bpe_path, clean and strip_sep_token may stand there",
}


def check_open_clip(config: Any, file: FilePath) -> dict[str, Any]:
    """Return an open_clip_config.json, if every key and value in it is on the list.

    Raises:
        WeightsMissing: one is not; the message names it.
    """
    model, pixels = (_part(config, name, file) for name in ("model_cfg", "preprocess_cfg"))
    towers = {name: _part(model, name, file) for name in ("vision_cfg", "text_cfg")}
    _check({k: v for k, v in model.items() if k not in towers}, _MODEL, "model_cfg", file)
    if "embed_dim" not in model:
        raise WeightsMissing(f"{file} has no model_cfg.embed_dim. {_LAYOUT}")
    _check(towers["vision_cfg"], _VISION, "vision_cfg", file)
    _check(towers["text_cfg"], _TEXT, "text_cfg", file)
    _check(pixels, _PIXELS, "preprocess_cfg", file)
    return config


_LAYOUT = "It needs model_cfg with embed_dim, vision_cfg and text_cfg, and preprocess_cfg."


def _part(config: Any, name: str, file: FilePath) -> dict[str, Any]:
    part = config.get(name) if isinstance(config, dict) else None
    if not isinstance(part, dict):
        raise WeightsMissing(
            f"{file} is not in open_clip's layout: {name} is not an object. {_LAYOUT}"
        )
    return part


def _check(values: dict[str, Any], rules: Mapping[str, Rule], where: str, file: FilePath) -> None:
    for name, value in values.items():
        if name in rules and rules[name](value):
            continue
        shown = repr(value)
        shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
        reason = _WORD.get(name, "it is not a known setting of a CLIP")
        raise WeightsMissing(
            f"{file} is refused: {where}.{name[:60]} is {shown}, and {reason}. Take the model by "
            "its name (openclip:ARCHITECTURE/TAG), or remove the setting if you know the file."
        )


def check_network(config: dict[str, Any], file: FilePath) -> None:
    """Refuse a configuration of diffusers or transformers that names code, or a vast network.

    Raises:
        WeightsMissing: a key names code, or a number or a list is beyond any released network.
    """
    if "auto_map" in config or "custom_pipelines" in config:
        raise WeightsMissing(
            f"{file} names code of its own, and code of a folder is never run. Take the folder "
            "from its source again."
        )
    waiting: list[tuple[str, Any]] = list(config.items())
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.items()
        elif isinstance(value, list):
            waiting += [(name, one) for one in value]
        most = MOST if name in _LARGE else MOST_WIDTH
        wrong = isinstance(value, int | float) and not (math.isfinite(value) and value <= most)
        wrong |= isinstance(value, list) and len(value) > MOST_WIDTH
        if wrong or len(waiting) > MOST:
            raise WeightsMissing(
                f"{file} is refused: {name[:60]} is {value!r:.60}, which is more than any network "
                "of a released model has. Take the folder from its source again."
            )


_LARGE = ("vocab_size", "num_train_timesteps", "intermediate_size", "bos_token_id", "eos_token_id",
          "pad_token_id")  # fmt: skip


def check_tokenizer(folder: FilePath) -> None:
    """Refuse a tokenizer of transformers that names code of its own, or no known class.

    Raises:
        WeightsMissing: a file names code, or the vocabulary is missing.
    """
    if not any((folder / f).is_file() for f in ("tokenizer.json", "vocab.json", "vocab.txt")):
        raise WeightsMissing(
            f"{folder} has no tokenizer, which its configuration asks for. Put tokenizer.json and "
            "tokenizer_config.json there."
        )
    for name in ("tokenizer_config.json", "config.json"):
        if not (folder / name).is_file():
            continue
        config = read_json(folder / name)
        kind = config.get("tokenizer_class")
        known = kind is None or (isinstance(kind, str) and kind.removesuffix("Fast") in TOKENIZERS)
        if "auto_map" in config or not known:
            raise WeightsMissing(
                f"{folder / name} names code of its own or an unknown tokenizer, and code of a "
                "folder is never run. Take a model with one of transformers' own tokenizers."
            )


def read_json(file: FilePath, most: int = MOST_BYTES) -> dict[str, Any]:
    """Read a JSON object of at most `most` bytes that somebody else wrote.

    Raises:
        WeightsMissing: the file is missing, too large, nested too deeply, or no JSON object.
    """
    try:
        if file.stat().st_size > most:
            raise ValueError(f"it is larger than {most:,} bytes")
        values = json.loads(file.read_text("utf-8"))
        if isinstance(values, dict):
            return values
        reason = "it is not a JSON object"
    except RecursionError:
        reason = "it is nested too deeply"
    except (OSError, ValueError) as error:
        reason = str(error)
    raise WeightsMissing(f"{file} is not valid ({reason}). Take the folder from its source again.")

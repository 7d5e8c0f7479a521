"""Folders of weights whose Python would write a file if anything ran it, and hostile settings."""

import copy
import json
import shutil

from typer.testing import CliRunner

from explorer.cli import unclip

SPY = 'from pathlib import Path\nPath({marker!r}).write_text("code of the folder ran")\n'


def plant_spy(folder, marker):
    """Put code under every name that a loader might import, and settings that ask for it."""
    code = SPY.format(marker=str(marker)) + (
        "from transformers import PreTrainedTokenizerFast\n"
        "class Spy(PreTrainedTokenizerFast):\n    pass\n"
    )
    places = [folder, *(each for each in folder.rglob("*") if each.is_dir())]
    for place in places:
        for name in ("spy", "pipeline", "modeling", "tokenization", "__init__", "setup"):
            (place / f"{name}.py").write_text(code)
        for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
            file = place / name
            config = json.loads(file.read_text()) if file.is_file() else {}
            if not file.is_file() and name == "config.json" and place != folder:
                continue
            auto = {"AutoTokenizer": ["spy.Spy", "spy.Spy"], "AutoModel": "spy.Spy"}
            auto |= {"AutoConfig": "spy.Spy"}
            file.write_text(json.dumps(config | {"auto_map": auto, "trust_remote_code": True}))
    (folder / "model_index.json").write_text(json.dumps({"_class_name": ["spy", "Spy"]}))


def spying_clip(pocket_weights, folder, marker):
    """The blocker: valid safetensors, and a tokenizer that asks for the folder's own code."""
    folder.mkdir(parents=True)
    for name in ("open_clip_model.safetensors", "bpe.txt.gz"):
        shutil.copy(pocket_weights / name, folder)
    config = json.loads((pocket_weights / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"] |= {
        "hf_tokenizer_name": "x",
        "tokenizer_kwargs": {"trust_remote_code": True},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    plant_spy(folder, marker)
    return folder


_DEEP = "[" * 100_000
SETTINGS = {  # where, and what: every one must be refused in one sentence
    **{
        f"text {key} {value!r:.30}": (("model_cfg", "text_cfg", key), value)
        for key, values in {
            "tokenizer_kwargs": [
                {"trust_remote_code": True},
                {"code_revision": "main"},
                {"cache_dir": "/tmp"},
                {"bpe_path": "../x"},
                {"bpe_path": "/etc/passwd"},
                {"bpe_path": 3},
                {"bpe_path": "a\0b"},
                {"tokenizer_file": "/etc/passwd"},
                {"token": "x"},
                [],
                "x",
            ],
            "hf_model_name": ["roberta-base", "./", "", None],
            "hf_model_pretrained": [True],
            "hf_tokenizer_name": [3, "x" * 1000, ["x"]],
            "layers": [0, -1, 10**9, "3", 1.5, True, [3]],
            "width": [10**12, float("nan"), {}],
            "vocab_size": [10**12, 0, "many"],
            "context_length": [10**9, -5, []],
            "pool_type": ["os.system", 3],
            "act_kwargs": [{"__class__": "x"}, 3],
        }.items()
        for value in values
    },
    **{
        f"vision {key} {value!r:.30}": (("model_cfg", "vision_cfg", key), value)
        for key, values in {
            "timm_model_name": ["hf-hub:evil/model", "local-dir:/tmp", "../x", "resnet50", 3],
            "timm_model_pretrained": [True, "yes"],
            "image_size": [10**9, [64, 64, 64], -1, "64", [64, None]],
            "layers": [[2] * 1000, [[2]], 10**9],
            "width": [0, 10**9],
            "patch_size": [0, "x"],
            "__class__": ["x"],
        }.items()
        for value in values
    },
    **{
        f"{'.'.join(where)} {value!r:.30}": (where, value)
        for where, value in [
            (("model_cfg",), None),
            (("model_cfg",), []),
            (("model_cfg", "text_cfg"), None),
            (("model_cfg", "vision_cfg"), None),
            (("model_cfg", "text_cfg"), "x"),
            (("model_cfg", "embed_dim"), 10**12),
            (("model_cfg", "embed_dim"), True),
            (("model_cfg", "embed_dim"), None),
            (("model_cfg", "multimodal_cfg"), {}),
            (("preprocess_cfg",), None),
            (("preprocess_cfg", "size"), 10**9),
            (("preprocess_cfg", "mean"), [0, "x", 1]),
            (("preprocess_cfg", "std"), 0),
            (("preprocess_cfg", "interpolation"), ["bicubic"]),
        ]
    },
}
TEXTS = {"deep": _DEEP, "empty": "", "list": "[]", "not json": "{", "null": "null", "huge": "1" * 9}


def changed(config, where, value):
    """A copy of a configuration with one setting changed."""
    config = copy.deepcopy(config)
    inner = config
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    return config


def run(*words):
    return CliRunner().invoke(unclip, [str(word) for word in words])


def refused(result, word):
    """One sentence and no traceback."""
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert word in " ".join(result.output.split())
    assert "Traceback" not in result.output
    return True

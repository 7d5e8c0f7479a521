"""CLIP towers of transformers: the same points and the same Space as through open_clip."""

import gzip
import json
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_clip import DIMENSION, IMAGE_SIZE, LENGTH, write_clip, write_image_tower

from explorer.device import Device
from explorer.errors import SpaceMismatch, WeightsMissing
from explorer.models import load
from explorer.models.shared.checkpoint import load_part
from explorer.models.shared.clip_towers import load_towers

NAME = "openclip:tiny"
TEXTS = ["a red cat", "", "ঌ 🐱 \udcff", "words " * 5000, "w" * 100_000]


def images(n=3):
    rng = np.random.default_rng(0)
    small = [Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)) for _ in range(n)]
    return [image.resize((50, 40), Image.Resampling.BICUBIC) for image in small]


def towers(folder, **options):
    """The encoder of a folder, with the text tower unless `text=None`."""
    given = {
        "image": folder / "image_encoder",
        "text": folder / "text_encoder",
        "tokenizer": folder / "tokenizer",
        "preprocess": folder / "feature_extractor",
        "device": Device("cpu"),
    }
    return load_towers(NAME, **given | options)


def into_open_clip(folder, target):
    """Write the same CLIP in open_clip's layout, its tensors fused, renamed and turned."""
    state = {}
    for part, prefix, own in [
        ("image_encoder", "vision_model", "visual."),
        ("text_encoder", "text_model", ""),
    ]:
        for name, tensor in load_file(folder / part / "model.safetensors").items():
            state[f"{own}{_name(name.removeprefix(prefix + '.'))}"] = tensor
    for name in [name for name in state if ".q_proj." in name]:
        fused = [state.pop(name.replace("q_proj", f"{x}_proj")) for x in "qkv"]
        state[name.replace("q_proj.", "in_proj_")] = torch.cat(fused)
    for name in ("visual.proj", "text_projection"):
        state[name] = state[name].T.contiguous()
    state["logit_scale"] = torch.ones(())
    target.mkdir()
    save_file(state, target / "open_clip_model.safetensors")
    config = json.loads((folder / "image_encoder/config.json").read_text())
    merges = (folder / "tokenizer/merges.txt").read_bytes()
    (target / "bpe.txt.gz").write_bytes(gzip.compress(merges.strip()))
    text = {"width": DIMENSION, "heads": 2, "layers": 2, "mlp_ratio": 64 / DIMENSION}
    text |= {"context_length": LENGTH, "tokenizer_kwargs": {"bpe_path": "bpe.txt.gz"}}
    text["vocab_size"] = len(json.loads((folder / "tokenizer/vocab.json").read_text()))
    seen = json.loads((folder / "feature_extractor/preprocessor_config.json").read_text())
    described = {
        "model_cfg": {
            "embed_dim": DIMENSION,
            "quick_gelu": config["hidden_act"] == "quick_gelu",
            "vision_cfg": {
                "image_size": IMAGE_SIZE,
                "patch_size": 8,
                "width": 32,
                "head_width": 16,
                "layers": 2,
                "mlp_ratio": 2.0,
            },
            "text_cfg": text,
        },
        "preprocess_cfg": {"mean": seen["image_mean"], "std": seen["image_std"]},
    }
    (target / "open_clip_config.json").write_text(json.dumps(described))
    return target


def _name(name):
    """A tensor's name in open_clip, but for q, k and v."""
    pairs = [
        ("encoder.layers.", "transformer.resblocks."),
        ("self_attn.", "attn."),
        ("layer_norm1", "ln_1"),
        ("layer_norm2", "ln_2"),
        ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"),
        ("embeddings.class_embedding", "class_embedding"),
        ("embeddings.patch_embedding.weight", "conv1.weight"),
        ("embeddings.position_embedding.weight", "positional_embedding"),
        ("embeddings.token_embedding", "token_embedding"),
        ("pre_layrnorm", "ln_pre"),
        ("post_layernorm", "ln_post"),
        ("final_layer_norm", "ln_final"),
        ("visual_projection.weight", "proj"),
        ("text_projection.weight", "text_projection"),
    ]
    for theirs, ours in pairs:
        name = name.replace(theirs, ours)
    return name


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    write_clip(folder)
    return folder


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.mark.parametrize("quick_gelu", [True, False])
def test_one_clip_in_two_layouts_is_one_space_and_gives_the_same_points(quick_gelu, tmp_path):
    write_clip(tmp_path, quick_gelu=quick_gelu)
    ours = towers(tmp_path)
    theirs = load("openclip", source=into_open_clip(tmp_path, tmp_path / "tiny"), device="cpu")
    assert ours.space == theirs.space
    a, b = (e.encode_images(images()).vectors for e in (ours, theirs.encoder))
    assert np.abs(a - b).max() <= 1e-4
    a, b = (e.encode_text(["a red cat", "", "dog " * 50]).vectors for e in (ours, theirs.encoder))
    assert np.abs(a - b).max() <= 1e-4


def test_it_sees_images_and_reads_words_as_diffusers_pipelines_do(folder):
    from transformers import CLIPImageProcessor

    encoder = towers(folder)
    processor = CLIPImageProcessor.from_pretrained(folder / "feature_extractor")
    square = [image.resize((90, 90)) for image in images()]
    pixels = processor(square, return_tensors="pt").pixel_values
    with torch.inference_mode():
        expected = encoder.image_tower(pixels).image_embeds.numpy()
    assert np.abs(encoder.encode_images(square).vectors - expected).max() <= 0.05
    assert encoder.encode_images(square).norms.min() > 1.5  # raw
    points, states, mask = encoder.token_states(["a cat", ""])
    assert points.shape == (2, DIMENSION) and states.shape == (2, LENGTH, DIMENSION)
    assert mask.sum(1).tolist() == [4, 2]


def test_any_text_has_a_point_that_does_not_depend_on_the_others(folder):
    encoder = towers(folder)
    together = encoder.encode_text(TEXTS).vectors
    alone = np.concatenate([encoder.encode_text(text).vectors for text in TEXTS])
    assert np.abs(together - alone).max() <= 1e-4


def test_another_tower_or_another_view_is_another_space(folder, copy):
    spaces = [towers(folder).space]
    weights = copy / "image_encoder/model.safetensors"
    state = load_file(weights)
    name = next(name for name in state if "q_proj.weight" in name)
    save_file(state | {name: state[name] * 1.01}, weights)
    spaces.append(towers(copy).space)
    shutil.copy(folder / "image_encoder/model.safetensors", weights)
    for file, key, value in [
        ("image_encoder/config.json", "hidden_act", "gelu"),
        ("feature_extractor/preprocessor_config.json", "image_mean", [0.5, 0.5, 0.5]),
    ]:
        whole = (copy / file).read_text()
        (copy / file).write_text(json.dumps(json.loads(whole) | {key: value}))
        spaces.append(towers(copy).space)
        (copy / file).write_text(whole)
    assert len(set(spaces)) == 4 and towers(copy).space == spaces[0]


def test_half_precision_and_another_order_in_the_file_are_the_same_space(folder, copy):
    weights = copy / "image_encoder/model.safetensors"
    state = load_file(weights)
    weights.unlink()
    half = weights.with_name("model.fp16.safetensors")
    save_file({name: state[name].half() for name in reversed(state)}, half)
    a, b = towers(folder), towers(copy)
    assert a.space == b.space
    assert (
        np.abs(a.encode_images(images()).vectors - b.encode_images(images()).vectors).max() <= 0.05
    )


def test_words_go_through_open_clip_where_the_checkpoint_has_no_text_tower(folder, tmp_path):
    other = into_open_clip(folder, tmp_path / "tiny")
    encoder = towers(folder, text=None, tokenizer=None, text_from=f"openclip:{other}")
    expected = load(f"openclip:{other}", device="cpu").encoder.encode_text("a cat")
    assert (encoder.encode_text("a cat").vectors == expected.vectors).all()
    with pytest.raises(WeightsMissing, match="no text tower"):
        encoder.token_states(["a cat"])


def test_words_of_another_clip_are_refused(folder, tmp_path):
    other = into_open_clip(folder, tmp_path / "tiny")
    write_image_tower(folder := tmp_path / "other" / "image_encoder", seed=1)
    encoder = load_towers(
        NAME,
        image=folder,
        text=None,
        tokenizer=None,
        preprocess=None,
        device=Device("cpu"),
        text_from=f"openclip:{other}",
    )
    with pytest.raises(SpaceMismatch, match="image tower must be"):
        encoder.encode_text("a cat")


def test_missing_weights_of_the_text_model_are_named(folder, monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    encoder = towers(folder, text=None, text_from="openclip:ViT-B-32/laion2b_s34b_b79k")
    with pytest.raises(WeightsMissing, match="ViT-B-32/laion2b_s34b_b79k"):
        encoder.encode_text("a cat")


@pytest.mark.parametrize("damage", ["gone", "truncated", "config", "preprocess"])
def test_a_damaged_image_tower_is_one_clear_error(damage, copy):
    image = copy / "image_encoder"
    if damage == "gone":
        (image / "model.safetensors").rename(image / "pytorch_model.bin")
    elif damage == "truncated":
        file = image / "model.safetensors"
        file.write_bytes(file.read_bytes()[:1000])
    elif damage == "config":
        (image / "config.json").write_text("{}")
    else:
        (copy / "feature_extractor/preprocessor_config.json").unlink()
    with pytest.raises(WeightsMissing, match=str(copy if damage == "preprocess" else image)):
        towers(copy)


@pytest.mark.parametrize("damage", ["gone", "lacks", "size", "pickle"])
def test_a_network_is_loaded_whole_or_not_at_all(damage, copy):
    from transformers import CLIPTextModelWithProjection

    weights = copy / "text_encoder/model.safetensors"
    state = load_file(weights)
    name = "text_projection.weight"
    if damage == "gone":
        shutil.rmtree(weights.parent)
    elif damage == "lacks":
        save_file({k: v for k, v in state.items() if k != name}, weights)
    elif damage == "size":
        save_file(state | {name: state[name][:, :-1].contiguous()}, weights)
    else:
        weights.unlink()
        torch.save(state, weights.with_name("pytorch_model.bin"))
    with pytest.raises(WeightsMissing, match=str(weights.parent)):
        load_part(CLIPTextModelWithProjection, weights.parent, "cpu", "float32")


@pytest.mark.parametrize("damage", ["vocab.json", "merges.txt", "garbage"])
def test_a_tokenizer_is_never_made_up(damage, copy):
    file = copy / "tokenizer" / damage
    if damage == "garbage":
        file.with_name("vocab.json").write_text("{")
    else:
        file.unlink()
    with pytest.raises(WeightsMissing, match=str(file.parent)):
        towers(copy).encode_text("a cat")


def test_loading_says_nothing_and_leaves_the_libraries_as_they_were(folder, capfd):
    from transformers.utils import logging

    logging.enable_progress_bar()
    before = logging.get_verbosity()
    towers(folder).encode_text("a cat")
    assert capfd.readouterr() == ("", "")
    assert logging.get_verbosity() == before and logging.is_progress_bar_enabled()


def test_images_are_preprocessed_without_torch(folder):
    code = (
        "import sys, pickle; from PIL import Image\n"
        "preprocess = pickle.loads(sys.stdin.buffer.read())\n"
        "print(preprocess(Image.new('RGB', (70, 50))).shape, 'torch' in sys.modules)"
    )
    data = pickle.dumps(towers(folder).preprocess)
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert done.stdout.decode().strip() == f"(3, {IMAGE_SIZE}, {IMAGE_SIZE}) False"

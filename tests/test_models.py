"""The contract of every encoder, and open_clip's models by it and against open_clip itself.

The contract runs over every name of MODELS whose weights are here, and over a tiny open_clip model
with random weights; that of priors and decoders is in test_contract.py.
"""

import json
import logging
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from explorer.device import Device
from explorer.errors import (
    ExplorerError,
    SpaceMismatch,
    UnknownModel,
    WeightsMissing,
)
from explorer.images import open_image
from explorer.models import MODELS, describe, load
from explorer.models.shared.preprocess import Preprocess
from explorer.models.shared.short_names import SHORT_NAMES
from explorer.points import Space

HERE = [card["name"] for card in describe() if card["weights_here"]]
TEXTS = ["a red circle", "", "ঌ 🐱 \udcff", "words " * 5000, "w" * 100_000, "a red circle"]
CONFIG = {
    "model_cfg": {
        "embed_dim": 24,
        "vision_cfg": {
            "image_size": 32,
            "layers": 2,
            "width": 32,
            "head_width": 16,
            "patch_size": 8,
        },
        "text_cfg": {
            "context_length": 16,
            "vocab_size": 49408,
            "width": 32,
            "heads": 2,
            "layers": 2,
        },
    },
    "preprocess_cfg": {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]},
}


def image(seed=0, size=(50, 40)):
    """Smooth coloured patches: more like a photograph than noise is."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def write_folder(folder, config=CONFIG):
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    text = {k: v for k, v in config["model_cfg"]["text_cfg"].items() if k != "tokenizer_kwargs"}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = open_clip.CLIP(**{**config["model_cfg"], "text_cfg": text})
    state = {name: value.contiguous() for name, value in module.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session", params=[*HERE, "openclip:tiny"])
def name(request, folder):
    return request.param.replace("openclip:tiny", f"openclip:{folder}")


@pytest.fixture(scope="session")
def model(name):
    return load(name, device="cpu")


# The contract


def test_pockets_weights_are_here():
    assert "pocket" in HERE


def test_both_towers_give_raw_finite_points_of_one_space(model):
    texts = model.encoder.encode_text(TEXTS)
    images = model.encoder.encode_images([image(), image(1, (1, 300)), image(2, (900, 7))])
    assert (texts.side, images.side) == ("text", "image")
    assert texts.space == images.space == model.space
    assert texts.vectors.shape == (6, model.space.dimension)
    assert images.vectors.shape == (3, model.space.dimension)
    assert not np.allclose(np.concatenate([texts.norms, images.norms]), 1, atol=1e-3)


def test_a_text_does_not_depend_on_the_others(model):
    together = model.encoder.encode_text(TEXTS).vectors
    alone = np.concatenate([model.encoder.encode_text(t).vectors for t in TEXTS])
    assert np.abs(together - alone).max() <= 1e-4 * np.abs(alone).max()
    assert np.array_equal(together[0], together[5])


def test_a_image_does_not_depend_on_the_others(model):
    images = [image(seed) for seed in range(5)]
    together = model.encoder.encode_images(images).vectors
    alone = np.concatenate([model.encoder.encode_images(p).vectors for p in images])
    assert np.abs(together - alone).max() <= 1e-4 * np.abs(alone).max()
    assert len(np.unique(np.round(together, 4), axis=0)) == 5


def test_the_same_weights_are_the_same_space(model, name):
    again = load(name, device="cpu")
    assert again.space == model.space and len(model.space.fingerprint) == 64
    assert np.array_equal(
        again.encoder.encode_text("a cat").vectors, model.encoder.encode_text("a cat").vectors
    )


def test_images_are_preprocessed_without_torch(model):
    code = (
        "import sys, pickle; from PIL import Image\n"
        "preprocess = pickle.loads(sys.stdin.buffer.read())\n"
        "print(preprocess(Image.new('RGB', (70, 50))).shape, 'torch' in sys.modules)"
    )
    data = pickle.dumps(model.encoder.preprocess)
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    shape = model.encoder.preprocess(image()).shape
    assert done.stdout.decode().strip() == f"{shape} False"


def test_embed_agrees_with_encode_images(model, tmp_path):
    image().save(tmp_path / "a.png")
    (result,) = model.encoder.embed([tmp_path / "a.png"])
    expected = model.encoder.encode_images(open_image(tmp_path / "a.png")).vectors[0]
    assert np.allclose(result.vector, expected, atol=1e-5)


# The registry


def test_a_wrong_name_lists_the_right_ones_and_the_nearest():
    with pytest.raises(
        UnknownModel, match=rf"{', '.join([*MODELS, *SHORT_NAMES])}\. Did you mean 'pocket'"
    ):
        load("poket")


def test_every_model_is_described_without_torch():
    code = (
        "import sys; from explorer.models import MODELS, describe\n"
        "assert [card['name'].partition(':')[0] for card in describe()] == list(MODELS)\n"
        "assert not {'torch', 'open_clip', 'diffusers', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert {frozenset(card) for card in describe()} == {frozenset(describe()[0])}
    assert len(describe()) == len(MODELS)


def test_a_part_of_another_space_is_refused(folder):
    class Elsewhere:
        space = Space("elsewhere", 24, "0f")

    with pytest.raises(SpaceMismatch, match="elsewhere"):
        load(f"openclip:{folder}", device="cpu", decoder=Elsewhere())


# open_clip


def test_points_are_those_of_open_clip_itself(folder):
    import open_clip
    import torch

    module, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    module.eval()
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    encoder = load(f"openclip:{folder}", device="cpu").encoder
    texts, images = ["a cat", "Ein  Hund & mehr"], [image(), image(1)]
    with torch.no_grad():
        expected_text = module.encode_text(tokenizer(texts)).numpy()
        expected_image = module.encode_image(torch.stack([transform(i) for i in images])).numpy()
    assert np.allclose(encoder.encode_text(texts).vectors, expected_text, atol=1e-5)
    assert np.allclose(encoder.encode_images(images).vectors, expected_image, atol=1e-5)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [32, (32, 32), (24, 40)])
def test_preprocessing_equals_open_clips_transform(size, mode, interpolation):
    from open_clip.transform import PreprocessCfg, image_transform_v2

    config = {"size": size, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4), "fill_color": 9}
    config |= {"resize_mode": mode, "interpolation": interpolation}
    transform = image_transform_v2(PreprocessCfg(**config), is_train=False)
    ours = Preprocess.from_config(config)
    rng = np.random.default_rng(0)
    shapes = [(32, 32), (50, 40), (40, 50), (33, 101), (7, 5), (301, 299), (1, 9), (64, 64)]
    for width, height in shapes:
        noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        image = Image.fromarray(noise)
        assert np.abs(ours(image) - transform(image).numpy()).max() <= 1e-5, (width, height)


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_a_strip_costs_no_more_than_a_square(mode):
    pixels = Preprocess(resize_mode=mode)(Image.new("RGB", (1, 60_000), "white"))
    assert pixels.shape == (3, 224, 224) and np.isfinite(pixels).all()


def test_bfloat16_keeps_the_direction(folder):
    from explorer.models.openclip import OpenClipEncoder, load_folder

    module, tokenizer, _ = load_folder(folder)
    space = load(f"openclip:{folder}", device="cpu").space
    a, b = (
        OpenClipEncoder(module, tokenizer, space, precision).encode_images(
            [image(seed) for seed in range(8)]
        )
        for precision in ("float32", "bfloat16")
    )
    assert (a.unit * b.unit).sum(axis=1).min() >= 0.999
    assert not np.array_equal(a.vectors, b.vectors) and b.vectors.dtype == np.float32


def test_other_weights_or_preprocessing_are_another_space(folder, tmp_path):
    spaces = {load(f"openclip:{folder}", device="cpu").space.fingerprint}
    brighter = json.loads(json.dumps(CONFIG))
    brighter["preprocess_cfg"]["mean"] = [0.6, 0.4, 0.3]
    wider = json.loads(json.dumps(CONFIG))
    wider["model_cfg"]["vision_cfg"]["width"] = 48
    for i, config in enumerate([brighter, wider]):
        other = write_folder(tmp_path / str(i), config)
        spaces.add(load(f"openclip:{other}", device="cpu").space.fingerprint)
    assert len(spaces) == 3
    moved = tmp_path / "tiny"
    shutil.copytree(folder, moved)
    assert load("openclip", device="cpu", source=moved).space.fingerprint in spaces


def test_a_folder_may_bring_its_own_vocabulary(tmp_path):
    import gzip

    merges = ["#version: 0.2", "c a", "ca t</w>", "d o", "do g</w>"]
    config = json.loads(json.dumps(CONFIG))
    text = config["model_cfg"]["text_cfg"]
    text |= {"vocab_size": 512 + 4 + 2, "tokenizer_kwargs": {"bpe_path": "bpe.txt.gz"}}
    folder = write_folder(tmp_path / "own", config)
    with pytest.raises(WeightsMissing, match="bpe.txt.gz is not a file inside"):
        load(f"openclip:{folder}")
    (folder / "bpe.txt.gz").write_bytes(gzip.compress("\n".join(merges).encode()))
    encoder = load(f"openclip:{folder}", device="cpu").encoder
    assert encoder.tokenizer(["cat dog"])[0, :5].tolist() == [516, 513, 515, 517, 0]
    assert len(encoder.encode_text(TEXTS)) == 6
    text["tokenizer_kwargs"] = {"bpe_path": "../bpe.txt.gz"}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    (tmp_path / "bpe.txt.gz").write_bytes(gzip.compress("\n".join(merges).encode()))
    with pytest.raises(WeightsMissing, match="not a file inside"):
        load(f"openclip:{folder}")


def test_pickled_weights_are_refused(folder, tmp_path):
    (tmp_path / "open_clip_config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch x'\ntR.")
    with pytest.raises(WeightsMissing, match=r"open_clip_pytorch_model\.bin is a pickle"):
        load(f"openclip:{tmp_path}")


@pytest.mark.parametrize("damage", ["gone", "truncated", "garbage", "other architecture", "config"])
def test_a_damaged_folder_is_one_clear_error(damage, folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    weights = copy / "open_clip_model.safetensors"
    if damage == "gone":
        weights.unlink()
    elif damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "garbage":
        weights.write_bytes(b"\xff" * 5000)
    elif damage == "config":
        (copy / "open_clip_config.json").write_text("{")
    else:
        config = json.loads(json.dumps(CONFIG))
        config["model_cfg"]["vision_cfg"]["layers"] = 3
        (copy / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsMissing) as caught:
        load(f"openclip:{copy}", device="cpu")
    assert str(copy) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variant", "kind", "said"),
    [
        ("ViT-B-32/laion2b_s34b_b79k", WeightsMissing, "605 MB.*laion/CLIP-ViT-B-32-laion2B"),
        ("ViT-B-32/nonsense", UnknownModel, "'nonsense'.*openai.*laion2b_s34b_b79k"),
        ("ViT-B-33/openai", UnknownModel, "Did you mean ViT-B-32/openai"),
        ("ViT-B-32", UnknownModel, "an architecture and its weights"),
        ("/no/such/folder", WeightsMissing, "/no/such/folder is not a folder"),
    ],
)
def test_a_model_that_cannot_be_had_says_why(variant, kind, said, monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ExplorerError, match=said) as caught:
        load(f"openclip:{variant}", device="cpu")
    assert type(caught.value) is kind


def test_weights_in_the_cache_load_without_a_network(monkeypatch, tmp_path):
    """The file is named by its tag, and the activation is the one it was trained with."""
    import huggingface_hub
    import open_clip
    from safetensors.torch import save_file

    from explorer.models import openclip

    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", {"ViT-B-32": CONFIG["model_cfg"]})
    module = open_clip.CLIP(**CONFIG["model_cfg"])
    file = tmp_path / "open_clip_model.safetensors"
    save_file({k: v.contiguous() for k, v in module.state_dict().items()}, file)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *where: str(file))
    quick = openclip.build("ViT-B-32/openai", Device("cpu"))
    plain = openclip.build("ViT-B-32/laion2b-s34b-b79k", Device("cpu"))
    activation = quick.encoder.module.visual.transformer.resblocks[0].mlp.gelu
    assert type(activation).__name__ == "QuickGELU"
    assert plain.space.name == "openclip:ViT-B-32/laion2b_s34b_b79k"
    assert plain.space.fingerprint != quick.space.fingerprint


def test_loading_leaves_logging_as_it_was(folder):
    before = (list(logging.root.handlers), logging.root.level, logging.root.manager.disable)
    load(f"openclip:{folder}", device="cpu")
    after = (list(logging.root.handlers), logging.root.level, logging.root.manager.disable)
    assert before == after and logging.root.manager.disable == 0

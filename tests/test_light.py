"""Light: words are read without the model, and as the model reads them."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import save_file

import explorer as ex
from explorer import library as library_module
from explorer import samples
from explorer.cache_files import write_cache
from explorer.models.light import LightEncoder, light_encoder, light_folder
from explorer.models.pocket import FOLDER, MANIFEST
from explorer.models.shared.bpe import Bpe
from explorer.models.shared.known_weights import known_weights
from explorer.models.shared.openclip_folder import CONFIG
from explorer.models.shared.text_tower import TextTower, is_plain, is_stored
from explorer.models.shared.token_prior import TokenPrior, token_states
from explorer.notes import collecting

VOCABULARY = open_clip.tokenizer.default_bpe()
OURS, THEIRS = Bpe(VOCABULARY, 77), open_clip.tokenizer.SimpleTokenizer(VOCABULARY)
TEXTS = st.text(max_size=60) | st.lists(
    st.sampled_from(["a", "photo", "of", "don't", "CAFÉ", "&amp;", "12", "…", "  ", "猫", "'s"])
).map(" ".join)


@given(TEXTS)
@example("<start_of_text> it's <END_OF_TEXT> 3d")
@example("word " * 100)
@example("doesnâ€™t")
def test_words_become_the_tokens_of_open_clip(text):
    assert np.array_equal(OURS([text]), THEIRS([text]).numpy())


def tower_config(**text):
    shape = {"context_length": 20, "vocab_size": 49408, "width": 64, "heads": 4, "layers": 3}
    vision = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
    return {"embed_dim": 48, "vision_cfg": vision, "text_cfg": shape | text}


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("text", [{}, {"heads": 2, "layers": 1}, {"width": 96, "mlp_ratio": 4.0}])
def test_the_tower_gives_the_points_of_open_clip(tmp_path, quick, half, text):
    torch.manual_seed(1)
    config = tower_config(**text) | {"quick_gelu": quick}
    module = open_clip.CLIP(**config).eval()
    state = {k: v.half() if half else v.contiguous() for k, v in module.state_dict().items()}
    module.load_state_dict(state)
    save_file(state, tmp_path / "w.safetensors")
    tokens = Bpe(VOCABULARY, 20)(["a cat", "", "a very long text about nothing " * 9, "cat"])
    with torch.inference_mode():
        expected = module.encode_text(torch.from_numpy(tokens)).numpy()
    assert is_plain(config)
    ours = TextTower(tmp_path / "w.safetensors", config)(tokens)
    assert np.abs(ours - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    "config",
    [
        tower_config(pool_type="last"),
        tower_config(no_causal_mask=True),
        tower_config(hf_tokenizer_name="x"),
        tower_config(tokenizer_kwargs={"clean": "canonicalize"}),
        tower_config(mlp_ratio=2.0) | {"custom_text": True},
        {"embed_dim": 8, "vision_cfg": {}, "text_cfg": {"hf_model_name": "x"}},
    ],
)
def test_other_towers_are_left_to_open_clip(config):
    assert not is_plain(config)


@pytest.fixture
def folder(tmp_path, pocket):
    """A copy of pocket, loaded once."""
    copy = tmp_path / "copy"
    shutil.copytree(FOLDER, copy)
    ex.load(f"pocket:{copy}", device="cpu")
    return copy


def light(folder, space):
    return light_encoder(f"pocket:{folder}", space, lambda: pytest.fail("it was loaded"))


def test_words_are_read_as_by_the_model(folder, pocket):
    texts = ["cat face", "a dog with a hat", "woman: medium-dark skin tone", ""]
    ours = light(folder, pocket.space).encode_text(texts)
    theirs = pocket.encoder.encode_text(texts)
    assert ours.space == theirs.space and ours.side == "text" and ours.labels == theirs.labels
    assert np.allclose(ours.vectors, theirs.vectors, atol=1e-5)


def test_an_image_loads_the_model(folder, pocket, sample):
    encoder = light_encoder(f"pocket:{folder}", pocket.space, lambda: pocket.encoder)
    file = sample / "flat" / "1f436.png"
    assert np.allclose(
        encoder.encode_images(file).vectors, pocket.encoder.encode_images(file).vectors
    )


def test_adding_what_is_unchanged_loads_nothing(folder, pocket, sample, tmp_path, monkeypatch):
    some = shutil.copytree(sample / "flat", tmp_path / "some", ignore=lambda _, names: names[2:])
    monkeypatch.setattr(samples, "IMAGES", some)
    made = samples.sample_library(f"pocket:{folder}")
    for module in (samples, library_module):
        name = "load" if module is samples else "_loaded"
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("it was loaded"))
    again = samples.sample_library(f"pocket:{folder}")
    assert again.folder == made.folder and len(again) == len(made) == 2
    assert again.encoder.encode_text("cat face").space == pocket.space


@pytest.mark.parametrize(
    "name", ["open_clip_model.safetensors", "bpe.txt.gz", "open_clip_config.json"]
)
def test_a_changed_file_is_no_longer_known(folder, pocket, name):
    assert light(folder, pocket.space) is not None
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content)
    assert known_weights(f"pocket:{folder}") is None
    assert light(folder, pocket.space) is None


def test_weights_of_another_space_are_not_read(folder, pocket):
    other = ex.Space(pocket.space.name, pocket.space.dimension, "0" * 64)
    assert light(folder, other) is None


def test_what_is_written_down_may_be_damaged(folder, pocket):
    (place,) = (f for f in (caches() / "weights").iterdir() if str(folder) in f.read_text("utf-8"))
    for content in ("", "[]", "{", json.dumps({"files": 1}), '{"files": ["/x"], "stats": [[1]]}'):
        place.write_text(content)
        assert light(folder, pocket.space) is None


def caches():
    from explorer.places import caches_folder

    return caches_folder()


@pytest.mark.parametrize("change", ["bfloat16", "renamed", "reshaped"])
def test_weights_of_another_layout_are_left_to_open_clip(tmp_path, change):
    module = open_clip.CLIP(**tower_config())
    state = {name: tensor.contiguous() for name, tensor in module.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    assert is_stored(tmp_path / "w.safetensors", tower_config())
    name = "token_embedding.weight"
    tensor = state.pop(name)
    if change == "bfloat16":
        state[name] = tensor.bfloat16()
    elif change == "renamed":
        state[f"text.{name}"] = tensor
    else:
        state[name] = tensor[1:].contiguous()
    save_file(state, tmp_path / "w.safetensors")
    assert not is_stored(tmp_path / "w.safetensors", tower_config())


def test_the_same_notes_are_given(folder, pocket):
    for text in ("word " * 60, "zqxjkvbwpfh qzxwvkjy", "a cat"):
        with collecting() as ours:
            light(folder, pocket.space).encode_text([text])
        with collecting() as theirs:
            pocket.encoder.encode_text([text])
        assert ours == theirs


SEARCH = """
import sys
import explorer as ex
hits = ex.Library.open(sys.argv[1]).search(sys.argv[2], k=3)
print(*hits.items, sep="\\n")
print(sorted(sys.modules.keys() & {"torch", "open_clip", "regex", "scipy"}))
"""


def searched(library, query):
    done = subprocess.run(
        [sys.executable, "-c", SEARCH, str(library), query],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    *items, modules = done.stdout.splitlines()
    return items, modules


@pytest.fixture
def library(tmp_path, emoji_images, pocket):
    made = ex.Library.create(tmp_path / "emoji.lib", pocket)
    made.add(emoji_images)
    return made


COMMAND = """
import sys
from explorer.cli import main
try:
    main()
finally:
    heavy = {"torch", "open_clip", "regex", "scipy", "pandas", "pyarrow.compute", "rich", "faiss"}
    print(sorted(sys.modules.keys() & heavy))
"""


def test_the_command_search_imports_neither_torch_nor_pandas_nor_faiss(library):
    for expected in ("['regex', 'scipy']", "[]"):  # new words; words that were asked for before
        command = [sys.executable, "-c", COMMAND, "search", "-l", str(library.folder), "cat"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        *hits, modules = done.stdout.splitlines()
        assert len(hits) == min(12, len(library)) and modules == expected


def test_a_search_by_words_imports_no_torch(library):
    expected = list(library.search("a dog's face", k=3).items)
    shutil.rmtree(library.cache_folder)
    items, modules = searched(library.folder, "a dog's face")
    assert items == expected
    assert modules == "['regex', 'scipy']"
    assert searched(library.folder, "a dog's face") == (expected, "[]")


def test_words_asked_for_before_give_the_same_point(library, monkeypatch):
    first = library.search("cat face - dog face", k=5)
    monkeypatch.setattr(type(library), "encoder", property(lambda _: pytest.fail("it was loaded")))
    again = ex.Library.open(library.folder).search("cat face - dog face", k=5)
    assert again.items == first.items and np.array_equal(again.scores, first.scores)


def test_words_that_gave_a_note_give_it_again(library):
    for _ in range(2):
        with collecting() as notes:
            library.search("word " * 60)
        assert len(notes) == 1 and "reads the first 32" in notes[0]


def test_asked_words_are_not_written_down(library):
    library.search("a secret cat")
    for file in library.cache_folder.rglob("*"):
        assert not file.is_file() or b"secret" not in file.read_bytes()


def test_a_damaged_cache_of_words_is_made_again(library):
    first = library.search("cat face", k=5)
    (file,) = library.cache_folder.glob("asked-*")
    file.write_bytes(file.read_bytes()[:-5] + b"abcde")
    with collecting() as notes:
        again = ex.Library.open(library.folder).search("cat face", k=5)
    assert again.items == first.items and "damaged" in notes[0]


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * (32 + 1024), b"\xff" * (32 + 1024)])
def test_a_forged_cache_of_words_gives_no_points(library, content):
    first = library.search("cat face", k=5)
    (file,) = library.cache_folder.glob("asked-*")
    write_cache(file, library.space.fingerprint, content)
    assert ex.Library.open(library.folder).search("cat face", k=5).items == first.items


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_library_that_cannot_be_written_to_is_searched(library):
    shutil.rmtree(library.cache_folder)
    library.folder.chmod(0o500)
    try:
        assert len(ex.Library.open(library.folder).search("cat face", k=2)) == 2
    finally:
        library.folder.chmod(0o700)


def run(library, text, *options):
    return subprocess.run(
        [sys.executable, "-m", "explorer", "search", str(library.folder), "-k", "2", *options],
        input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_lines_are_queries(library):
    done = run(library, 'cat face\n\n"2:dog face" - "cat face"\n', "--json")
    assert done.returncode == 0 and not done.stderr
    found = [[hit["item"] for hit in json.loads(line)] for line in done.stdout.splitlines()]
    expected = [library.search(q, k=2).items for q in ("cat face", "2:dog face - cat face")]
    assert found == [list(items) for items in expected]


def test_a_line_that_is_refused_does_not_stop_the_rest(library):
    done = run(library, "- cat\nrock'n'roll\ncat face\n", "--json")
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 2
    assert done.stderr.count("\n") >= 1 and "only subtracts" in done.stderr


def test_a_line_whose_answer_lacks_what_is_damaged_ends_with_code_3(library, monkeypatch):
    """The rows that a search reads are damaged; the library opens."""
    for file in library.folder.glob("segments/*/vectors.npy"):
        content = bytearray(file.read_bytes())
        content[-40] ^= 64
        file.write_bytes(content)
    shutil.rmtree(library.cache_folder)
    one = unclip_search(library, "cat face")
    assert run(library, "cat face\n").returncode == one


def unclip_search(library, *words):
    command = [sys.executable, "-m", "explorer", "search", str(library.folder), *words]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_a_sheet_needs_one_query(library, tmp_path):
    done = run(library, "cat\n", "--sheet", str(tmp_path / "x.png"))
    assert done.returncode != 0 and "one query" in done.stderr and not list(tmp_path.glob("*.png"))


def test_pocket_reads_words_before_open_clip_is_imported():
    code = (
        "import sys, explorer as ex\n"
        "model = ex.load('pocket', device='cpu')\n"
        "list(model.decoder.decode(model.prior.sample('cat face')))\n"
        "assert 'open_clip' not in sys.modules\n"
        "assert model.encoder.whole.space == model.space and 'open_clip' in sys.modules\n"
        "assert model.encoder.whole.known == model.encoder.known\n"
        "assert model.encoder.side == 64\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_prior_reads_words_as_with_the_model(pocket):
    texts = ["cat face", "", "a very long text about nothing " * 9]
    whole = TokenPrior(FOLDER, pocket.encoder.whole, json.loads((FOLDER / MANIFEST).read_text()))
    assert not isinstance(whole.encoder, LightEncoder)
    ours, theirs = (prior.sample(texts).unit for prior in (pocket.prior, whole))
    assert np.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("width", [48, 64])
def test_the_states_of_tokens_are_those_of_open_clip(tmp_path, width):
    torch.manual_seed(1)
    config = tower_config() | {"embed_dim": width}
    module = open_clip.CLIP(**config).eval()
    save_file({k: v.contiguous() for k, v in module.state_dict().items()}, tmp_path / "w")
    tokens = Bpe(VOCABULARY, 20)(["a cat", "", "a very long text about nothing " * 9])
    with torch.inference_mode():
        points, states, mask = (x.numpy() for x in token_states(module, torch.from_numpy(tokens)))
    ours = TextTower(tmp_path / "w", config).states(tokens)
    assert np.array_equal(ours[2], mask)
    assert np.allclose(ours[0], points, atol=1e-5) and np.allclose(
        ours[1][mask], states[mask], atol=1e-5
    )


def test_what_is_done_to_a_light_encoder_is_done_to_the_model(folder, pocket, sample):
    files = sorted((sample / "flat").iterdir())[:3]
    encoder = light_encoder(f"pocket:{folder}", pocket.space, lambda: pocket.encoder.whole)
    whole = [each.vector for each in pocket.encoder.whole.embed(files)]
    assert np.array_equal([each.vector for each in encoder.embed(files)], whole)


def test_a_text_tower_that_only_open_clip_knows_loads_the_whole_model(tmp_path, pocket):
    copy = shutil.copytree(FOLDER, tmp_path / "copy")
    config = json.loads((copy / CONFIG).read_text())
    config["model_cfg"]["text_cfg"]["pool_type"] = "argmax"
    (copy / CONFIG).write_text(json.dumps(config))
    assert light_folder(copy, "pocket", lambda: pytest.fail("it was loaded")) is None

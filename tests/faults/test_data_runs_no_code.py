"""What somebody sends never runs code: each loader reads a folder that would write a file."""

import json
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import families
import pytest
from hostile_folders import SETTINGS, TEXTS, changed, plant_spy, refused, run, spying_clip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

import explorer
from explorer import edits
from explorer.errors import ExplorerError, WeightsMissing
from explorer.library import manifest
from explorer.models import trained, trust
from explorer.models.openclip import load_folder
from explorer.models.shared.checked_config import check_open_clip
from explorer.recipe import Recipe

POCKET = Path(explorer.__file__).parent / "weights" / "pocket"
CONFIG = json.loads((POCKET / "open_clip_config.json").read_text())
DOG = Path(explorer.__file__).parent / "sample" / "images" / "flat" / "1f436.png"


def test_index_does_not_run_the_code_of_a_tokenizer(tmp_path, marker):
    folder = spying_clip(POCKET, tmp_path / "clip", marker)
    result = run("index", DOG, "--library", tmp_path / "a.lib", "--model", f"openclip:{folder}")
    assert refused(result, "tokenizer")
    assert not marker.exists()


def test_code_does_not_run_without_the_setting_either(tmp_path, marker):
    folder = spying_clip(POCKET, tmp_path / "clip", marker)
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["tokenizer_kwargs"] = {}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "vocab.json"):
        (folder / name).write_text("{}")
    with pytest.raises(WeightsMissing, match="never run"):
        load_folder(folder)
    assert not marker.exists()


@pytest.fixture
def sent(emoji, tmp_path, marker):
    """A library whose manifest names a model folder inside itself."""
    folder = shutil.copytree(emoji, tmp_path / "sent.lib")
    clip = spying_clip(POCKET, folder / "model", marker)
    newest = next(iter(manifest.readable_manifests(folder)))
    changed_one = replace(newest, version=newest.version + 1, model=f"openclip:{clip}")
    manifest.write_manifest(folder, changed_one)
    return folder


def test_a_library_does_not_choose_its_own_folder(sent, marker):
    result = run("search", sent, "a cat")
    assert refused(result, f"--trust {sent / 'model'}")
    assert refused(run("app", sent, "--no-browser"), "--trust")
    with pytest.raises(WeightsMissing, match="--trust"):
        _ = explorer.Library.open(sent).encoder
    assert refused(run("search", sent, "a cat", "--trust", sent / "model"), "refused")
    assert not marker.exists()


def test_a_recipe_does_not_choose_a_folder_or_start_a_download(tmp_path, pocket, marker):
    made = edits.decode(pocket, DOG, settings=explorer.Settings(steps=1)).recipe.to_dict()
    clip = spying_clip(POCKET, tmp_path / "clip", marker)
    for model, decoder_from, said in [
        (f"openclip:{clip}", "", "--trust"),
        ("pocket", str(clip), "--trust"),
        ("openclip:ViT-B-32/laion2b_s34b_b79k", "", "unclip models get"),
        ("karlo", "", "unclip models get"),
    ]:
        forged = Recipe.from_dict(made | {"model": model, "decoder_from": decoder_from})
        with pytest.raises(WeightsMissing, match=said):
            edits.from_recipe(forged)
    assert not marker.exists()


def test_a_decoder_folder_does_not_choose_a_model(tmp_path, marker):
    clip, folder = spying_clip(POCKET, tmp_path / "clip", marker), tmp_path / "decoder"
    folder.mkdir()
    (folder / "decoder.json").write_text(json.dumps({"sha256": {}, "model": f"openclip:{clip}"}))
    assert refused(run("decode", DOG, "--decoder", folder, "-o", tmp_path / "a.png"), "--trust")
    assert not marker.exists()


MANIFESTS = [{}, {"sha256": []}, {"sha256": {}, "space": 3}, {"sha256": {}, "space": {"name": 1}}]
SPACE = {"name": "x", "dimension": 4, "fingerprint": "0f"}
MANIFESTS += [{"sha256": {}, "model": "pocket", "space": SPACE, "steps": "x"}]


@pytest.mark.parametrize("values", MANIFESTS)
def test_a_decoder_folder_with_gaps_is_one_sentence(values, tmp_path):
    (tmp_path / "decoder.json").write_text(json.dumps(values))
    with pytest.raises(WeightsMissing) as caught:
        trained.load_decoder(tmp_path, "cpu")
    assert "\n" not in str(caught.value)


def test_who_names_a_folder_is_not_asked_again_until_it_changes(tmp_path):
    clip = tmp_path / "clip"
    clip.mkdir()
    for name in ("open_clip_config.json", "open_clip_model.safetensors", "bpe.txt.gz"):
        shutil.copy(POCKET / name, clip)
    kept = tmp_path / "own.lib"
    assert run("index", DOG, "--library", kept, "--model", f"openclip:{clip}").exit_code == 0
    assert run("search", kept, "a dog").exit_code == 0
    (clip / "open_clip_config.json").write_text(json.dumps(CONFIG, indent=1))
    assert run("search", kept, "a dog").exit_code == 0  # asked before: the folder is not read
    assert refused(run("search", kept, "a cat"), f"--trust {clip}")
    assert run("search", kept, "a cat", "--trust", clip).exit_code == 0
    assert run("search", kept, "a bird").exit_code == 0


def test_trust_goes_by_content_not_by_name(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    (first / "x.json").write_text("{}")
    trust.remember(first)
    shutil.copytree(first, second)
    assert trust.is_trusted(second)
    (second / "y.json").write_text("{}")
    assert not trust.is_trusted(second)
    with pytest.raises(WeightsMissing, match="not a folder"):
        trust.remember(tmp_path / "gone")


@pytest.mark.parametrize("family", families.WRITERS)
def test_no_released_family_runs_code_of_its_folder(family, tmp_path, marker):
    folder = families.WRITERS[family](tmp_path / "weights")
    plant_spy(Path(folder), marker)
    try:
        model = explorer.load(family, source=folder, device="cpu")
        points = model.encoder.encode_images([DOG])
        list(model.decoder.decode(points, explorer.Settings(steps=2)))
        if model.prior is not None:
            model.prior.sample(["a dog"])
    except ExplorerError:
        pass  # refused in one sentence, as it may be
    assert not marker.exists()


def test_a_scheduler_is_one_of_a_fixed_list():
    from explorer.sampler.schedule import schedule

    for name in ("SchedulerMixin", "FlaxDDIMScheduler", "KarrasVeScheduler", "x.Scheduler", None):
        with pytest.raises(ExplorerError, match="no scheduler that is known"):
            schedule({"_class_name": name}, explorer.Settings(steps=2, solver="own"))


@pytest.mark.parametrize(
    "values",
    [
        {"beta_schedule": "x"},
        {"num_train_timesteps": "many"},
        {"num_train_timesteps": -3},
        {"prediction_type": "x"},
        {"prediction_type": ["x"]},
        {"trained_betas": "x"},
        {"beta_start": {}},
    ],
    ids=str,
)
@pytest.mark.parametrize("solver", ["own", "ddim", "dpm", "unipc"])
def test_a_scheduler_with_a_value_of_no_sense_is_one_sentence(values, solver):
    from explorer.sampler.schedule import schedule

    with pytest.raises(ExplorerError) as caught:
        schedule(
            {"_class_name": "DDIMScheduler"} | values, explorer.Settings(steps=2, solver=solver)
        )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("where", "value"), SETTINGS.values(), ids=SETTINGS)
def test_a_hostile_setting_is_refused_in_one_sentence(where, value, tmp_path):
    (tmp_path / "open_clip_config.json").write_text(json.dumps(changed(CONFIG, where, value)))
    shutil.copy(POCKET / "bpe.txt.gz", tmp_path)
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"")
    with pytest.raises(WeightsMissing) as caught:
        load_folder(tmp_path)
    assert "\n" not in str(caught.value)
    assert "do not match" not in str(caught.value)  # refused before anything was built


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_configuration_that_is_no_object_is_one_sentence(text, tmp_path):
    (tmp_path / "open_clip_config.json").write_text(text)
    with pytest.raises(WeightsMissing, match="not valid"):
        load_folder(tmp_path)


LEAF = some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=9)
FLAT = LEAF | some.lists(LEAF, max_size=3) | some.dictionaries(some.text(), LEAF, max_size=3)
VALUES = FLAT | some.lists(FLAT, max_size=3) | some.dictionaries(some.text(), FLAT, max_size=3)
KEYS = some.sampled_from(
    [
        *((name,) for name in CONFIG),
        *(("model_cfg", name) for name in CONFIG["model_cfg"]),
        *(("model_cfg", "text_cfg", name) for name in CONFIG["model_cfg"]["text_cfg"]),
        *(("model_cfg", "vision_cfg", name) for name in CONFIG["model_cfg"]["vision_cfg"]),
        *(("preprocess_cfg", name) for name in CONFIG["preprocess_cfg"]),
    ]
)


def fuzz(where, value):
    with suppress(WeightsMissing):
        check_open_clip(changed(CONFIG, where, value), Path("config.json"))


@given(KEYS, VALUES)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_of_a_setting_is_taken_or_refused(where, value):
    fuzz(where, value)


@pytest.mark.slow
@given(KEYS, VALUES)
@settings(max_examples=20_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_of_a_setting_is_taken_or_refused_many_times(where, value):
    fuzz(where, value)


def test_every_model_of_open_clip_that_asks_for_no_hub_passes_the_list():
    import open_clip

    pixels = {"size": 224, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}
    passed = 0
    for name in open_clip.list_models():
        model = open_clip.get_model_config(name)
        if "hf_model_name" in model["text_cfg"] or "multimodal_cfg" in model:
            continue
        check_open_clip({"model_cfg": model, "preprocess_cfg": pixels}, Path("config.json"))
        passed += 1
    assert passed > 80

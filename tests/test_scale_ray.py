"""Indexing with Ray: the same library as without, and what is said where it cannot be."""

import json
import pickle
import shutil
import time
from dataclasses import fields, replace
from importlib.util import find_spec

import numpy as np
import pytest
from fakes import ColourEncoder, coloured, image
from PIL import Image
from pyarrow import parquet
from scale_ray import make_sources, rows_of, two_cores  # noqa: F401  # a fixture
from typer.testing import CliRunner

import explorer
from explorer import cli
from explorer.errors import ExplorerError, LibraryError, QueryError
from explorer.library import Library
from explorer.library.existing import KnownRows
from explorer.library.manifest import read_manifest
from explorer.library.sources.items import Options
from explorer.library.sources.scan import scan
from explorer.library.staging import Block, Work
from explorer.projection import fitting
from explorer.scale import ray_session
from explorer.scale.decoding import DecoderPlan, DecodingActor, PlacingActor
from explorer.scale.embedding import Plan, StagingActor
from explorer.scale.pool import answer
from explorer.scale.probing import probe_batch_size
from explorer.scale.ray_engine import BLOCK_ROWS, MOST_BLOCKS, RayEngine

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


def test_a_library_made_with_ray_is_the_same_library(two_cores, tmp_path):  # noqa: F811
    sources = make_sources(tmp_path)
    local = Library.create(tmp_path / "local.lib", coloured())
    done = local.add(sources, encoder=ColourEncoder(), workers=0)
    other = Library.create(tmp_path / "ray.lib", coloured())
    steps = list(other.adding(sources, encoder=ColourEncoder(), engine=RayEngine(actors=2)))
    assert steps[-1].embedded == done.embedded == 60 and steps[-1].failed == done.failed == 3
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    same(local, other)

    (tmp_path / "photos" / "000.png").write_bytes(image(900))  # changed
    (tmp_path / "photos" / "001.png").unlink()
    (tmp_path / "photos" / "broken.png").write_bytes(image(901))  # mended
    done = local.add(sources, encoder=ColourEncoder(), workers=0)
    again = other.add(sources, encoder=ColourEncoder(), engine=RayEngine(actors=1))
    assert again == done and (again.embedded, again.removed, again.failed) == (2, 1, 2)
    same(local, other)


def same_images(mine, theirs):
    pairs = list(zip(mine, theirs, strict=True))
    apart = [np.abs(np.asarray(a, int) - np.asarray(b, int)).max() for a, b in pairs]
    return len(pairs) == len(mine) and max(apart) <= 1


def same(local, other, tolerance=1e-6):
    """Two libraries hold the same, and their manifests tell nothing of how they were made."""
    assert rows_of(local) == rows_of(other)
    assert np.abs(local.vectors[:] - other.vectors[:]).max() < tolerance
    assert sorted(local.errors["reason"]) == sorted(other.errors["reason"])
    assert not other.verify(read_data=True)
    folder, mine = other.folder, other._store.manifest
    assert read_manifest(folder, mine.version) == mine and mine.rows == len(other)
    assert mine.sources == local._store.manifest.sources
    assert set(json.loads(mine.encode())["manifest"]) == set(
        json.loads(local._store.manifest.encode())["manifest"]
    )
    assert not list((folder / "cache").glob("attempts-*"))


def test_blocks_are_few_enough_for_a_manifest_and_many_enough_for_all_actors():
    least, most = BLOCK_ROWS
    engine = RayEngine(actors=4)
    assert engine.block_rows(10) == least
    assert -(-10_000 // engine.block_rows(10_000)) >= 4 * 8
    assert engine.block_rows(10**7) == most
    assert -(-(10**9) // engine.block_rows(10**9)) <= MOST_BLOCKS


@pytest.mark.parametrize("wrong", [{"actors": 0}, {"gpus": -1}, {"batch_size": 0}, {"cpus": 0}])
def test_numbers_that_are_too_small_are_refused(wrong):
    with pytest.raises(QueryError, match=f"{next(iter(wrong))} is "):
        RayEngine(**wrong)


def test_more_than_the_cluster_has_is_refused():
    class Cluster:
        @staticmethod
        def cluster_resources():
            return {"CPU": 8.0, "GPU": 2.0}

    assert RayEngine().resources(Cluster, 99) == (2, {"num_cpus": 1, "num_gpus": 1.0})
    assert RayEngine(gpus=0.25).resources(Cluster, 99)[0] == 8
    assert RayEngine(gpus=0).resources(Cluster, 99)[0] == 8
    assert RayEngine(gpus=0).resources(Cluster, 3)[0] == 3
    assert RayEngine(gpus=0, cpus=3).resources(Cluster, 99)[0] == 2
    with pytest.raises(QueryError, match="takes 9 cores"):
        RayEngine(cpus=9).resources(Cluster, 99)


def test_without_ray_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(ray_session, "find_spec", lambda _: None)
    with pytest.raises(ExplorerError, match=r"pip install 'unclip-explorer\[ray\]'"):
        RayEngine()


def test_a_cluster_that_asks_for_a_token_is_told_as_one(monkeypatch):
    import ray

    def refuse(**_):
        raise ray.exceptions.AuthenticationError("InvalidAuthToken")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with (
        pytest.raises(QueryError, match=r"asks for a token: copy ~/\.ray/auth_token"),
        ray_session.session("10.0.0.1:6379"),
    ):
        pass


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--engine", "spark"], "There is no engine 'spark'"),
        (["--actors", "2"], "--actors is an option of --engine ray"),
        (["--batch-size", "2"], "--batch-size is an option of --engine ray"),
    ],
)
def test_options_that_would_do_nothing_are_refused(words, said, tmp_path):
    run = CliRunner().invoke(
        cli.unclip, ["index", str(tmp_path), "--library", str(tmp_path / "a.lib"), *words]
    )
    assert run.exit_code == 2 and said in run.output


def plan(library, **changed):
    work = Work(library.folder, 1, "pocket", library.space, "float32", ())
    names = {field.name for field in fields(Work)} & set(changed)
    work = replace(work, **{name: changed.pop(name) for name in names})
    values = {"batch_size": 4, "readers": 0, "memory": None, "device": "cpu", "sources": ()}
    return Plan(work, attempts=library.folder / "cache" / "attempts", **values | changed)


def test_a_machine_that_does_not_see_a_folder_says_so(tmp_path):
    library = Library.create(tmp_path / "a.lib", coloured())
    for changed in ({"folder": tmp_path / "elsewhere"}, {"sources": (str(tmp_path / "gone"),)}):
        actor = StagingActor(plan(library, encoder=ColourEncoder(), **changed))
        with pytest.raises(LibraryError, match=r"does not see .*(elsewhere|gone)"):
            answer(actor({"block": b""})["staged"])


def test_an_actor_that_starts_late_sees_a_later_version(tmp_path):
    library = Library.create(tmp_path / "a.lib", coloured())
    (tmp_path / "a.png").write_bytes(image(0))
    library.add(tmp_path / "a.png", encoder=ColourEncoder())
    for value in range(5):  # the first manifest is gone by then
        library.set_columns({"tag": [value]})
    actor = StagingActor(plan(library, encoder=ColourEncoder()))
    assert actor.problem is None


def test_the_actor_takes_no_other_weights_than_the_librarys(tmp_path):
    library = Library.create(tmp_path / "a.lib", coloured())
    actor = StagingActor(plan(library))  # the space is that of colours
    with pytest.raises(ExplorerError, match="checksum|weights|colours"):
        answer(actor({"block": b""})["staged"])


class Slow(ColourEncoder):
    """Takes a millisecond a call, and an image more than `fast` at once as long again."""

    fast = 32

    def embed_pixels(self, pixels):
        time.sleep(0.004 * max(1, len(pixels) / self.fast))
        return super().embed_pixels(pixels)


def test_the_batch_size_is_where_more_images_are_no_faster():
    assert 16 <= probe_batch_size(Slow()) <= 128


def test_a_batch_that_takes_too_much_memory_is_not_taken():
    class Small(ColourEncoder):
        def embed_pixels(self, pixels):
            if len(pixels) > 4:
                raise MemoryError
            return super().embed_pixels(pixels)

    assert probe_batch_size(Small()) <= 4


@pytest.fixture(scope="module")
def few(tmp_path_factory, sample):
    """A library of pocket, of few images."""
    folder = tmp_path_factory.mktemp("few")
    shutil.copytree(sample / "flat", folder / "few")
    library = Library.create(folder / "a.lib", "pocket")
    library.add(sorted((folder / "few").iterdir())[:20], workers=0)
    return library


def test_an_actor_loads_the_model_by_its_name(few):
    actor = StagingActor(plan(few, version=few._store.manifest.version, batch_size=None))
    assert actor.problem is None
    assert actor.encoder.batch_size.bit_count() == 1  # a power of two: it was probed
    known = KnownRows({}, {}, {}, {})
    items = list(scan([str(few.folder.parent / "few")], Options(), None).items.values())
    staged = answer(actor({"block": pickle.dumps(Block(7, items[:3], known))})["staged"])
    assert staged.number == 7 and staged.segment.rows == 3 and staged.outcomes["embedded"] == 3
    vectors = np.load(few.folder / "segments" / staged.segment.id / "vectors.npy")
    right = few.encoder.encode_images([item.content for item in items[:3]])
    assert np.abs(vectors - right.vectors).max() < 1e-4
    assert not list((few.folder / "cache" / "attempts").iterdir())


def test_actors_decode_batches_and_place_parts(few):
    model = explorer.load("pocket", device="cpu")
    named = DecoderPlan.of(model, "cpu", None)
    settings, points = explorer.Settings(steps=2, seed=3), few.points([0, 1])
    _, task = model.decoder._prepared(points, settings)
    made = answer(DecodingActor(named)({"task": pickle.dumps(task)})["made"])
    right = [np.asarray(image) for image in model.decoder.decode(points, settings)]
    assert np.array_equal(made, right)
    other = DecodingActor(replace(named, fingerprint="0" * 64))
    with pytest.raises(ExplorerError, match="other weights"):
        answer(other({"task": pickle.dumps(task)})["made"])
    projection = explorer.Projection.fit(few.points())
    placed = PlacingActor(projection.transform)({"part": pickle.dumps(few.points([2, 5]))})
    assert np.array_equal(answer(placed["made"]), projection.transform(few.points([2, 5])))


def test_actors_have_the_weights_in_as_many_bits_as_the_model(few):
    exact, points = explorer.load("pocket", device="cpu"), few.points([0, 1])
    model = explorer.load("pocket", device="cpu", weights="int8")
    settings = explorer.Settings(steps=2)
    _, task = model.decoder._prepared(points, settings)
    actor = DecodingActor(DecoderPlan.of(model, "cpu", None))
    made = answer(actor({"task": pickle.dumps(task)})["made"])
    assert np.array_equal(made, list(map(np.asarray, model.decoder.decode(points, settings))))
    assert not np.array_equal(made, list(map(np.asarray, exact.decoder.decode(points, settings))))


@pytest.mark.slow
def test_the_command_makes_the_same_library_and_a_path_and_a_map_are_the_same(
    two_cores,  # noqa: F811
    few,
    tmp_path,
):
    words = f"index {few.folder.parent}/few --library {tmp_path}/a.lib --model pocket"
    run = CliRunner().invoke(
        cli.unclip, [*words.split(), "--engine", "ray", "--actors", "1", "--json"]
    )
    assert run.exit_code == 0, run.output
    library = Library.open(tmp_path / "a.lib")
    local = Library.create(tmp_path / "local.lib", "pocket")
    local.add(few.folder.parent / "few", workers=0)
    assert json.loads(run.stdout)["embedded"] == len(local) == len(library)
    same(local, library, 1e-4)

    engine, model = RayEngine(actors=2), explorer.load("pocket", device="cpu")
    ends = [str(item) for item in library.rows["item"][:2]]
    settings = explorer.Settings(steps=2)
    paths = [
        explorer.edits.interpolate(m, ends, frames=20, settings=settings)
        for m in (model, engine.decoding(model))
    ]
    assert same_images(*paths)
    projection = explorer.Projection.fit(library.points())
    others = explorer.Path.slerp(library.points([0]), library.points([1])).sample(9)
    assert np.array_equal(engine.place(projection, others), projection.transform(others))


@pytest.mark.slow
@pytest.mark.parametrize("over", ["its own decoder", "a bridge", "int8"])
def test_frames_are_decoded_by_actors_and_nowhere_else(two_cores, few, over, tmp_path):  # noqa: F811
    decoder = None
    if over == "a bridge":
        points, decoder = few.points(), tmp_path / "to_itself"
        bridge = explorer.Bridge.fit(points, points.with_vectors(points.vectors[:, ::-1]))
        bridge.with_figures({}, ("pocket", "pocket")).save(decoder)
    weights = "int8" if over == "int8" else None
    model = explorer.load("pocket", device="cpu", weights=weights, decoder=decoder and str(decoder))
    settings, points = explorer.Settings(steps=2, guidance=2.0), few.points(range(10))
    right = list(model.decoder.decode(points, settings))
    other = RayEngine(actors=2).decoding(model)

    def refuse(*_):
        raise AssertionError("decoded here")

    painted = other.decoder.with_options()
    painted.predict = painted.to_image = refuse
    assert same_images(right, list(painted.decode(points, settings)))
    with pytest.raises(AssertionError, match="decoded here"):
        painted.elsewhere = None
        list(painted.decode(points, settings))


@pytest.mark.slow
def test_walk_and_map_by_actors_give_the_files_that_they_give_here(
    two_cores,  # noqa: F811
    few,
    tmp_path,
    monkeypatch,
):
    monkeypatch.setattr(fitting, "MAX_WHOLE_POINTS", 15)
    monkeypatch.setattr(fitting, "LANDMARKS", 12)
    ends = [str(item) for item in few.rows["item"][:2]]
    engine = ["--engine", "ray", "--actors", "2"]
    commands = {
        "walk.png": ["walk", "-l", few.folder, *ends, "--frames", "8", "--steps", "2"],
        "map.parquet": ["map", "-l", few.folder, "--refit"],
    }
    for name, words in commands.items():
        for how in ([], engine):
            out = tmp_path / f"{'ray' if how else 'local'}.{name}"
            run = CliRunner().invoke(cli.unclip, [*map(str, words), "-o", str(out), *how])
            assert run.exit_code == 0, run.output
    maps = [parquet.read_table(tmp_path / f"{who}.map.parquet") for who in ("local", "ray")]
    assert maps[0].equals(maps[1]) and maps[0].num_rows == len(few)
    # A strip of all frames keeps every level; a video blows up what threads round otherwise.
    strips = [Image.open(tmp_path / f"{who}.walk.png").convert("RGB") for who in ("local", "ray")]
    assert strips[0].width > 8 * 64 and same_images(strips[:1], strips[1:])


def test_an_engine_that_would_do_nothing_is_refused(few, tmp_path):
    run = CliRunner().invoke(
        cli.unclip, ["map", str(few.folder), "-o", str(tmp_path / "a.html"), "--actors", "2"]
    )
    assert run.exit_code == 2 and "--actors is an option of --engine ray" in run.output

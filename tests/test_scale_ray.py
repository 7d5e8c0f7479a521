"""Indexing with Ray: the same library as without, and what is said where it cannot be."""

import json
import shutil
import time
from importlib.util import find_spec

import numpy as np
import pytest
from fakes import ColourEncoder, coloured, image
from scale_ray import make_sources, rows_of, two_cores  # noqa: F401  # a fixture
from typer.testing import CliRunner

from explorer import cli
from explorer.errors import ExplorerError, LibraryError, QueryError
from explorer.library import Library
from explorer.library.manifest import read_manifest
from explorer.scale import ray_session
from explorer.scale.embedding import Plan, StagingActor
from explorer.scale.probing import probe_batch_size
from explorer.scale.ray_engine import BLOCK_ROWS, MOST_BLOCKS, RayEngine, answer

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


def test_a_library_made_with_ray_is_the_same_library(two_cores, tmp_path, sample):  # noqa: F811
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

    few = tmp_path / "few"
    shutil.copytree(sample / "flat", few)
    local = Library.create(tmp_path / "local pocket.lib", "pocket")
    local.add(few, workers=0)
    words = f"index {few} --library {tmp_path}/pocket.lib --model pocket --engine ray --actors 1"
    run = CliRunner().invoke(cli.unclip, [*words.split(), "--json"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["embedded"] == len(local)
    same(local, Library.open(tmp_path / "pocket.lib"), 1e-4)


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
    values = {"batch_size": 4, "readers": 0, "encoder": None, "max_megapixels": None}
    values |= {"memory": None, "device": "cpu", "dtype": "float32", "model": "pocket"}
    values |= {"folder": library.folder, "version": 1, "sources": ()}
    values |= {"attempts": library.folder / "cache" / "attempts", "space": library.space}
    return Plan(**values | changed)


def test_a_machine_that_does_not_see_a_folder_says_so(tmp_path):
    library = Library.create(tmp_path / "a.lib", coloured())
    for changed in ({"folder": tmp_path / "elsewhere"}, {"sources": (str(tmp_path / "gone"),)}):
        actor = StagingActor(plan(library, encoder=ColourEncoder(), **changed))
        with pytest.raises(LibraryError, match=r"does not see .*(elsewhere|gone)"):
            answer(actor({"block": b""})["staged"])


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

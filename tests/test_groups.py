"""Near duplicates, clusters and probes, and the names of regions."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from fakes import COLOUR_SPACE, ColourEncoder, run
from PIL import Image, ImageFilter

import explorer as ex
from explorer import regions
from explorer.errors import QueryError
from explorer.regions import RegionName, name_regions, names_by_scores, region_names


def unclip(*arguments):
    """Run the command line and return the finished process."""
    command = [sys.executable, "-m", "explorer", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def near(tmp_path_factory, sample, pocket):
    """Forty sample images; two also smaller, one also as a copy of its bytes."""
    folder = tmp_path_factory.mktemp("near")
    for file in sorted((sample / "3d").glob("*.png"))[:200:5]:
        (folder / file.name).write_bytes(file.read_bytes())
    names = sorted(folder.iterdir())
    for file in names[:2]:
        image = Image.open(file)
        smaller = image.resize([round(0.9 * side) for side in image.size], Image.Resampling.LANCZOS)
        smaller.filter(ImageFilter.GaussianBlur(0.3)).save(folder / f"small-{file.name}")
    (folder / f"copy\n{names[2].name}").write_bytes(names[2].read_bytes())
    library = ex.Library.create(tmp_path_factory.mktemp("made") / "near.lib", pocket)
    library.add([folder], workers=0)
    return library


def of(library, row):
    """The name of a row's file."""
    return os.path.basename(library.rows["path"].iloc[row]).decode()


def test_duplicates_are_found_by_a_threshold_of_the_library_and_the_larger_is_kept(near):
    groups = ex.find_duplicates(near)
    found = {of(near, g.keep): [of(near, row) for row in g.others] for g in groups}
    names = sorted(name for name in (of(near, r) for r in range(len(near))) if name[0] != "s")
    plain = [name for name in names if not name.startswith("copy")]
    assert found[plain[0]] == [f"small-{plain[0]}"]
    assert found[plain[1]] == [f"small-{plain[1]}"]
    assert f"copy\n{plain[2]}" in {name for own in found.items() for name in (own[0], *own[1])}
    assert sum(map(len, found.values())) == 3


def test_files_only_prints_exact_names_for_scripts(near):
    done = unclip("duplicates", near.folder, "--files-only", "-0")
    files = done.stdout.split(b"\0")[:-1]
    assert len(files) == 3
    assert unclip("duplicates", near.folder, "-0").stdout == done.stdout
    assert unclip("duplicates", near.folder, "-0", "--json").returncode == 2
    assert all(os.path.isfile(file) for file in files)
    assert len(json.loads(unclip("duplicates", near.folder, "--json").stdout)["groups"]) == 3


def test_a_threshold_that_is_no_cosine_is_refused(near):
    with pytest.raises(QueryError, match="above 0 and up to 1"):
        ex.find_duplicates(near, 2)
    assert unclip("duplicates", near.folder, "--threshold", 0).returncode == 2


def test_clusters_part_what_lies_apart_the_same_way_each_time(near, monkeypatch):
    labels = ex.cluster(near, 3)
    assert np.array_equal(labels, ex.cluster(near, 3))
    sizes = np.bincount(labels)
    assert len(sizes) == 3
    assert (np.diff(sizes) <= 0).all()
    with pytest.raises(QueryError, match="44 clusters"):
        ex.cluster(near, 44)


def test_the_number_of_clusters_is_found(library, tmp_path):
    for number in range(40):
        colour = [(250, 0, number), (0, 250, number), (0, number, 250)][number % 3]
        Image.new("RGB", (8, 8), colour).save(tmp_path / f"{number:02}.png")
    run(library, [tmp_path], ColourEncoder())
    labels = ex.cluster(library)
    files = [int(of(library, row)[:2]) % 3 for row in range(40) if of(library, row)[0].isdigit()]
    assert len(set(zip(files, labels[: len(files)].tolist(), strict=True))) == 3


def test_the_command_keeps_clusters_and_scores_as_columns(near):
    done = unclip("cluster", near.folder, "--clusters", 3, "--json")
    assert len(json.loads(done.stdout)["clusters"]) == 3, done.stderr
    files = [os.fsdecode(path) for path in near.rows["path"][:4]]
    examples = [*("--positive", files[0], "--positive", files[1])]
    examples += ["--negative", files[2], "--negative", files[3]]
    done = unclip("probe", near.folder, *examples, "--json")
    assert json.loads(done.stdout)["folds"] == 4, done.stderr
    near.refresh()
    assert near.columns == ["cluster", "cluster_name", "probe"]
    assert near.rows["probe"].between(0, 1).all()
    hits = unclip("search", near.folder, "face", "--where", "cluster=0", "--json")
    assert {hit["cluster"] for hit in json.loads(hits.stdout)} == {0}


@pytest.mark.slow  # the sample library
def test_a_probe_tells_what_its_examples_share():
    library = ex.sample_library()
    faces = library.rows["group"].str.contains("face", case=False).to_numpy()
    if not faces.any():
        faces = library.rows["caption"].str.contains("face").to_numpy()
    inside, outside = np.flatnonzero(faces), np.flatnonzero(~faces)
    found = ex.probe(library, inside[:20].tolist(), outside[:400:20].tolist())
    assert found.accuracy >= 0.8
    assert found.folds == 40
    own, others = found.scores[inside[20:]], found.scores[outside]
    assert np.median(own) > np.quantile(others, 0.8)


@pytest.mark.slow  # the sample library
def test_a_probe_needs_examples_of_both_and_none_in_both():
    library = ex.sample_library()
    with pytest.raises(QueryError, match="there are 1 and 2"):
        ex.probe(library, [0], [1, 2])
    with pytest.raises(QueryError, match="choose one"):
        ex.probe(library, [0, 1], [1, 2])


@pytest.mark.slow  # the sample library
def test_captions_name_regions_where_there_are_captions():
    library = ex.sample_library()
    inside = library.rows["caption"].str.contains("clock").to_numpy()
    names = name_regions(library, inside)
    assert "clock" in names[True]


@pytest.mark.slow  # the sample library
def test_the_vocabulary_names_regions_without_captions(monkeypatch):
    monkeypatch.setattr(regions, "captions_of", lambda *_: None)
    library = ex.sample_library()
    clock = library.rows["caption"].str.contains("o’clock|thirty", regex=True).to_numpy()
    names = region_names(library, clock)
    assert names[True].words in {"clock", "alarm clock", "timer", "stopwatch"}
    assert names[True].auc > 0.8


@pytest.mark.slow  # the sample library
def test_regions_drawn_at_random_have_no_name(monkeypatch):
    monkeypatch.setattr(regions, "captions_of", lambda *_: None)
    library = ex.sample_library()
    drawn = np.random.default_rng(3).integers(0, 12, len(library))
    assert set(name_regions(library, drawn).values()) == {None}
    monkeypatch.undo()
    assert set(name_regions(library, drawn).values()) == {None}


def test_a_name_is_what_tells_a_region_apart_not_what_is_likely():
    random = np.random.default_rng(0)
    inside = np.arange(200) % 2
    scores = random.normal(size=(200, 3))
    scores[:, 0] += 9  # fits everything
    scores[:, 1] += 3 * inside
    names = names_by_scores(scores, ["everything", "own", "nothing"], inside, 2)
    assert names[1].words == "own"
    assert names[1].auc > 0.9
    assert names[0] is None or isinstance(names[0], RegionName)


@pytest.mark.slow  # the sample library
def test_labels_that_do_not_fit_are_refused():
    library = ex.sample_library()
    with pytest.raises(QueryError, match="2 labels, but the library has"):
        name_regions(library, [0, 1])
    with pytest.raises(QueryError, match="cannot be told from others"):
        name_regions(library, [True] * len(library))


def test_the_vocabulary_is_embedded_once_for_each_space(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    encoder, words = ColourEncoder(), ["red", "blue"]
    first = regions.vocabulary_vectors(encoder, words)
    count = encoder.images
    assert np.array_equal(regions.vocabulary_vectors(encoder, words), first)
    assert encoder.images == count
    file = next((tmp_path / "unclip").iterdir())
    assert COLOUR_SPACE.fingerprint[:16] in file.name
    file.write_bytes(b"damaged")
    assert np.array_equal(regions.vocabulary_vectors(encoder, words), first)

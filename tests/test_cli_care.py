"""`unclip verify`, `repair`, `forget`: damage is found, set aside and mended; sources go."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from explorer import cli
from explorer.errors import LibraryDamaged
from explorer.library import Library


def unclip(*words):
    return CliRunner().invoke(cli.unclip, [str(word) for word in words])


@pytest.fixture
def kept(tmp_path, pocket):
    for name in ("red", "blue"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (64, 64), name).save(tmp_path / name / f"{name}.png")
    library = Library.create(tmp_path / "k.lib", pocket)
    library.add([tmp_path / "red", tmp_path / "blue"], workers=0)
    return tmp_path / "k.lib"


def flip(file):
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("name", ["vectors.npy", "rows.parquet"])
def test_a_flipped_bit_is_found_set_aside_and_mended(kept, tmp_path, name):
    whole = unclip("verify", kept, "--read-data")
    assert whole.exit_code == 0 and "nothing is damaged" in whole.stdout
    flip(next(kept.glob(f"segments/*/{name}")))
    quick = unclip("verify", kept)
    assert quick.exit_code == 1 and f"{name} was changed" in quick.stdout
    assert "were not read: --read-data reads all" in quick.stdout
    found = unclip("verify", kept, "--read-data")
    assert found.exit_code == 1 and f"unclip repair {kept}" in found.stdout
    mended = unclip("repair", kept)
    assert mended.exit_code == 0 and "quarantine" in mended.stdout
    assert f"unclip index {tmp_path / 'red'} --library {kept}" in mended.stdout
    assert any((kept / "quarantine").iterdir())
    again = unclip("index", tmp_path / "red", tmp_path / "blue", "--library", kept)
    assert again.exit_code == 0
    assert len(Library.open(kept)) == 2 and Library.open(kept).verify(read_data=True) == []
    assert json.loads(unclip("repair", kept, "--json").stdout)["set_aside"] == []


def test_every_message_of_damage_names_what_to_type(kept):
    flip(next(kept.glob("segments/*/rows.parquet")))
    shown = unclip("search", kept, "red")
    assert shown.exit_code != 0 and f"unclip repair {kept}" in shown.stderr
    next(kept.glob("segments/*/vectors.npy")).unlink()
    assert f"unclip repair {kept}" in unclip("info", kept).stdout
    for older in sorted(kept.glob("manifests/*.json"))[:-1]:
        older.unlink()
    assert f"unclip repair {kept}" in unclip("info", kept).stdout
    with pytest.raises(LibraryDamaged, match="unclip repair"):
        Library.open(kept).set_columns({"tag": []})


def test_imported_vectors_come_back_by_import(tmp_path, pocket):
    np.save(tmp_path / "my v.npy", pocket.encoder.encode_text(["a"]).vectors)
    library = Library.create(tmp_path / "v.lib", pocket)
    library.add_vectors(tmp_path / "my v.npy")
    flip(next(tmp_path.glob("v.lib/segments/*/vectors.npy")))
    mended = unclip("repair", tmp_path / "v.lib")
    assert f"unclip import '{tmp_path / 'my v.npy'}' --library" in mended.stdout


def test_lists_of_ours_are_lines(tmp_path):
    assert "\\n" not in unclip("models").stdout


def test_a_source_is_forgotten_and_its_images_stay(kept, tmp_path):
    wrong = unclip("forget", kept, tmp_path / "rad")
    assert wrong.exit_code == 2 and f"Did you mean '{tmp_path / 'red'}'" in wrong.stderr
    assert Library.open(kept).sources == {
        str(tmp_path / "red"): "folder", str(tmp_path / "blue"): "folder"
    }  # fmt: skip
    gone = unclip("forget", kept, tmp_path / "red")
    assert gone.exit_code == 0 and "removed" in gone.stdout and "left: 1" in gone.stdout
    library = Library.open(kept)
    assert [item.rsplit("/", 1)[1] for item in library.rows["item"]] == ["blue.png"]
    assert library.verify(read_data=True) == []
    assert library.info()["sources"] == [str(tmp_path / "blue")]
    assert (tmp_path / "red/red.png").exists()
    assert unclip("forget", kept, tmp_path / "red").exit_code == 2
    assert unclip("index", tmp_path / "red", "--library", kept).exit_code == 0
    assert len(Library.open(kept)) == 2


def test_a_part_of_a_source_is_left_out_by_what_forget_says(kept, tmp_path):
    (tmp_path / "red/old").mkdir()
    Image.new("RGB", (64, 64), "green").save(tmp_path / "red/old/green.png")
    assert unclip("index", tmp_path / "red", "--library", kept).exit_code == 0
    refused = unclip("forget", kept, tmp_path / "red/old")
    told = f"unclip index {tmp_path / 'red'} --library {kept} --exclude old"
    assert refused.exit_code == 2 and told in refused.stderr
    assert len(Library.open(kept)) == 3
    assert "1 removed" in unclip(*told.split()[1:]).stdout
    wrong = unclip("forget", kept, tmp_path / "read")
    assert wrong.stderr.count(f"'{tmp_path / 'red'}'") == 2, "the guess, and the list"


def test_a_library_whose_first_images_are_damaged_says_so_once_and_is_not_written_to(kept):
    flip(next(kept.glob("segments/*/vectors.npy")))
    shown = unclip("search", kept, "red")
    assert shown.exit_code == 2 and shown.stderr.count("is damaged") == 1
    assert "No image" in shown.stderr and "holds no images" not in shown.stderr
    refused = unclip("index", kept.parent / "red", "--library", kept)
    assert refused.exit_code != 0 and f"unclip repair {kept}" in refused.stderr
    assert unclip("repair", kept).exit_code == 0
    assert "holds no images" in unclip("map", kept, "-o", kept.parent / "m.png").stderr


def test_images_that_moved_are_told_and_not_embedded_again(kept, tmp_path):
    old, new = tmp_path / "red", tmp_path / "new place"
    refused = unclip("moved", kept, old, new)
    assert refused.exit_code == 2 and "they are still in" in refused.stderr
    old.rename(new)
    gone = unclip("index", tmp_path / "blue", old, "--library", kept)
    assert gone.exit_code == 2 and f"unclip moved {kept} {old} NEW" in gone.stderr
    dry = unclip("moved", kept, old, new, "--dry")
    assert "1 of 1 files" in dry.stdout and "nothing was changed" in dry.stdout
    assert str(old) in Library.open(kept).sources
    told = unclip("moved", kept, old, new)
    assert told.exit_code == 0 and f"unclip index '{new}' --library {kept}" in told.stdout
    again = unclip("index", new, "--library", kept)
    assert "0 embedded, 1 unchanged" in again.stdout
    assert not again.stderr.startswith("\n"), "no empty line where no bar can be drawn"
    shown = json.loads(unclip("moved", kept, new, new.rename(old), "--json").stdout)
    assert shown["rows"] == shown["there"] == 1 and shown["dry"] is False


def test_a_library_is_compacted_and_says_what_that_saved(kept, tmp_path):
    assert unclip("forget", kept, tmp_path / "red").exit_code == 0
    done = unclip("compact", kept)
    assert done.exit_code == 0 and "2 segments became 1; 1 row dropped" in done.stdout
    assert "bytes saved" in done.stdout
    assert "nothing to compact" in unclip("compact", kept).stdout
    assert json.loads(unclip("compact", kept, "--json").stdout)["dropped"] == 0
    assert len(Library.open(kept)) == 1

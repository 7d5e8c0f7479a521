import json

import pytest
from fakes import ColourEncoder
from PIL import Image

from analysis.trials import Trial, accuracy, judge, read_trials
from explorer.errors import QueryError


@pytest.fixture
def folder(tmp_path):
    """Images: one red, one blue, one red on its left half and blue on its right."""
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "blue.png")
    both = Image.new("RGB", (16, 8), "red")
    both.paste("blue", (8, 0, 16, 8))
    both.save(tmp_path / "both.png")
    return tmp_path


def written(folder, content, name="swap_obj.json"):
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def crepe(name, true="red", false="blue"):
    return {"filename": name, "caption": true, "negative_caption": false}


def aro(name, box, true="red", false="blue", **more):
    box = dict(zip(("bbox_x", "bbox_y", "bbox_w", "bbox_h"), box, strict=True))
    return {"image_path": name, "true_caption": true, "false_caption": false, **box, **more}


def test_sugarcrepe_is_an_object_of_records(folder):
    file = written(folder, {"0": crepe("red.png"), "1": crepe("blue.png")})
    trials = read_trials(file, folder)
    assert trials[0] == Trial("swap_obj", "red", "blue", folder / "red.png")
    table = accuracy(trials, ColourEncoder())
    assert table.iloc[0].tolist()[:4] == ["swap_obj", 2, 1, 0.5]
    assert len(table) == 1


def test_aro_is_a_list_whose_boxes_are_cut_out_and_whose_relations_are_told_apart(folder):
    records = [
        aro("both.png", (0, 0, 8, 8), relation_name="on"),
        aro("both.png", (8, 0, 8, 8), relation_name="on"),
        aro("both.png", (8, 0, 80, 80), "blue", "red", relation_name="near"),
    ]
    trials = read_trials(written(folder, records), folder)
    assert trials[0].open().size == (8, 8)
    assert judge(trials, ColourEncoder()).tolist() == [True, False, True]
    table = accuracy(trials, ColourEncoder())
    assert table[["kind", "n", "right"]].to_numpy().tolist() == [
        ["all", 3, 2],
        ["near", 1, 1],
        ["on", 2, 1],
    ]


def test_batches_do_not_change_what_is_judged(folder):
    trials = read_trials(written(folder, [crepe("red.png"), crepe("blue.png")] * 20), folder)
    assert judge(trials, ColourEncoder()).tolist() == [True, False] * 20


def test_captions_that_are_alike_are_wrong(folder):
    trials = read_trials(written(folder, [crepe("red.png", "red", "red")]), folder)
    assert not judge(trials, ColourEncoder()).any()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "holds no list"),
        ("7", "holds no list"),
        ([crepe("red.png"), {"caption": "red"}], "Record 1 .*negative_caption.*false_caption"),
        ([crepe(7)], "Record 0"),
        ([crepe("red.png"), crepe("gone.png")], "1 of 2 images.*gone.png.*Give the folder"),
        ([{**crepe("red.png"), "bbox_x": 1}], "no whole box"),
        ([aro("red.png", (0, 0, "wide", 1))], "no whole box"),
    ],
)
def test_a_file_that_makes_no_trials_is_refused(folder, content, said):
    with pytest.raises(QueryError, match=said):
        read_trials(written(folder, content), folder)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(QueryError, match="No such file"):
        read_trials(tmp_path / "none.json", tmp_path)


def test_a_box_outside_its_image_is_refused(folder):
    trials = read_trials(written(folder, [aro("red.png", (9, 0, 4, 4))]), folder)
    with pytest.raises(QueryError, match="outside .*red.png, 8 × 8"):
        judge(trials, ColourEncoder())


def test_no_trials_are_refused():
    with pytest.raises(QueryError, match="at least one"):
        judge([], ColourEncoder())

import numpy as np
import pandas as pd
import pytest
from coloured import shaded

from analysis import chords
from analysis.questions import directions
from analysis.questions.arithmetic import pose
from explorer.errors import QueryError
from explorer.geometry import text_diff
from explorer.library import Library
from explorer.points import Points, Space

PLANE = Space("plane", 2, "0f")
CODES = ("1f47b", "1f48b", "1f48c")


def plane(vectors, side="image"):
    return Points(np.array(vectors, dtype=float), PLANE, side)


def test_differences_are_of_directions_and_nothing_where_nothing_changes():
    starts, ends = plane([[2, 0], [0, 3]]), plane([[0, 1], [0, 1]])
    assert directions.differences(starts, ends) == pytest.approx(
        np.array([[-(0.5**0.5), 0.5**0.5], [0, 0]])
    )


def test_consistency_is_the_mean_cosine_over_pairs():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(7, 5))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = [rows[i] @ rows[j] for i in range(7) for j in range(i)]
    assert directions.consistency(rows) == pytest.approx(np.mean(pairs))
    assert directions.consistency(np.tile(rows[:1], (3, 1))) == pytest.approx(1)


def test_rising_agrees_with_scipy_and_a_flat_path_does_not_rise():
    from scipy.stats import spearmanr

    path = np.array([0.1, 0.2, 0.2, 0.15, 0.4])
    steps, rho = directions.rising(path)
    assert steps == 0.5
    assert rho == pytest.approx(spearmanr(path, np.arange(5)).statistic)
    assert directions.rising(np.zeros(4)) == (0, 0)
    assert directions.rising(np.arange(4.0)) == (1, 1)


def test_variation_counts_shares_and_empty_cells():
    cats, mixed = pd.Series(["cat"] * 4), pd.Series(["cat", "cat", "dog", None])
    assert directions.variation(cats, cats) == 0
    assert directions.variation(cats, mixed) == 0.5
    assert directions.variation(cats, pd.Series([None, "dog"])) == 1


def test_the_same_change_agrees_and_another_does_not():
    # of 0 → 1 and 2 → 3 "x → y" goes up, of 1 → 0 and 3 → 2 "y → x" goes down
    images = plane([[1, 0], [1, 1], [2, 0], [3, 3]])
    questions = pd.DataFrame(
        [(0, 1, 2, 3, "x", "y"), (1, 0, 3, 2, "y", "x")], columns=[*"abcd", "before", "after"]
    )
    table = directions.agreement(images, images, questions)
    assert table["same change (cosine)"].tolist() == pytest.approx([1, 1, 1])
    assert table["another change (cosine)"].tolist() == pytest.approx([-1, -1, -1])


def test_a_way_ends_nearer_to_its_direction_from_every_start():
    start, end = plane([[1, 0], [1, 0.1]], "image"), plane([[0, 1]], "text")
    change = directions.Change("up", end, start)
    paths, steps, rho, consistency, towards = directions.followed(change.way, end)
    assert (paths, steps, rho) == (2, 1, 1)
    assert consistency > 0.99
    # from 0° to 45° the difference points to 112.5°, 22.5° beside 90°; from 5.7° a bit nearer
    assert towards == pytest.approx(np.cos(np.radians(22.5)), abs=0.02)


def test_each_word_is_exchanged_in_one_text_diff_only(tmp_path):
    dataset = shaded(tmp_path)
    rows, questions = pose(dataset, "A test")
    texts = dataset.model.encoder.encode_text(list(dataset.captions.loc[rows]))
    chosen = directions.changes(texts, dataset.library.points(rows), questions, 2)
    words = [word for change in chosen for word in change.name.split(" → ")]
    assert len(words) == len(set(words)) == 2 * len(chosen) > 2
    assert all(len(change.starts) == 2 for change in chosen)


def test_without_any_difference_there_is_no_text_diff(tmp_path):
    dataset = shaded(tmp_path)
    rows, questions = pose(dataset, "A test")
    images = dataset.library.points(rows)
    same = images.with_vectors(np.ones_like(images.vectors))
    with pytest.raises(QueryError, match="no difference"):
        directions.changes(same, images, questions, 2)


def test_neighbours_that_stay_have_not_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(directions, "K", 2)
    dataset = shaded(tmp_path)
    points = dataset.library.points()
    still = directions.collateral(dataset.library, points[:2], points[:2], ["colour"])
    assert still == [0]
    red, plum = (np.flatnonzero(dataset.library.rows["colour"] == c) for c in ("red", "plum"))
    away = directions.collateral(dataset.library, points[red], points[plum], ["colour"])
    assert away == [1]


def test_the_chord_of_a_right_angle_is_shorter_by_the_cosine_of_half_of_it():
    table = chords.chord_and_arc(plane([[1, 0]]), plane([[0, 1]]), 3)
    assert table["t"].tolist() == [0, 0.5, 1]
    assert table["length, arc = 1"].tolist() == pytest.approx([1, 0.5**0.5, 1])
    assert table["angle between the two (°)"].tolist() == pytest.approx([0, 0, 0], abs=1e-3)


def test_the_chord_lags_behind_the_arc():
    # at a quarter of 90° the arc is at 22.5°, the chord at atan(1/3)
    table = chords.chord_and_arc(plane([[1, 0]]), plane([[0, 1]]), 5)
    lag = 22.5 - np.degrees(np.arctan(1 / 3))
    assert table["angle between the two (°)"][1] == pytest.approx(lag, abs=1e-4)


def test_without_a_decoder_the_points_are_measured(tmp_path):
    section = directions.section(shaded(tmp_path))
    followed = section.tables["Text diffs from several images"]
    assert set(followed["of"]) == {directions.POINTS}
    assert (followed["Spearman's ρ"] > 0.9).all()
    assert list(section.tables["What else changes among the neighbours"]["column"]) == ["colour"]
    assert "Chord against arc, decoded halfway" not in section.tables
    assert len(section.figures) == 1


def test_pocket_draws_the_way(tmp_path, pocket, sample):
    from analysis.dataset import Dataset

    library = Library.create(tmp_path / "lib", pocket)
    files = [sample / style / f"{code}.png" for style in ("noto", "3d") for code in CODES]
    library.add(files, columns=sample / "captions.csv", workers=0)
    section = directions.section(Dataset(library, pocket, "caption", count=1))
    drawn = section.tables["Text diffs from several images"].set_index("of")
    assert (drawn.loc[directions.DECODED]["with the text diff (cosine)"] > 0).all()
    assert section.tables["Chord against arc, decoded halfway"]["way"].tolist() == ["chord", "arc"]
    assert len(section.figures) == 2


def test_a_text_diff_stays_itself_after_differences():
    words = plane([[1, 0], [0, 1]], "text")
    assert directions.differences(words[0], words[1])[0] == pytest.approx(
        text_diff(words[0], words[1]).vectors[0]
    )

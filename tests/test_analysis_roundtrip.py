from dataclasses import replace

import emoji
import numpy as np
import pandas as pd
import pytest
from coloured import dataset
from scipy.stats import spearmanr

from analysis.dataset import Absent
from analysis.judging import by_other
from analysis.questions import roundtrip
from explorer.library import Library
from explorer.points import Points, Space
from explorer.support import MEASURES

PLANE = Space("plane", 2, "0f")


def points(vectors):
    return Points(np.array(vectors, dtype=float), PLANE, "image")


def test_scores_by_hand():
    # the second point is seen as (2, 1), which is nearer to the first
    table = roundtrip.scores({"p": points([[2, 0], [0, 1]])}, {"p": points([[3, 0], [2, 1]])})
    row, low, high = table.iloc[0], 1 / np.sqrt(5), 2 / np.sqrt(5)
    assert row["cosine"] == pytest.approx((1 + low) / 2)
    assert row["5 % quantile"] == pytest.approx(low + 0.05 * (1 - low))
    assert row["with the next one's decode"] == pytest.approx((high + 0) / 2)
    assert (row["own point first"], row["chance of that"]) == (0.5, 0.5)


def test_a_component_that_is_lost_has_no_correlation_and_a_reversed_one_minus_one(monkeypatch):
    monkeypatch.setattr(roundtrip, "EDGES", (0, 1, 2, 5))
    given = points([[1, 5], [2, 7], [3, 9]])
    seen = points([[4, 9], [4, 7], [4, 5]])
    table = roundtrip.by_component(given, seen, np.eye(2))
    assert table["correlation"].tolist() == pytest.approx([0, -1])
    assert table[["component", "last component"]].to_numpy().tolist() == [[1, 1], [2, 2]]


def test_ranks_agree_with_scipy():
    rng = np.random.default_rng(0)
    measured = pd.DataFrame(rng.integers(0, 9, (40, 3)), columns=MEASURES)  # with ties
    found = rng.normal(size=40) + measured["nearest"].to_numpy()
    table = roundtrip.foretold(measured, found)
    expected = [spearmanr(measured[name], found).statistic for name in MEASURES]
    assert table["rank correlation"].tolist() == pytest.approx(expected)


def test_without_a_decoder_it_says_what_is_missing(tmp_path):
    with pytest.raises(Absent, match="--decoder"):
        roundtrip.section(dataset(tmp_path))


def test_pocket_brings_images_through_and_random_directions_not(tmp_path, pocket, sample):
    section = roundtrip.section(emoji.dataset(tmp_path, pocket, sample, count=8))
    cosine = section.tables["Round trips"].set_index("points")["cosine"]
    others = cosine["words as if an image"], cosine["random directions"]
    assert cosine["images"] > 0.5 > max(others)
    through = section.tables["What comes through, by principal component"]
    assert through["last component"].iloc[-1] == 45  # 46 images to find components in
    assert "Images, the best and the worst round trips" in section.figures


def test_the_encoder_of_another_library_finds_images_by_their_decodes(tmp_path, pocket, sample):
    asked = emoji.dataset(tmp_path, pocket, sample, count=32)
    other = Library.create(tmp_path / "other", pocket)  # in another order, and with more in it
    other.add(sorted((sample / "noto").glob("*.png"))[60:20:-1], workers=0)
    table = by_other(replace(asked, other=other), np.arange(16, 32))
    found = table.set_index("what is looked for")
    assert found["n"].unique().tolist() == [11]  # of rows 16 to 31, those that the other holds
    assert found["found first"]["the images themselves"] == 1
    assert found["among ten"]["decodes"] > found["among ten"]["the next one's decode"]

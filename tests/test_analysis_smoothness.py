import json

import emoji
import numpy as np
import pytest
from coloured import dataset
from PIL import Image
from typer.testing import CliRunner

from analysis.dataset import Absent
from analysis.questions import smoothness
from explorer.cli import unclip
from explorer.geometry import angle
from explorer.path import Path, even_times
from explorer.points import Points, Space
from explorer.video import read_video_recipe

PLANE = Space("plane", 2, "0f")


def grey(level):
    return Image.new("RGB", (4, 4), (level, level, level))


def seen(*degrees):
    turns = np.radians(degrees)
    return Points(np.stack([np.cos(turns), np.sin(turns)], axis=1), PLANE, "image")


def test_measures_by_hand():
    frames, points = [grey(0), grey(51), grey(0)], seen(0, 90, 60)
    found = smoothness.measures(points, frames)
    assert found["length (radians)"] == pytest.approx(np.radians(120))
    assert found["detour"] == pytest.approx(2)
    assert found["unevenness"] == pytest.approx(0.5)  # 90 and 30 degrees: 60 ± 30
    turns = np.radians([90, 30])
    assert found["path length (radians²)"] == pytest.approx(((turns * 2) ** 2).mean())
    assert found["path length (pixels²)"] == pytest.approx(0.4**2)
    assert found["unevenness of pixels"] == pytest.approx(0)
    assert found["flicker (pixels)"] == pytest.approx(0.2)


def test_a_steady_fade_does_not_flicker():
    assert smoothness.flicker([grey(level) for level in (0, 50, 100, 150)]) == pytest.approx(0)


def test_times_are_even_where_changes_are():
    np.testing.assert_allclose(even_times(np.ones(7), 5), np.linspace(0, 1, 5))
    np.testing.assert_allclose(even_times(np.zeros(7), 5), np.linspace(0, 1, 5))


def test_a_pause_is_skipped_but_both_ends_are_seen():
    for pause in ([0, 0, 1, 1], [1, 1, 0, 0], [0, 1, 1, 0]):
        times = even_times(np.array(pause, dtype=float), 5)
        assert (times[0], times[-1]) == (0, 1)
        assert (np.diff(times) > 0).all()


def test_re_timing_gives_one_speed_to_a_path_that_hurries():
    def hurries(t):
        return seen(90 * t**3)

    path = Path(hurries, np.pi / 2)
    known = path.sample(200)
    times = even_times(angle(known[:-1], known[1:]), 9)
    frames = Points.concat([path.at(t) for t in times])
    np.testing.assert_allclose(angle(frames[:-1], frames[1:]), np.pi / 16, rtol=1e-3)
    np.testing.assert_allclose(times, np.linspace(0, 1, 9) ** (1 / 3), atol=1e-3)


def test_without_a_decoder_it_says_what_is_missing(tmp_path):
    with pytest.raises(Absent, match="--decoder"):
        smoothness.section(dataset(tmp_path))


def test_re_timing_evens_out_a_path_of_pocket(tmp_path, pocket, sample, monkeypatch):
    monkeypatch.setattr(smoothness, "FRAMES", 9)
    section = smoothness.section(emoji.dataset(tmp_path, pocket, sample, 6, count=18))
    unevenness = section.tables["Paths"].groupby("timing")["unevenness"].mean()
    assert unevenness[smoothness.RETIMED] < unevenness[smoothness.EVEN]
    assert len(section.figures) == 2


def test_a_walk_can_be_evened_out_and_made_again(tmp_path, sample):
    stops = [str(sample / "noto" / f"{glyph}.png") for glyph in ("1f431", "26c4")]
    file, again = tmp_path / "even.gif", tmp_path / "again.gif"
    how = ["--frames", "5", "--noise-from", "seed", "--even", "--json"]
    words = ["walk", *stops, *how, "-o", str(file)]
    result = CliRunner().invoke(unclip, words)
    assert result.exit_code == 0, result.output
    told = [row["t"] for row in json.loads(result.stdout)]
    assert (told[0], told[-1]) == (0, 1)
    assert told != pytest.approx(np.linspace(0, 1, 5), abs=0.01)
    assert read_video_recipe(file)["times"] == pytest.approx(told, abs=1e-4)
    result = CliRunner().invoke(unclip, ["replay", str(file), "-o", str(again)])
    assert result.exit_code == 0, result.output
    assert again.read_bytes() == file.read_bytes()

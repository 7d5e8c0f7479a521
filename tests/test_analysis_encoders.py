import numpy as np
import pytest
from coloured import dataset
from fakes import COLOUR_SPACE, ColourEncoder, coloured, run

from analysis.dataset import Absent, Dataset
from analysis.questions import encoders
from analysis.questions.encoders import Procrustes
from analysis.residuals import Residual
from explorer.errors import QueryError, SpaceMismatch
from explorer.library import Library
from explorer.metrics import cosines
from explorer.models import Model
from explorer.points import Points, Space

TURNED = Space("turned colours", 8, "0f")
RNG = np.random.default_rng(0)
ROTATION = np.linalg.qr(RNG.normal(size=(8, 8)))[0].astype(np.float32)


class TurnedEncoder(ColourEncoder):
    """The colours seen from elsewhere: every vector turned and half as long."""

    def embed_pixels(self, pixels):
        return super().embed_pixels(pixels) @ ROTATION / 2


def asked(folder, other_files, **options):
    """A Dataset of 48 images, and a second library of these files in another Space."""
    first = dataset(folder, each=12)
    other = Library.create(folder / "other", Model("turned", TURNED, TurnedEncoder(TURNED)))
    run(other, [folder / "images" / name for name in other_files], TurnedEncoder(TURNED))
    return Dataset(first.library, first.model, "caption", other=other, **options)


def test_cka_agrees_with_its_definition_by_gram_matrices():
    a, b = RNG.normal(size=(20, 5)), RNG.normal(size=(20, 3))
    centre = np.eye(20) - 1 / 20
    one, two = (centre @ m @ m.T @ centre for m in (a, b))
    hsic = np.trace(one @ two) / np.sqrt(np.trace(one @ one) * np.trace(two @ two))
    assert encoders.cka(a, b) == pytest.approx(hsic)


def test_cka_does_not_change_with_turns_scales_and_shifts():
    a = RNG.normal(size=(30, 8))
    b = a + RNG.normal(size=(30, 8))
    assert encoders.cka(a, 3 * a @ ROTATION + 1) == pytest.approx(1)
    assert encoders.cka(a, b @ ROTATION) == pytest.approx(encoders.cka(a, b))


def test_the_interval_of_cka_is_the_jackknife_by_hand():
    a, b = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 2))
    a, b = a - a.mean(0), b - b.mean(0)
    left = []
    for out in range(6):
        rows = np.arange(6) != out
        x, y = a[rows], b[rows]
        norms = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
        left.append(np.linalg.norm(x.T @ y) ** 2 / norms)
    error = np.sqrt(5 / 6 * ((np.array(left) - np.mean(left)) ** 2).sum())
    whole = encoders.cka(a, b)
    expected = max(0, whole - 1.96 * error), min(1, whole + 1.96 * error)
    assert encoders.cka_interval(a, b) == pytest.approx(expected)


def test_overlap_by_hand():
    # on a circle, by angle; the two nearest of each point are
    # 1 2, 0 2, 1 0, 2 1 in one table and 1 2, 2 3, 3 1, 2 1 in the other
    one, other = (
        np.column_stack([np.cos(angles), np.sin(angles)])
        for angles in (np.array([0, 0.1, 0.3, 1.0]), np.array([0, 0.6, 1.0, 1.1]))
    )
    assert encoders.overlap(one, other, k=2).tolist() == [1, 0.5, 0.5, 1]
    assert encoders.overlap(one, one, k=2).tolist() == [1, 1, 1, 1]


def test_a_rotation_between_rotated_spaces_is_found_and_crosses_exactly():
    start = Points(RNG.normal(size=(40, 8)), COLOUR_SPACE, "image")
    end = Points(start.vectors @ ROTATION * 7, TURNED, "image", ["x"] * 40)
    fitted = Procrustes.fit(start[:20], end[:20])
    crossed = fitted.apply(start[20:])
    assert crossed.space == TURNED
    assert cosines(crossed, end[20:]) == pytest.approx(1, abs=1e-5)
    assert crossed.norms == pytest.approx(end[:20].norms.mean(), rel=1e-5)


def test_a_rotation_agrees_with_scipy():
    from scipy.linalg import orthogonal_procrustes

    start = Points(RNG.normal(size=(30, 8)), COLOUR_SPACE, "image")
    end = Points(RNG.normal(size=(30, 8)), TURNED, "image")
    fitted = Procrustes.fit(start, end)
    a, b = (p.unit.astype(float) - p.unit.astype(float).mean(0) for p in (start, end))
    rotation, weight = orthogonal_procrustes(a, b)
    assert fitted.rotation == pytest.approx(rotation * weight / (a**2).sum(), abs=1e-6)


@pytest.mark.parametrize(("d", "e"), [(8, 5), (5, 8)])
def test_a_rotation_between_dimensions_keeps_what_both_can_hold(d, e):
    vectors = np.zeros((30, max(d, e)))
    vectors[:, :5] = RNG.normal(size=(30, 5))
    start = Points(vectors[:, :d], Space("start", d, "0f"), "image")
    end = Points(vectors[:, :e], Space("end", e, "0f"), "image")
    assert cosines(Procrustes.fit(start, end).apply(start), end) == pytest.approx(1, abs=1e-5)


def test_a_rotation_refuses_what_it_was_not_fitted_to():
    start = Points(RNG.normal(size=(5, 8)), COLOUR_SPACE, "image")
    with pytest.raises(QueryError, match="not to 5 and 4"):
        Procrustes.fit(start, start[:4])
    with pytest.raises(SpaceMismatch, match="colours.*turned"):
        Procrustes.fit(start, start).apply(Points(start.vectors, TURNED, "image"))


def test_images_are_matched_by_their_content(tmp_path):
    both = asked(tmp_path, ["blue3.png", "red0.png"])
    rows, other_rows = encoders.shared(both.library, both.other)
    assert sorted(both.library.points(rows).labels) == ["blue3.png", "red0.png"]
    assert both.library.points(rows).labels == both.other.points(other_rows).labels


def test_the_section_sees_that_one_space_is_the_other_turned(tmp_path):
    names = [f"{colour}{i}.png" for colour in ("red", "green", "blue", "white") for i in range(12)]
    section = encoders.section(asked(tmp_path, names))
    table = section.tables["How alike the Spaces are"].set_index("measure")
    assert table["value"].tolist() == pytest.approx([1, 1, 1, 1], abs=1e-4)
    assert (table["by chance"] < 0.95).all()
    assert table["images"].tolist() == [48, 48, 24, 24]
    assert "turned colours" in section.finding


def test_libraries_that_share_little_are_refused(tmp_path):
    with pytest.raises(QueryError, match="share 1 images, and 40"):
        encoders.section(asked(tmp_path, ["red0.png"]))


def test_without_a_second_library_it_says_how_to_make_one(tmp_path):
    with pytest.raises(Absent, match="--other"):
        encoders.section(dataset(tmp_path, each=1))


def test_pocket_decodes_what_crossed_and_shows_the_error(tmp_path, pocket, sample, monkeypatch):
    files = sorted((sample / "noto").glob("*.png"))[:40]
    for name, model in (("lib", pocket), ("other", coloured())):
        Library.create(tmp_path / name, model).add(files, workers=0)
    monkeypatch.setattr(encoders, "SHOWN", 2)
    section = encoders.section(Dataset.open(tmp_path / "lib", other=tmp_path / "other"))
    decoded = section.tables["Decoded through the map"]
    own, crossed = (decoded.iloc[:, i].mean() for i in (3, 4))
    assert own > crossed
    assert "Held-out images decoded" in section.figures


def test_what_an_encoder_does_not_see_is_what_is_left():
    """The other lacks the first of eight coordinates, and nothing else."""
    vectors = RNG.normal(size=(400, 8)).astype(np.float32) * (2, *[1] * 7) + 3
    known = Points(vectors, COLOUR_SPACE, "image")
    without = Points(vectors @ np.diag([0, *[1] * 7]) @ ROTATION, TURNED, "image")
    lost, kept = Residual.of(known, without), Residual.of(without, known)
    assert lost.unknown > 5 * kept.unknown and kept.unknown < 0.05
    low, high = lost.interval(seed=0)
    assert low < lost.unknown < high
    ends = np.concatenate([known[200:].unit[rows, 0] for rows in lost.ends(20)])
    assert abs(ends[:20].mean() - ends[20:].mean()) > 2 * known.unit[:, 0].std()


def test_unrelated_encoders_know_nothing_of_each_other():
    known = Points(RNG.normal(size=(400, 8)) + 1, COLOUR_SPACE, "image")
    other = Points(RNG.normal(size=(400, 8)) + 1, TURNED, "image")
    assert Residual.of(known, other).unknown > 0.8

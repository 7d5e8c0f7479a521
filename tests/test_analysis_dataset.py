import numpy as np
import pytest
from coloured import dataset

from analysis.dataset import Absent, Dataset
from explorer.errors import ExplorerError, QueryError, SpaceMismatch


def test_a_draw_is_seeded_ascending_and_without_repeats(tmp_path):
    asked = dataset(tmp_path, count=5)
    rows = asked.draw(np.arange(100))
    assert len(set(rows.tolist())) == 5
    assert (np.diff(rows) > 0).all()
    assert rows.tolist() == asked.draw(np.arange(100)).tolist()
    other = Dataset(asked.library, asked.model, count=5, seed=1)
    assert rows.tolist() != other.draw(np.arange(100)).tolist()


def test_points_are_those_of_the_rows(tmp_path):
    asked = dataset(tmp_path, count=5)
    points, rows = asked.points()
    assert points.vectors.tolist() == asked.library.vectors[rows].tolist()
    assert len(asked.points(7)[1]) == 7
    assert asked.points(1000)[1].tolist() == list(range(24))


def test_captions_leave_out_what_is_empty(tmp_path):
    asked = dataset(tmp_path, each=1)
    asked.library.rows.loc[[0, 1], "caption"] = [None, "  "]
    assert asked.captions.to_dict() == {2: "red", 3: "white"}
    assert asked.names(np.array([2, 0])) == ["red", asked.library.rows["item"][0]]


def test_what_is_absent_is_said_with_its_remedy(tmp_path):
    asked = dataset(tmp_path, captions=False)
    with pytest.raises(Absent, match="Depth needs a decoder.*--decoder"):
        asked.require_decoder("Depth")
    with pytest.raises(Absent, match="Depth needs a prior.*--prior"):
        asked.require_prior("Depth")
    with pytest.raises(Absent, match="Depth needs words.*--caption"):
        asked.require_captions("Depth")
    assert issubclass(Absent, ExplorerError)


def test_what_cannot_be_asked_about_is_refused(tmp_path, pocket):
    asked = dataset(tmp_path)
    with pytest.raises(SpaceMismatch, match="made with colours"):
        Dataset(asked.library, pocket)
    with pytest.raises(QueryError, match="no column 'words'"):
        Dataset(asked.library, asked.model, "words")
    with pytest.raises(QueryError, match="At least one"):
        Dataset(asked.library, asked.model, count=0)


def test_decodes_are_seen_in_batches_and_only_the_first_are_kept(pocket, sample):
    files = sorted((sample / "noto").glob("*.png"))[:3]
    points = pocket.encoder.encode_images(files)

    class Few(Dataset):  # of a library nothing is needed here
        def __post_init__(self):
            pass

    seen, images = Few(None, pocket).seen(points, keep=2, steps=2)
    assert seen.labels == points.labels
    assert len(images) == 2
    again = pocket.encoder.encode_images(images)
    assert again.vectors == pytest.approx(seen.vectors[:2], abs=1e-4)

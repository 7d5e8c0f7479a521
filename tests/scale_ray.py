"""What the tests with Ray share: sources of several kinds, and what a library holds."""

import fakes
import pyarrow as pa
import pytest
from fakes import image, make_tar
from pyarrow import parquet

from explorer.scale import ray_session


def make_sources(folder, images=20):
    """A folder, a tar and a Parquet file with the images inside; each with one that is broken."""
    (folder / "photos").mkdir(parents=True)
    for number in range(images):
        (folder / "photos" / f"{number:03}.png").write_bytes(image(number))
    (folder / "photos" / "broken.png").write_bytes(b"no image")
    members = [(f"{n:03}.png", image(n)) for n in range(images, 2 * images)]
    texts = [(f"{n:03}.txt", b"caption %d" % n) for n in range(images, 2 * images)]
    make_tar(folder / "shard.tar", [*members, ("broken.png", b"no image"), *texts])
    rows = [{"bytes": image(n), "path": f"{n}.png"} for n in range(2 * images, 3 * images)]
    rows.append({"bytes": b"no image", "path": "broken.png"})
    table = pa.table({"image": rows, "label": [f"label {n}" for n in range(len(rows))]})
    parquet.write_table(table, folder / "table.parquet")
    return [folder / "photos", folder / "shard.tar", folder / "table.parquet"]


def rows_of(library):
    """All that is stored of the rows, in their order, but for the vectors."""
    return library.rows.astype(object).where(library.rows.notna(), None).to_dict("records")


@pytest.fixture
def two_cores(monkeypatch):
    """Ray on this machine with two cores, for one test; gives the module."""
    monkeypatch.setattr(ray_session, "_cores", lambda: 2)
    with ray_session.session(None) as ray:
        ray.cloudpickle.register_pickle_by_value(fakes)
        yield ray

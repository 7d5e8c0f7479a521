"""Sources by address: the same library as of the same files in a folder."""

import gzip
import io
import shutil

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from fake_s3 import TIME, serving
from fakes import ColourEncoder, coloured, image, make_tar
from pyarrow import fs, parquet

from explorer.errors import ImageError, QueryError
from explorer.images import remote
from explorer.library import Library, presence


def contents(tmp_path):
    """Key → content: images with a table of captions, a tar, a Parquet file with images."""
    files = {f"photos/a b/{n:03} ü.png": image(n) for n in range(6)}
    files["photos/broken.png"] = b"no image"
    files["photos/notes.md"] = b"left out"
    files["photos/captions.csv"] = "file,caption\na b/000 ü.png,first\n".encode()
    make_tar(tmp_path / "a.tar", [(f"{n}.png", image(n)) for n in range(10, 14)])
    files["a.tar"] = (tmp_path / "a.tar").read_bytes()
    make_tar(tmp_path / "b.tar", [(f"{n}.png", image(n)) for n in range(14, 16)])
    table, buffer = pa.table({"image": [image(n) for n in range(20, 23)]}), io.BytesIO()
    parquet.write_table(table, buffer)
    return files | {"t.parquet": buffer.getvalue()}


@pytest.fixture
def s3(tmp_path, monkeypatch):
    """A bucket; gives its files and what its addresses begin with."""
    files = contents(tmp_path)
    for name, value in (("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with serving(files) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        remote._by_arrow.cache_clear()
        yield files, "s3://bucket"
    remote._by_arrow.cache_clear()


def local_copy(files, folder):
    for key, content in files.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(content)


def added(library, base):
    sources = [f"{base}/{name}" for name in ("photos", "a.tar", "t.parquet")]
    return library.add(sources, encoder=ColourEncoder(), workers=0)


def test_a_bucket_gives_what_a_folder_gives(s3, tmp_path):
    files, base = s3
    local_copy(files, tmp_path / "local")
    local = Library.create(tmp_path / "local.lib", coloured())
    bucket = Library.create(tmp_path / "bucket.lib", coloured())
    done = added(local, tmp_path / "local")
    assert added(bucket, base) == done and (done.embedded, done.failed) == (13, 1)
    assert np.array_equal(local.vectors[:], bucket.vectors[:])
    mine, other = local.rows, bucket.rows
    for name in ("sha256", "width", "size", "caption"):
        assert mine[name].tolist()[1:] == other[name].tolist()[1:]
    assert other["caption"][0] == "first"
    assert other["path"][0] == "s3://bucket/photos/a b/000 ü.png".encode()
    assert other["mtime_ns"][0] == TIME * 10**9
    assert bucket.left_out == local.left_out == {".md": 1}
    assert "broken.png" in bucket.errors["reason"][0]
    for row in range(len(bucket)):
        assert bucket.open_image(row).tobytes() == local.open_image(row).tobytes()


def test_a_bucket_is_brought_up_to_date(s3, tmp_path):
    files, base = s3
    library = Library.create(tmp_path / "a.lib", coloured())
    added(library, base)
    again = added(library, base)
    assert (again.embedded, again.unchanged) == (0, 13)
    files["photos/a b/000 ü.png"] = image(99), TIME + 60
    del files["photos/a b/001 ü.png"]
    again = added(library, base)
    assert (again.embedded, again.unchanged, again.removed) == (1, 11, 1)
    hits = library.search(library.points([0]), k=3)
    assert not hits.missing.any()
    gone = hits.table["path"][1].decode().removeprefix("s3://bucket/")
    del files[gone]
    assert library.search(library.points([0]), k=3).missing[1]
    with pytest.raises(ImageError, match="no longer there"):
        library.open_image(int(hits.rows[1]))
    assert library.forget(f"{base}/photos") == 5


def test_other_schemes_are_read_through_fsspec(tmp_path):
    memory = fsspec.filesystem("memory")
    for key, content in contents(tmp_path).items():
        memory.pipe(f"/bucket/{key}", content)
    library = Library.create(tmp_path / "a.lib", coloured())
    try:
        done = added(library, "memory://bucket")
    finally:
        memory.store.clear()
    assert (done.embedded, done.failed) == (13, 1)


def test_what_is_not_there_is_said(s3, tmp_path):
    library = Library.create(tmp_path / "a.lib", coloured())
    with pytest.raises(QueryError, match="There is no s3://bucket/elsewhere"):
        library.add("s3://bucket/elsewhere", encoder=ColourEncoder())
    with pytest.raises(QueryError, match="nowhere:// cannot be read here"):
        library.add("nowhere://a/b", encoder=ColourEncoder())


def test_a_server_of_googles_that_is_down_is_said_in_time_and_plainly(monkeypatch):
    monkeypatch.setenv("CLOUD_STORAGE_EMULATOR_ENDPOINT", "http://localhost:9")
    monkeypatch.setattr(remote, "GOOGLE_SECONDS", 1)
    remote._by_arrow.cache_clear()
    with pytest.raises(OSError, match="CURL error") as failure:
        remote.status_of(b"gs://anonymous@photos/a.png")
    assert "google::cloud" not in str(failure.value) and "metadata" not in str(failure.value)


def test_a_packed_tar_is_read_too(s3, tmp_path):
    files, base = s3
    files["b.tar.gz"] = gzip.compress((tmp_path / "b.tar").read_bytes())
    library = Library.create(tmp_path / "a.lib", coloured())
    done = library.add(f"{base}/b.tar.gz", encoder=ColourEncoder(), workers=0)
    assert (done.embedded, done.failed) == (2, 0)
    assert library.open_image(1).size == (5, 6)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("abfs://photos@account.dfs.core.windows.net/a b/c.png", "photos/a b/c.png"),
        ("abfss://photos@account.dfs.core.windows.net", "photos"),
        ("abfs://account.blob.core.windows.net/photos/c.png", "photos/c.png"),
        ("gs://bucket/a/b%20c.png", "bucket/a/b%20c.png"),
        ("file:///data/a.png", "/data/a.png"),
        ("memory://bucket/a.png", "/bucket/a.png"),
    ],
)
def test_an_address_is_named_as_its_file_system_names_it(address, name):
    remote._by_arrow.cache_clear()
    assert remote._system(address.encode())[1] == name


@pytest.mark.parametrize(
    ("root", "base"),
    [
        ("abfs://photos@account.dfs.core.windows.net/new", "photos/"),
        ("abfs://account.blob.core.windows.net/photos/new", ""),
        ("gs://photos/new", "photos/"),
        ("hdfs://host:9000/photos/new", "/"),
    ],
)
def test_files_below_an_address_begin_with_it(root, base, tmp_path, monkeypatch):
    (tmp_path / "photos" / "new" / "a b").mkdir(parents=True)
    (tmp_path / "photos" / "new" / "a b" / "0.png").write_bytes(image(0))
    served = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    monkeypatch.setattr(remote, "_by_arrow", lambda *_: (served, base))
    ((path, status),) = remote.walk_remote(root.encode())
    assert path == f"{root}/a b/0.png".encode()
    assert status.st_size == len(image(0)) == remote.status_of(path).st_size
    with remote.open_file(path) as stream:
        assert stream.read() == image(0)


def test_names_in_a_table_at_an_address_are_relative_to_it(s3, tmp_path):
    files, base = s3
    names = ["../photos/a b/000 ü.png", f"{base}/photos/a b/001 ü.png", "002.png", "./003.png"]
    files["tables/002.png"], files["tables/003.png"] = image(40), image(41)
    files["tables/list.csv"] = ("file,caption\n" + "".join(f"{n},of {n}\n" for n in names)).encode()
    library = Library.create(tmp_path / "a.lib", coloured())
    done = library.add(f"{base}/tables/list.csv", encoder=ColourEncoder(), workers=0)
    assert (done.embedded, done.failed) == (4, 0), library.errors
    at = ["photos/a b/000 ü.png", "photos/a b/001 ü.png", "tables/002.png", "tables/003.png"]
    assert [path.decode() for path in library.rows["path"]] == [f"{base}/{each}" for each in at]
    assert library.rows["caption"].tolist() == [f"of {name}" for name in names]
    files["captions.csv"] = f"file,caption\n{base}/photos/a b/000 ü.png,by address\n".encode()
    other = Library.create(tmp_path / "b.lib", coloured())
    where = {"encoder": ColourEncoder(), "columns": f"{base}/captions.csv", "workers": 0}
    other.add(f"{base}/photos", **where)
    assert other.rows["caption"][0] == "by address"


def test_addresses_in_a_table_on_this_machine_are_read(s3, tmp_path):
    files, base = s3
    table = tmp_path / "list.parquet"
    rows = [f"{base}/photos/a b/{n:03} ü.png" for n in range(3)]
    parquet.write_table(pa.table({"path": rows}), table)
    library = Library.create(tmp_path / "a.lib", coloured())
    done = library.add(table, encoder=ColourEncoder(), workers=0)
    assert (done.embedded, done.failed) == (3, 0), library.errors
    files["photos/a b/000 ü.png"] = 403  # refused is not gone
    done = library.add(table, encoder=ColourEncoder(), workers=0)
    assert (done.unchanged, done.removed, done.failed, len(library)) == (2, 0, 0, 3)
    assert "could not be looked at; what was indexed of them stays" in library.warnings[-1]
    hits = library.search(library.points([0]), k=3)
    assert not hits.missing.any()
    del files["photos/a b/000 ü.png"]
    assert library.search(library.points([0]), k=3).missing.sum() == 1
    done = library.add(table, encoder=ColourEncoder(), workers=0)
    assert (done.unchanged, done.failed, len(library)) == (2, 1, 2)


@pytest.mark.parametrize(
    ("error", "gone"),
    [
        (FileNotFoundError(2, ""), True),
        (NotADirectoryError(20, ""), True),
        (PermissionError(13, ""), False),
        (OSError(5, "Input/output error"), False),
        (OSError(116, "Stale file handle"), False),
        (TimeoutError(110, ""), False),
        (QueryError("Files of x:// cannot be read here"), False),
    ],
)
def test_only_a_file_that_is_not_found_is_gone(error, gone, monkeypatch):
    def look(_):
        raise error

    monkeypatch.setattr(presence, "status_of", look)
    assert presence.is_gone(b"/a.png") is gone
    assert presence.is_gone(b"/a\0.png")


def test_images_that_moved_to_an_address_keep_their_rows(s3, tmp_path):
    files, base = s3
    local_copy(files, tmp_path / "local")
    library = Library.create(tmp_path / "a.lib", coloured())
    library.add(tmp_path / "local" / "photos", encoder=ColourEncoder(), workers=0)
    shutil.rmtree(tmp_path / "local")
    assert library.moved(tmp_path / "local" / "photos", f"{base}/photos").rows == 6
    assert library.open_image(0).size == (5, 6)
    assert library.rows["path"][0] == f"{base}/photos/a b/000 ü.png".encode()

"""Formats and sources beyond plain folders: HEIC, RAW, videos, tables with images, URLs."""

import gzip
import http.server
import io
import json
import os
import struct
import threading

import av
import numpy as np
import pandas as pd
import pillow_heif
import pyarrow as pa
import pytest
from fakes import image, make_tar, run
from PIL import Image
from pyarrow import parquet

from explorer.cli.library import counted_lines, seconds
from explorer.errors import ImageError, QueryError
from explorer.images import open_image
from explorer.images.formats import is_image, remedy
from explorer.library import Library
from explorer.library.sources import fetching

COLOURS = [(220, 20, 20), (20, 220, 20), (20, 20, 220), (230, 230, 20)]


def video(file, seconds=4, rate=5):
    """One colour a second."""
    with av.open(file, "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(seconds * rate):
            still = Image.new("RGB", (64, 48), COLOURS[number // rate])
            container.mux(stream.encode(av.VideoFrame.from_image(still)))
        container.mux(stream.encode())


def content(colour=(200, 30, 30), format="PNG"):
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(stream, format)
    return stream.getvalue()


def directory(at, tags):
    """One directory of a TIFF that starts at byte `at`: {tag: (type, values)}."""
    codes = {1: "B", 2: "B", 3: "H", 4: "I", 5: "II", 10: "ii"}
    entries, more, end = b"", b"", at + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        cells = [v if isinstance(v, tuple) else (v,) for v in values]
        data = b"".join(struct.pack("<" + codes[kind], *cell) for cell in cells)
        if len(data) > 4:
            data, more = struct.pack("<I", end + len(more)), more + data + bytes(len(data) % 2)
        entries += struct.pack("<HHI", tag, kind, len(values)) + data.ljust(4, b"\0")
    return struct.pack("<H", len(tags)) + entries + bytes(4) + more


def dng(preview, width=64, height=48):
    """A DNG of a camera's raw values, with a JPEG preview in its first directory."""
    raw, size = bytes(2 * width * height), Image.open(io.BytesIO(preview)).size
    second, values, jpeg = 1000, 2000, 2000 + len(raw)
    unit, model = [(1, 1)] * 3, list(b"Unclip Test\0")
    first = {254: (4, [1]), 256: (4, size[:1]), 257: (4, size[1:]), 258: (3, [8, 8, 8])}
    first |= {259: (3, [7]), 262: (3, [6]), 271: (2, model), 272: (2, model), 273: (4, [jpeg])}
    first |= {277: (3, [3]), 278: (4, size[1:]), 279: (4, [len(preview)]), 330: (4, [second])}
    first |= {50706: (1, [1, 4, 0, 0]), 50708: (2, model), 50728: (5, unit), 50778: (3, [21])}
    first[50721] = (10, [(int(n % 4 == 0), 1) for n in range(9)])
    main = {254: (4, [0]), 256: (4, [width]), 257: (4, [height]), 258: (3, [16]), 259: (3, [1])}
    main |= {262: (3, [32803]), 273: (4, [values]), 277: (3, [1]), 278: (4, [height])}
    main |= {279: (4, [len(raw)]), 33421: (3, [2, 2]), 33422: (1, [0, 1, 1, 2])}
    main |= {50717: (4, [4095])}
    file = (b"II*\0" + struct.pack("<I", 8) + directory(8, first)).ljust(second, b"\0")
    return (file + directory(second, main)).ljust(values, b"\0") + raw + preview


def names(library):
    return sorted(os.path.basename(item) for item in library.rows["item"])


def test_heic_is_read_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    pillow_heif.from_pillow(Image.new("RGB", (64, 32), (200, 30, 30))).save(
        tmp_path / "IMG_1.HEIC", exif=exif.tobytes(), quality=90
    )
    opened = open_image(tmp_path / "IMG_1.HEIC")
    assert sorted(opened.size) == [32, 64]
    assert np.abs(np.asarray(opened).astype(int) - (200, 30, 30)).max() <= 12


def test_what_is_missing_for_a_suffix_is_named(monkeypatch):
    monkeypatch.setattr("explorer.images.formats.find_spec", lambda name: None)
    assert not is_image("a.CR2") and is_image(b"a.HEIC")
    assert counted_lines({".cr2": 412, ".pdf": 3}, {"._*": 2}) == [
        "  left out: 412 .cr2 — pip install 'unclip-explorer[raw]', 3 .pdf",
        "  excluded: 2 ._*",
    ]
    assert remedy(".mov") == "--every 2s"


def test_a_raw_file_is_read_by_its_preview(tmp_path):
    (tmp_path / "a.dng").write_bytes(dng(content((200, 30, 30), "JPEG")))
    opened = open_image(tmp_path / "a.dng")
    assert opened.size == (40, 30)
    assert np.abs(np.asarray(opened).astype(int) - (200, 30, 30)).max() <= 4


def test_a_damaged_raw_file_is_one_sentence(tmp_path):
    (tmp_path / "a.dng").write_bytes(b"II*\0" + bytes(500))
    with pytest.raises(ImageError, match=r"a\.dng is damaged or truncated"):
        open_image(tmp_path / "a.dng")


def test_what_is_left_out_is_counted_and_remembered(tmp_path, images, library, encoder):
    for name in ("1.pdf", "2.PDF", "README", "._a.png", ".b.png"):
        (images / name).write_bytes(b"x")
    for name in ("@eaDir", "node_modules", ".git"):
        (images / name).mkdir()
        (images / name / "a.png").write_bytes(image(50))
    video(images / "clip.mp4", 1)
    run(library, images, encoder)
    left_out = {".pdf": 2, "without suffix": 1, ".mp4": 1}
    assert Library.open(library.folder).info()["left_out"] == left_out
    assert library.excluded == {
        "._*": 1, "dot files": 1, "@eaDir": 1, "node_modules": 1, "dot folders": 1,
    }  # fmt: skip
    assert len(library) == 8
    (images / "1.pdf").unlink()
    run(library, images, encoder)
    assert library.left_out[".pdf"] == 1
    version = library.info()["version"]
    run(library, images, encoder)
    assert library.info()["version"] == version, "nothing changed, so nothing is written"


def test_patterns_leave_out_names_and_paths(images, library, encoder):
    (images / "old").mkdir()
    (images / "old" / "x.png").write_bytes(image(50))
    run(library, images, encoder, exclude=("old", "[0-3].png", "more/6*"))
    assert names(library) == ["4.png", "5.png", "7.png"]
    assert library.excluded == {"old": 1, "[0-3].png": 4, "more/6*": 1}


def test_a_video_gives_frames_that_open_again(tmp_path, library, encoder):
    folder = tmp_path / "clips"
    folder.mkdir()
    video(folder / "clip.mp4")
    whole = (folder / "clip.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: whole.index(b"moov")])  # where its index begins
    progress = run(library, folder, encoder, every=1.0)
    assert (progress.embedded, progress.failed) == (4, 1)
    assert names(library) == [f"clip.mp4@{n}.0s" for n in range(4)]
    assert "cut.mp4 cannot be read as a video" in library.errors["reason"][0]
    by_name = dict(zip(library.rows["item"], range(4), strict=True))
    for number, colour in enumerate(COLOURS):
        row = by_name[f"{folder}/clip.mp4@{number}.0s"]
        opened = np.asarray(library.open_image(row)).astype(int)
        assert opened.shape == (48, 64, 3) and np.abs(opened - colour).mean() < 12
        assert library.points([row]).labels == (f"clip.mp4@{number}.0s",)
    assert run(library, folder, encoder, every=1.0).unchanged == 4
    run(library, folder, encoder)
    assert len(library) == 4, "without --every the frames stay"
    assert library.left_out[".mp4"] == 2
    run(library, folder, encoder, every=2.0)
    assert names(library) == ["clip.mp4@0.0s", "clip.mp4@2.0s"]


def test_lengths_of_time():
    assert [seconds(t) for t in ("2s", "500ms", "1m", "0.5", "2 min")] == [2, 0.5, 60, 0.5, 120]
    for wrong in ("", "0s", "-1s", "2h", "1e9", "nan"):
        with pytest.raises(QueryError, match="not a length of time"):
            seconds(wrong)


def hugging_face_table(count=5):
    cells = [{"bytes": content((n, 0, 0)), "path": f"{n}.png"} for n in range(count)]
    cells[-1]["bytes"] = None
    return pa.table({"image": cells, "label": list(range(count))})


@pytest.mark.parametrize("layout", ["shards", "save_to_disk", "file", "bytes"])
def test_tables_with_the_images_inside(layout, tmp_path, library, encoder):
    folder, table = tmp_path / "set", hugging_face_table()
    folder.mkdir()
    source = folder
    if layout == "save_to_disk":
        (folder / "state.json").write_text("{}")
        file = folder / "data-00000-of-00001.arrow"
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    elif layout == "bytes":
        cells = [None if c["bytes"] is None else c["bytes"] for c in table["image"].to_pylist()]
        source = folder / "a.parquet"
        parquet.write_table(pa.table({"jpg": cells, "label": table["label"]}), source)
    else:
        file = folder / "train-00000.parquet"
        parquet.write_table(table, file, row_group_size=2)
        source = file if layout == "file" else folder
    progress = run(library, source, encoder)
    assert (progress.embedded, progress.failed) == (4, 1)
    assert sorted(library.rows["label"]) == [0, 1, 2, 3] and library.columns == ["label"]
    for row in (3, 0, 2):
        red = np.asarray(library.open_image(row))[0, 0, 0]
        assert red == library.rows["label"][row]
    assert "#4 has no image" in library.errors["reason"][0]
    assert run(library, source, encoder).unchanged == 4


def test_cells_are_bounded(images, library, encoder):
    rows = {"file": ["0.png"], "blob": [b"\xff" * 3_000_000], "text": ["a" * 100_000]}
    rows["struct"] = [{"bytes": b"x" * 100_000}]
    run(library, images, encoder, columns=pd.DataFrame(rows))
    row = library.rows.iloc[0]
    assert row["blob"] == "3,000,000 bytes"
    assert len(row["text"]) == len(row["struct"]) == 4000 and row["text"].endswith("…")


class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        answers = {"/good.png": (200, content()), "/big.png": (200, bytes(3000))}
        answers |= {"/page": (200, b"<html>"), "/file": (302, b"")}
        code, body = answers.get(self.path, (404, b""))
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "ftp://127.0.0.1/x")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_table_of_urls_is_fetched_once(tmp_path, library, encoder, site, monkeypatch):
    monkeypatch.setattr(fetching, "MAX_FETCHED_BYTES", 2000)
    monkeypatch.setenv("no_proxy", "*")
    base = f"http://127.0.0.1:{site.server_port}"
    urls = [f"{base}/{name}" for name in ("good.png", "big.png", "gone.png", "page", "file")]
    urls.append("file:///etc/passwd")
    table = tmp_path / "urls.csv"
    pd.DataFrame({"URL": urls, "caption": list("abcdef")}).to_csv(table, index=False)
    progress = run(library, table, encoder)
    assert (progress.embedded, progress.failed) == (1, 5)
    assert list(library.rows["url"]) == urls[:1] and list(library.rows["caption"]) == ["a"]
    assert library.open_image(0).size == (40, 30)
    reasons = " ".join(library.errors["reason"])
    for part in ("gone.png cannot be fetched: HTTP 404", "it has over", "only http and https"):
        assert part in reasons
    assert reasons.count("only http and https") == 2
    site.asked.clear()
    run(library, table, encoder)
    assert "/good.png" not in site.asked


def test_fetching_a_table_of_urls_shows_how_far_it_is(tmp_path, library, encoder, site):
    base = f"http://127.0.0.1:{site.server_port}"
    table = tmp_path / "urls.csv"
    urls = [f"{base}/good.png", f"{base}/gone.png", f"{base}/good.png?2"]
    pd.DataFrame({"url": urls}).to_csv(table, index=False)
    steps = list(library.adding(table, encoder=encoder, workers=0))
    fetched = [(s.done, s.total) for s in steps if s.doing == "fetching images"]
    assert fetched == [(0, 3), (1, 3), (2, 3), (3, 3)]
    read = [s for s in steps if s.doing == "reading images"]
    assert read and read[-1].total == 3 and steps[-1] is read[-1]


def test_a_compressed_tar_is_read_in_place(tmp_path, library, encoder):
    members = [(f"{n}.png", image(n)) for n in range(5)]
    members += [("1.txt", b"one"), ("._1.png", b"x"), ("@eaDir/t.png", b"x"), ("a.pdf", b"x")]
    make_tar(tmp_path / "a.tar", members)
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(gzip.compress((tmp_path / "a.tar").read_bytes()))
    progress = run(library, packed, encoder)
    assert (progress.embedded, progress.failed) == (5, 0)
    assert library.excluded == {"._*": 1, "@eaDir": 1} and library.left_out == {".pdf": 1}
    for row in (4, 0, 2):
        assert library.open_image(row).size == open_image(image(0)).size
    assert list(library.rows["caption"].dropna()) == ["one"]
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) // 2])
    run(library, packed, encoder)
    assert "cannot be read to its end" in " ".join(library.errors["reason"])


def test_a_text_beside_an_image_is_its_caption(images, library, encoder):
    (images / "0.txt").write_text("\ufeffa cat\n", encoding="utf-8")
    (images / "other.txt").write_text("of nothing")
    run(library, images, encoder)
    assert list(library.rows["caption"].dropna()) == ["a cat"]
    assert library.left_out == {".txt": 1}


def test_captions_of_coco(images, library, encoder):
    notes = [{"image_id": 7, "caption": "a zero"}, {"image_id": 7, "caption": "nought "}]
    content = {"images": [{"id": 7, "file_name": "0.png"}], "annotations": notes}
    (images / "captions.json").write_text(json.dumps(content))
    run(library, images, encoder)
    assert list(library.rows["caption"].dropna()) == ["a zero"]
    assert list(library.rows["captions"].dropna()) == ['["a zero", "nought"]']


TABLES = {
    "semicolons": ("File;Caption\n0.png;eins, zwei\n", "utf-8"),
    "tabs": (" file \tCaption\n0.png\teins, zwei\n", "utf-8-sig"),
    "utf-16": ('FILENAME,Caption\n0.png,"eins, zwei"\n', "utf-16"),
    "latin-1": ("file;Caption\n0.png;ein Bär\n", "latin-1"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_as_people_write_them(kind, tmp_path, images, library, encoder):
    text, encoding = TABLES[kind]
    for file in (images / "captions.csv", tmp_path / "source.csv"):
        file.write_bytes(text.replace("0.png", f"{images}/0.png").encode(encoding))
    run(library, images, encoder)
    expected = "ein Bär" if kind == "latin-1" else "eins, zwei"
    assert list(library.rows["Caption"].dropna()) == [expected]
    assert any("Latin-1" in w for w in library.warnings) == (kind == "latin-1")
    assert run(library, tmp_path / "source.csv", encoder).total == 1


def test_a_refused_table_says_which_columns_it_saw(tmp_path, library, encoder):
    (tmp_path / "a.csv").write_text("name;style\nx;y\n")
    with pytest.raises(QueryError, match="its columns are name, style"):
        run(library, tmp_path / "a.csv", encoder)


def test_a_row_that_names_one_file_captions_no_other_of_its_name(images, library, encoder):
    (images / "again").mkdir()
    (images / "again" / "0.png").write_bytes(image(60))
    (images / "captions.csv").write_text("file,caption\n0.png,the first\n6.png,by name alone\n")
    run(library, images, encoder)
    captions = library.rows.set_index("item")["caption"].dropna().to_dict()
    assert captions == {
        f"{images}/0.png": "the first",
        f"{images}/more/6.png": "by name alone",
    }

"""The encoder's batching and its reading in parallel, with a toy model whose answers are known."""

import hashlib
import io
import multiprocessing
import os
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from explorer.encoder import Encoder
from explorer.errors import ImageError, QueryError
from explorer.images import open_image
from explorer.points import Space


@dataclass(frozen=True)
class Shrink:
    """8 × 8 pixels; an image 13 wide ends the process that sees it, if that is not this one."""

    home: int = 0

    def __call__(self, image):
        if image.width == 13 and os.getpid() != self.home:
            os._exit(9)
        pixels = np.asarray(image.resize((8, 8)), dtype=np.float32).transpose(2, 0, 1)
        return np.ascontiguousarray(pixels) / 255


class Toy(Encoder):
    """A point is the mean colour, so that black has no direction; texts count their letters."""

    space = Space("toy", 3, "0f")
    batch_size = 8

    def __init__(self):
        self.batches = []

    def embed_texts(self, texts):
        self.batches.append(len(texts))
        return np.array([[len(t), 1, 0] for t in texts], dtype=np.float32)

    def embed_pixels(self, pixels):
        self.batches.append(len(pixels))
        return pixels.mean(axis=(2, 3))

    @property
    def preprocess(self):
        return Shrink(os.getpid())


def png(colour, size=(9, 7)):
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()


def images(n, first=1):
    return [png((i % 255 + 1, i // 255, 0)) for i in range(first - 1, first - 1 + n)]


def same(a, b):
    vectors = (a.vector is None) == (b.vector is None) and (
        a.vector is None or np.array_equal(a.vector, b.vector)
    )
    rest = ("index", "error", "sha256", "width", "height", "size")
    return vectors and all(getattr(a, name) == getattr(b, name) for name in rest)


def alive():
    return [process for process in multiprocessing.active_children() if process.is_alive()]


def wait_until(done, seconds=10):
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.02)
    return done()


def test_texts_are_encoded_in_batches_and_labelled_with_themselves():
    toy = Toy()
    texts = ["a" * n for n in range(20)]
    points = toy.encode_text(texts)
    assert points.side == "text" and points.labels == tuple(texts)
    assert points.vectors[:, 0].tolist() == list(range(20))
    assert toy.batches == [8, 8, 4]


def test_one_text_needs_no_list_and_no_text_is_refused():
    assert Toy().encode_text("abc").vectors.tolist() == [[3, 1, 0]]
    with pytest.raises(QueryError, match="no texts"):
        Toy().encode_text([])
    with pytest.raises(QueryError, match="no images"):
        Toy().encode_images([])


def test_images_files_and_bytes_give_the_same_points(tmp_path):
    file = tmp_path / "cat.png"
    file.write_bytes(png((10, 20, 30)))
    sources = [file, str(file), file.read_bytes(), open_image(file)]
    points = Toy().encode_images(sources)
    assert points.side == "image" and points.labels == ("cat.png", "cat.png", "", "")
    assert (points.vectors == points.vectors[0]).all()
    assert len(Toy().encode_images(file)) == 1


def test_a_image_in_memory_is_laid_on_white_like_one_in_a_file():
    clear = Image.new("RGBA", (9, 9), (0, 0, 0, 0))
    assert Toy().encode_images([clear]).vectors.tolist() == [[1, 1, 1]]


def test_encode_images_stops_at_the_first_bad_image():
    with pytest.raises(ImageError, match="is empty"):
        Toy().encode_images([png("red"), b"", b"<html>"])


def test_embed_answers_for_every_source_in_order(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(png((51, 102, 204), (9, 7)))
    results = list(Toy().embed([file, b"", tmp_path / "gone.png", b"<html>", png("red")]))
    assert [r.index for r in results] == [0, 1, 2, 3, 4]
    assert [r.vector is None for r in results] == [False, True, True, True, False]
    good, empty, gone, html, _ = results
    assert np.allclose(good.vector, np.array([51, 102, 204]) / 255)
    assert (good.width, good.height, good.size) == (9, 7, file.stat().st_size)
    assert good.sha256 == hashlib.sha256(file.read_bytes()).hexdigest() and good.error is None
    assert "is empty" in empty.error and "gone.png" in gone.error and "'<html>'" in html.error
    assert html.sha256 == hashlib.sha256(b"<html>").hexdigest()


def test_a_vector_without_direction_is_an_error_of_its_image_only():
    black, red = list(Toy().embed([png("black"), png("red")]))
    assert black.vector is None and "zero or NaN vector" in black.error
    assert red.vector.tolist() == [1, 0, 0]


def test_width_and_height_are_those_of_the_upright_image():
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.new("RGB", (9, 7), "red").save(stream, "PNG", exif=exif)
    (result,) = Toy().embed([stream.getvalue()])
    assert (result.width, result.height) == (7, 9)


def test_workers_give_what_this_process_gives():
    sources = images(100)
    sources[5], sources[40] = b"", b"<html>"
    here = list(Toy().embed(sources, workers=0))
    there = list(Toy().embed(iter(sources), workers=2))
    assert len(here) == len(there) == 100
    assert all(same(a, b) for a, b in zip(here, there, strict=True))
    assert wait_until(lambda: not alive())


def test_few_images_start_no_processes():
    iterator = Toy().embed(images(63))
    next(iterator)
    assert not alive()
    iterator.close()


def test_a_image_that_kills_its_reader_is_one_error_among_good_results():
    sources = images(60)
    sources[20] = png("red", (13, 13))
    results = list(Toy().embed(sources, workers=1))
    assert [r.index for r in results if r.error] == [20]
    assert "crashed the process" in results[20].error
    assert len(results) == 60


def test_no_more_is_read_than_a_bounded_number_of_images_ahead():
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield png("red")

    iterator = Toy().embed(endless(), workers=1)
    for _ in range(20):
        next(iterator)
    assert taken <= 20 + 5 * 16
    iterator.close()
    assert wait_until(lambda: not alive())


def test_a_bad_number_of_workers_is_refused():
    with pytest.raises(QueryError, match="workers is -1"):
        list(Toy().embed([b""], workers=-1))


def test_nothing_to_embed_gives_nothing():
    assert list(Toy().embed([])) == []
    assert list(Toy().embed([], workers=1)) == []


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from test_encoder import Toy, images
print("started")
print(sum(r.vector is not None for r in Toy().embed(images(70), workers=1)))
"""


def run(script, tmp_path):
    file = tmp_path / "script.py"
    file.write_text(script.format(tests=os.path.dirname(__file__)))
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(__file__))}
    return subprocess.run(
        [sys.executable, file],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )


def test_a_script_without_a_main_guard_runs_once(tmp_path):
    done = run(SCRIPT, tmp_path)
    assert done.stdout.split() == ["started", "70"], done.stderr


def test_a_preprocess_of_the_script_itself_is_run_in_its_own_process(tmp_path):
    own = "\nclass Own(Toy):\n    preprocess = property(lambda self: lambda image: shrink(image))\n"
    script = SCRIPT.replace(
        "print(", own + "from test_encoder import Shrink\nshrink = Shrink()\nprint(", 1
    )
    done = run(script.replace("Toy().embed", "Own().embed"), tmp_path)
    assert done.stdout.split() == ["started", "70"], done.stderr

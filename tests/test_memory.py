"""Decoding takes bounded memory, whatever a small file claims; libtiff's own messages stay away."""

import fcntl
import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from explorer.encoder.workers import Read
from explorer.errors import ImageError
from explorer.images import as_rgb, full_size, open_image
from explorer.images.budget import share_turns, turn

MEASURE = """
import io, resource, sys
import numpy as np
from PIL import Image
from explorer.errors import ImageError
from explorer.images import open_image
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
Image.new("L", (8, 8)).save(small := io.BytesIO(), "TIFF", compression="tiff_lzw")
open_image(small.getvalue())
before = peak()
try:
    open_image(sys.argv[1], max_megapixels=float(sys.argv[2]) if sys.argv[2:] else None)
except ImageError as error:
    print(error, file=sys.stderr)
print(peak() - before)
"""


def megabytes(file, *limit):
    words = [sys.executable, "-c", MEASURE, str(file), *map(str, limit)]
    run = subprocess.run(words, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return float(run.stdout), run.stderr


def test_a_tiff_of_sixteen_bits_is_converted_without_large_copies(tmp_path):
    Image.fromarray(np.zeros((8000, 8000), np.uint16)).save(
        tmp_path / "grey.tif", compression="tiff_adobe_deflate"
    )
    assert (tmp_path / "grey.tif").stat().st_size < 200_000
    used, complaint = megabytes(tmp_path / "grey.tif")
    assert used < 300 and not complaint


def test_a_webp_that_would_take_a_gigabyte_is_refused_with_the_way_round(tmp_path):
    Image.new("RGB", (8000, 8000)).save(tmp_path / "a.webp", lossless=True)
    assert (tmp_path / "a.webp").stat().st_size < 3000
    used, complaint = megabytes(tmp_path / "a.webp")
    assert used < 50 and "takes 1.1 GB of memory" in complaint and "--max-megapixels" in complaint


def test_a_limit_that_a_person_sets_counts_instead(tmp_path):
    Image.new("RGB", (3000, 2000)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="6 megapixels .* at most 5 are read"):
        open_image(tmp_path / "a.png", max_megapixels=5)
    assert open_image(tmp_path / "a.png", max_megapixels=6).size == (3000, 2000)


def test_a_raised_limit_of_pixels_still_bounds_the_memory(tmp_path):
    """4 MB for each megapixel that a person allows, whatever the format takes for a pixel."""
    Image.new("RGB", (8000, 8000)).save(tmp_path / "a.webp", lossless=True)
    used, complaint = megabytes(tmp_path / "a.webp", 200)  # 64 megapixels, that take 1.1 GB
    assert used < 50 and "takes 1.1 GB of memory; at most 800 MB" in complaint
    needed = int(complaint.rpartition("--max-megapixels ")[2].rstrip(".\n"))
    assert open_image(tmp_path / "a.webp", max_megapixels=needed).size == (4000, 4000)
    with pytest.raises(ImageError, match="at most"):
        open_image(tmp_path / "a.webp", max_megapixels=needed - 1)


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_large_image_is_reduced_and_its_size_remembered(format):
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (6000, 3000), (250, 10, 10)).save(stream, format, exif=exif)
    image = open_image(stream.getvalue())
    assert full_size(image) == (3000, 6000) and image.size == (1500, 3000)
    assert np.abs(np.asarray(image).astype(int) - (250, 10, 10)).max() <= 3


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16", "I", "F"])
def test_strips_give_what_the_whole_gives(mode, monkeypatch):
    levels = np.random.default_rng(0).integers(0, 256, (40, 30), dtype=np.uint8)
    image = Image.fromarray(levels)
    if mode == "I;16":
        image = Image.fromarray(levels.astype(np.uint16) * 200)
    elif mode != "P":
        image = image.convert(mode)
    else:
        image = image.quantize(16)
    whole = as_rgb(image)
    monkeypatch.setattr("explorer.images.converting.STRIP_PIXELS", 100)
    assert as_rgb(image).tobytes() == whole.tobytes()
    assert as_rgb(image, 2).tobytes() == whole.reduce(2).tobytes()


def middle_column(image):
    assert max(image.size) <= 20 * min(image.size)
    return np.zeros((3, 8, 8), np.float32)


def test_a_thin_image_is_cut_to_its_middle_before_it_is_scaled(tmp_path):
    Image.new("RGB", (60000, 1)).save(tmp_path / "thin.png")
    reading = Read(middle_column)(tmp_path / "thin.png")
    assert reading.error is None and (reading.width, reading.height) == (60000, 1)


def test_libtiff_does_not_write_to_stderr(tmp_path):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (64, 64), np.uint8)).save(
        tmp_path / "a.tif", compression="tiff_lzw"
    )
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[8:200] = b"\xff" * 192
    (tmp_path / "a.tif").write_bytes(data)
    _, complaint = megabytes(tmp_path / "a.tif")
    assert complaint.count("\n") == 1 and "is damaged or truncated" in complaint


def test_large_images_take_turns_across_processes(tmp_path):
    file = tmp_path / "turns"
    file.touch()
    code = (
        "import sys; from explorer.images.budget import share_turns, turn; share_turns(sys.argv[1])"
        "\nwith turn(10**9): print('in', flush=True); input()"
    )
    share_turns(str(file))
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "in\n"
    with file.open("r+") as handle:
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        process.kill()  # a worker that dies gives its turn back
        process.communicate()
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with turn(10**9):
        pass

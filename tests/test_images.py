"""Images from files: the reasons for refusal, the conversions, contact sheets and recipes."""

import io
import json
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from explorer.errors import ImageError, QueryError
from explorer.images import as_rgb, grid, open_image, read_recipe, save_image

SUFFIXES = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "AVIF": ".avif",
}
ORIENTED = {  # orientation tag: how an upright image is stored under it
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def noise(width=48, height=32, seed=0):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def content(image, format="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def forged_png(width, height):
    """A PNG whose header promises width × height, with next to no pixels."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("format", SUFFIXES)
def test_every_promised_format_opens_as_rgb(format, tmp_path):
    file = tmp_path / f"a{SUFFIXES[format]}"
    Image.new("RGB", (40, 30), (200, 30, 30)).save(file)
    image = open_image(file)
    assert (image.mode, image.size) == ("RGB", (40, 30))
    assert np.abs(np.asarray(image).astype(int) - (200, 30, 30)).max() <= 4
    assert open_image(str(file)).tobytes() == open_image(file.read_bytes()).tobytes()


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_all_eight_orientations_give_the_same_upright_image(format):
    upright = noise()
    for tag, stored in ORIENTED.items():
        exif = Image.Exif()
        exif[0x0112] = tag
        image = upright.transpose(stored) if stored is not None else upright
        options = {"lossless": True} if format == "WEBP" else {}
        opened = open_image(content(image, format, exif=exif, **options))
        assert np.array_equal(np.asarray(opened), np.asarray(upright)), tag


def test_damaged_exif_does_not_lose_the_image():
    data = content(noise(), exif=b"Exif\0\0II*\0\xff\xff\xff\xff broken")
    assert open_image(data).size == (48, 32)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(format):
    ramp = np.linspace(0, 65535, 512).astype(np.uint16)[None].repeat(4, axis=0)
    grey = np.asarray(open_image(content(Image.fromarray(ramp), format)))[0, :, 0]
    assert len(np.unique(grey)) > 200
    assert np.array_equal(grey, ramp[0] >> 8)


@pytest.mark.parametrize("high", [1.0, 255.0, 1023.0, 4095.0, 65535.0, 1e6])
@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_grey_of_any_range_fills_the_eight_bits(dtype, high):
    ramp = np.linspace(0, high, 512).astype(dtype)[None].repeat(2, axis=0)
    grey = np.asarray(open_image(content(Image.fromarray(ramp), "TIFF")))[0, :, 0].astype(int)
    assert (grey[0], grey[-1]) == (0, 255)
    assert (np.diff(grey) >= 0).all()


def test_numbers_that_are_not_finite_do_not_spoil_a_float_image():
    values = np.array([[0.0, 0.5, 1.0, np.nan, np.inf]], dtype=np.float32)
    assert np.asarray(as_rgb(Image.fromarray(values)))[0, :, 0].tolist() == [0, 128, 255, 0, 0]


def clear_palette():
    image = Image.new("P", (4, 4), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.info["transparency"] = 0
    return image


def clear_palette_with_alpha():
    image = Image.new("P", (4, 4), 0)
    image.putpalette([9, 0, 0])
    image.putalpha(0)
    return image


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGBA", (4, 4), (0, 0, 0, 0)),
        Image.new("LA", (4, 4), (0, 0)),
        Image.new("RGBA", (4, 4), (0, 0, 0, 0)).convert("RGBa"),
        Image.new("LA", (4, 4), (0, 0)).convert("La"),
        clear_palette(),
        clear_palette_with_alpha(),
    ],
    ids=lambda image: image.mode,
)
def test_what_is_transparent_becomes_white(image):
    assert as_rgb(image).getcolors() == [(16, (255, 255, 255))]
    if image.mode in ("RGBA", "LA", "P"):
        assert open_image(content(image)).getcolors() == [(16, (255, 255, 255))]


def test_half_transparent_red_lies_on_white_as_pink():
    assert as_rgb(Image.new("RGBA", (1, 1), (255, 0, 0, 128))).getpixel((0, 0)) == (255, 127, 127)


def test_cmyk_is_read_with_and_without_a_profile():
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    for options in ({}, {"icc_profile": b"no profile at all"}):
        assert open_image(content(red, "TIFF", **options)).getpixel((4, 4)) == (255, 0, 0)
        r, g, b = open_image(content(red, "JPEG", quality=95, **options)).getpixel((4, 4))
        assert r > 250 and g < 5 and b < 5


def test_lab_agrees_with_colour_management():
    lab = ImageCms.profileToProfile(
        Image.new("RGB", (4, 4), (180, 60, 90)),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    colour = open_image(content(lab, "TIFF")).getpixel((0, 0))
    assert np.abs(np.subtract(colour, (180, 60, 90))).max() <= 2


def test_an_animation_gives_its_first_frame():
    first, second = Image.new("RGB", (9, 9), "red"), Image.new("RGB", (9, 9), "blue")
    for format in ("GIF", "WEBP", "PNG"):
        data = content(first, format, save_all=True, append_images=[second])
        assert open_image(data).getpixel((4, 4))[0] > 240


@pytest.mark.parametrize("side", [11315, 13312, 40000])
def test_a_bomb_is_refused_from_its_header(side):
    with pytest.raises(ImageError, match="too large"):
        open_image(forged_png(side, side))


def test_sixty_four_megapixels_are_not_refused_for_their_size():
    with pytest.raises(ImageError, match="damaged or truncated"):
        open_image(forged_png(8000, 8000))


@pytest.mark.parametrize("format", SUFFIXES)
def test_a_truncated_image_is_refused_at_every_length(format):
    data = content(noise(), format)
    for tenths in range(1, 10):
        with pytest.raises(ImageError, match="damaged|not an image"):
            open_image(data[: len(data) * tenths // 10])


@pytest.mark.parametrize("format", SUFFIXES)
def test_damaged_bytes_give_a_image_or_one_kind_of_error(format):
    rng = np.random.default_rng(7)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = np.frombuffer(content(noise(24, 16), format, exif=exif), dtype=np.uint8)
    for _ in range(150):
        damaged = data.copy()
        damaged[rng.integers(0, len(data), 4)] = rng.integers(0, 256, 4)
        try:
            assert open_image(damaged.tobytes()).mode == "RGB"
        except ImageError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "is not an image .it starts with '<!DOC"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not an image"),
        (b"8BPS\0\1" + bytes(40), "is not an image"),
        (b"\xff\xd8\xff", "is damaged or truncated"),
    ],
)
def test_a_refusal_names_the_file_and_the_reason(data, reason, tmp_path):
    file = tmp_path / "cat.jpg"
    file.write_bytes(data)
    with pytest.raises(ImageError, match=f"cat.jpg {reason}"):
        open_image(file)


def test_what_is_no_plain_file_is_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for file, reason in [
        (tmp_path / "pipe.png", "is not a file"),
        (tmp_path, "is not a file"),
        (tmp_path / "gone.png", "No such file"),
        ("a\0b.png", "null"),
    ]:
        with pytest.raises(ImageError, match=reason):
            open_image(file)


def test_a_message_stays_on_one_line_whatever_the_name(tmp_path):
    file = tmp_path / "two\nlines\udcff.png"
    file.write_bytes(b"")
    with pytest.raises(ImageError) as caught:
        open_image(file)
    assert "\n" not in str(caught.value)
    str(caught.value).encode("utf-8")


def test_opening_gives_no_warnings():
    image = Image.new("P", (4, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_image(content(image, transparency=b"\x00\x80"))
        with pytest.raises(ImageError):
            open_image(forged_png(10000, 10000))


def test_a_grid_shows_each_image_in_its_place():
    colours = ["red", "lime", "blue", "yellow", "black"]
    sheet = grid([Image.new("RGB", (10, 10), c) for c in colours], columns=3, gap=2)
    assert sheet.size == (3 * 12 + 2, 2 * 12 + 2)
    for i, colour in enumerate(colours):
        tile = sheet.crop((2 + i % 3 * 12, 2 + i // 3 * 12, 12 + i % 3 * 12, 12 + i // 3 * 12))
        assert tile.tobytes() == Image.new("RGB", (10, 10), colour).tobytes()
    assert sheet.getpixel((37, 25)) == (255, 255, 255)


def test_a_grid_fits_images_of_any_shape_and_mode_into_square_tiles():
    images = [Image.new("L", (200, 20), 0), Image.new("RGBA", (5, 50), (0, 0, 0, 0))]
    sheet = grid(images, columns=2, size=40, gap=0, background="white")
    assert sheet.size == (80, 40)
    dark = np.argwhere(np.asarray(sheet.convert("L")) < 128)
    assert dark[:, 0].min() == 18 and dark[:, 0].max() == 21 and dark[:, 1].max() == 39


def test_labels_stay_under_their_tile_and_inside_its_width():
    tiles = [Image.new("RGB", (60, 60), "white")] * 3
    sheet = grid(tiles, columns=3, gap=10, labels=["", "a label " * 40, ""])
    dark = np.argwhere(np.asarray(sheet.convert("L")) < 128)
    assert dark[:, 0].min() >= 70
    assert dark[:, 1].min() >= 80 and dark[:, 1].max() < 140
    short, long = (grid(tiles[:1], labels=[text]) for text in ("a", "a label " * 40))
    assert short.size == long.size and short.tobytes() != long.tobytes()


@pytest.mark.parametrize("letter", ["ñ", "η", "Ж", "→"])
def test_labels_have_letters_beyond_english(letter):
    tile = [Image.new("RGB", (64, 64))]
    missing, shown = (grid(tile, labels=[text]).tobytes() for text in ("\U0010ffff", letter))
    assert shown != missing


def test_a_grid_without_images_or_with_too_few_labels_is_refused():
    with pytest.raises(QueryError, match="at least one"):
        grid([])
    with pytest.raises(QueryError, match="as many labels, not 1"):
        grid([noise(), noise()], labels=["a"])


RECIPE = {"model": "pocket", "texts": ["a “cat” 🐱"], "seed": 3, "eta": 0.5, "from": None}


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg", ".jpeg", ".PNG"])
def test_a_recipe_comes_back_as_it_was(suffix, tmp_path):
    file = tmp_path / f"a{suffix}"
    save_image(noise(), file, RECIPE)
    assert read_recipe(file) == RECIPE
    save_image(noise(), file)
    assert read_recipe(file) is None


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
@pytest.mark.parametrize("size", [65_400, 200_000, 9_000_000])
def test_a_recipe_of_any_size_comes_back_and_leaves_the_pixels_alone(suffix, size, tmp_path):
    large, plain = tmp_path / f"large{suffix}", tmp_path / f"plain{suffix}"
    recipe = RECIPE | {"noise": ("0123456789abcdef" * (size // 16 + 1))[:size]}
    save_image(noise(), large, recipe)
    save_image(noise(), plain)
    assert read_recipe(large) == recipe
    assert open_image(large).tobytes() == open_image(plain).tobytes()


def test_a_jpeg_that_lost_a_segment_of_its_recipe_is_still_an_image(tmp_path):
    file = tmp_path / "a.jpg"
    save_image(noise(), file, {"text": "x" * 200_000})
    before, content = open_image(file), file.read_bytes()
    first = content.index(b"\xff\xe1\xff\xff")
    second = content.index(b"\xff\xe1\xff\xff", first + 1)
    file.write_bytes(content[:second] + content[second + 2 + 65_535 :])
    assert open_image(file).tobytes() == before.tobytes()
    assert read_recipe(file) is None


def test_a_recipe_of_an_older_version_is_still_read(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = json.dumps({"unclip": RECIPE})
    for file in (tmp_path / "a.jpg", tmp_path / "a.webp"):
        noise().save(file, exif=exif)
        assert read_recipe(file) == RECIPE


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_png_and_webp_keep_every_pixel(suffix, tmp_path):
    file = tmp_path / f"a{suffix}"
    save_image(noise(), file, RECIPE)
    assert np.array_equal(np.asarray(open_image(file)), np.asarray(noise()))


def test_a_image_of_someone_else_has_no_recipe(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "OLYMPUS DIGITAL CAMERA"
    noise().save(tmp_path / "camera.jpg", exif=exif)
    assert read_recipe(tmp_path / "camera.jpg") is None
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(ImageError, match="not an image"):
        read_recipe(tmp_path / "text.png")


def test_a_suffix_that_cannot_be_written_names_those_that_can(tmp_path):
    with pytest.raises(QueryError, match=r"a\.bmp.*\.png, \.webp, \.jpg, \.jpeg"):
        save_image(noise(), tmp_path / "a.bmp")
    with pytest.raises(QueryError, match="does not exist"):
        save_image(noise(), tmp_path / "gone" / "a.png")


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    file = tmp_path / "a.png"
    save_image(noise(), file)
    before = file.read_bytes()

    def full(self, stream, **options):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space"):
        save_image(noise(seed=1), file)
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.png"]

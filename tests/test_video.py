"""Videos: what is written can be read again, whole or not at all."""

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from explorer.errors import ExplorerError, VideoError
from explorer.priority import policies
from explorer.video import SUFFIXES, read_frames, read_video_recipe, write_video

STREAMED = (".mp4", ".webm")


def frames(n: int = 12, size: tuple[int, int] = (96, 64)) -> Iterator[Image.Image]:
    """A bar that walks from left to right over a colour gradient."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    ground = np.stack([x * 255 / width, y * 255 / height, 128 + 0 * x], axis=2)
    for step in range(n):
        image = ground.copy()
        start = step * (width - 8) // max(1, n - 1)
        image[height // 4 : height // 2, start : start + 8] = (255, 255, 255)
        yield Image.fromarray(image.astype(np.uint8))


def difference(a: Image.Image, b: Image.Image) -> float:
    return float(np.abs(np.asarray(a, float) - np.asarray(b.convert("RGB"), float)).mean())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_can_be_read_frame_by_frame(tmp_path, suffix):
    file = write_video(frames(), tmp_path / f"walk{suffix}", scale=1)
    read = list(read_frames(file))
    assert [frame.size for frame in read] == [(96, 64)] * 12
    distances = [[difference(a, b) for b in frames()] for a in read]
    assert np.argmin(distances, axis=1).tolist() == list(range(12))
    assert np.diag(distances).max() < 6


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)])
def test_colours_survive(tmp_path, suffix, colour):
    file = write_video([Image.new("RGB", (64, 64), colour)] * 2, tmp_path / f"c{suffix}", scale=1)
    read = np.asarray(next(read_frames(file)), int)
    assert np.abs(read - colour).max() <= 4


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_long_recipe_survives(tmp_path, suffix):
    recipe = {"text": "ü;=\\\n#\"</script>'" * 1200, "seeds": list(range(20)), "eta": 0.1}
    file = write_video(frames(), tmp_path / f"walk{suffix}", recipe=recipe)
    assert file.stat().st_size > 20_000
    assert read_video_recipe(file) == recipe


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_video_without_recipe_says_so(tmp_path, suffix):
    assert read_video_recipe(write_video(frames(2), tmp_path / f"walk{suffix}")) is None


def test_a_comment_of_somebody_else_is_no_recipe(tmp_path):
    file = tmp_path / "other.gif"
    Image.new("RGB", (4, 4)).save(file, comment=b"made with love")
    assert read_video_recipe(file) is None


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("fps", [7, 24, 29.97])
def test_the_video_lasts_as_long_as_its_frames(tmp_path, suffix, fps):
    file = write_video(frames(10), tmp_path / f"walk{suffix}", fps=fps, scale=1)
    assert seconds(file) == pytest.approx(10 / fps, abs=0.006)


def seconds(file) -> float:
    if file.suffix in STREAMED:
        import av

        with av.open(str(file)) as container:
            rate = container.streams.video[0].average_rate
            return float(sum(1 for _ in container.decode(video=0)) / rate)
    total = 0
    with Image.open(file) as animation:
        for index in range(animation.n_frames):
            animation.seek(index)
            animation.load()
            total += animation.info["duration"]
    return total / 1000


@pytest.mark.parametrize(
    ("size", "expected"),
    [((64, 64), (256, 256)), ((100, 60), (500, 300)), ((256, 300), (256, 300))],
)
def test_small_images_are_enlarged_by_a_whole_factor(tmp_path, size, expected):
    file = write_video(frames(2, size), tmp_path / "walk.mp4")
    assert next(read_frames(file)).size == expected


def test_scale_overrules_the_enlargement(tmp_path):
    assert next(read_frames(write_video(frames(2), tmp_path / "a.gif", scale=2))).size == (192, 128)


@pytest.mark.parametrize(("suffix", "size"), [(".mp4", (64, 72)), (".webp", (63, 71))])
def test_odd_sides_gain_a_line_only_where_the_format_needs_it(tmp_path, suffix, size):
    image = next(frames(1, (63, 71)))
    read = next(read_frames(write_video([image], tmp_path / f"odd{suffix}", scale=1)))
    assert read.size == size
    assert difference(read.crop((0, 0, 63, 71)), image) < 4


def test_the_index_of_an_mp4_stands_before_its_frames(tmp_path):
    content = write_video(frames(), tmp_path / "walk.mp4").read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")


def test_still_parts_of_a_gif_do_not_flicker(tmp_path):
    still = np.asarray(next(frames(1, (64, 64))))
    moving = [np.concatenate([upper, still]) for upper in noise(6, 20)]
    file = write_video(map(Image.fromarray, moving), tmp_path / "half.gif", scale=1)
    lower = np.stack([np.asarray(frame)[20:] for frame in read_frames(file)])
    assert len(lower) == 6 and (lower == lower[0]).all()


def test_transparent_images_stand_on_white(tmp_path):
    file = write_video([Image.new("RGBA", (64, 64), (255, 0, 0, 0))], tmp_path / "a.mp4")
    assert min(next(read_frames(file)).getpixel((10, 10))) > 250


def noise(n: int, height: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    return (rng.integers(0, 256, (height, 64, 3), dtype=np.uint8) for _ in range(n))


def test_the_file_grows_while_frames_arrive(tmp_path):
    sizes = []

    def watching() -> Iterator[Image.Image]:
        for pixels in noise(160, 64):
            yield Image.fromarray(pixels)
            sizes.append(sum(file.stat().st_size for file in tmp_path.iterdir()))

    file = write_video(watching(), tmp_path / "noise.mp4", scale=1)
    assert sizes[-1] > 0.2 * file.stat().st_size


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_thread_runs_in_real_time(tmp_path, suffix):
    before, during = set(policies().values()), set()

    def watched():
        for frame in frames(4):
            during.update(policies().values())
            yield frame

    write_video(watched(), tmp_path / f"video{suffix}")
    assert during == set(policies().values()) == before


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, ValueError])
def test_an_interrupted_video_leaves_the_folder_as_it_was(tmp_path, suffix, error):
    file = tmp_path / f"walk{suffix}"
    file.write_bytes(b"before")

    def interrupted() -> Iterator[Image.Image]:
        yield from frames(160)
        raise error

    with pytest.raises(error) as caught:
        write_video(interrupted(), file)
    assert not isinstance(caught.value, ExplorerError)
    assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [(file.name, b"before")]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_file_appears_only_when_it_is_whole(tmp_path, suffix):
    file = tmp_path / f"walk{suffix}"

    def watching() -> Iterator[Image.Image]:
        for frame in frames(30):
            assert not file.exists()
            yield frame

    write_video(watching(), file)
    assert [f.name for f in tmp_path.iterdir()] == [file.name]


def test_the_same_frames_give_the_same_bytes(tmp_path):
    a, b = (write_video(frames(), tmp_path / name) for name in ("a.mp4", "b.mp4"))
    assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_frames_are_refused(tmp_path, suffix):
    with pytest.raises(VideoError, match="no frames"):
        write_video([], tmp_path / f"walk{suffix}")
    assert not list(tmp_path.iterdir())


def test_frames_of_two_sizes_are_refused_with_both(tmp_path):
    with pytest.raises(VideoError, match="Frame 2 is 64 × 80 .* 64 × 64"):
        write_video([Image.new("RGB", (64, 64)), Image.new("RGB", (64, 80))], tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


def test_an_unknown_suffix_is_refused_with_those_that_work(tmp_path):
    with pytest.raises(VideoError, match=r"\.mp4 or \.webm or \.webp or \.gif"):
        write_video(frames(), tmp_path / "walk.avi")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.gif", {"fps": 60}),
        ("a.mp4", {"fps": 0}),
        ("a.mp4", {"fps": float("nan")}),
        ("a.mp4", {"scale": 0}),
        ("a.mp4", {"scale": 1000}),
        ("a.webm", {"scale": 1}),
        ("missing/a.mp4", {}),
    ],
)
def test_impossible_wishes_are_refused_at_once(tmp_path, name, options):
    with pytest.raises(VideoError):
        write_video(frames(2, (33, 32)), tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["missing.mp4", "text.mp4", "text.gif", "text.webp", "cut.webp"])
def test_what_is_no_video_is_refused(tmp_path, name):
    (tmp_path / "text.mp4").write_text("<html>not found</html>")
    (tmp_path / "text.gif").write_text("<html>not found</html>")
    (tmp_path / "text.webp").write_text("<html>not found</html>")
    whole = write_video(frames(), tmp_path / "whole.webp").read_bytes()
    (tmp_path / "cut.webp").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(VideoError, match=name):
        list(read_frames(tmp_path / name))

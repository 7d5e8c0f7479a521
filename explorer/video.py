"""Videos: write images as one file (MP4, WebM, animated WebP, GIF), and read them back.

The suffix selects the format. The recipe (what made the video, as JSON) is in the file's metadata.
It works on images and files; it knows no points and no models.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, count, pairwise
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image

from explorer.errors import VideoError
from explorer.files import writing
from explorer.images import as_rgb, name_of
from explorer.metadata import IMAGE_DESCRIPTION
from explorer.priority import same_priority

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MIN_SIDE_PIXELS = 256  # smaller images are enlarged, since players show them tiny or blurred
MAX_SIDE_PIXELS = 16_383  # the limit of WebP and H.264
MAX_GIF_FPS = 50  # browsers show a frame that is shorter than 2/100 s for 10/100 s
DITHER_LEVELS = 16  # of 255: about the distance between neighbours in a palette of 256 colours


@dataclass(frozen=True)
class _Encoding:
    container: str
    codec: str
    min_side: int  # pixels
    container_options: dict[str, str]
    codec_options: dict[str, str]


_ENCODINGS = {
    # without use_metadata_tags the MP4 muxer drops every key that iTunes does not know
    ".mp4": _Encoding(
        "mp4", "libx264", 1, {"movflags": "+faststart+use_metadata_tags"}, {"crf": "16"}
    ),
    # Without bitexact the WebM muxer writes a random number, and no two files are the same.
    ".webm": _Encoding(
        "webm", "libsvtav1", 64, {"fflags": "+bitexact"}, {"crf": "24", "preset": "7"}
    ),
}
SUFFIXES = (*_ENCODINGS, ".webp", ".gif")


def write_video(
    frames: Iterable[Image.Image],
    file: str | os.PathLike[str],
    *,
    fps: float = 24,
    scale: int | None = None,
    recipe: dict[str, Any] | None = None,
) -> FilePath:
    """Write images of one size as a video and return its file; the suffix selects the format.

    `.mp4` is H.264, `.webm` AV1, both encoded as frames arrive; `.webp` and `.gif` hold all frames
    in memory. The file appears under its name only when it is complete.

    Args:
        frames: consumed once. In MP4 and WebM, an odd width or height gains one line of pixels at
            the right or lower edge, because colours are stored for 2 × 2 pixels.
        fps: frames per second, at most 50 for GIF.
        scale: factor to enlarge by, bicubic. None takes the smallest whole factor that brings the
            shorter side to 256 pixels or more; 1 keeps the size.
        recipe: what made the video, in values that JSON knows.

    Raises:
        VideoError: no frames, frames of different sizes or too large, another suffix, or no folder.

    >>> frames = [Image.new("RGB", (64, 64), (red, 0, 0)) for red in range(0, 256, 32)]
    >>> len(list(read_frames(write_video(frames, "red.gif", fps=10))))
    8
    """
    file = FilePath(file)
    suffix = file.suffix.lower()
    _check(file, suffix, fps, scale)
    rate = Fraction(fps).limit_denominator(1001)
    comment = "" if recipe is None else json.dumps(recipe)
    images = _prepare(frames, scale)
    with writing(file) as temporary:
        if suffix in _ENCODINGS:
            _encode(images, temporary, rate, comment, _ENCODINGS[suffix])
        else:
            _animate(list(images), temporary, rate, comment)
    return file


def _check(file: FilePath, suffix: str, fps: float, scale: int | None) -> None:
    if suffix not in SUFFIXES:
        raise VideoError(f"{name_of(file)} is not named as a video: use {' or '.join(SUFFIXES)}.")
    limit = MAX_GIF_FPS if suffix == ".gif" else 1000
    if not 0 < fps <= limit:
        raise VideoError(f"fps of a {suffix} video must be above 0, at most {limit}, not {fps}.")
    if scale is not None and scale < 1:
        raise VideoError(f"scale is {scale}, but must be 1 or more.")
    if not file.parent.is_dir():
        raise VideoError(f"The folder {file.parent} does not exist. Create it first.")


def read_frames(file: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """Yield the images of a video in order, as RGB.

    Animated WebP and GIF store repeated frames as one of longer duration, so fewer frames may be
    read than were written.

    Raises:
        VideoError: the file does not exist, is not a video, or is damaged.
    """
    file = FilePath(file)
    with _reading(file):
        if file.suffix.lower() in (".gif", ".webp"):
            with Image.open(file) as animation:
                for index in range(getattr(animation, "n_frames", 1)):
                    animation.seek(index)
                    yield animation.convert("RGB")
            return
        import av

        with av.open(str(file)) as container:
            for frame in container.decode(video=0):
                yield frame.to_image()


def read_video_recipe(file: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Read the recipe that `write_video` wrote; None if the file has none.

    Raises:
        VideoError: the file does not exist, is not a video, or is damaged.
    """
    file = FilePath(file)
    with _reading(file):
        if file.suffix.lower() in (".gif", ".webp"):
            with Image.open(file) as animation:
                exif = animation.getexif().get(IMAGE_DESCRIPTION, "")
                comment = animation.info.get("comment", exif)
        else:
            import av

            with av.open(str(file)) as container:
                tags = {key.lower(): value for key, value in container.metadata.items()}
                comment = tags.get("comment", "")
    try:
        recipe = json.loads(comment or "")
    except (ValueError, RecursionError):
        return None  # a comment of another program
    return recipe if isinstance(recipe, dict) else None


def _prepare(frames: Iterable[Image.Image], scale: int | None) -> Iterator[Image.Image]:
    """Yield the frames as RGB, enlarged; they must all have the first one's size."""
    expected = None
    for number, frame in zip(count(1), frames, strict=False):
        expected = expected or frame.size
        if frame.size != expected:
            raise VideoError(
                f"Frame {number} is {frame.width} × {frame.height} pixels, but the first is "
                f"{expected[0]} × {expected[1]}. Resize all frames to one size."
            )
        factor = scale or -(-MIN_SIDE_PIXELS // min(expected))
        size = (frame.width * factor, frame.height * factor)
        if max(size) > MAX_SIDE_PIXELS:
            limit = f"at most {MAX_SIDE_PIXELS} pixels a side fit into a video"
            raise VideoError(f"Frames of {size[0]} × {size[1]} are too large: {limit}.")
        yield as_rgb(frame).resize(size, Image.Resampling.BICUBIC)
    if expected is None:
        raise VideoError("There are no frames to write: pass at least one image.")


@contextmanager
def _reading(file: FilePath) -> Iterator[None]:
    """Raise VideoError for what the readers raise on missing, foreign or damaged files."""
    try:
        yield
    except (OSError, ValueError, EOFError, SyntaxError, IndexError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoError(f"{name_of(file)} cannot be read as a video: {reason}.") from error


def _encode(
    images: Iterator[Image.Image],
    file: FilePath,
    rate: Fraction,
    comment: str,
    encoding: _Encoding,
) -> None:
    """Encode frame by frame, keeping none in memory."""
    import av

    os.environ.setdefault("SVT_LOG", "1")  # else libsvtav1 logs to stderr
    first = next(images)
    if min(first.size) < encoding.min_side:  # libsvtav1 hangs instead of refusing
        raise VideoError(
            f"A {encoding.container} video needs sides of {encoding.min_side} pixels or more, not "
            f"{first.width} × {first.height}. Pass a larger scale, or use another suffix."
        )
    options = encoding.container_options
    with av.open(str(file), "w", format=encoding.container, options=options) as output:
        output.metadata.update({"comment": comment} if comment else {})
        added = output.add_stream(encoding.codec, rate=rate, options=encoding.codec_options)
        stream = cast("VideoStream", added)
        stream.width, stream.height = (side + side % 2 for side in first.size)
        stream.pix_fmt = "yuv420p"
        _declare_colours(stream)
        with same_priority():
            stream.codec_context.open()
        try:
            for image in chain([first], images):
                output.mux(stream.encode(_to_yuv(image)))
        except BaseException:
            with suppress(OSError, ValueError):  # or libsvtav1 is closed before its end
                stream.encode(None)
            raise
        output.mux(stream.encode(None))


def _declare_colours(stream: "VideoStream") -> None:
    """Declare BT.709, since players otherwise guess from the size (small images: BT.601)."""
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

    context = stream.codec_context
    context.colorspace = int(Colorspace.ITU709)
    context.color_primaries = int(ColorPrimaries.BT709)
    context.color_trc = int(ColorTrc.BT709)
    context.color_range = int(ColorRange.MPEG)


def _to_yuv(image: Image.Image) -> "VideoFrame":
    import av
    from av.video.reformatter import ColorRange, Colorspace

    odd = ((0, image.height % 2), (0, image.width % 2), (0, 0))
    frame = av.VideoFrame.from_ndarray(np.pad(np.asarray(image), odd, mode="edge"))
    return frame.reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )


def _animate(images: list[Image.Image], file: FilePath, rate: Fraction, comment: str) -> None:
    options: dict[str, Any]
    if file.suffix.lower() == ".gif":
        palette = _common_palette(images)
        images = [_dither(image, palette) for image in images]
        # optimize would give every frame a palette of its own
        options = {"comment": comment.encode("ascii"), "disposal": 1, "optimize": False}
        tick = 10
    else:
        exif = Image.Exif()
        exif.update({IMAGE_DESCRIPTION: comment} if comment else {})
        options = {"exif": exif, "quality": 90}
        tick = 1
    durations = _durations(len(images), rate, tick)
    first, *rest = images
    first.save(file, save_all=True, append_images=rest, duration=durations, loop=0, **options)


def _durations(frames: int, rate: Fraction, tick: int) -> list[int]:
    """Return milliseconds per frame, multiples of `tick`; no sum is off by over half a tick."""
    ends = (round(number * 1000 / (rate * tick)) * tick for number in range(frames + 1))
    return [end - start for start, end in pairwise(ends)]


def _common_palette(images: list[Image.Image]) -> Image.Image:
    """Choose 256 colours for all frames; a palette for each frame would flicker."""
    chosen = images[:: -(-len(images) // 32)]
    mosaic = np.concatenate([np.asarray(p.resize((128, 128))) for p in chosen])
    return Image.fromarray(mosaic).quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=1)


def _dither(image: Image.Image, palette: Image.Image) -> Image.Image:
    """Dither with a fixed pattern; with error diffusion, still parts of a video would flicker.

    Source: Bayer 1973, 8 × 8 thresholds.
    """
    cell = np.array([[0, 2], [3, 1]])
    pattern = cell
    for _ in range(2):
        pattern = np.block([[4 * pattern + cell[i, j] for j in (0, 1)] for i in (0, 1)])
    tiled = np.tile(pattern / 64 - 0.5, (image.height // 8 + 1, image.width // 8 + 1))
    pixels = np.asarray(image).astype(np.int16)
    shift = DITHER_LEVELS * tiled[: image.height, : image.width, None]
    shifted = Image.fromarray(np.clip(pixels + shift, 0, 255).astype(np.uint8))
    dithered = shifted.quantize(palette=palette, dither=Image.Dither.NONE)
    plain = image.quantize(palette=palette, dither=Image.Dither.NONE)
    lost = np.abs(np.asarray(plain.convert("RGB")) - pixels).max(axis=2)
    dithered.paste(plain, mask=Image.fromarray(lost <= DITHER_LEVELS / 4))
    return dithered

"""Videos: their frames at regular times, and one frame again."""

import io
import math
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from PIL import Image

from explorer.errors import ImageError
from explorer.images import name_of
from explorer.images.budget import MAX_MEGAPIXELS

MAX_FRAMES = 20_000  # of one video; a forged header may claim years
_SEEK_SECONDS = 10.0
_JPEG: dict[str, Any] = {"format": "JPEG", "quality": 95, "subsampling": 0}


def frame_name(seconds: float) -> bytes:
    """Return how a frame is named after its file.

    >>> frame_name(12), frame_name(0.25)
    (b'@12.0s', b'@0.25s')
    """
    text = f"{seconds:.3f}".rstrip("0")
    return f"@{text}{'0' if text.endswith('.') else ''}s".encode()


def frame_times(path: bytes, every: float) -> list[float]:
    """Return the times of a video's frames, in seconds from 0, `every` seconds apart.

    Raises:
        ImageError: it is no video, or has no pictures.
    """
    with _opened(path) as container:
        duration = _duration(container)
    count = min(MAX_FRAMES, max(1, math.ceil(duration / every - 1e-6)))
    return [round(number * every, 3) for number in range(count)]


def read_frame(path: bytes, seconds: float) -> bytes:
    """Return the frame that is shown at a time, upright, as a JPEG file of quality 95.

    Raises:
        ImageError: the video is gone or damaged.
    """
    status = os.stat(path)
    image = _reader(path, status.st_mtime_ns, status.st_size).frame(seconds)
    stream = io.BytesIO()
    image.save(stream, **_JPEG)
    return stream.getvalue()


def _opened(path: bytes) -> Any:
    import av

    name = name_of(os.fsdecode(path))
    try:
        container = av.open(os.fsdecode(path))
        if not container.streams.video:
            raise ImageError(f"{name} is a video without pictures.")
        context = container.streams.video[0].codec_context
        if context.width * context.height > MAX_MEGAPIXELS * 1_000_000:
            raise ImageError(f"{name} is too large: {context.width} × {context.height} pixels.")
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{name} cannot be read as a video: {reason}.") from None
    return container


def _duration(container: Any) -> float:
    """Return the length in seconds; by the last packet where the header does not say."""
    stream = container.streams.video[0]
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return float(container.duration) / 1_000_000
    times = (p.pts for p in container.demux(stream) if p.pts is not None)
    return float(max(times, default=0) * stream.time_base)


class _Frames:
    """An open video, read on from frame to frame as long as times ascend."""

    def __init__(self, path: bytes) -> None:
        self._name = name_of(os.fsdecode(path))
        self._container = _opened(path)
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self._start = float((self._stream.start_time or 0) * self._stream.time_base)
        self._frames: Iterator[Any] = iter(())
        self._current: Any = None

    def _time(self, frame: Any) -> float:
        return float(frame.time or 0.0) - self._start

    def frame(self, seconds: float) -> Image.Image:
        import av

        try:
            return self._find(seconds)
        except (av.FFmpegError, OSError, ValueError) as error:
            self._current = None
            reason = getattr(error, "strerror", None) or error
            raise ImageError(f"{self._name} is damaged near {seconds:g} s: {reason}.") from None

    def _find(self, seconds: float) -> Image.Image:
        at = None if self._current is None else self._time(self._current)
        if at is None or at > seconds or seconds - at > _SEEK_SECONDS:
            self._current = None
            target = int((seconds + self._start) / self._stream.time_base)
            self._container.seek(target, stream=self._stream)
            self._frames = self._container.decode(self._stream)
        while self._current is None or self._time(self._current) < seconds - 1e-3:
            following = next(self._frames, None)
            if following is None:
                break
            self._current = following
        if self._current is None:
            raise ValueError("there is no frame")
        image: Image.Image = self._current.to_image()
        turn = getattr(self._current, "rotation", 0)
        return image.rotate(turn, expand=True) if turn else image


@lru_cache(maxsize=1)
def _reader(path: bytes, _mtime_ns: int, _size: int) -> _Frames:
    return _Frames(path)

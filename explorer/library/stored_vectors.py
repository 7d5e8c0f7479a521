"""Reading vectors of a segment: by reads, since a mapped file that is cut off ends the process."""

import os
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from explorer.errors import LibraryDamaged
from explorer.library.checked_files import CheckedFiles, Identity
from explorer.library.manifest import VECTORS, SegmentRecord
from explorer.library.segments import remedy, segment_file

MAX_RUN_ROWS = 16384  # that are read at once
FEW_ROWS = 32  # that are read one by one, wherever they lie


class StoredVectors:
    """The vectors of one segment, R × D. They are what was written, or they are not returned.

    Args:
        checked: says what the file was when it was last read whole and found right.
    """

    def __init__(
        self, folder: FilePath, segment: SegmentRecord, dimension: int, checked: CheckedFiles
    ) -> None:
        self._folder, self._segment, self._dimension = folder, segment, dimension
        self._checked = checked
        self._file = segment_file(folder, segment, VECTORS)
        self._start: int | None = None  # of the numbers within the file, in bytes

    def read(self, rows: Int[np.ndarray, " K"], into: Float[np.ndarray, "K D"]) -> None:
        """Read rows, numbered from 0 within the segment, into float32 vectors.

        Raises:
            LibraryDamaged: the file is damaged, or was changed since it was checked.
        """
        identity = self._checked.identity(self._segment, VECTORS)
        try:
            descriptor = os.open(self._file, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            try:
                self._read(descriptor, rows, into)
                if Identity.of(os.fstat(descriptor)) != identity:
                    raise ValueError("it was changed while the library was open")
            finally:
                os.close(descriptor)
        except (OSError, ValueError, EOFError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise LibraryDamaged(
                f"{self._file} cannot be used: {reason}. {remedy(self._folder)}"
            ) from error

    def _read(self, descriptor: int, rows: np.ndarray, into: np.ndarray) -> None:
        if self._start is None:
            self._start = self._header_length(descriptor)
        dtype = np.dtype(self._segment.dtype)
        width = self._dimension * dtype.itemsize
        direct = dtype == into.dtype and into.flags.c_contiguous
        if len(rows) <= FEW_ROWS or np.count_nonzero(np.diff(rows) == 1) < len(rows) // 4:
            for begin in range(0, len(rows), MAX_RUN_ROWS):
                target = into[begin : begin + MAX_RUN_ROWS]
                part = target if direct else np.empty(target.shape, dtype)
                offsets = self._start + rows[begin : begin + MAX_RUN_ROWS] * width
                _fill_rows(descriptor, part, offsets.tolist())
                if not direct:
                    target[:] = part
            return
        for begin, end in _runs(rows):
            target = into[begin:end]
            part = target if direct else np.empty(target.shape, dtype)
            _fill(descriptor, part, self._start + int(rows[begin]) * width)
            if not direct:
                target[:] = part

    def _header_length(self, descriptor: int) -> int:
        with open(descriptor, "rb", closefd=False) as handle:
            readers: dict[tuple[int, int], Any] = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }
            version = np.lib.format.read_magic(handle)
            if version not in readers:
                raise ValueError(f"it has the format {version} of .npy")
            shape, in_columns, dtype = readers[version](handle)
            if shape != (self._segment.rows, self._dimension) or dtype != self._segment.dtype:
                raise ValueError(f"it holds {dtype} {shape}")
            if in_columns:
                raise ValueError("it is stored column by column")
            return handle.tell()


def _runs(rows: Int[np.ndarray, " K"]) -> Iterator[tuple[int, int]]:
    """Yield where runs of rows that stand one after the other begin and end; none is long."""
    begin = 0
    for end in [*(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]:
        for start in range(begin, end, MAX_RUN_ROWS):
            yield start, min(start + MAX_RUN_ROWS, end)
        begin = end


def _fill_rows(descriptor: int, array: np.ndarray, offsets: list[int]) -> None:
    """Fill every row of an array with the bytes of a file at its offset; a microsecond a row."""
    view, width, read = array.data.cast("B"), array.nbytes // len(array), os.preadv
    start = 0
    for offset in offsets:
        end = start + width
        if read(descriptor, (view[start:end],), offset) != width:
            raise ValueError("it was cut off while the library was open")
        start = end


def _fill(descriptor: int, array: np.ndarray, offset: int) -> None:
    """Fill an array with the bytes of a file from `offset` on."""
    view = array.data.cast("B")
    while len(view):
        count = os.preadv(descriptor, [view], offset)
        if not count:
            raise ValueError("it was cut off while the library was open")
        view, offset = view[count:], offset + count

"""Everything that can go wrong, as one family.

    ExplorerError
    ├── SpaceMismatch   (ValueError)  two things of different embedding spaces met
    ├── SideMismatch    (ValueError)  a text-side point came where an image-side point is needed
    ├── UnknownModel    (KeyError)    no model has that name
    ├── WeightsMissing  (FileNotFoundError)  the model is known, its weights are not here
    ├── ImageError      (ValueError)  an image cannot be read, with the reason
    ├── QueryError      (ValueError)  a query or an argument of a door makes no sense
    ├── VideoError      (ValueError)  a video cannot be written or read
    ├── TrainingError   (RuntimeError)  a training cannot go on; what was saved stays
    ├── DiskError       (OSError)     a file cannot be written: the disk is full or refuses
    ├── OutOfMemory     (MemoryError) the memory of the machine or the accelerator does not suffice
    └── LibraryError    (RuntimeError)
        ├── LibraryNotFound   (FileNotFoundError)  no library there (exit code 10)
        ├── LibraryLocked     (BlockingIOError)    another process is writing (exit code 11)
        └── LibraryDamaged    stored data does not match its checksum

Every message says what is so, what would be right, and what to do. Rooms raise; only doors print.
"""


class ExplorerError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code = 2

    def __str__(self) -> str:  # KeyError would show the repr of its message
        return " ".join(str(part) for part in self.args)


class SpaceMismatch(ExplorerError, ValueError):
    """Two things of different embedding spaces met."""


class SideMismatch(ExplorerError, ValueError):
    """A text-side point came where an image-side point is needed."""


class UnknownModel(ExplorerError, KeyError):
    """No model has that name."""


class WeightsMissing(ExplorerError, FileNotFoundError):
    """The model is known but its weights are not here, or are not what they should be."""


class ImageError(ExplorerError, ValueError):
    """An image cannot be read; the message gives the reason."""


class QueryError(ExplorerError, ValueError):
    """A query, or an argument given at a door, makes no sense."""


class VideoError(ExplorerError, ValueError):
    """A video cannot be written or read."""


class TrainingError(ExplorerError, RuntimeError):
    """A training cannot go on; what it saved before stays."""


class DiskError(ExplorerError, OSError):
    """A file cannot be written: the disk is full or refuses."""


class OutOfMemory(ExplorerError, MemoryError):
    """The memory of the machine, or of its accelerator, does not suffice."""


class LibraryError(ExplorerError, RuntimeError):
    """Something is wrong with a library folder."""


class LibraryNotFound(LibraryError, FileNotFoundError):
    """There is no library in that folder."""

    exit_code = 10


class LibraryLocked(LibraryError, BlockingIOError):
    """Another process is writing to the library."""

    exit_code = 11


class LibraryDamaged(LibraryError):
    """Stored data does not match its checksum."""

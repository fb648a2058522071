"""Every error that bodycomp raises on purpose, on one page.

    BodycompError
    |-- UsageError            an option or an argument that cannot be used
    |-- InputNotFoundError    a file or folder that should be there is not
    |-- CasesError            a table of annotated scans that cannot be used
    |-- ReviewError           a review or correction that does not fit the results it is of
    |-- OutputError           a result cannot be written, or would overwrite one
    |-- TrainingSetError      a training set that breaks its format
    |-- ImageError            pixels or geometry that cannot be used
    |   `-- SeriesError       a DICOM series or volume file that is refused
    |       |-- NotAnnotatedError a scan in which nothing is annotated that a set could hold
    |       `-- SliceCountError   a slice number that only another first number explains
    |-- ModelError            a model file that is damaged or does not fit
    |-- TrainingError         a training that cannot continue
    |-- ArchiveError          an image archive fails or refuses what it is asked
    |   `-- ArchiveUnreachableError  it cannot be reached, or does not let us in
    |-- ClusterError          a cluster that cannot be reached, was lost, or cannot do the work
    `-- RunInterruptedError   Ctrl-C or SIGTERM ended the work in good order

A message says what was expected, what was found and where; ``hint`` says what to do.
The command line prints both and exits with the code that ``bodycomp.cli`` gives the class.
"""

from __future__ import annotations

import errno


class BodycompError(Exception):
    """Base of all deliberate errors: what was expected, found and where, and what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(BodycompError):
    """An option or an argument that cannot be used as given."""


class InputNotFoundError(BodycompError):
    """A file or folder that should be there is not."""


class CasesError(BodycompError):
    """A table of annotated scans cannot be used; the message lists every fault."""


class ReviewError(BodycompError):
    """A review or a correction does not fit the results; the message lists every fault."""


class OutputError(BodycompError):
    """A result cannot be written, or writing it would overwrite an earlier one."""


class TrainingSetError(BodycompError):
    """A training set breaks its format; the message lists every issue."""


class ImageError(BodycompError):
    """Pixels or geometry that cannot be used."""


class SeriesError(ImageError):
    """A DICOM series or a volume file that is refused, with the reason."""


class NotAnnotatedError(SeriesError):
    """A scan in which nothing is annotated that a training set could hold."""


class SliceCountError(SeriesError):
    """A slice number that only another first one explains: all that were counted alike are off."""


class ModelError(BodycompError):
    """A model file is damaged, unknown, or does not fit what it is used for."""


class TrainingError(BodycompError):
    """A training cannot continue, for instance because the loss is not finite."""


class ArchiveError(BodycompError):
    """An image archive fails or refuses what it is asked; the message names no patient."""


class ArchiveUnreachableError(ArchiveError):
    """An image archive cannot be reached, or does not let us in."""


class ClusterError(BodycompError):
    """A cluster cannot be reached, was lost, or its machines cannot do the work."""


class RunInterruptedError(BodycompError):
    """Work ended in good order on a signal; the exit code is 128 plus its number."""

    def __init__(self, message: str, *, signal_number: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.signal_number = signal_number


def is_disk_full(error: BaseException | None) -> bool:
    """Whether the system says with an error that a disk, or a share of one, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)

"""What goes wrong around a training, as errors that say what to do."""

from __future__ import annotations

import errno
import logging
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import bodycomp.errors
from bodycomp.errors import BodycompError, OutputError, TrainingError
from bodycomp.training.machine.memory import is_out_of_memory
from bodycomp.training.steps.batch_loader import check_files, mapped_files
from bodycomp.training.steps.checkpoints import RESUME_HINT
from bodycomp.training.steps.training import Training
from bodycomp.training.steps.trials import too_large

log = logging.getLogger(__name__)

NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_LOST_WORKER: Final = re.compile(r"DataLoader worker \(pid\(?s?\)? [\d, ]+\).*", re.DOTALL)
_FROM_WORKER: Final = re.compile(r"^bodycomp\.errors\.(\w+): (.*)\Z", re.DOTALL | re.MULTILINE)


@contextmanager
def explained(training: Training) -> Iterator[None]:
    """Turn what the system and PyTorch raise within into errors for people.

    Raises:
        OutputError: The disk is full or fails.
        TrainingError: Memory ran out, or a process that loads data was lost.
        BodycompError: What was raised in a process that loads data, without its traceback.
        TrainingSetError: A process that loads data was lost to a file that shrank.
    """
    out_of_memory = False
    try:
        yield
    except (BodycompError, OSError, RuntimeError, MemoryError) as error:
        explanation = explain(error)
        if explanation is not None:
            check_files(mapped_files(training.splits.train) | mapped_files(training.splits.val))
            raise explanation from error
        if not is_out_of_memory(error):
            raise
        log.debug("out of memory: %s", error)
        _let_go(error)
        out_of_memory = True
    if out_of_memory:  # the error is gone, and with it what it held
        raise too_large(training.trials)


def explain(error: BaseException) -> BodycompError | None:
    """Return the error for people; None for those that are one, or unknown."""
    if isinstance(error, BodycompError):
        return _from_worker(error)
    if isinstance(error, OSError):
        return _failed_file(error)
    lost = _LOST_WORKER.search(str(error))
    if lost is not None:
        return TrainingError(
            f"a process that loads data was lost: {lost[0].splitlines()[0]}",
            hint="The system ends processes when memory runs out: if that was it, use fewer "
            "--num_workers. " + RESUME_HINT,
        )
    return None


def _failed_file(error: OSError) -> OutputError:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in NO_SPACE:
        return OutputError(
            f"the disk is full, or a limit on space is reached: {error.strerror}{where}",
            hint=f"The last checkpoint is whole. Make room. {RESUME_HINT}",
        )
    return OutputError(
        f"a file could not be read or written: {error.strerror or error}{where}",
        hint=f"The last checkpoint is whole. {RESUME_HINT}",
    )


def _from_worker(error: BodycompError) -> BodycompError | None:
    """Return the error that a loading process raised; PyTorch hands it on with its traceback."""
    if not error.message.startswith("Caught "):
        return None
    found = _FROM_WORKER.search(error.message)
    if found is None:
        return None
    message, _, hint = found[2].strip().partition("\n")
    kind: type[BodycompError] = getattr(bodycomp.errors, found[1], TrainingError)
    return kind(message, hint=f"{hint} {RESUME_HINT}".strip())


def _let_go(error: BaseException) -> None:
    """Free the feature maps that the frames of a failed step hold."""
    chained: BaseException | None = error
    while chained is not None:
        traceback.clear_frames(chained.__traceback__)
        chained = chained.__cause__ or chained.__context__

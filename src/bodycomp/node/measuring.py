"""Studies are measured in processes of their own, which hold the models and may fall."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from bodycomp.dicom.derived.revision import mark_measured_again
from bodycomp.errors import BodycompError, ModelError, is_disk_full
from bodycomp.node.config import Measure
from bodycomp.node.ledger import Study
from bodycomp.processes import helper_processes
from bodycomp.storage import flush_folder, flush_to_disk
from bodycomp.study.options import AnalyzeOptions, StudyReport, dicom_objects
from bodycomp.study.outputs import LABELMAP_NAME, SEG_NAME, SR_NAME

_LOG: Final = logging.getLogger(__name__)
_ORDER: Final = (SEG_NAME, LABELMAP_NAME, SR_NAME)
"""Overlays go first, reports last: they name segmentations."""
_MODELS_KEPT: Final = 2

Loader = Callable[[AnalyzeOptions], Any]
"""Makes an analyzer of options; called in the process that measures."""


@dataclass(frozen=True, slots=True)
class Job:
    """A study to be measured.

    Attributes:
        study: As it was when this was decided.
        files: The images to measure.
        keys: All of its images, as ``spool.image_keys``.
        place: Its folder.
        models: In place of those of the configuration.
    """

    study: Study
    files: tuple[Path, ...] = field(repr=False)
    keys: bytes = field(repr=False)
    place: Path
    models: Path | None = None

    def results(self, times: int) -> Path:
        """Return the folder of the n-th measurement's results."""
        return self.place / f"results-{times}"


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of it.

    Attributes:
        objects: Files to send, in their order, relative to the results.
        reason: Why there are none; empty if there are.
        wait: Whether it has to be tried again later, through no fault of the study.
        broken: Whether measuring it ended the process, or did not end.
    """

    objects: tuple[str, ...] = ()
    reason: str = ""
    wait: bool = False
    broken: bool = False
    seconds: float = 0.0


def analyze_options(
    measure: Measure, files: tuple[Path, ...], out: Path, key: Path, models: Path | None
) -> AnalyzeOptions:
    """Return what ``analyze`` is to do with a study."""
    return AnalyzeOptions(
        inputs=files,
        out_dir=out,
        models_dir=models or measure.models,
        pseudonym_key=key,
        identifiers=True,  # the objects go back into their study
        dicom=dicom_objects(measure.objects),
        all_series=measure.all_series,
        range_mm=measure.range_mm,
        device=measure.device,
        workers=0,
        previews=False,
        report=False,
        overwrite=True,
    )


@lru_cache(maxsize=_MODELS_KEPT)
def _loaded(load: Loader, models: Path | None, range_mm: float, device: str) -> Any:
    place = Path()  # of options that loading has no use for
    options = AnalyzeOptions(
        inputs=(place,), out_dir=place, models_dir=models, range_mm=range_mm, device=device
    )
    return load(options)


def default_loader(options: AnalyzeOptions) -> Any:
    """Load the models that ``analyze`` would take.

    Raises:
        InputNotFoundError, ModelError, UsageError: As ``analyze``.
    """
    from bodycomp.study.run import analyzer_of  # noqa: PLC0415 - PyTorch, in the process that measures

    return analyzer_of(options)


def _analyzer(load: Loader, options: AnalyzeOptions) -> Any:
    return _loaded(load, options.models_dir, options.range_mm, options.device)


def begin(load: Loader, options: AnalyzeOptions) -> int:
    """Load the models and return the number of the process."""
    _analyzer(load, options)
    return os.getpid()


def measure(load: Loader, job: Job, options: AnalyzeOptions) -> Measured:
    """Measure a study, and say what came of it; results are on the disk when this returns."""
    began = time.monotonic()
    try:
        objects, reason = _measure(load, job, options)
    except OSError as error:
        full = is_disk_full(error)
        reason = "the disk is full" if full else f"{type(error).__name__}: {error.strerror}"
        return Measured(reason=reason, wait=full, broken=not full)
    except ModelError as error:  # not the fault of this study
        return Measured(reason=f"the models fail: {error.message}", wait=True)
    except BodycompError as error:
        return Measured(reason=error.message)
    except Exception as error:
        _LOG.debug("unexpected fault", exc_info=True)
        return Measured(reason=f"unexpected {type(error).__name__}; see --debug", broken=True)
    seconds = time.monotonic() - began
    return Measured(objects, "" if objects else reason, seconds=seconds)


def _measure(load: Loader, job: Job, options: AnalyzeOptions) -> tuple[tuple[str, ...], str]:
    """Return the objects of a study, and what its tables say of levels that were not found."""
    from bodycomp.study.run import analyze_inputs  # noqa: PLC0415 - as above

    part, times = options.out_dir, job.study.measured_times + 1
    out, earlier = job.results(times), job.results(times - 1)
    for folder in (part, out):  # what a killed node left
        shutil.rmtree(folder, ignore_errors=True)
    try:
        analyzer = _analyzer(load, options)
    except BodycompError as error:  # a folder of models that is gone, too
        raise ModelError(error.message) from error
    report = analyze_inputs(options, analyzer=analyzer)
    objects = sorted(part.rglob("*.dcm"), key=lambda path: (_rank(path), path))
    if times > 1:
        mark_measured_again(objects, sorted(earlier.rglob("*.dcm")), times)
    why = _why_none(report)  # read from the folder, which gets another name
    flush_folder(part)
    part.rename(out)
    flush_to_disk(job.place)
    return tuple(str(path.relative_to(part)) for path in objects), why


def _rank(path: Path) -> int:
    return _ORDER.index(path.name) if path.name in _ORDER else -1


def _why_none(report: StudyReport) -> str:
    """Return why nothing was found in a study, in the words of its tables."""
    rows = [row for series in report.analyzed for row in series.rows]
    notes = {f"{row['level']} {row['status']}: {row['reason'] or row['notes']}" for row in rows}
    refused = {f"{each.what}: {each.reason}" for each in report.refused}
    return "; ".join([*sorted(notes), *sorted(refused)])


class Measurer:
    """One process that measures, one study after the other."""

    def __init__(self, load: Loader, measure: Measure, key: Path) -> None:
        self._load = load
        self._measure = measure
        self._key = key
        self._pool: ProcessPoolExecutor | None = None
        self._process: Future[int] | None = None
        self._future: Future[Measured] | None = None
        self._began = 0.0
        self.job: Job | None = None

    def start(self) -> ProcessPoolExecutor:
        """Start the process and have the models loaded."""
        pool = self._pool = helper_processes(1)
        options = analyze_options(self._measure, (Path(),), Path(), self._key, None)
        self._process = pool.submit(begin, self._load, options)
        return pool

    def wait(self) -> None:
        """Wait until the models are loaded.

        Raises:
            InputNotFoundError, ModelError, UsageError: They cannot be.
        """
        if self._process is not None:
            self._process.result()

    def begin(self, job: Job) -> None:
        """Begin to measure a study."""
        pool = self._pool or self.start()
        out = job.place / "measuring"
        options = analyze_options(self._measure, job.files, out, self._key, job.models)
        self.job = job
        self._began = time.monotonic()
        self._future = pool.submit(measure, self._load, job, options)

    def poll(self) -> Measured | None:
        """Return what came of the study, None while it is measured."""
        if self._future is None:
            return None
        if self._future.done():
            future, self._future = self._future, None
            try:
                return future.result()
            except BrokenProcessPool:
                self.stop()
                return Measured(
                    reason="it ended the process: a damaged file, or memory", broken=True
                )
        if time.monotonic() - self._began < 60 * self._measure.max_minutes:
            return None
        self.stop()
        return Measured(reason="it took too long", broken=True)

    def stop(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None and self._process.done() and not self._process.exception():
            with suppress(ProcessLookupError):
                os.kill(self._process.result(), signal.SIGKILL)
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = self._process = self._future = None

"""One study -> its folder and its record: in a pipeline here, or as a task of a cluster."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from bodycomp.analysis.loading import AnalyzerLoader
from bodycomp.analysis.pipeline import Analyzer
from bodycomp.errors import BodycompError, ImageError, ModelError
from bodycomp.progress import Progress, no_progress
from bodycomp.results import SeriesResult
from bodycomp.scan import Scan
from bodycomp.storage import replace_folder
from bodycomp.study.journal import StudyRecord
from bodycomp.study.outputs import OutputChoice
from bodycomp.study.patients import PatientTable
from bodycomp.study.sources import Source
from bodycomp.study.writing import Behind, ReadAhead, StudyFolder

_LOG: Final = logging.getLogger(__name__)
_Refuse = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class StudyTask:
    """One study of a worklist.

    Attributes:
        sources: Series to analyze.
        fallbacks: Tried, best first, where none of its sources can be analyzed.
        patients: What the user's table says of them.
    """

    study: str
    sources: tuple[Source, ...]
    fallbacks: tuple[Source, ...] = ()
    patients: PatientTable = field(default_factory=PatientTable, repr=False)


@dataclass
class StudyMeasurer:
    """Measures one study after the other: read ahead, analyzed here, written behind."""

    analyzer: Analyzer
    choice: OutputChoice
    ahead: ReadAhead
    behind: Behind
    progress: Progress = no_progress
    series_done: Callable[[], None] = lambda: None

    def measure(self, task: StudyTask, place: Path, finish: Callable[[StudyRecord], None]) -> None:
        """Measure a study into the folder ``place``; ``finish`` gets its record once it is there.

        Raises:
            ModelError: A network gives no numbers.
            OutputError, OSError: The disk cannot be written to.
        """
        names = tuple(source.series for source in task.sources)
        folder = StudyFolder(place, names, self.choice)
        try:
            analyzed = 0
            for source in task.sources:
                analyzed += self._series(folder, source, task.patients)
                self.series_done()
            for source in () if analyzed else task.fallbacks:
                if self._series(folder, source, task.patients):
                    break
            self.behind.submit(lambda: finish(folder.close()))
        except BaseException:
            self.behind.abandon(folder)
            raise

    def _series(self, folder: StudyFolder, source: Source, patients: PatientTable) -> bool:
        """Load and analyze one series; a refusal, and False, if that is impossible."""

        def refuse(kind: str, reason: str) -> None:
            self.behind.submit(partial(folder.refuse, source, kind, reason))

        try:
            scan, result = self._analyze(source, patients)
        except ModelError:
            raise  # not the fault of this series
        except ImageError as error:
            refuse(
                "not readable", f"{error.message}. {error.hint}" if error.hint else error.message
            )
        except (BodycompError, OSError) as error:
            refuse("not readable", f"{type(error).__name__}: reading failed")
        except Exception as error:
            # Whatever a strange file provokes must not cost the other series their results.
            _LOG.debug("unexpected fault", exc_info=True)
            refuse("fault", f"unexpected {type(error).__name__}; see --debug")
        else:
            self.behind.submit(partial(folder.add, source, scan, result))
            return True
        return False

    def _analyze(self, source: Source, patients: PatientTable) -> tuple[Scan, SeriesResult]:
        scan = self.ahead.take(source)
        scan = replace(scan, subject=patients.complete(source.patient_keys, scan.subject))
        return scan, self.analyzer.analyze(scan, self.progress)


@dataclass(frozen=True, slots=True)
class StagedStudy:
    """A study as a worker left it: its results have no name that counts yet."""

    record: StudyRecord
    folder: Path

    def publish(self, out_dir: Path) -> StudyRecord:
        """Give the results their name in the output folder, and return the record."""
        if self.record.analyzed:
            replace_folder(self.folder, out_dir / self.record.study, durable=True)
        return self.record


@dataclass(frozen=True)
class StageStudy:
    """Measures a study on a worker, into a folder of its own within ``stage``.

    The run that sent it publishes one result of each study. So a worker that was thought lost, or a
    run that is no more, changes nothing: with the run goes its stage.

    Attributes:
        apart: Read in a process of its own, which tells whether a file is to blame for its end.
    """

    loader: AnalyzerLoader
    choice: OutputChoice
    stage: Path
    apart: bool = False

    def __call__(self, task: StudyTask) -> StagedStudy:
        """Measure a study; raises as ``StudyMeasurer.measure``."""
        analyzer = self.loader()
        own = self.stage / uuid.uuid4().hex
        own.mkdir()
        found: list[StudyRecord] = []
        with (
            ReadAhead(task.sources, 1 if self.apart else 0) as ahead,
            Behind(threaded=False) as behind,
        ):
            measurer = StudyMeasurer(analyzer, self.choice, ahead, behind)
            measurer.measure(task, own / task.study, found.append)
        return StagedStudy(found[0], own / task.study)

    def paths(self, task: StudyTask) -> tuple[Path, ...]:
        """Return what a worker must see: where it writes, and each series' first file."""
        return (self.stage, *(source.first_file for source in task.sources))

"""A cases table -> a training set, its manifest and its key: the whole way, which can go on."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from bodycomp.errors import CasesError, RunInterruptedError, SliceCountError, UsageError
from bodycomp.preparation.assemble import Counts, needed_bytes, write_set
from bodycomp.preparation.cases import Case, CasesTable
from bodycomp.preparation.cases_file import read_cases
from bodycomp.preparation.conflicts import (
    FinishedCase,
    check_conflicts,
    check_level_names,
)
from bodycomp.preparation.key_file import check_key, key_text, write_key
from bodycomp.preparation.level_warnings import LevelWarning, level_warnings
from bodycomp.preparation.make_part import PartJob, disk_full
from bodycomp.preparation.options import (
    PrepareOptions,
    SegmentationTask,
    SliceTask,
    Task,
)
from bodycomp.preparation.out_folder import check_apart, check_replaced
from bodycomp.preparation.part import is_finished
from bodycomp.preparation.placing import check_strata, place
from bodycomp.preparation.pool import make_parts
from bodycomp.preparation.report_files import RefusedCase, write_reports
from bodycomp.preparation.splits import (
    DEFAULT_FRACTIONS,
    pseudonyms,
)
from bodycomp.preparation.verify import verify_set
from bodycomp.preparation.work import part_name, work_folder
from bodycomp.progress import Progress
from bodycomp.signals import SignalWatch
from bodycomp.storage import atomic_folder, remove_interrupted

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PrepareSummary:
    """What came of a preparation.

    Attributes:
        counts: What was written.
        refused: Cases that were left out, each with its reason.
        skipped: Rows without the annotation that the set is made of.
        reused: Cases that an earlier run had finished.
        warnings: What looks wrong with levels.
    """

    counts: Counts
    refused: tuple[RefusedCase, ...]
    skipped: int
    reused: int
    warnings: tuple[LevelWarning, ...] = ()


def prepare(options: PrepareOptions, progress: Progress) -> PrepareSummary:
    """Prepare a training set.

    Cases are finished one by one in ``options.parts``, so that the same options go on after any
    interruption and give the same bytes. ``options.out`` appears when all is written and was read
    again.

    Raises:
        CasesError: The cases table has faults, its rows contradict their scans, or no case is left.
        OutputError: The folder has content that may not be replaced, lies above or in an input,
            another run is making it, or the disk is too small.
        RunInterruptedError: Ctrl-C or SIGTERM; finished cases are kept.
    """
    check_replaced(options)
    table = read_cases(options.cases)
    check_apart(options, table.cases)
    fractions = options.split.fractions or table.fractions or DEFAULT_FRACTIONS
    split = replace(options.split, fractions=fractions)
    options = replace(options, task=_complete(options.task, table), split=split)
    check_strata(options.split.stratify, table)
    chosen = [case for case in table.cases if _is_annotated(case, options.task)]
    if not chosen:
        column = "masks" if isinstance(options.task, SegmentationTask) else "levels"
        raise CasesError(
            f"{options.cases.name}: expected {column} in at least one row, found none",
            hint="Segmentation needs masks, slice selection needs levels.",
        )
    with SignalWatch(partial(_interrupted, options)), work_folder(options.parts):
        return _prepare(options, table, chosen, progress)


def _prepare(
    options: PrepareOptions, table: CasesTable, chosen: Sequence[Case], progress: Progress
) -> PrepareSummary:
    finished, refused, reused = _make_all(options, chosen, progress)
    if not finished:
        raise CasesError(
            "every case is refused:\n" + "\n".join(f"  {r.where}: {r.reason}" for r in refused[:20])
        )
    check_conflicts(finished, shared_patient_id=options.shared_patient_id)
    if isinstance(options.task, SliceTask):
        check_level_names(finished, options.task.levels)
    warnings = _level_warnings(options.task, finished, refused)
    names = pseudonyms({case.patient for case in table.cases}, options.split.seed)
    placed = place(options, table, finished, names)
    needed = needed_bytes(placed, options.task)
    if shutil.disk_usage(options.out.absolute().parent).free < needed:
        raise disk_full(options.out.absolute().parent, needed)
    key = key_text(finished, names)
    check_key(options.key, key, overwrite=options.overwrite)
    refused = [replace(r, patient=names[r.patient]) for r in refused]
    remove_interrupted(options.out)
    with atomic_folder(options.out, overwrite=options.overwrite) as folder:
        counts = write_set(
            folder,
            placed,
            options.task,
            identifiers=options.identifiers,
            progress=lambda done, total: progress("writing", done, total),
        )
        verify_set(
            folder,
            with_masks=isinstance(options.task, SegmentationTask),
            progress=lambda done, total: progress("checking", done, total),
        )
        write_reports(folder, options, counts, refused, warnings)
        write_key(options.key, key)
    if not refused:
        shutil.rmtree(options.parts, ignore_errors=True)
    skipped = len(table.cases) - len(chosen)
    return PrepareSummary(counts, tuple(refused), skipped, reused, warnings)


def _make_all(
    options: PrepareOptions, chosen: Sequence[Case], progress: Progress
) -> tuple[list[FinishedCase], list[RefusedCase], int]:
    """Make the parts that are not there yet; return cases in the table's order."""
    jobs = [
        PartJob(case, options.task, options.parts / part_name(case, options.task))
        for case in chosen
    ]
    waiting = [job for job in jobs if not is_finished(job.part)]
    done = reused = len(jobs) - len(waiting)
    if reused:
        _LOG.info("%d of %d cases were finished by an earlier run", reused, len(jobs))
    progress("cases", done, len(jobs))
    faults = {}
    for job, fault in make_parts(waiting, options.jobs or len(os.sched_getaffinity(0))):
        done += 1
        if fault is not None:
            faults[job.case.where] = fault
            _LOG.warning("%s is refused: %s", job.case.where, fault.reason)
        progress("cases", done, len(jobs))
    finished = [FinishedCase(j.case, j.part) for j in jobs if j.case.where not in faults]
    refused = [
        RefusedCase(job.case.where, job.case.patient, fault.kind, fault.reason)
        for job in jobs
        if (fault := faults.get(job.case.where)) is not None
    ]
    return finished, refused, reused


def _level_warnings(
    task: Task, finished: Sequence[FinishedCase], refused: Sequence[RefusedCase]
) -> tuple[LevelWarning, ...]:
    return level_warnings(
        {item.case.where: item.record().evidence for item in finished},
        task.level_format,
        [case.where for case in refused if case.kind == SliceCountError.__name__],
    )


def _is_annotated(case: Case, task: Task) -> bool:
    return bool(case.masks) if isinstance(task, SegmentationTask) else case.levels is not None


def _complete(task: Task, table: CasesTable) -> Task:
    """Take the meaning of labels from the table where the task does not say it."""
    if not isinstance(task, SegmentationTask) or task.mapping is not None:
        return task
    if table.labels is None:
        raise UsageError(
            "expected what the labels mean, found nothing",
            hint="Say it with --labels, for instance --labels 1=muscle 2=subcutaneous_fat "
            "3=visceral_fat, or with 'labels:' in a YAML table.",
        )
    return replace(task, mapping=table.labels)


def _interrupted(options: PrepareOptions, signal_number: int) -> RunInterruptedError:
    kept = len(_finished_parts(options.parts))
    return RunInterruptedError(
        f"the preparation was interrupted; {kept} finished cases are kept in {options.parts}",
        signal_number=signal_number,
        hint="The same command goes on from there.",
    )


def _finished_parts(parts: Path) -> list[Path]:
    if not parts.is_dir():
        return []
    return [p for p in parts.iterdir() if not p.name.startswith(".") and is_finished(p)]

"""A cases table -> a training set, its manifest and its key; resumes where it was interrupted."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from bodycomp.cluster import opened_workers
from bodycomp.errors import CasesError, RunInterruptedError, SliceCountError, UsageError
from bodycomp.preparation.assemble import Counts, needed_bytes, verify_set, write_set
from bodycomp.preparation.cases import Case, CasesTable, read_cases
from bodycomp.preparation.data_card import without_annotation, write_data_card
from bodycomp.preparation.level_checks import LevelWarning, level_warnings
from bodycomp.preparation.make_shards import check_room, make_shards
from bodycomp.preparation.options import (
    DEFAULT_FRACTIONS,
    LevelTask,
    MaskTask,
    PrepareOptions,
    PrepareTask,
)
from bodycomp.preparation.refusals import (
    RefusedCase,
    all_refused,
    check_conflicts,
    check_level_names,
)
from bodycomp.preparation.rules_file import read_rules
from bodycomp.preparation.set_files import (
    check_apart,
    check_key,
    key_text,
    write_key,
    write_reports,
)
from bodycomp.preparation.shards import RECORD_NAME, Shard, shard_of, work_folder
from bodycomp.preparation.source_duplicates import without_duplicates
from bodycomp.preparation.source_record import PREPARED_NAME, SourceRecord
from bodycomp.preparation.splits import assign_cases, check_columns, pseudonyms
from bodycomp.progress import Progress
from bodycomp.signals import SignalWatch
from bodycomp.storage import atomic_folder, refuse_other, remove_interrupted

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PrepareSummary:
    """What came of a preparation with ``options``, which are complete."""

    options: PrepareOptions
    counts: Counts
    refused: tuple[RefusedCase, ...]
    skipped: int = 0
    reused: int = 0
    warnings: tuple[LevelWarning, ...] = ()
    source: SourceRecord | None = None


def prepare(options: PrepareOptions, progress: Progress) -> PrepareSummary:
    """Prepare a training set of a cases table.

    Cases are finished one by one in ``options.parts``, so that the same options resume after any
    interruption and give the same bytes. ``options.out`` appears when all is written and was read
    again.

    Raises:
        CasesError: The cases table has faults, its rows contradict their scans, or no case is left.
        OutputError: The folder has content that may not be replaced, lies above or in an input,
            another run is making it, or the disk is too small.
        RunInterruptedError: Ctrl-C or SIGTERM; finished cases are kept.
    """
    check_out(options)
    return prepare_cases(options, read_cases(options.cases), progress)


def check_out(options: PrepareOptions) -> None:
    """Check that the set can be made where it shall be, as far as its cases do not matter.

    Raises:
        OutputError: It cannot.
    """
    refuse_other(options.out, "a prepared training set", PREPARED_NAME, overwrite=options.overwrite)
    check_apart(options, ())


def prepare_cases(options: PrepareOptions, table: CasesTable, progress: Progress) -> PrepareSummary:
    """Prepare a training set of cases, wherever they were read from; as ``prepare``."""
    check_apart(options, table.cases)
    fractions = options.split.fractions or table.fractions or DEFAULT_FRACTIONS
    split = replace(options.split, fractions=fractions)
    options = replace(options, task=_complete(options.task, table), split=split)
    check_columns(options.split.stratify, table, "stratify by")
    chosen = [case for case in table.cases if _is_annotated(case, options.task)]
    if not chosen:
        column = "masks" if isinstance(options.task, MaskTask) else "levels"
        raise CasesError(
            f"{options.cases.name}: expected {column} in at least one row, found none",
            hint="Segmentation needs masks, slice selection needs levels.",
        )
    with SignalWatch(partial(_interrupted, options)), work_folder(options.parts):
        shards, refused, reused = _make_all(options, chosen, progress)
        summary = _write(options, table, shards, refused, progress)
    return replace(summary, skipped=len(table.cases) - len(chosen), reused=reused)


def _write(
    options: PrepareOptions,
    table: CasesTable,
    shards: Sequence[Shard],
    refused: Sequence[RefusedCase],
    progress: Progress,
) -> PrepareSummary:
    """Write the set of all finished cases, once what they hold was compared."""
    task, record = options.task, table.source
    if not shards:
        raise all_refused(refused)
    if record:
        record, refused = without_annotation(record, refused)
        record, shards = without_duplicates(record, shards)
    check_conflicts(shards, shared_patient_id=options.shared_patient_id)
    if isinstance(task, LevelTask):
        check_level_names(shards, task.levels)
    warnings = level_warnings(
        {shard.case.where: shard.record().evidence for shard in shards},
        task.level_format,
        [case.where for case in refused if case.kind == SliceCountError.__name__],
    )
    codes = {case.patient for case in table.cases}
    names = {c: c for c in codes} if table.is_public else pseudonyms(codes, options.split.seed)
    assigned = assign_cases(options, table, shards, names)
    check_room(options.out.absolute().parent, needed_bytes(assigned, task))
    key = "" if table.is_public else key_text(shards, names)
    if key:
        check_key(options.key, key, overwrite=options.overwrite)
    refused = [replace(r, patient=names[r.patient]) for r in refused]
    remove_interrupted(options.out)
    with atomic_folder(options.out, overwrite=options.overwrite) as folder:
        counts = write_set(
            folder,
            assigned,
            task,
            identifiers=options.identifiers,
            progress=partial(progress, "writing"),
        )
        verify_set(
            folder,
            with_masks=isinstance(task, MaskTask),
            progress=partial(progress, "checking"),
        )
        write_reports(folder, options, counts, refused, warnings, record)
        if record:
            write_data_card(folder, record, assigned, refused)
        if key:
            write_key(options.key, key)
    if not refused:
        shutil.rmtree(options.parts, ignore_errors=True)
    return PrepareSummary(options, counts, tuple(refused), warnings=warnings, source=record)


def _make_all(
    options: PrepareOptions, chosen: Sequence[Case], progress: Progress
) -> tuple[list[Shard], list[RefusedCase], int]:
    """Make the shards that are not there yet; return cases in the table's order."""
    shards = [shard_of(case, options.task, options.parts) for case in chosen]
    waiting = [shard for shard in shards if not shard.is_finished()]
    done = reused = len(shards) - len(waiting)
    if reused:
        _LOG.info("%d of %d cases were finished by an earlier run", reused, len(shards))
    progress("cases", done, len(shards))
    refused: dict[str, RefusedCase] = {}
    processes = options.jobs or len(os.sched_getaffinity(0))
    with opened_workers(options.cluster, min(processes, len(waiting))) as workers:
        for refusal in make_shards(waiting, options.task, workers):
            done += 1
            if refusal is not None:
                refused[refusal.where] = refusal
                _LOG.warning("%s is refused: %s", refusal.where, refusal.reason)
            progress("cases", done, len(shards))
    finished = [shard for shard in shards if shard.case.where not in refused]
    return finished, [refused[s.case.where] for s in shards if s.case.where in refused], reused


def _is_annotated(case: Case, task: PrepareTask) -> bool:
    return bool(case.masks) if isinstance(task, MaskTask) else case.levels is not None


def _complete(task: PrepareTask, table: CasesTable) -> PrepareTask:
    """Take the meaning of labels from the rules' file, or from the table if the task has none."""
    if isinstance(task, MaskTask) and task.rules_file is not None:
        return replace(task, rules=read_rules(task.rules_file), rules_file=None)
    if not isinstance(task, MaskTask) or task.mapping is not None or task.rules is not None:
        return task
    if table.labels is None:
        raise UsageError(
            "expected what the labels mean, found nothing",
            hint="Say it with --labels, for instance --labels 1=muscle 2=subcutaneous_fat "
            "3=visceral_fat, with 'labels:' in a YAML table, or with --rules.",
        )
    return replace(task, mapping=table.labels)


def _interrupted(options: PrepareOptions, signal_number: int) -> RunInterruptedError:
    kept = len(list(options.parts.glob(f"[!.]*/{RECORD_NAME}")))
    return RunInterruptedError(
        f"the preparation was interrupted; {kept} finished cases are kept in {options.parts}",
        signal_number=signal_number,
        hint="The same command resumes from there.",
    )

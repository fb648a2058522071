"""What is wrong with a slice-selection training set; every PNG is decoded once, in parallel."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from bodycomp.anatomy import check_levels
from bodycomp.data.findings import Finding, FindingList
from bodycomp.data.leaks import image_digest, shared_between_splits
from bodycomp.data.naming import PATIENT_COLUMN, SERIES_COLUMN, SPLITS
from bodycomp.data.png import inspect_png
from bodycomp.data.slice_set import SliceSplit, inspect_slice_split
from bodycomp.data.table import Table

Progress = Callable[[int, int], None]
"""Called with the slices done and the slices in all."""

MAX_THREADS: Final = 8
QUEUED: Final = 1024
"""Slices handed to the threads at a time, so that memory stays flat."""


def check_slice_set(
    data_dir: Path, *, levels: Sequence[str], progress: Progress | None = None
) -> tuple[Finding, ...]:
    """Read a whole slice-selection training set and list what is wrong with it.

    Every PNG is decoded. PNG files of a split are read only if their names and the table are
    right, since otherwise they cannot be told apart.

    Args:
        data_dir: Folder with ``images`` and ``meta``.
        levels: Levels to train.
        progress: Called with slices done and slices in all.

    Raises:
        UsageError: A level is unknown or repeated.
    """
    levels = check_levels(levels)
    findings: list[Finding] = []
    splits: dict[str, SliceSplit] = {}
    for name in SPLITS:
        opened, errors = inspect_slice_split(data_dir, name, levels)
        findings += errors
        if opened is not None:
            split, table = opened
            splits[name] = split
            findings += (*_check_offsets(split, table, levels), *_check_index(table))
    total = sum(len(split) for split in splits.values())
    digests: dict[str, Sequence[bytes | None]] = {}
    done = 0
    for name, split in splits.items():
        report = None if progress is None else partial(_shifted, progress, done, total)
        digests[name], errors = _check_pngs(split, report)
        findings += errors
        done += len(split)
    return (*findings, *_leaks(splits, digests))


def _shifted(progress: Progress, done_before: int, total: int, done: int) -> None:
    progress(done_before + done, total)


def _check_pngs(
    split: SliceSplit, progress: Callable[[int], None] | None
) -> tuple[list[bytes | None], tuple[Finding, ...]]:
    """Decode every PNG: a digest of each, None where there is none, and what is wrong."""
    findings = FindingList()
    digests: list[bytes | None] = []
    for outcome in _inspect_in_parallel(split):
        if isinstance(outcome, Finding):
            findings.add(outcome)
        digests.append(None if isinstance(outcome, Finding) else outcome)
        if progress is not None:
            progress(len(digests))
    return digests, findings.all()


def _inspect_in_parallel(split: SliceSplit) -> Iterator[bytes | Finding]:
    """Yield for each slice its digest or what is wrong."""
    threads = min(MAX_THREADS, (os.cpu_count() or 1) + 1)
    inspect = partial(_inspect, split.name)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(split), QUEUED):
            yield from pool.map(inspect, split.png_paths[start : start + QUEUED])


def _inspect(split: str, path: Path) -> bytes | Finding:
    where = f"images/{split}/{path.name}"
    image = inspect_png(path, where, verify=True)
    if isinstance(image, Finding):
        return image
    lowest, highest = int(image.min()), int(image.max())
    if lowest < highest:
        return image_digest(image)
    message = f"expected a CT slice, found one grey level ({lowest}) in all pixels"
    hint = "Check the export; a slice outside the body teaches little."
    return Finding("warning", where, message, hint, "blank-png")


def _check_offsets(split: SliceSplit, table: Table, levels: Sequence[str]) -> tuple[Finding, ...]:
    findings = FindingList()
    for level, offsets_mm in zip(levels, split.offsets_mm.T, strict=True):
        annotated = offsets_mm[np.isfinite(offsets_mm)]
        where = f"{table.where}, level {level}"
        if not len(annotated):
            message = f"expected offsets, found none in {len(split)} rows"
            hint = "The level cannot be learnt or judged on this split; leave it out of -L."
            findings.warning("level-not-annotated", where, message, hint)
        elif not (annotated.min() < 0 < annotated.max()):
            low, high = annotated.min(), annotated.max()
            message = f"expected offsets above and below zero, found {low:g} to {high:g} mm only"
            hint = (
                "No zero crossing can be learnt or judged; include slices above (positive) and "
                "below (negative) the level."
            )
            findings.warning("offsets-one-sided", where, message, hint)
    return findings.all()


def _check_index(table: Table) -> tuple[Finding, ...]:
    """Warn if an unnamed index column disagrees with the order of the rows, which alone counts."""
    if table.columns[0] != "":
        return ()
    for row, cells in enumerate(table.rows):
        cell = cells[0].strip()
        if cell.isdecimal() and int(cell) != row:
            message = f"expected an index that counts from 0, found {cell} in row {row}"
            hint = (
                "Row i belongs to slice i whatever its index says; sort the table if it was "
                "shuffled."
            )
            return (Finding("warning", table.where, message, hint, "index-order"),)
    return ()


def _leaks(
    splits: Mapping[str, SliceSplit], digests: Mapping[str, Sequence[bytes | None]]
) -> tuple[Finding, ...]:
    """Warn of patients, series or images in two splits; identifiers are not repeated."""
    findings = FindingList()
    for what, code, keys in (
        (f"patients ({PATIENT_COLUMN})", "patient-in-two-splits", _column(splits, "patient")),
        (f"series ({SERIES_COLUMN})", "series-in-two-splits", _column(splits, "series")),
        ("images", "image-in-two-splits", digests),
    ):
        for one, other, pairs in shared_between_splits(keys):
            first, second = pairs[0]
            message = (
                f"expected different {what} in {one} and {other}, found {len(pairs)} in both; "
                f"the first is in row {first} of {one} and row {second} of {other}"
            )
            hint = f"Scores on {other} are too good if it shares them with {one}; split by patient."
            findings.warning(code, f"meta/{one}.csv", message, hint)
    return findings.all()


def _column(splits: Mapping[str, SliceSplit], name: str) -> dict[str, Sequence[str]]:
    return {key: getattr(split, name) or () for key, split in splits.items()}

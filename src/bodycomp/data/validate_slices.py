"""What is wrong with a slice-selection training set; every PNG is read once, in parallel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.findings import Finding, FindingList, Place
from bodycomp.data.grey_cache import GreyCache
from bodycomp.data.grey_file import NOT_BLANK, GreyFile
from bodycomp.data.leaks import shared_between_splits
from bodycomp.data.naming import PATIENT_COLUMN, SERIES_COLUMN, SPLITS
from bodycomp.data.places import slice_place, table_place
from bodycomp.data.slice_pass import Observer, SlicePass
from bodycomp.data.slice_set import SliceSplit, inspect_slice_split
from bodycomp.data.table import Table
from bodycomp.data.validate_duplicates import repeated_images
from bodycomp.data.validate_offsets import check_rows
from bodycomp.data.validate_series import check_series
from bodycomp.imaging.preprocessing import SLICE_SELECTION_SIZE
from bodycomp.level_names import check_levels
from bodycomp.progress import StepProgress


@dataclass(frozen=True, eq=False)
class SliceSurvey:
    """What one pass over a slice-selection training set tells.

    Attributes:
        findings: What is wrong.
        contents: Split -> digests of its PNG files one after another.
        decoded: Split -> its decoded slices on disk, for the splits that the cache keeps.
        facts: Split -> ``SLICE_FACTS`` of its slices.
        splits: Those that could be opened.
    """

    findings: tuple[Finding, ...]
    contents: dict[str, bytes] = field(default_factory=dict)
    decoded: dict[str, GreyFile] = field(default_factory=dict)
    facts: dict[str, NDArray[np.void]] = field(default_factory=dict)
    splits: dict[str, SliceSplit] = field(default_factory=dict)


def check_slice_set(
    data_dir: Path, *, levels: Sequence[str], progress: StepProgress | None = None
) -> tuple[Finding, ...]:
    """Read a whole slice-selection training set and list what is wrong with it.

    Args:
        data_dir: Folder with ``images`` and ``meta``.
        levels: Levels to train.
        progress: Called with slices done and slices in all.

    Raises:
        UsageError: A level is repeated or has no name that can be one.
    """
    return survey_slice_set(data_dir, levels=levels, progress=progress).findings


def survey_slice_set(
    data_dir: Path,
    *,
    levels: Sequence[str],
    size: tuple[int, int] = SLICE_SELECTION_SIZE,
    cache: GreyCache | None = None,
    observe: Observer | None = None,
    progress: StepProgress | None = None,
) -> SliceSurvey:
    """Read a whole slice-selection training set once: what is wrong, digests, decoded slices.

    PNG files of a split are read only if their names and the table are right, since otherwise they
    cannot be told apart. A PNG that the cache knows by its content is not decoded again.

    Args:
        data_dir: Folder with ``images`` and ``meta``.
        levels: Levels to train.
        size: Rows and columns that the network sees.
        cache: Where decoded slices are kept; None to keep none.
        observe: Looks at every slice that is decoded, in the same pass.
        progress: Called with slices done and slices in all.

    Raises:
        UsageError: A level is repeated or has no name that can be one.
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
            findings += (*_check_offsets(split, table, levels), *_check_index(table, name))
            findings += _collected(check_rows(split, levels), check_series(split, levels))
    total = sum(len(split) for split in splits.values())
    contents: dict[str, bytes] = {}
    decoded: dict[str, GreyFile] = {}
    facts: dict[str, NDArray[np.void]] = {}
    digests: dict[str, Sequence[bytes | None]] = {}
    done, png_pass = 0, SlicePass(size, cache, observe)
    for name, split in splits.items():
        report = None if progress is None else partial(_shifted, progress, done, total)
        result = png_pass.run(split, report)
        findings += result.findings
        facts[name] = result.facts
        contents[name] = result.facts["content"].tobytes()
        digests[name] = _image_digests(result.facts)
        findings += _collected(repeated_images(name, digests[name], slice_place))
        if result.decoded is not None:
            decoded[name] = result.decoded
        done += len(split)
    findings += _leaks(splits, digests)
    return SliceSurvey(tuple(findings), contents, decoded, facts, splits)


def _collected(*rules: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings of rules, bounded."""
    findings = FindingList()
    for rule in rules:
        findings.extend(rule)
    return findings.all()


def _image_digests(facts: NDArray[np.void]) -> list[bytes | None]:
    """Return a digest of each image, None for those that take no part in comparisons."""
    telling = (facts["blank_grey"] == NOT_BLANK).tolist()
    return [
        image.tobytes() if tells else None
        for image, tells in zip(facts["image"], telling, strict=True)
    ]


def _shifted(progress: StepProgress, done_before: int, total: int, done: int) -> None:
    progress(done_before + done, total)


def _check_offsets(split: SliceSplit, table: Table, levels: Sequence[str]) -> tuple[Finding, ...]:
    findings = FindingList(split.name)
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


def _check_index(table: Table, split: str) -> tuple[Finding, ...]:
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
            return (Finding("warning", table.where, message, hint, "index-order", split, row),)
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
            findings.warning(code, Place(table_place(one).where, other, second), message, hint)
    return findings.all()


def _column(splits: Mapping[str, SliceSplit], name: str) -> dict[str, Sequence[str]]:
    return {key: getattr(split, name) or () for key, split in splits.items()}

"""Validate a slice-selection training set: one pass over its files, then all rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.grey_cache import GreyCache
from bodycomp.data.grey_file import NOT_BLANK, GreyFile
from bodycomp.data.issues import Issue, IssueList, Place, slice_place, table_place
from bodycomp.data.layout import PATIENT_COLUMN, SERIES_COLUMN, SPLITS
from bodycomp.data.manifest import Manifest, pixel_digest
from bodycomp.data.png import read_grey_png
from bodycomp.data.slice_set import SliceSplit, inspect_slice_split
from bodycomp.data.table import Table
from bodycomp.errors import BodycompError
from bodycomp.imaging.preprocessing import SLICE_SELECTION_SIZE
from bodycomp.level_names import check_levels
from bodycomp.progress import StepProgress
from bodycomp.validation.check_duplicates import almost_repeated, repeated_images
from bodycomp.validation.check_flips import check_flips, grouping_of
from bodycomp.validation.check_images import check_greys
from bodycomp.validation.check_manifest import (
    check_digests,
    check_heights,
    check_leaks,
    from_manifest,
    from_tables,
    open_manifest,
)
from bodycomp.validation.check_offsets import check_direction, check_rows
from bodycomp.validation.check_series import check_series, rows_of_series
from bodycomp.validation.check_splits import (
    check_levels_of_splits,
    check_split_sizes,
    shared_between_splits,
)
from bodycomp.validation.details import Gathered, evenly, gather_into, progress_of_split
from bodycomp.validation.slice_facts import SEEN_SLICE, describe_slice
from bodycomp.validation.slice_pass import Observer, SlicePass


@dataclass(frozen=True, eq=False)
class SliceSurvey:
    """What one pass over a slice-selection training set tells.

    Attributes:
        issues: What is wrong.
        contents: Split -> digests of its PNG files one after another.
        decoded: Split -> its decoded slices on disk, for the splits that the cache keeps.
        facts: Split -> ``SLICE_FACTS`` of its slices.
        splits: Those that could be opened.
    """

    issues: tuple[Issue, ...]
    contents: dict[str, bytes] = field(default_factory=dict)
    decoded: dict[str, GreyFile] = field(default_factory=dict)
    facts: dict[str, NDArray[np.void]] = field(default_factory=dict)
    splits: dict[str, SliceSplit] = field(default_factory=dict)


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
    issues: list[Issue] = []
    splits: dict[str, SliceSplit] = {}
    for name in SPLITS:
        opened, errors = inspect_slice_split(data_dir, name, levels)
        issues += errors
        if opened is not None:
            split, table = opened
            splits[name] = split
            issues += (*_check_offsets(split, table, levels), *_check_index(table, name))
            issues += _collected(check_rows(split, levels), check_series(split, levels))
    total = sum(len(split) for split in splits.values())
    contents: dict[str, bytes] = {}
    decoded: dict[str, GreyFile] = {}
    facts: dict[str, NDArray[np.void]] = {}
    digests: dict[str, Sequence[bytes | None]] = {}
    done, png_pass = 0, SlicePass(size, cache, observe)
    for name, split in splits.items():
        report = progress_of_split(progress, done, total)
        result = png_pass.run(split, report)
        issues += result.issues
        facts[name] = result.facts
        contents[name] = result.facts["content"].tobytes()
        digests[name] = _image_digests(result.facts)
        issues += _collected(repeated_images(name, digests[name], slice_place))
        if result.decoded is not None:
            decoded[name] = result.decoded
        done += len(split)
    issues += _leaks(splits, digests)
    return SliceSurvey(tuple(issues), contents, decoded, facts, splits)


def _collected(*rules: Iterable[Issue]) -> tuple[Issue, ...]:
    """Return the issues of rules, bounded."""
    issues = IssueList()
    for rule in rules:
        issues.extend(rule)
    return issues.all()


def _image_digests(facts: NDArray[np.void]) -> list[bytes | None]:
    """Return a digest of each image, None for those that take no part in comparisons."""
    telling = (facts["blank_grey"] == NOT_BLANK).tolist()
    return [
        image.tobytes() if tells else None
        for image, tells in zip(facts["image"], telling, strict=True)
    ]


def _check_offsets(split: SliceSplit, table: Table, levels: Sequence[str]) -> tuple[Issue, ...]:
    issues = IssueList(split.name)
    for level, offsets_mm in zip(levels, split.offsets_mm.T, strict=True):
        annotated = offsets_mm[np.isfinite(offsets_mm)]
        where = f"{table.where}, level {level}"
        if not len(annotated):
            message = f"expected offsets, found none in {len(split)} rows"
            hint = "The level cannot be learnt or judged on this split; leave it out of -L."
            issues.warning("level-not-annotated", where, message, hint)
        elif not (annotated.min() < 0 < annotated.max()):
            low, high = annotated.min(), annotated.max()
            message = f"expected offsets above and below zero, found {low:g} to {high:g} mm only"
            hint = (
                "No zero crossing can be learnt or judged; include slices above (positive) and "
                "below (negative) the level."
            )
            issues.warning("offsets-one-sided", where, message, hint)
    return issues.all()


def _check_index(table: Table, split: str) -> tuple[Issue, ...]:
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
            return (Issue("warning", table.where, message, hint, "index-order", split, row),)
    return ()


def _leaks(
    splits: Mapping[str, SliceSplit], digests: Mapping[str, Sequence[bytes | None]]
) -> tuple[Issue, ...]:
    """Warn of patients, series or images in two splits; identifiers are not repeated."""
    issues = IssueList()
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
            issues.warning(code, Place(table_place(one).where, other, second), message, hint)
    return issues.all()


def _column(splits: Mapping[str, SliceSplit], name: str) -> dict[str, Sequence[str]]:
    return {key: getattr(split, name) or () for key, split in splits.items()}


BIN_MM: Final = 40.0
"""Slices of other patients within such a range of offsets are compared."""

SAMPLED_SERIES, SAMPLED_ROWS = 5, 10
"""Series of a split, and slices of each, that training looks at closely before its first step."""


class SliceObserver:
    """Looks at slices as they pass by; to be called from several threads.

    Args:
        gathered: Where facts and details are kept.
        with_digests: Whether there is a manifest to compare with.
    """

    def __init__(self, gathered: Gathered, *, with_digests: bool) -> None:
        self._gathered, self._with_digests = gathered, with_digests
        self.digests = {split: [""] * len(facts) for split, facts in gathered.facts.items()}

    def __call__(self, split: str, index: int, grey: NDArray[np.uint8]) -> None:
        """Look at one slice."""
        self._gathered.put(split, index, describe_slice(grey))
        if self._with_digests:
            self.digests[split][index] = pixel_digest(grey)


def validate_slices(
    data_dir: Path, levels: Sequence[str], progress: StepProgress | None = None
) -> tuple[tuple[Issue, ...], dict[str, NDArray[np.void]]]:
    """Return the issues of a slice-selection set and split -> ``SEEN_SLICE``."""
    counts = {}
    for split in SPLITS:
        opened, _ = inspect_slice_split(data_dir, split, levels)
        if opened is not None:
            counts[split] = len(opened[0])
    manifest, manifest_issues = open_manifest(data_dir, counts)
    gathered = gather_into(counts, SEEN_SLICE)
    with gathered.store:
        observer = SliceObserver(gathered, with_digests=manifest is not None)
        survey = survey_slice_set(data_dir, levels=levels, observe=observer, progress=progress)
        for split, known in survey.facts.items():
            gathered.facts[split]["content_digest"] = known["content"]
            gathered.facts[split]["image_digest"] = known["image"]
        more = IssueList()
        more.extend(manifest_issues)
        more.extend(_check_splits(gathered, survey.splits, levels))
        more.extend(_compare(gathered, survey.splits, manifest))
        if manifest is not None:
            more.extend(check_leaks(manifest))
            more.extend(check_digests(manifest, observer.digests, "image_digest", slice_place))
            for split_set in survey.splits.values():
                more.extend(check_heights(manifest, split_set, levels))
    return (*survey.issues, *more.all()), gathered.facts


def errors_of_a_sample(
    data_dir: Path, splits: Mapping[str, SliceSplit], levels: Sequence[str]
) -> tuple[Issue, ...]:
    """Return the errors that ``validate_slices`` would find in some slices of every split.

    Args:
        data_dir: The training set; its manifest tells heights.
        splits: Its splits as opened; slices that cannot be decoded are passed over.
        levels: Levels to train.
    """
    manifest, _ = open_manifest(data_dir, {name: len(split) for name, split in splits.items()})
    found = IssueList()
    for split in splits.values():
        found.extend(_check_slices(split, _look(split, _some_rows(split))))
        if manifest is not None:
            found.extend(check_heights(manifest, split, levels))
    return tuple(issue for issue in found.all() if issue.severity == "error")


def _some_rows(split: SliceSplit) -> list[int]:
    """Return rows of some series, evenly spread along each, or of the split without series."""
    series = list(rows_of_series(split.series).values())
    if not series:
        return evenly(len(split), SAMPLED_SERIES * SAMPLED_ROWS)
    some = [series[place] for place in evenly(len(series), SAMPLED_SERIES)]
    return [int(rows[place]) for rows in some for place in evenly(len(rows), SAMPLED_ROWS)]


def _look(split: SliceSplit, rows: Sequence[int]) -> NDArray[np.void]:
    """Return ``SEEN_SLICE`` of all slices of a split, of which some are seen."""
    facts = np.zeros(len(split), SEEN_SLICE)

    def look(row: int) -> None:
        path = split.png_paths[row]
        try:
            facts[row] = describe_slice(read_grey_png(path))[0]
        except (BodycompError, OSError):
            return  # the survey reports it

    with ThreadPoolExecutor() as pool:
        list(pool.map(look, rows))
    return facts


def _check_slices(split: SliceSplit, facts: NDArray[np.void]) -> Iterator[Issue]:
    yield from check_greys(split.name, facts)
    yield from check_direction(split, facts)


def _check_splits(
    gathered: Gathered, splits: Mapping[str, SliceSplit], levels: Sequence[str]
) -> Iterator[Issue]:
    for name, split in splits.items():
        yield from _check_slices(split, gathered.facts[name])
    yield from check_levels_of_splits(splits, levels)
    yield from check_split_sizes(gathered.facts)


def _compare(
    gathered: Gathered, splits: Mapping[str, SliceSplit], manifest: Manifest | None
) -> Iterator[Issue]:
    names = tuple(gathered.facts)
    series = from_tables(splits, "series")
    if series is None:
        series = from_manifest(manifest, "series_instance_uid", names)
    patients = from_tables(splits, "patient")
    if patients is None:
        patients = from_manifest(manifest, "patient", names)
    if patients is None:
        patients = series
    yield from almost_repeated(gathered, slice_place, series)
    yield from check_flips(gathered, grouping_of(_bins(splits), patients), patients, slice_place)


def _bins(splits: Mapping[str, SliceSplit]) -> NDArray[np.int64]:
    """Return the number of each slice's range of heights, -1 where no offset is known.

    Heights are those above the level with most offsets.
    """
    if not splits:
        return np.zeros(0, np.int64)
    offsets_mm = np.concatenate([split.offsets_mm for split in splits.values()])
    heights_mm = offsets_mm[:, int(np.isfinite(offsets_mm).sum(axis=0).argmax())]
    known = np.isfinite(heights_mm)
    bins = np.full(len(heights_mm), -1, np.int64)
    if known.any():
        numbers = np.floor(heights_mm[known].astype(np.float64) / BIN_MM)
        bins[known] = np.unique(numbers, return_inverse=True)[1]
    return bins

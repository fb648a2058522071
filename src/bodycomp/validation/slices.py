"""Validate a slice-selection training set: one pass over its files, then all rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.gray_cache import NOT_BLANK, GrayCache, GrayFile
from bodycomp.data.issues import Issue, Place, collect, slice_place, table_place, warning
from bodycomp.data.layout import PATIENT_COLUMN, SERIES_COLUMN, SPLITS
from bodycomp.data.manifest import Manifest
from bodycomp.data.png import read_gray_png
from bodycomp.data.slice_set import SliceSplit, Table, inspect_slice_split
from bodycomp.errors import BodycompError
from bodycomp.imaging.preprocessing import SLICE_SELECTION_SIZE
from bodycomp.level_names import check_levels
from bodycomp.progress import StepProgress
from bodycomp.validation.check_duplicates import almost_repeated, repeated_images
from bodycomp.validation.check_flips import check_flips, grouping_of
from bodycomp.validation.check_images import check_grays
from bodycomp.validation.check_offsets import (
    check_direction,
    check_rows,
    check_series,
    rows_of_series,
)
from bodycomp.validation.check_splits import (
    check_heights,
    check_leaks,
    check_levels_of_splits,
    check_manifest,
    check_split_sizes,
    from_manifest,
    from_tables,
    open_manifest,
)
from bodycomp.validation.details import Gathered, evenly, gather_into, progress_of_split
from bodycomp.validation.slice_pass import SEEN_SLICE, Observer, SlicePass, describe_slice

BIN_MM: Final = 40.0
"""Slices of other patients within such a range of offsets are compared."""

SAMPLED_SERIES, SAMPLED_ROWS = 5, 10
"""Series of a split, and slices of each, that training looks at closely before its first step."""


@dataclass(frozen=True, eq=False)
class SliceSurvey:
    """What a pass over a slice-selection set gathers: issues, and by split what was seen.

    ``facts`` are ``SLICE_FACTS``; ``decoded`` are slices on disk, for the splits that the cache
    keeps.
    """

    issues: tuple[Issue, ...]
    facts: dict[str, NDArray[np.void]]
    decoded: dict[str, GrayFile]
    splits: dict[str, SliceSplit]

    @property
    def contents(self) -> dict[str, bytes]:
        """Split -> digests of its PNG files one after another."""
        return {split: facts["content"].tobytes() for split, facts in self.facts.items()}


def survey_slice_set(
    data_dir: Path,
    *,
    levels: Sequence[str],
    size: tuple[int, int] = SLICE_SELECTION_SIZE,
    cache: GrayCache | None = None,
    observe: Observer | None = None,
    progress: StepProgress | None = None,
) -> SliceSurvey:
    """Read a whole slice-selection training set once: what is wrong, digests, decoded slices.

    PNG files of a split are read only if their names and the table are right, since otherwise they
    cannot be matched with rows. A PNG that the cache knows by its content is not decoded again.
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
            rules = (_check_offsets(split, table, levels), _check_index(table, name))
            rows = (check_rows(split, levels), check_series(split, levels))
            issues += (*collect(chain(*rules), name), *collect(chain(*rows)))
    total = sum(len(split) for split in splits.values())
    decoded: dict[str, GrayFile] = {}
    facts: dict[str, NDArray[np.void]] = {}
    digests: dict[str, Sequence[bytes | None]] = {}
    done, png_pass = 0, SlicePass(size, cache, observe)
    for name, split in splits.items():
        result = png_pass.run(split, progress_of_split(progress, done, total))
        facts[name] = result.facts
        digests[name] = [
            None if gray != NOT_BLANK else image.tobytes()  # blank ones are not compared
            for image, gray in zip(facts[name]["image"], facts[name]["blank_gray"], strict=True)
        ]
        repeated = repeated_images(name, digests[name], slice_place)
        issues += (*result.issues, *collect(repeated))
        if result.decoded is not None:
            decoded[name] = result.decoded
        done += len(split)
    issues += collect(_leaks(splits, digests))
    return SliceSurvey(tuple(issues), facts, decoded, splits)


def _check_offsets(split: SliceSplit, table: Table, levels: Sequence[str]) -> Iterator[Issue]:
    for level, offsets_mm in zip(levels, split.offsets_mm.T, strict=True):
        annotated = offsets_mm[np.isfinite(offsets_mm)]
        where = f"{table.where}, level {level}"
        if not len(annotated):
            message = f"expected offsets, found none in {len(split)} rows"
            hint = "The level cannot be learnt or evaluated on this split; leave it out of -L."
            yield warning("level-not-annotated", where, message, hint)
        elif not (annotated.min() < 0 < annotated.max()):
            low, high = annotated.min(), annotated.max()
            message = f"expected offsets above and below zero, found {low:g} to {high:g} mm only"
            hint = (
                "No zero crossing can be learnt or evaluated; include slices above (positive) and "
                "below (negative) the level."
            )
            yield warning("offsets-one-sided", where, message, hint)


def _check_index(table: Table, split: str) -> Iterator[Issue]:
    """Warn if an unnamed index column disagrees with the order of the rows, which alone counts."""
    for row, cells in enumerate(table.rows if table.columns[0] == "" else ()):
        cell = cells[0].strip()
        if cell.isdecimal() and int(cell) != row:
            message = f"expected an index that counts from 0, found {cell} in row {row}"
            hint = (
                "Row i belongs to slice i whatever its index says; sort the table if it was "
                "shuffled."
            )
            yield warning("index-order", Place(table.where, split, row), message, hint)
            return


def _leaks(
    splits: Mapping[str, SliceSplit], digests: Mapping[str, Sequence[bytes | None]]
) -> Iterator[Issue]:
    patients = {name: split.patient or () for name, split in splits.items()}
    series = {name: split.series or () for name, split in splits.items()}
    for code, what, keys in (
        ("patient-in-two-splits", f"patients ({PATIENT_COLUMN})", patients),
        ("series-in-two-splits", f"series ({SERIES_COLUMN})", series),
        ("image-in-two-splits", "images", digests),
    ):
        yield from check_leaks(code, what, keys, table_place, "row")


def validate_slices(
    data_dir: Path, levels: Sequence[str], progress: StepProgress | None = None
) -> tuple[tuple[Issue, ...], dict[str, NDArray[np.void]]]:
    """Return the issues of a slice-selection set and split -> ``SEEN_SLICE``."""
    inspected = {split: inspect_slice_split(data_dir, split, levels)[0] for split in SPLITS}
    counts = {split: len(opened[0]) for split, opened in inspected.items() if opened is not None}
    manifest, manifest_issues = open_manifest(data_dir, counts)
    gathered = gather_into(counts, SEEN_SLICE, () if manifest is None else ("image_digest",))

    def observe(split: str, index: int, gray: NDArray[np.uint8]) -> None:
        gathered.put(split, index, describe_slice(gray))
        gathered.put_digests(split, index, image_digest=gray)

    with gathered.store:
        survey = survey_slice_set(data_dir, levels=levels, observe=observe, progress=progress)
        for split, known in survey.facts.items():
            gathered.facts[split]["content_digest"] = known["content"]
            gathered.facts[split]["image_digest"] = known["image"]
        splits = survey.splits
        more = collect(
            chain(
                manifest_issues,
                *(_check_slices(split, gathered.facts[name]) for name, split in splits.items()),
                check_levels_of_splits(splits, levels),
                check_split_sizes(gathered.facts),
                _compare(gathered, splits, manifest),
                check_manifest(manifest, gathered.digests, image_digest=slice_place),
                *(check_heights(manifest, split, levels) for split in splits.values()),
            )
        )
    return (*survey.issues, *more), gathered.facts


def errors_of_a_sample(
    data_dir: Path, splits: Mapping[str, SliceSplit], levels: Sequence[str]
) -> tuple[Issue, ...]:
    """Return the errors that ``validate_slices`` would find in some slices of every split.

    Slices that cannot be decoded are passed over.
    """
    manifest, _ = open_manifest(data_dir, {name: len(split) for name, split in splits.items()})
    rules = (
        rule
        for split in splits.values()
        for rule in (
            _check_slices(split, _look(split, _some_rows(split))),
            check_heights(manifest, split, levels),
        )
    )
    found = collect(chain.from_iterable(rules))
    return tuple(issue for issue in found if issue.severity == "error")


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
        path = split.png_path(row)
        try:
            facts[row] = describe_slice(read_gray_png(path))[0]
        except (BodycompError, OSError):
            return  # the survey reports it

    with ThreadPoolExecutor() as pool:
        list(pool.map(look, rows))
    return facts


def _check_slices(split: SliceSplit, facts: NDArray[np.void]) -> Iterator[Issue]:
    yield from check_grays(split.name, facts)
    yield from check_direction(split, facts)


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

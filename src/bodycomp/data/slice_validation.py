"""Everything that is looked at in a slice-selection training set, in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.asymmetry import grouping_of
from bodycomp.data.findings import Finding, FindingList
from bodycomp.data.gathering import Gathered, evenly, gather_into
from bodycomp.data.manifest import Manifest, pixel_digest
from bodycomp.data.naming import SPLITS
from bodycomp.data.patients import from_manifest, from_tables
from bodycomp.data.places import slice_place
from bodycomp.data.png import read_grey_png
from bodycomp.data.slice_facts import SEEN_SLICE, describe_slice
from bodycomp.data.slice_set import SliceSplit, inspect_slice_split
from bodycomp.data.validate_duplicates import almost_repeated
from bodycomp.data.validate_flips import check_flips
from bodycomp.data.validate_greys import check_greys
from bodycomp.data.validate_heads import check_direction
from bodycomp.data.validate_levels import check_levels_of_splits
from bodycomp.data.validate_manifest import (
    check_digests,
    check_heights,
    check_leaks,
    open_manifest,
)
from bodycomp.data.validate_series import rows_of_series
from bodycomp.data.validate_slices import survey_slice_set
from bodycomp.data.validate_splits import check_split_sizes
from bodycomp.errors import BodycompError
from bodycomp.progress import StepProgress

BIN_MM: Final = 40.0
"""Slices of other patients within such a range of offsets are compared."""

SAMPLED_SERIES, SAMPLED_ROWS = 5, 10
"""Series of a split, and slices of each, that training looks at closely before its first step."""


class SliceLooker:
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
) -> tuple[tuple[Finding, ...], dict[str, NDArray[np.void]]]:
    """Return the findings of a slice-selection set and split -> ``SEEN_SLICE``."""
    counts = {}
    for split in SPLITS:
        opened, _ = inspect_slice_split(data_dir, split, levels)
        if opened is not None:
            counts[split] = len(opened[0])
    manifest, manifest_findings = open_manifest(data_dir, counts)
    gathered = gather_into(counts, SEEN_SLICE)
    with gathered.store:
        looker = SliceLooker(gathered, with_digests=manifest is not None)
        survey = survey_slice_set(data_dir, levels=levels, observe=looker, progress=progress)
        for split, known in survey.facts.items():
            gathered.facts[split]["content_digest"] = known["content"]
            gathered.facts[split]["image_digest"] = known["image"]
        more = FindingList()
        more.extend(manifest_findings)
        more.extend(_check_splits(gathered, survey.splits, levels))
        more.extend(_compare(gathered, survey.splits, manifest))
        if manifest is not None:
            more.extend(check_leaks(manifest))
            more.extend(check_digests(manifest, looker.digests, "image_digest", slice_place))
            for split_set in survey.splits.values():
                more.extend(check_heights(manifest, split_set, levels))
    return (*survey.findings, *more.all()), gathered.facts


def errors_of_a_sample(
    data_dir: Path, splits: Mapping[str, SliceSplit], levels: Sequence[str]
) -> tuple[Finding, ...]:
    """Return the errors that ``validate_slices`` would find in some slices of every split.

    Args:
        data_dir: The training set; its manifest tells heights.
        splits: Its splits as opened; slices that cannot be decoded are passed over.
        levels: Levels to train.
    """
    manifest, _ = open_manifest(data_dir, {name: len(split) for name, split in splits.items()})
    found = FindingList()
    for split in splits.values():
        found.extend(_check_slices(split, _look(split, _some_rows(split))))
        if manifest is not None:
            found.extend(check_heights(manifest, split, levels))
    return tuple(finding for finding in found.all() if finding.severity == "error")


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


def _check_slices(split: SliceSplit, facts: NDArray[np.void]) -> Iterator[Finding]:
    yield from check_greys(split.name, facts)
    yield from check_direction(split, facts)


def _check_splits(
    gathered: Gathered, splits: Mapping[str, SliceSplit], levels: Sequence[str]
) -> Iterator[Finding]:
    for name, split in splits.items():
        yield from _check_slices(split, gathered.facts[name])
    yield from check_levels_of_splits(splits, levels)
    yield from check_split_sizes(gathered.facts)


def _compare(
    gathered: Gathered, splits: Mapping[str, SliceSplit], manifest: Manifest | None
) -> Iterator[Finding]:
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

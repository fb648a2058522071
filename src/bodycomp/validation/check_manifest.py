"""What ``manifest.csv`` tells beyond the set itself: patients, heights, and what was written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.issues import Issue, Place, Rule, row_place
from bodycomp.data.layout import SPLITS, offset_column
from bodycomp.data.manifest import MANIFEST_NAME, Manifest, read_manifest
from bodycomp.data.slice_set import SliceSplit
from bodycomp.errors import TrainingSetError
from bodycomp.validation.check_splits import shared_between_splits

MANIFEST_DAMAGED: Final = Rule(
    "manifest-damaged",
    "warning",
    "Prepare the set again, or remove the manifest: without it patients and heights are not known.",
)
MANIFEST_COUNT: Final = Rule(
    "manifest-count",
    "warning",
    "Set and manifest are not of one making: prepare the set again, or remove the manifest.",
)
MANIFEST_DIGEST: Final = Rule(
    "manifest-digest",
    "warning",
    "The sample was changed after it was prepared, or samples were shuffled: prepare it again.",
)
PATIENT_LEAK: Final = Rule(
    "patient-in-two-splits",
    "warning",
    "Scores are too good if splits share them: split by patient.",
)
SERIES_LEAK: Final = Rule("series-in-two-splits", PATIENT_LEAK.severity, PATIENT_LEAK.hint)
OFFSET_RATE: Final = Rule(
    "offset-rate",
    "error",
    "An offset is the slice's z minus the level's in mm: it grows by 1 mm per mm towards the head.",
)
OFFSET_NOT_Z: Final = Rule(
    "offset-not-z", "warning", "Check this row: its offset does not go with the slice's position."
)

RATE_SLACK: Final = 0.05
Z_SLACK_MM: Final = 1.0
FEWEST_HEIGHTS: Final = 3


def open_manifest(
    data_dir: Path, counts: Mapping[str, int]
) -> tuple[Manifest | None, tuple[Issue, ...]]:
    """Read the manifest, if there is one; None also if it does not fit the set."""
    place = Place(MANIFEST_NAME)
    try:
        manifest = read_manifest(data_dir)
        if manifest is None:
            return None, ()
        for name in ("z_mm", "slice_index"):
            if name in manifest:
                manifest.numbers(name)
    except (TrainingSetError, OSError) as error:
        said = error.message if isinstance(error, TrainingSetError) else str(error.strerror)
        message = f"expected a manifest that can be read ({said.removeprefix(MANIFEST_NAME)})"
        return None, (MANIFEST_DAMAGED.broken(place, message),)
    found = []
    for split, samples in counts.items():
        rows = len(manifest.of(split))
        if rows != samples:
            message = f"expected a row for each of the {samples} samples of {split}, found {rows}"
            found.append(MANIFEST_COUNT.broken(Place(MANIFEST_NAME, split), message, rows))
    return (None if found else manifest), tuple(found)


def check_leaks(manifest: Manifest) -> Iterator[Issue]:
    """Yield pairs of splits that share patients or series; identifiers are not repeated."""
    for column, what, rule in (
        ("patient", "patients", PATIENT_LEAK),
        ("series_instance_uid", "series", SERIES_LEAK),
    ):
        if column not in manifest:
            continue
        keys = {split: manifest.of(split).texts(column) for split in SPLITS}
        for one, other, pairs in shared_between_splits(keys):
            first, second = pairs[0]
            message = (
                f"expected different {what} in {one} and {other}, found {len(pairs)} in both; "
                f"the first is sample {first} of {one} and sample {second} of {other}"
            )
            yield rule.broken(Place(MANIFEST_NAME, other, second), message, len(pairs))


def check_digests(
    manifest: Manifest,
    digests: Mapping[str, Sequence[str]],
    column: str,
    place_of: Callable[[str, int], Place],
) -> Iterator[Issue]:
    """Yield samples that are not those that were prepared.

    Args:
        manifest: As read.
        digests: Split -> ``pixel_digest`` of each sample as it is now; empty takes no part.
        column: Of the manifest.
        place_of: How a sample is called.
    """
    if column not in manifest:
        return
    for split, found in digests.items():
        for index, wanted in enumerate(manifest.of(split).texts(column)):
            if wanted and found[index] and wanted != found[index]:
                message = f"expected what the manifest's {column} tells, found other pixels"
                yield MANIFEST_DIGEST.broken(place_of(split, index), message)


def check_heights(manifest: Manifest, split: SliceSplit, levels: Sequence[str]) -> Iterator[Issue]:
    """Yield series whose offsets do not follow the slices' z."""
    if "z_mm" not in manifest or "series_instance_uid" not in manifest:
        return
    own = manifest.of(split.name)
    z_mm, names = own.numbers("z_mm"), np.array(own.texts("series_instance_uid"))
    for name in dict.fromkeys(names.tolist()):
        rows = np.flatnonzero(names == name)
        for position, level in enumerate(levels):
            offsets_mm = split.offsets_mm[rows, position].astype(np.float64)
            known = np.isfinite(offsets_mm) & np.isfinite(z_mm[rows])
            if np.count_nonzero(known) < FEWEST_HEIGHTS or not np.ptp(z_mm[rows[known]]):
                continue
            column = offset_column(level)
            yield from _compare(
                split.name, rows[known], z_mm[rows[known]], offsets_mm[known], column
            )


def _compare(
    split: str,
    rows: NDArray[np.int64],
    z_mm: NDArray[np.float64],
    offsets_mm: NDArray[np.float64],
    column: str,
) -> Iterator[Issue]:
    rate = _median_rate(z_mm, offsets_mm)
    if abs(rate - 1) > RATE_SLACK:
        message = (
            f"expected offsets that grow by 1 mm per mm towards the head, found {rate:.3g} in the "
            f"series of {len(rows)} rows that begins here"
        )
        yield OFFSET_RATE.broken(row_place(split, int(rows[0]), column), message, rate)
        return
    off_mm = offsets_mm - z_mm
    off_mm -= np.median(off_mm)
    for here in np.flatnonzero(np.abs(off_mm) > Z_SLACK_MM).tolist():
        message = (
            f"expected the offset to follow the slice's z, found it {off_mm[here]:+.1f} mm off"
        )
        place = row_place(split, int(rows[here]), column)
        yield OFFSET_NOT_Z.broken(place, message, float(off_mm[here]))


def _median_rate(z_mm: NDArray[np.float64], offsets_mm: NDArray[np.float64]) -> float:
    """Return the median slope between a slice and the one half the series further (Theil, 1950)."""
    order = np.argsort(z_mm, kind="stable")
    z_mm, offsets_mm = z_mm[order], offsets_mm[order]
    half = len(z_mm) // 2
    rise, run = offsets_mm[half:] - offsets_mm[:-half], z_mm[half:] - z_mm[:-half]
    return float(np.median(rise[run > 0] / run[run > 0])) if (run > 0).any() else 1.0


def numbered(names: Sequence[str]) -> NDArray[np.int64] | None:
    """Return a number for every distinct name and -1 for an empty one; None if all are empty."""
    known = {name: number for number, name in enumerate(dict.fromkeys(n for n in names if n))}
    return np.array([known.get(name, -1) for name in names], np.int64) if known else None


def from_manifest(
    manifest: Manifest | None, column: str, splits: Sequence[str]
) -> NDArray[np.int64] | None:
    """Return the number of each sample's patient or series, splits one after another."""
    if manifest is None or column not in manifest:
        return None
    return numbered([name for split in splits for name in manifest.of(split).texts(column)])


def from_tables(splits: Mapping[str, SliceSplit], field: str) -> NDArray[np.int64] | None:
    """Return the same from a column of the tables, ``patient`` or ``series``."""
    names: list[str] = []
    for split in splits.values():
        names += getattr(split, field) or [""] * len(split)
    return numbered(names)

"""What ``manifest.csv`` says beyond the set itself: patients, heights, and what was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.issues import Issue, Place, PlaceOf, Rule, row_place
from bodycomp.data.layout import SPLITS, offset_column
from bodycomp.data.manifest import MANIFEST_NAME, Manifest, read_manifest
from bodycomp.data.slice_set import SliceSplit
from bodycomp.errors import TrainingSetError
from bodycomp.validation.check_splits import check_leaks

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
    try:
        manifest = read_manifest(data_dir)
        if manifest is None:
            return None, ()
        for name in ("z_mm", "slice_index"):
            if name in manifest:
                manifest.numbers(name)
    except (TrainingSetError, OSError) as fault:
        said = fault.message if isinstance(fault, TrainingSetError) else str(fault.strerror)
        message = f"expected a manifest that can be read ({said.removeprefix(MANIFEST_NAME)})"
        return None, (MANIFEST_DAMAGED.broken(MANIFEST_NAME, message),)
    found = []
    for split, samples in counts.items():
        rows = len(manifest.of(split))
        if rows != samples:
            message = f"expected a row for each of the {samples} samples of {split}, found {rows}"
            found.append(MANIFEST_COUNT.broken(Place(MANIFEST_NAME, split), message, rows))
    return (None if found else manifest), tuple(found)


def check_manifest(
    manifest: Manifest | None,
    digests: Mapping[str, Mapping[str, Sequence[str]]],
    **place_of: PlaceOf,
) -> Iterator[Issue]:
    """Yield splits that share patients or series, and samples that are not those prepared.

    ``digests`` maps columns and splits to the ``pixel_digest`` of each sample as it is now; an
    empty one takes no part.
    """
    if manifest is None:
        return
    for code, what, column in (
        ("patient-in-two-splits", "patients", "patient"),
        ("series-in-two-splits", "series", "series_instance_uid"),
    ):
        if column in manifest:
            keys = {split: manifest.of(split).texts(column) for split in SPLITS}
            yield from check_leaks(code, what, keys, lambda _: Place(MANIFEST_NAME))
    for column, splits in digests.items():
        for split, found in splits.items() if column in manifest else ():
            for index, prepared in enumerate(manifest.of(split).texts(column)):
                if prepared and found[index] and prepared != found[index]:
                    message = f"expected what the manifest's {column} says, found other pixels"
                    yield MANIFEST_DIGEST.broken(place_of[column](split, index), message)


def check_heights(
    manifest: Manifest | None, split: SliceSplit, levels: Sequence[str]
) -> Iterator[Issue]:
    """Yield series whose offsets do not follow the slices' z."""
    if manifest is None or "z_mm" not in manifest or "series_instance_uid" not in manifest:
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

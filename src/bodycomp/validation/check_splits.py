"""What is wrong with splits as wholes, alone, against train and against ``manifest.csv``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.data.issues import Issue, Place, PlaceOf, Rule, row_place, table_place
from bodycomp.data.layout import SPLITS, offset_column
from bodycomp.data.manifest import MANIFEST_NAME, Manifest, read_manifest
from bodycomp.data.slice_set import SliceSplit
from bodycomp.errors import TrainingSetError
from bodycomp.validation.check_offsets import rows_of_series

SPLIT_SMALL: Final = Rule(
    "split-small",
    "warning",
    "Scores on so few samples are chance; move patients here, or annotate more.",
)
SPLITS_DIFFER: Final = Rule(
    "splits-differ", "warning", "Make splits by chance among patients of all sites and protocols."
)

FEWEST: Final = {"train": 10, "val": 5, "test": 5}
HU_APART: Final = 25.0
"""Medians of phantom splits lie up to 3 HU apart; contrast agent adds about 20 HU to muscle."""

FEWEST_TO_COMPARE: Final = 5

LEVEL_RARE: Final = Rule(
    "level-rare",
    "warning",
    "Annotate the level in more patients, or leave it out of -L.",
)

OFFSETS_DIFFER: Final = Rule(
    "offsets-differ",
    "warning",
    "Make splits by chance among patients of all scan ranges; heights never learnt are guessed.",
)

FEWEST_SERIES: Final = 3
FEWEST_ROWS: Final = 20
OVERLAP: Final = 0.5
"""Phantom splits share 0.85 and more of the heights that both have."""


def check_split_sizes(facts: Mapping[str, NDArray[np.void]]) -> Iterator[Issue]:
    """Yield splits of too few samples."""
    for split, samples in facts.items():
        if len(samples) < FEWEST[split]:
            message = f"expected {FEWEST[split]} samples or more, found {len(samples)}"
            yield SPLIT_SMALL.broken(Place(split, split), message, len(samples))


def check_hu_of_splits(facts: Mapping[str, NDArray[np.void]]) -> Iterator[Issue]:
    """Yield tissues whose HU in a split are not those of train, from ``SAMPLE_FACTS``."""
    for split, samples in facts.items():
        if split == "train" or "train" not in facts:
            continue
        for tissue in ABDOMINAL_TISSUES:
            own, learnt = (
                each["mean_hu"][each["pixels"][:, tissue.label - 1] > 0, tissue.label - 1]
                for each in (samples, facts["train"])
            )
            if min(len(own), len(learnt)) < FEWEST_TO_COMPARE:
                continue
            apart = float(np.median(own) - np.median(learnt))
            if abs(apart) > HU_APART:
                message = (
                    f"expected {tissue.title.lower()} as in train, found a median "
                    f"{apart:+.0f} HU from it"
                )
                yield SPLITS_DIFFER.broken(Place(f"{split}_images.npy", split), message, apart)


def check_levels_of_splits(
    splits: Mapping[str, SliceSplit], levels: Sequence[str]
) -> Iterator[Issue]:
    """Yield splits and levels of too few series, and splits of other heights than train.

    Heights are those above the level with most offsets.
    """
    for name, split in splits.items():
        rows = rows_of_series(split.series)
        if 0 < len(rows) < FEWEST_SERIES:
            message = f"expected {FEWEST_SERIES} series or more, found {len(rows)}"
            yield SPLIT_SMALL.broken(Place(name, name), message, len(rows))
        else:
            yield from _rare(split, levels, list(rows.values()))
        if name != "train" and "train" in splits:
            leading = int(np.isfinite(split.offsets_mm).sum(axis=0).argmax())
            place = table_place(name, levels[leading])
            learnt_mm = splits["train"].offsets_mm[:, leading]
            yield from _compare(place, split.offsets_mm[:, leading], learnt_mm)


def _rare(
    split: SliceSplit, levels: Sequence[str], series: Sequence[NDArray[np.int64]]
) -> Iterator[Issue]:
    for position, level in enumerate(levels):
        annotated = np.isfinite(split.offsets_mm[:, position])
        found = sum(bool(annotated[rows].any()) for rows in series)
        if 0 < found < FEWEST_SERIES:
            message = f"expected the level in {FEWEST_SERIES} series or more, found {found}"
            yield LEVEL_RARE.broken(table_place(split.name, level), message, found)


def _compare(
    place: Place, own_mm: NDArray[np.float32], learnt_mm: NDArray[np.float32]
) -> Iterator[Issue]:
    own, learnt = (each[np.isfinite(each)] for each in (own_mm, learnt_mm))
    if min(len(own), len(learnt)) < FEWEST_ROWS:
        return
    (low, high), (first, last) = (np.percentile(each, [5, 95]).tolist() for each in (own, learnt))
    shared = max(0.0, min(high, last) - max(low, first)) / max(high - low, 1e-6)
    if shared < OVERLAP:
        message = (
            f"expected heights that train has ({first:.0f} to {last:.0f} mm), found {low:.0f} to "
            f"{high:.0f} mm"
        )
        yield OFFSETS_DIFFER.broken(place, message, shared)


def check_leaks(
    code: str,
    what: str,
    keys: Mapping[str, Sequence[bytes | str | None]],
    place_of: Callable[[str], Place],
    unit: str = "sample",
) -> Iterator[Issue]:
    """Yield pairs of splits that share patients, series or images; identifiers are not repeated.

    ``what`` says what the keys are of and ``unit`` what indices count; empty keys take no part.
    """
    for one, other, pairs in shared_between_splits(keys):
        first, second = pairs[0]
        message = (
            f"expected different {what} in {one} and {other}, found {len(pairs)} in both; "
            f"the first is {unit} {first} of {one} and {unit} {second} of {other}"
        )
        hint = f"Scores on {other} are too good if it shares them with {one}; split by patient."
        place = Place(place_of(one).where, other, second)
        yield Rule(code, "warning", hint).broken(place, message, len(pairs))


def shared_between_splits(
    keys: Mapping[str, Sequence[bytes | str | None]],
) -> Iterator[tuple[str, str, list[tuple[int, int]]]]:
    """Yield pairs of splits that share keys, and for each shared key its first index in both."""
    first: dict[str, dict[bytes | str, int]] = {}
    for split, values in keys.items():
        seen = first.setdefault(split, {})
        for index, key in enumerate(values):
            if key:
                seen.setdefault(key, index)
    for one, other in combinations(keys, 2):
        shared = first[one].keys() & first[other].keys()
        pairs = sorted((first[one][key], first[other][key]) for key in shared)
        if pairs:
            yield one, other, pairs


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
            yield from _compare_heights(
                split.name, rows[known], z_mm[rows[known]], offsets_mm[known], column
            )


def _compare_heights(
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

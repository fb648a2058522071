"""What is wrong with splits as wholes: too small, unlike train, or sharing what they must not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.data.issues import Issue, Place, Rule, table_place
from bodycomp.data.slice_set import SliceSplit
from bodycomp.validation.check_series import rows_of_series

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

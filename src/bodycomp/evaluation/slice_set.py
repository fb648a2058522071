"""A slice-selection model against the series of a training set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.inference import NetworkSliceScorer
from bodycomp.analysis.locating import locate_levels
from bodycomp.analysis.pipeline import choice_options
from bodycomp.data.folds import FOLD_SPLITS, folds_of_training
from bodycomp.data.layout import SERIES_COLUMN, offset_column, table_path
from bodycomp.data.manifest import read_split_rows
from bodycomp.data.png import read_gray_png
from bodycomp.data.series_heights import ascending_heights_mm, series_heights_mm
from bodycomp.data.slice_set import SliceSplit, open_slice_split, read_table
from bodycomp.errors import TrainingSetError
from bodycomp.evaluation.level_rows import (
    LevelRow,
    LevelTruth,
    SeriesNames,
    SeriesScores,
    level_row,
    name_series,
)


@dataclass(frozen=True, eq=False)
class SetSeries:
    """The series of one split: their names and the indices of their slices."""

    split: SliceSplit
    names: tuple[SeriesNames, ...]
    slices: tuple[NDArray[np.intp], ...]
    patients_known: bool

    @property
    def slice_count(self) -> int:
        """Number of slices in all series."""
        return sum(map(len, self.slices))


def open_series(
    data_dir: Path, split: str, levels: Sequence[str], *, identifiers: bool
) -> SetSeries:
    """Open a split and sort its slices by series, as its table or its manifest names them.

    Raises:
        InputNotFoundError: A file is missing.
        TrainingSetError: The set breaks its format, has no such split, or names no series.
    """
    (found,) = _series_of(data_dir, [(split, None)], levels, identifiers=identifiers)
    return found


def open_fold_series(
    data_dir: Path, run: Path, levels: Sequence[str], *, identifiers: bool
) -> dict[int, list[SetSeries]]:
    """Return fold -> the series of train and val that it held out in a training with folds.

    Raises as ``open_series``, and:

    Raises:
        UsageError: ``run`` is no training with folds, or one on another set.
    """
    sizes = {split: len(_open(data_dir, split, levels)) for split in FOLD_SPLITS}
    folds = folds_of_training(data_dir, sizes, run)
    shares = [
        (split, folds.of_sample[split] == fold)
        for fold in range(1, folds.count + 1)
        for split in FOLD_SPLITS
    ]
    found = _series_of(data_dir, shares, levels, identifiers=identifiers)
    return {
        fold: found[len(FOLD_SPLITS) * (fold - 1) :][: len(FOLD_SPLITS)]
        for fold in range(1, folds.count + 1)
    }


def _series_of(
    data_dir: Path,
    shares: Sequence[tuple[str, NDArray[np.bool_] | None]],
    levels: Sequence[str],
    *,
    identifiers: bool,
) -> list[SetSeries]:
    """Open splits, of each the slices that are chosen or all, and name their series together."""
    opened, owners = [], []
    for name, chosen in shares:
        split = _open(data_dir, name, levels)
        series, patients = _names(data_dir, split)
        numbers = _numbered(data_dir, split, series)
        if chosen is not None:
            numbers = np.where(chosen, numbers, -1)
        slices = [np.flatnonzero(numbers == number) for number in np.unique(numbers[numbers >= 0])]
        opened.append((split, slices, any(patients)))
        owners += [patients[int(own[0])] or series[int(own[0])] for own in slices]
    names = iter(name_series(owners, identifiers=identifiers))
    return [
        SetSeries(split, tuple(next(names) for _ in slices), tuple(slices), known)
        for split, slices, known in opened
    ]


def _numbered(data_dir: Path, split: SliceSplit, series: Sequence[str]) -> NDArray[np.intp]:
    """Return the number of each slice's series, in the order of their first slices; -1 of none."""
    known = [name for name in dict.fromkeys(series) if name]
    if not known:
        raise TrainingSetError(
            f"{data_dir}: expected the series of each slice in {split.name}, found none",
            hint=f"Levels are located in whole series: add a column {SERIES_COLUMN} to "
            f"meta/{split.name}.csv, or prepare the set with 'bodycomp prepare'.",
        )
    place = {name: number for number, name in enumerate(known)}
    return np.array([place.get(name, -1) for name in series])


def _open(data_dir: Path, split: str, levels: Sequence[str]) -> SliceSplit:
    """Open a split with a column per level; those that the set says nothing of are not annotated.

    A set without any of the levels is refused as training refuses it.
    """
    table, _ = read_table(table_path(data_dir, split), f"meta/{split}.csv", split)
    there = [] if table is None else [n for n in levels if offset_column(n) in table.columns]
    opened = open_slice_split(data_dir, split, there or levels)
    if opened is None:
        raise TrainingSetError(
            f"{data_dir}: expected a split {split}, found none",
            hint="Choose another one with --split.",
        )
    if len(there or levels) == len(levels):
        return opened
    offsets_mm = np.full((len(opened), len(levels)), np.nan, np.float32)
    offsets_mm[:, [list(levels).index(name) for name in there]] = opened.offsets_mm
    return replace(opened, offsets_mm=offsets_mm)


def _names(data_dir: Path, split: SliceSplit) -> tuple[Sequence[str], Sequence[str]]:
    """Return series and patient of every slice, empty where nothing names them."""
    nothing = [""] * len(split)
    own = read_split_rows(data_dir, split.name, len(split))
    if own is None:
        return split.series or nothing, split.patient or nothing
    series = own.texts("series_instance_uid") if "series_instance_uid" in own else nothing
    return series, own.texts("patient")


def locate_in_set(
    series: SetSeries, scorer: NetworkSliceScorer, done: Callable[[int], None]
) -> Iterator[LevelRow]:
    """Locate every level in every series as an analysis does; yield series by series.

    Heights in a series are made of its offsets; slices without any offset take no part. Levels
    whose offsets are all of one sign lie beyond an end of the series. ``done`` is called with the
    slices of every series that is finished.
    """
    options = choice_options(scorer)
    for names, slices in zip(series.names, series.slices, strict=True):
        offsets_mm = series.split.offsets_mm[slices].astype(np.float64)
        heights, truth = heights_mm(offsets_mm, scorer.levels)
        ascending, z_mm = ascending_heights_mm(heights)
        if not z_mm.size:
            done(len(slices))
            continue
        own = slices[ascending]
        scores = SeriesScores(_score(series.split, scorer, own, z_mm), len(own), scorer.scale_mm)
        score_all = scorer.sees_series or len(z_mm) < 2
        choices = locate_levels(scores, z_mm, scorer.levels, options, score_all=score_all)
        for column, choice in enumerate(choices):
            near = scores.near(column, z_mm, truth.true_z_mm(choice.level))
            yield level_row(names, choice, truth, near)
        done(len(slices))


def _score(
    split: SliceSplit,
    scorer: NetworkSliceScorer,
    own: NDArray[np.intp],
    z_mm: NDArray[np.float64],
) -> Callable[[Sequence[int]], NDArray[np.float32]]:
    return lambda indices: scorer.score_gray(
        lambda index: read_gray_png(split.png_path(int(own[index]))), z_mm, indices
    )


def heights_mm(
    offsets_mm: NDArray[np.float64], levels: Sequence[str]
) -> tuple[NDArray[np.float64], LevelTruth]:
    """Return the heights of a series' slices and levels, from offsets.

    Offsets (slice, level) are NaN where not annotated; heights are on a scale of their own, NaN for
    slices without offsets.

    >>> heights, truth = heights_mm(np.array([[-4.0, 30.0], [np.nan, 34.0]]), ("L3", "L4"))
    >>> heights.tolist(), dict(truth.z_mm), dict(truth.outside_z_mm)
    ([30.0, 34.0], {'L3': 34.0}, {'L4': 0.0})
    """
    heights, places_mm = series_heights_mm(offsets_mm)
    if np.isnan(heights).all():
        return heights, LevelTruth({})
    places = {
        level: float(place)
        for level, place in zip(levels, places_mm, strict=True)
        if not np.isnan(place)
    }
    return heights, _truth(places, heights)


def _truth(places: dict[str, float], heights: NDArray[np.float64]) -> LevelTruth:
    z_mm = np.unique(heights[~np.isnan(heights)])
    # A level within half a slice of an end counts as inside, as it does in scans.
    edge_mm = float(np.median(np.diff(z_mm))) / 2 if z_mm.size > 1 else 0.5
    inside = {n: z for n, z in places.items() if z_mm[0] - edge_mm <= z <= z_mm[-1] + edge_mm}
    return LevelTruth(inside, {n: z for n, z in places.items() if n not in inside})

"""What several people said of one run -> their verdicts and levels side by side, and their masks.

Masks are written as label maps of each pair, on which ``bodycomp evaluate --masks`` gives agreement
as between a model and its truth. No scan is needed: paintings are changes of masks that lie there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby
from pathlib import Path
from typing import Any, Final

import numpy as np

from bodycomp.annotation.grid import place_label_map
from bodycomp.errors import ReviewError
from bodycomp.imaging.grid import blank_volume
from bodycomp.imaging.label_map import LabelMap
from bodycomp.nifti import read_nifti_labels, write_nifti_labels
from bodycomp.review.history import ACCEPT, REJECT
from bodycomp.review.measure_mask import file_digest
from bodycomp.review.review_csv import ReviewRow, read_review
from bodycomp.study.measured_run import CaseKey, MeasuredRun
from bodycomp.study.outputs import LABELS_NAME

NETWORKS: Final = "networks"
Said = Mapping[CaseKey, ReviewRow]


@dataclass(frozen=True, eq=False)
class ReaderPair:
    """Two readers, or one and the networks, on the cases that both have.

    Attributes:
        name: Of a folder: readers are counted in the order of their files.
        verdicts: Cases, cases with the same verdict, and Cohen's kappa (1960); None where all
            verdicts are one.
        levels: Cases in which both place the level, and the mean and the largest distance in mm.
        masks: Folders with the label maps of both; None where no case has masks of both.
    """

    name: str
    readers: tuple[str, str] = field(repr=False)
    verdicts: Mapping[str, Any]
    levels: Mapping[str, Any]
    masks: tuple[Path, Path] | None

    def document(self) -> dict[str, Any]:
        """Return what JSON says of the pair."""
        return {
            "pair": self.name,
            "readers": list(self.readers),
            "verdicts": dict(self.verdicts),
            "levels": dict(self.levels),
            "has_masks": self.masks is not None,
        }


def compare_readers(
    run: MeasuredRun, reviews: Sequence[Path], folder: Path
) -> tuple[ReaderPair, ...]:
    """Compare every reader with every other one and with the networks.

    Raises:
        InputNotFoundError: A review is not there.
        ReviewError: A review is damaged or of another run, or holds the words of several people.
    """
    readers = {f"reader{number}": _read(run, path) for number, path in enumerate(reviews, 1)}
    sides: dict[str, tuple[str, Said]] = {**readers, NETWORKS: (NETWORKS, {})}
    return tuple(
        _pair(run, f"{one}-{other}", (sides[one], sides[other]), folder)
        for one, other in combinations(sides, 2)
    )


def _read(run: MeasuredRun, path: Path) -> tuple[str, Said]:
    rows = read_review(path, path.stem)
    names = sorted({row.reviewer for row in rows})
    if len(names) > 1:
        raise ReviewError(
            f"{path.name}: expected the review of one reader, found {', '.join(names)}",
            hint="Give a file for each of them.",
        )
    strange = [row for row in rows if row.case not in run.rows or row.models != run.models]
    if strange:
        raise ReviewError(
            f"{path.name} line {strange[0].line}: expected a case and the models of this run, "
            f"found {strange[0].case} and {'+'.join(strange[0].models)}"
        )
    return names[0], {row.case: row for row in rows}


def _pair(
    run: MeasuredRun, name: str, sides: tuple[tuple[str, Said], tuple[str, Said]], folder: Path
) -> ReaderPair:
    (one, said), (other, said_too) = sides
    is_model = other == NETWORKS and not said_too
    shared = [case for case in run.rows if case in said and (is_model or case in said_too)]
    places = [folder / "masks" / name / side for side in ("first", "second")]
    written = 0
    for _, same in groupby(sorted(shared), key=lambda case: case[:2]):
        cases = list(same)
        maps = [_labels(run, cases, each) for each in (said, said_too)]
        both = [case for case in cases if all(case in each for each in maps)]
        if both:
            written += 1
            for place, each in zip(places, maps, strict=True):
                _write(run, place, both, each)
    return ReaderPair(
        name,
        (one, other),
        {} if is_model else _verdicts(shared, said, said_too),
        _levels(run, shared, said, said_too),
        (places[0], places[1]) if written else None,
    )


def _labels(run: MeasuredRun, cases: Sequence[CaseKey], said: Said) -> dict[CaseKey, LabelMap]:
    """Return the masks of cases as a reader left them; of cases without a word the networks'.

    A case that was rejected or moved has none, nor one whose masks are no longer there.
    """
    found = {}
    for case in cases:
        path, row = run.folder(case) / LABELS_NAME, said.get(case)
        if row and (row.verdict == REJECT or row.moved_to_slice is not None):
            continue
        if not path.is_file() or (row and row.masks_from not in ("", file_digest(path))):
            continue
        labels = read_nifti_labels(path)
        if row and row.painting:
            # Files hold (column, row, slice); slices that a scan lacks would shift the count.
            if labels.values.shape[2] != run.rows[case]["slices"]:
                continue
            values = labels.values.astype(np.uint8).transpose(2, 1, 0)
            labels = LabelMap(row.painting.on(values).transpose(2, 1, 0), labels.grid)
        found[case] = labels
    return found


def _write(
    run: MeasuredRun, folder: Path, cases: Sequence[CaseKey], maps: Mapping[CaseKey, LabelMap]
) -> None:
    """Write the masks of one series, on the slices of these cases alone."""
    folder.mkdir(parents=True, exist_ok=True)
    first = maps[cases[0]]
    merged = np.zeros(first.values.shape, np.uint8)
    for case in cases:
        row, values = run.rows[case], maps[case].values
        middle, count = int(str(row["slice_index"])), int(str(row["slices_measured"]))
        own = np.abs(np.arange(values.shape[2]) - middle) <= count / 2
        merged[:, :, own] = values[:, :, own]
    name = f"{cases[0].study}-{cases[0].series}.nii.gz"
    volume = blank_volume(first.grid, name)
    placed = place_label_map(LabelMap(merged, first.grid), volume, name, cropped=False)
    write_nifti_labels(folder / name, volume, placed.astype(np.uint8))


def _verdicts(shared: Sequence[CaseKey], said: Said, said_too: Said) -> Mapping[str, Any]:
    pairs = [(said[case].verdict, said_too[case].verdict) for case in shared]
    pairs = [pair for pair in pairs if all(pair)]
    same = sum(one == other for one, other in pairs)
    kappa = None
    if pairs:
        shares = [sum(pair[side] == ACCEPT for pair in pairs) / len(pairs) for side in (0, 1)]
        chance = shares[0] * shares[1] + (1 - shares[0]) * (1 - shares[1])
        kappa = None if chance == 1 else (same / len(pairs) - chance) / (1 - chance)
    return {"cases": len(pairs), "same": same, "kappa": kappa}


def _levels(
    run: MeasuredRun, shared: Sequence[CaseKey], said: Said, said_too: Said
) -> Mapping[str, Any]:
    apart = []
    for case in shared:
        places = [_slice(run, case, each.get(case)) for each in (said, said_too)]
        spacing_mm = run.rows[case].get("slice_spacing_mm")
        if None not in places and isinstance(spacing_mm, float | int):
            apart.append(abs(int(str(places[0])) - int(str(places[1]))) * float(spacing_mm))
    mean = sum(apart) / len(apart) if apart else None
    return {"cases": len(apart), "mean_mm": mean, "max_mm": max(apart, default=None)}


def _slice(run: MeasuredRun, case: CaseKey, row: ReviewRow | None) -> Any:
    """Return where a reader has a level; None for a level that was rejected or not found."""
    if row is None:
        return run.rows[case]["slice_index"]
    if row.verdict == REJECT:
        return None
    return row.shown_slice if row.moved_to_slice is None else row.moved_to_slice

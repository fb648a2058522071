"""Folds of a training set: its train and val splits together, shared out by patient.

Each fold is held out by one training and learnt from by the others. The assignment depends on the
set alone, so that trainings on different machines share the same folds; ``test`` is in none.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bodycomp.data.layout import PATIENT_COLUMN, SERIES_COLUMN, table_path
from bodycomp.data.manifest import read_split_rows
from bodycomp.data.slice_set import read_table
from bodycomp.errors import TrainingSetError, UsageError
from bodycomp.json_file import write_json

FOLDS_NAME: Final = "folds.json"
FOLD_SPLITS: Final = ("train", "val")
"""Splits whose samples are shared out."""

PATIENT: Final = "patient"
SERIES: Final = "series_instance_uid"
FOLD_COLUMNS: Final = ("fold", "source_split")
"""Columns of a manifest that name folds, which are kept: all that a sample has in the first one,
and names such as ``fold-3`` in that of a published set's own splits."""

_FOLD_NAME: Final = re.compile(r"fold[-_ ]?\d+", re.IGNORECASE)

_TABLE_NAMES: Final = {PATIENT: PATIENT_COLUMN, SERIES: SERIES_COLUMN}
Columns = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Folds:
    """Which fold each sample is in.

    Attributes:
        count: How many folds there are, numbered from 1.
        by: Column that is alike within a fold's groups: ``patient``, or that by which the manifest
            named the folds.
        of_sample: Split -> (sample,) number of its fold.
        digest: SHA-256 over whose samples these are, in their order.
        patient, series: Split -> cells of all samples; None where nothing names them.
    """

    count: int
    by: str
    of_sample: Mapping[str, NDArray[np.int64]]
    digest: str
    patient: Mapping[str, tuple[str, ...]] | None = None
    series: Mapping[str, tuple[str, ...]] | None = None

    def held_out(self, fold: int) -> list[tuple[str, int]]:
        """Return split and index of each sample of a fold."""
        return self._where(lambda numbers: numbers == fold)

    def learnt(self, fold: int) -> list[tuple[str, int]]:
        """Return split and index of each sample of the other folds."""
        return self._where(lambda numbers: numbers != fold)

    def _where(self, chosen: Any) -> list[tuple[str, int]]:
        return [
            (split, int(index))
            for split, numbers in self.of_sample.items()
            for index in np.flatnonzero(chosen(numbers))
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``folds.json``, which names nobody."""
        return {
            "folds": self.count,
            "by": self.by,
            "digest": self.digest,
            "fold_of_sample": {
                split: " ".join(map(str, own.tolist())) for split, own in self.of_sample.items()
            },
        }


def make_folds(
    data_dir: Path, sizes: Mapping[str, int], count: int, by: str | None = None
) -> Folds:
    """Share out the samples of a training set.

    Args:
        data_dir: The set. Columns are those of its manifest, else of its tables of offsets.
        sizes: Split -> number of samples, of the splits that are shared out.
        count: Number of folds.
        by: Column whose values stay together, such as a site; patients always do. None for the
            folds that the manifest names (``FOLD_COLUMNS``), by patient if it names none.

    Raises:
        TrainingSetError: Patients are not known, there are fewer groups than folds, or a named fold
            shares patients with another one.
        UsageError: There is no such column, or the manifest names another number of folds.
    """
    columns = {split: _columns(data_dir, split, sizes[split]) for split in FOLD_SPLITS}
    owner = PATIENT if _is_known(columns, PATIENT) else SERIES
    if not _is_known(columns, owner):
        raise TrainingSetError(
            f"{data_dir}: expected the patient of each sample, since folds are by patient, found "
            "samples of nobody",
            hint=f"A manifest with a column {PATIENT}, as 'bodycomp prepare' writes it, says so; "
            f"in a slice-selection set a column {PATIENT_COLUMN} does, too.",
        )
    owners = _joined(columns, owner)
    by = by or _named_by(columns) or PATIENT
    if by in FOLD_COLUMNS:
        numbers = _named_folds(data_dir, columns, owners, count, by)
    else:
        groups = _groups(owners, _column(data_dir, columns, by)) if by != PATIENT else owners
        numbers = share_out(groups, count)
    first = sizes[FOLD_SPLITS[0]]
    return Folds(
        count,
        by,
        dict(zip(FOLD_SPLITS, np.split(numbers, [first]), strict=True)),
        hashlib.sha256(json.dumps([first, owners]).encode()).hexdigest(),
        *(
            {s: own[name] for s, own in columns.items()} if _is_known(columns, name) else None
            for name in (PATIENT, SERIES)
        ),
    )


def share_out(groups: Sequence[str], count: int) -> NDArray[np.int64]:
    """Return the fold, from 1, of each sample; a group stays together, folds are of like size.

    Large groups come first, each into the fold with fewest samples, in an order that depends on the
    names alone.

    Raises:
        TrainingSetError: There are fewer groups than folds.

    >>> share_out(["a", "a", "b", "c", "a"], 2).tolist()
    [1, 1, 2, 2, 1]
    """
    names, place, sizes = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    if len(names) < count:
        raise TrainingSetError(
            f"expected patients or groups of them for {count} folds, found {len(names)}",
            hint=f"--folds {max(len(names), 2)} needs no more, if there are two; or add patients.",
        )
    drawn = [hashlib.sha256(name.encode()).digest() for name in names.tolist()]
    held = np.zeros(count, np.int64)
    fold_of = np.zeros(len(names), np.int64)
    for group in sorted(range(len(names)), key=lambda i: (-int(sizes[i]), drawn[i])):
        fold_of[group] = held.argmin()
        held[fold_of[group]] += sizes[group]
    numbers: NDArray[np.int64] = fold_of[place] + 1
    return numbers


def keep_folds(path: Path, folds: Folds) -> None:
    """Write ``folds.json``, or check that the one that is there says the same.

    Raises:
        UsageError: Other folds of this training were made of another set or by another column.
    """
    if path.is_file() and read_folds(path) != folds.to_dict():
        raise UsageError(
            f"expected the folds in {path}, found others: the set or --fold_by has changed",
            hint="All folds of a training need the same set and the same options; begin anew under "
            "another --name.",
        )
    write_json(path, folds.to_dict(), durable=True)


def folds_of_training(data_dir: Path, sizes: Mapping[str, int], run: Path) -> Folds:
    """Return the folds of a training on a set, of which nothing has changed since.

    Args:
        data_dir: The set.
        sizes: Split -> number of samples of train and val.
        run: Folder of the training.

    Raises:
        UsageError: The training has no folds, or is of another set.
        TrainingSetError: Its ``folds.json`` is damaged.
    """
    check_folds(run)
    path = run / FOLDS_NAME
    kept = read_folds(path)
    try:
        found = make_folds(data_dir, sizes, int(kept["folds"]), str(kept["by"]))
    except (TrainingSetError, UsageError) as error:
        raise UsageError(f"{path}: {error.message}", hint=error.hint) from error
    if found.to_dict() != kept:
        raise UsageError(
            f"expected the training set that the folds in {path} are of, found another one",
            hint="Samples and patients must be those of the training, in their order.",
        )
    return found


def check_folds(run: Path) -> None:
    """Check that a folder is that of a training with folds.

    Raises:
        UsageError: It is not.
    """
    if not (run / FOLDS_NAME).is_file():
        raise UsageError(
            f"expected a training with --folds in {run}, found none",
            hint="'bodycomp train ... --folds 5' leaves folds.json in its folder.",
        )


def read_folds(path: Path) -> dict[str, Any]:
    """Return the content of ``folds.json``.

    Raises:
        TrainingSetError: It is damaged.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        int(found["folds"]), str(found["by"])
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingSetError(
            f"expected the folds of a training in {path}, found a damaged file",
            hint="Put it back from a copy, or start a new training.",
        ) from error
    return found


def _columns(data_dir: Path, split: str, count: int) -> dict[str, tuple[str, ...]]:
    """Return column -> cells of a split's samples, of its manifest and of its table of offsets."""
    found: dict[str, tuple[str, ...]] = {}
    if table_path(data_dir, split).is_file():
        table, _ = read_table(table_path(data_dir, split), f"meta/{split}.csv", split)
        names = () if table is None else tuple(filter(None, table.columns))
        found = {n: cells for n in names if table and (cells := table.column(n)) is not None}
        found |= {name: found[own] for name, own in _TABLE_NAMES.items() if own in found}
    rows = read_split_rows(data_dir, split, count)
    return found | ({} if rows is None else dict(rows.columns))


def fold_folder(run: Path, fold: int) -> Path:
    """Return where a fold of a training lies."""
    return run / f"fold-{fold}"


def _is_known(columns: Mapping[str, Columns], name: str) -> bool:
    return all(name in own and all(own[name]) for own in columns.values())


def _joined(columns: Mapping[str, Columns], name: str) -> list[str]:
    return [cell for split in FOLD_SPLITS for cell in columns[split][name]]


def _column(data_dir: Path, columns: Mapping[str, Columns], name: str) -> list[str]:
    if not _is_known(columns, name):
        shared = set.intersection(*(set(own) for own in columns.values()))
        what = "a value for every sample" if name in shared else "such a column"
        raise UsageError(
            f"{data_dir}: expected {what} for --fold_by {name}, found none",
            hint=f"Columns of train and val are {', '.join(sorted(shared)) or 'none'}; add one to "
            "manifest.csv.",
        )
    return _joined(columns, name)


def _groups(owners: Sequence[str], values: Sequence[str]) -> list[str]:
    """Return groups that share neither a patient nor a value with another one."""
    people, person = np.unique(np.array(owners), return_inverse=True)
    kinds, kind = np.unique(np.array(values), return_inverse=True)
    size = len(people) + len(kinds)
    links = coo_array((np.ones(len(person)), (person, len(people) + kind)), shape=(size, size))
    _, component = connected_components(links, directed=False)
    first = {int(component[len(people) + i]): name for i, name in reversed([*enumerate(kinds)])}
    return [str(first[int(component[p])]) for p in person]


def _named_by(columns: Mapping[str, Columns]) -> str | None:
    """Return the column that names folds, if there is one."""
    own, source = FOLD_COLUMNS
    if any(any(cells.get(own, ())) for cells in columns.values()):
        return own
    names = [name for cells in columns.values() for name in cells.get(source, ("",))]
    return source if all(map(_FOLD_NAME.fullmatch, names)) else None


def _named_folds(
    data_dir: Path, columns: Mapping[str, Columns], owners: Sequence[str], count: int, by: str
) -> NDArray[np.int64]:
    names = _column(data_dir, columns, by)
    known = sorted(set(names), key=lambda name: (len(name), name))
    if len(known) != count:
        raise UsageError(
            f"{data_dir}: its manifest names {len(known)} folds, found --folds {count}",
            hint=f"Give --folds {len(known)}, or make other folds with --fold_by {PATIENT}.",
        )
    fold_of = dict(zip(owners, names, strict=True))
    shared = {o for o, name in zip(owners, names, strict=True) if fold_of[o] != name}
    if shared:
        raise TrainingSetError(
            f"{data_dir}: expected each patient in one fold, found {len(shared)} in several of "
            "those that the manifest names",
            hint=f"--fold_by {PATIENT} makes folds that share nobody.",
        )
    return np.array([known.index(name) + 1 for name in names], np.int64)

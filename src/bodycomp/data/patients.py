"""Which samples are of one patient or one series: from the manifest, else from the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.manifest import Manifest
from bodycomp.data.slice_set import SliceSplit


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

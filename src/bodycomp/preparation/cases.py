"""Annotated scans as a user lists them: which scan goes with which annotation of which patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bodycomp.annotation.labels import LabelMapping

Fractions = tuple[float, float, float]
"""Shares of the patients in train, val and test."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a cases table.

    Attributes:
        where: The row for messages, as spreadsheets count: the header of a CSV is row 1.
        patient: Code that tells patients apart.
        scan: DICOM folder or file, NIfTI or NRRD file.
        masks: Files with the tissues; empty where none are drawn.
        levels: File with the levels; None where none are marked.
        series: Series Instance UID, where the scan's folder holds several series.
        split: ``train``, ``val`` or ``test``; empty where it shall be drawn.
        further: Free columns, such as sex, site or scanner.
    """

    where: str
    patient: str = field(repr=False)
    scan: Path = field(repr=False)
    masks: tuple[Path, ...] = field(default=(), repr=False)
    levels: Path | None = field(default=None, repr=False)
    series: str = field(default="", repr=False)
    split: str = ""
    further: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class CasesTable:
    """All cases, and the defaults that stand beside them.

    Attributes:
        cases: In the table's order.
        free_columns: Names of the columns that ``Case.further`` holds.
        labels: What the labels mean, if the file says so.
        fractions: How to split, if the file says so.
    """

    cases: tuple[Case, ...]
    free_columns: tuple[str, ...] = ()
    labels: LabelMapping | None = None
    fractions: Fractions | None = None

"""What a cohort of phantom patients shall hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bodycomp.data.layout import SPLITS
from bodycomp.errors import UsageError


@dataclass(frozen=True, slots=True)
class CohortOptions:
    """Options of ``write_cohort``.

    Attributes:
        folder: Folder to make.
        patients: Number of patients, at least 1.
        seed: Seed of the whole cohort, 0 or more.
        splits: Patients in train, val and test, adding up to ``patients``. A split without
            patients is left out of the training sets.
        dicom: Write each patient's study as DICOM.
        jobs: Processes; None for one per core.
        overwrite: Replace a folder that has content.

    Raises:
        UsageError: A number is out of range or the splits do not add up.
    """

    folder: Path
    patients: int
    seed: int
    splits: tuple[int, int, int]
    dicom: bool = True
    jobs: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.patients < 1:
            raise UsageError(f"expected at least one patient, found {self.patients}")
        if self.seed < 0:
            raise UsageError(f"expected a seed of 0 or more, found {self.seed}")
        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"expected at least one process, found {self.jobs}")
        if min(self.splits) < 0 or sum(self.splits) != self.patients:
            raise UsageError(
                f"expected splits that add up to {self.patients} patients, found {self.splits}",
                hint="Give three numbers for train, val and test.",
            )

    def split_of(self, index: int) -> str:
        """Return the split of patient ``index``: train first, then val, then test.

        >>> CohortOptions(Path("out"), 7, 0, (4, 1, 2)).split_of(4)
        'val'
        """
        bound = 0
        for split, count in zip(SPLITS, self.splits, strict=True):
            bound += count
            if index < bound:
                return split
        raise UsageError(f"the cohort has {self.patients} patients, there is no index {index}")


def default_splits(patients: int) -> tuple[int, int, int]:
    """Divide patients 4 : 1 : 2 into train, val and test, none empty from three patients on.

    >>> default_splits(42), default_splits(3), default_splits(1)
    ((24, 6, 12), (1, 1, 1), (0, 0, 1))
    """
    if patients < 3:
        return (0, 0, max(patients, 0))
    val = max(1, round(patients / 7))
    test = max(1, round(patients * 2 / 7))
    return (patients - val - test, val, test)

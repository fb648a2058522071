"""What a cohort of phantom patients shall hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bodycomp.anatomy import (
    ABDOMINAL_TISSUES,
    ALL_TISSUES,
    PHANTOM_ANATOMIES,
    PhantomAnatomy,
    Tissue,
    tissues_of_model,
)
from bodycomp.data.layout import SPLITS
from bodycomp.errors import UsageError
from bodycomp.options import check_options, declare, option


@dataclass(frozen=True, slots=True)
class CohortOptions:
    """Options of ``write_cohort``; each is described beside its field.

    Attributes:
        splits: Patients in train, val and test; ``default_splits`` if all are 0. A split
            without patients is left out of the training sets.

    Raises:
        UsageError: A number is out of range or the splits do not add up.
    """

    folder: Path = field(metadata=declare("OUT", help="folder to make"))
    patients: int = option(7, "--patients -n", at_least=1, help="patients (default {default})")
    seed: int = option(0, "--seed -s", at_least=0, help="seed, 0 or more (default {default})")
    splits: tuple[int, int, int] = option(
        (0, 0, 0),
        "--splits",
        metavar="TRAIN VAL TEST",
        help="patients per split, adding up to --patients (default 4 : 1 : 2)",
    )
    anatomy: PhantomAnatomy = option(
        "standard",
        "--anatomy",
        choices=PHANTOM_ANATOMIES,
        help="how much patients differ: {default} (default); varied, for models that shall "
        "measure real patients; held-out, as varied but another hospital, to test them on",
    )
    most_slices: int | None = option(
        None,
        "--most-slices",
        metavar="N",
        at_least=2,
        help="slices of a patient at most, farther apart where there would be more (default: as "
        "drawn; of varied patients up to 1,000, at 0.1 s and 0.8 MB of memory each)",
    )
    tissues: tuple[str, ...] = option(
        (),
        "--tissues",
        metavar="TISSUE",
        help="what masks label, as for bodycomp train: the first few of "
        f"{' '.join(tissue.key for tissue in ALL_TISSUES)} (default the first three)",
    )
    dicom: bool = option(True, "--no-dicom", help="write the training sets and the truth alone")
    jobs: int | None = option(
        None, "--jobs -j", at_least=1, help="processes (default: one per core)"
    )
    overwrite: bool = option(False, "--overwrite", help="replace a folder with content")

    def __post_init__(self) -> None:
        check_options(self)
        if self.tissues:
            tissues_of_model(self.tissues)
        if not any(self.splits):
            object.__setattr__(self, "splits", default_splits(self.patients))
        if min(self.splits) < 0 or sum(self.splits) != self.patients:
            raise UsageError(
                f"expected splits that add up to {self.patients} patients, found {self.splits}",
                hint="Give three numbers for train, val and test.",
            )

    @property
    def labeled_tissues(self) -> tuple[Tissue, ...]:
        """What masks label."""
        return tissues_of_model(self.tissues) if self.tissues else ABDOMINAL_TISSUES

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

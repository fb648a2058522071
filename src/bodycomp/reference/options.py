"""What a group's own curves are made of."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bodycomp.errors import UsageError
from bodycomp.options import check_options, declare, option
from bodycomp.reference.table import CONTRASTS

SEX: Final = "sex"
AGE: Final = "age"
DEFAULT_QUANTITIES: Final[tuple[str, ...]] = (
    "skeletal_muscle_index_cm2_m2",
    "muscle_hu_range_area_cm2",
    "muscle_hu_range_mean_hu",
    "subcutaneous_fat_index_cm2_m2",
    "subcutaneous_fat_hu_range_area_cm2",
    "visceral_fat_index_cm2_m2",
    "visceral_fat_hu_range_area_cm2",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """A group, and how its curves are made.

    Raises:
        UsageError: A value is out of range, or the name cannot be one of columns.
    """

    cohort: Path = field(
        metadata=declare(
            "COHORT.csv",
            help="results.csv or reviewed.csv of a run, or a table with such columns: sex, "
            "age_years, level, study or patient_id, and the quantities",
        )
    )
    out: Path = field(
        metadata=declare("--out -o", metavar="FILE", help="the reference to write, as JSON")
    )
    population: str = field(
        metadata=declare(
            "--population",
            metavar="WORDS",
            help="who they are, such as 'trauma patients of one hospital, 2019 to 2024'",
        )
    )
    name: str = option(
        "",
        "--name",
        metavar="KEY",
        help="what it is called in columns: a to z, 0 to 9 and _ (default: the name of FILE)",
    )
    by: tuple[str, ...] = option(
        (SEX, AGE),
        "--by",
        metavar="WHAT",
        choices=(SEX, AGE),
        help="what curves depend on: sex, age (default {default})",
    )
    quantities: tuple[str, ...] = option(
        (),
        "--quantities",
        metavar="COLUMN",
        help="columns to fit (default: areas, indices and muscle attenuation, as far as they are "
        "there)",
    )
    level: str = option(
        "", "--level", metavar="LEVEL", help="level of all rows, if there is no column 'level'"
    )
    contrast: str | None = option(
        None,
        "--contrast",
        choices=CONTRASTS,
        help="scans whose attenuation is fitted: none, those without signs of contrast agent, or "
        "agent, those with (default: none by the column quality_flags; without it no attenuation)",
    )
    min_n: int = option(
        120,
        "--min-n",
        metavar="N",
        at_least=50,
        help="people that a curve needs (default {default}); groups with fewer are left out",
    )
    overwrite: bool = option(False, "--overwrite", help="replace FILE if it is there")

    def __post_init__(self) -> None:
        check_options(self)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.key):
            raise UsageError(
                f"expected a name of a to z, 0 to 9 and _, found {self.key!r}",
                hint="Say it with --name.",
            )
        if not self.population.strip():
            raise UsageError("expected words that say who the people are, found none")

    @property
    def key(self) -> str:
        """Its name in columns."""
        return self.name or self.out.stem.lower().replace("-", "_").replace(" ", "_")

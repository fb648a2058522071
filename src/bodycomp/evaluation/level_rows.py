"""One level of one series: where it was found and where it is; scores of the slices near it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bodycomp.analysis.coarse_to_fine import ScoreSlices
from bodycomp.analysis.level_verdict import SATURATION_SCALES
from bodycomp.networks.targets import NEAR_MM, target_to_offset
from bodycomp.preparation.splits import pseudonyms
from bodycomp.results import LevelStatus, SliceChoice
from bodycomp.tables import Cell

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LevelRow:
    """A level that was looked for, a row of ``slice_selection.csv``.

    ``z_mm`` and ``confidence`` are None unless it was found, ``is_present`` and ``true_z_mm``,
    which may lie beyond the ends of the series, where nobody says. ``near_true_mm`` (slice,) are
    true offsets of the slices near the level, ``near_estimated_mm`` what the network says of them.
    """

    case: str
    patient: str
    level: str
    status: LevelStatus
    reason: str
    z_mm: float | None
    confidence: float | None
    is_present: bool | None
    true_z_mm: float | None
    near_true_mm: NDArray[np.float32] = field(repr=False)
    near_estimated_mm: NDArray[np.float32] = field(repr=False)

    @property
    def is_found(self) -> bool:
        """Whether a position was given, right or wrong."""
        return self.status is LevelStatus.FOUND

    @property
    def error_mm(self) -> float | None:
        """Located minus true height, positive towards the head; None without both.

        Of a level that lies outside the series, too: such a finding is a false one, and this is by
        how much.
        """
        if self.z_mm is None or self.true_z_mm is None:
            return None
        return self.z_mm - self.true_z_mm

    def is_within(self, limit_mm: float) -> bool | None:
        """Whether it was located within a distance of where it is; None if that is not known."""
        if self.is_present is None:
            return None
        error_mm = self.error_mm
        return error_mm is not None and abs(error_mm) <= limit_mm

    def cells(self, source: str) -> Mapping[str, Cell]:
        """Return a row of the table; ``source`` names what the series is of."""
        return {
            "source": source,
            "case": self.case,
            "patient": self.patient,
            "level": self.level,
            "present": {True: "yes", False: "no", None: ""}[self.is_present],
            "status": self.status.value,
            "error_mm": self.error_mm,
            "confidence": self.confidence,
            "z_mm": self.z_mm,
            "true_z_mm": self.true_z_mm,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class LevelTruth:
    """What people say of a series: level -> height, of levels in it and beyond its ends."""

    z_mm: Mapping[str, float]
    outside_z_mm: Mapping[str, float] = field(default_factory=dict)

    def true_z_mm(self, level: str) -> float | None:
        """Return where a level lies, in the series or beyond its ends; None if nobody says."""
        return self.z_mm.get(level, self.outside_z_mm.get(level))


@dataclass(frozen=True, slots=True)
class SeriesNames:
    """What a series is called in the output: its own case, and the patient that it is of."""

    case: str
    patient: str


def name_series(patients: Sequence[str], *, identifiers: bool) -> list[SeriesNames]:
    """Return the names of series, in their order, given whose each one is.

    Patients are numbered in an order that does not follow their codes. A case has its patient's
    name, with a number where the patient has several.

    >>> [names.case for names in name_series(["b", "a", "b"], identifiers=True)]
    ['b-1', 'a', 'b-2']
    """
    shown = {p: p for p in patients} if identifiers else pseudonyms(set(patients), seed=0)
    total, seen = Counter(patients), Counter[str]()
    named = []
    for patient in patients:
        seen[patient] += 1
        number = f"-{seen[patient]}" if total[patient] > 1 else ""
        named.append(SeriesNames(f"{shown[patient]}{number}", shown[patient]))
    return named


def level_row(
    series: SeriesNames, choice: SliceChoice, truth: LevelTruth, near: tuple[Floats, Floats]
) -> LevelRow:
    """Return a choice beside the truth; ``near`` as by ``SeriesScores.near``."""
    level = choice.level
    is_inside, is_outside = level in truth.z_mm, level in truth.outside_z_mm
    return LevelRow(
        case=series.case,
        patient=series.patient,
        level=level,
        status=choice.status,
        reason=choice.reason,
        z_mm=choice.z_mm,
        confidence=choice.confidence,
        is_present=True if is_inside else False if is_outside else None,
        true_z_mm=truth.true_z_mm(level),
        near_true_mm=near[0],
        near_estimated_mm=near[1],
    )


class SeriesScores:
    """Scores of a series' slices, each made once, to locate levels and to evaluate the scores."""

    def __init__(self, score: ScoreSlices, count: int, scale_mm: float) -> None:
        self._score = score
        self._scale_mm = scale_mm
        self._scored = np.zeros(count, np.bool_)
        self._values: NDArray[np.float32] | None = None

    def __call__(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """Return (slice, level) scores of the slices named, in their order."""
        wanted = np.asarray(indices, np.intp)
        missing = [int(index) for index in wanted if not self._scored[index]]
        if missing or self._values is None:
            made = self._score(missing)
            if self._values is None:
                self._values = np.zeros((len(self._scored), made.shape[1]), np.float32)
            self._values[missing] = made
            self._scored[missing] = True
        scores: NDArray[np.float32] = self._values[wanted]
        return scores

    def near(
        self, column: int, slice_z_mm: NDArray[np.float64], true_z_mm: float | None
    ) -> tuple[Floats, Floats]:
        """Return true offset and the network's of every slice near a level, (slice,) each.

        Slices that locating did not need are scored now: without them the series that went wrong
        would be missing.
        """
        true_mm = slice_z_mm - (np.nan if true_z_mm is None else true_z_mm)
        near = np.flatnonzero(np.abs(true_mm) <= NEAR_MM)
        if not near.size:
            return np.empty(0, np.float32), np.empty(0, np.float32)
        limit_mm = SATURATION_SCALES * self._scale_mm
        offsets_mm = target_to_offset(self(near.tolist())[:, column], self._scale_mm)
        return (
            true_mm[near].astype(np.float32),
            np.clip(offsets_mm, -limit_mm, limit_mm).astype(np.float32),
        )

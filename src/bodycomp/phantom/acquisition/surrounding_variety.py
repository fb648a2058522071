"""What lies around varied patients: arms, table, mattress, blankets, cables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

ArmPose = Literal["up", "down", "one down", "on belly", "one on belly"]
TableShape = Literal["shell", "trough", "trapezoid", "flat", "double", "cradle", "none"]

_TRAINED_TABLES: Final[tuple[TableShape, ...]] = ("shell", "trough", "trapezoid", "flat", "none")
_HELD_OUT_TABLES: Final[tuple[TableShape, ...]] = ("double", "cradle")


@dataclass(frozen=True)
class Surroundings:
    """What is around one patient.

    Attributes:
        arms: Where the arms are.
        arm_gap_mm: From trunk to arm; negative if pressed against it.
        arm_bulk: Thickness relative to the standard; ``arm_back_mm``: how far behind the middle.
        table: Its shape; ``table_hu`` and ``table_mm``: attenuation and thickness of its shell.
        table_curve_mm: How deep it sags under 200 mm.
        pad_mm: Thickness of the mattress; ``pad_hu``; ``gap_mm``: air between body and mattress.
        blanket_mm: Height of a sheet over the body, 0 for none; ``blanket_hu``.
        cables: Leads and tubes on or beside the body: direction, distance, radius in mm, HU.
    """

    arms: ArmPose
    arm_gap_mm: float
    arm_bulk: float
    arm_back_mm: float
    table: TableShape
    table_hu: float
    table_mm: float
    table_curve_mm: float
    table_deep_mm: float
    pad_mm: float
    pad_hu: float
    gap_mm: float
    blanket_mm: float
    blanket_hu: float
    cables: tuple[tuple[float, float, float, float], ...]


def draw_surroundings(rng: np.random.Generator, held_out: bool, arms_up: bool) -> Surroundings:
    """Draw what is around a patient; held-out hospitals have tables of their own."""
    tables = _HELD_OUT_TABLES if held_out else _TRAINED_TABLES
    share = (0.5, 0.5) if held_out else (0.25, 0.25, 0.3, 0.15, 0.05)
    arms: ArmPose = "up"
    if not arms_up or rng.random() < 0.12:
        pose = rng.random()
        arms = "down" if pose < 0.45 else "one down" if pose < 0.6 else "on belly"
        arms = "one on belly" if pose > 0.85 else arms
    return Surroundings(
        arms=arms,
        arm_gap_mm=float(rng.uniform(-8, 30)),
        arm_bulk=float(rng.uniform(0.75, 1.3)),
        arm_back_mm=float(rng.uniform(-30, 35)),
        table=tables[int(rng.choice(len(tables), p=share))],
        table_hu=float(np.exp(rng.uniform(np.log(60), np.log(900)))),
        table_mm=float(rng.uniform(0.5, 1.8)),
        table_curve_mm=float(rng.uniform(0, 45)),
        table_deep_mm=float(rng.uniform(22, 75)),
        pad_mm=float(rng.uniform(0, 30)) if rng.random() < 0.7 else 0.0,
        pad_hu=float(rng.uniform(-990, -820)),
        gap_mm=float(rng.uniform(0, 6)),
        blanket_mm=float(rng.uniform(2, 45)) if rng.random() < 0.35 else 0.0,
        blanket_hu=float(rng.uniform(-950, -250)),
        cables=tuple(_cable(rng) for _ in range(int(rng.poisson(0.7)))),
    )


def _cable(rng: np.random.Generator) -> tuple[float, float, float, float]:
    return (
        float(rng.normal(0, 1.1)),
        float(rng.choice([rng.uniform(1, 6), rng.uniform(6, 70)])),
        float(rng.uniform(0.7, 3.5)),
        float(np.exp(rng.uniform(np.log(60), np.log(2800)))),
    )

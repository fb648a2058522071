"""``python -m benchmarks.follow_up``: what models make of people who are scanned twice.

Phantom people of the held-out anatomy are scanned twice with the same settings, but other noise,
another position, another turn and other gas in the bowel; in between muscle and fat change by a
known amount. Both scans are analyzed as a user's are, level included.

    python -m benchmarks.follow_up measure RUNS.jsonl --people 60   # resumes; 3 s a person
    python -m benchmarks.follow_up repeatability RUNS.jsonl --out default.json
    python -m benchmarks.follow_up coverage RUNS.jsonl

Everybody makes the limits that ship; coverage is that of people who took no part in the limits.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bodycomp import load_models
from bodycomp.analysis.level_measuring import LevelMeasurer
from bodycomp.analysis.members import MemberScores
from bodycomp.analysis.pipeline import AnalysisOptions, find_levels
from bodycomp.anatomy import ABDOMINAL_TISSUES, DEFAULT_LEVEL
from bodycomp.comparison.change import COMPARED, compare_pair
from bodycomp.comparison.repeatability import INDEX_OF, Repeatability, limit_of, write_repeatability
from bodycomp.interface.models import Models
from bodycomp.networks.area_intervals import error_scale
from bodycomp.phantom import PatientParameters, Torso, sample_patient, sample_scan
from bodycomp.phantom.scan import ScanParameters
from bodycomp.report.result_rows import SeriesKey, result_rows
from bodycomp.results import LevelStatus, SeriesResult, SliceChoice
from bodycomp.scan import Scan
from bodycomp.subject import Acquisition, Subject

SEED = 1630
LEAST_APART_MM = 4.0
DRAWS = 200
FEWEST = 19
"""People whose errors give a limit."""
OPTIONS = AnalysisOptions()


def later(patient: PatientParameters, rng: np.random.Generator) -> PatientParameters:
    """Return the same person some months later."""
    return replace(
        patient,
        skeletal_muscle_cm2=patient.skeletal_muscle_cm2 * float(rng.uniform(0.85, 1.05)),
        subcutaneous_fat_cm2=patient.subcutaneous_fat_cm2 * float(rng.uniform(0.8, 1.2)),
        visceral_fat_cm2=patient.visceral_fat_cm2 * float(rng.uniform(0.75, 1.25)),
        muscle_hu=patient.muscle_hu + float(rng.uniform(-6.0, 3.0)),
        bowel_gas=float(np.clip(patient.bowel_gas + rng.normal(0.0, 0.15), 0.0, 1.0)),
        rotation_deg=patient.rotation_deg + float(rng.normal(0.0, 1.5)),
    )


def again(scan: ScanParameters, rng: np.random.Generator) -> ScanParameters:
    """Return the same protocol on another day."""
    x_mm, y_mm = rng.normal(0.0, 8.0, 2)
    offset = (scan.body_offset_mm[0] + float(x_mm), scan.body_offset_mm[1] + float(y_mm))
    start_mm = scan.z_start_mm + float(rng.uniform(0.0, 2 * scan.slice_spacing_mm))
    return replace(
        scan, body_offset_mm=offset, z_start_mm=start_mm, noise_seed=int(rng.integers(2**31))
    )


def both_scans(index: int) -> Iterator[tuple[PatientParameters, ScanParameters]]:
    """Yield a person and how they are scanned, twice."""
    rng = np.random.default_rng([SEED, index])
    patient = sample_patient(SEED, index, "held-out")
    scan = sample_scan(patient, "abdomen-pelvis")
    scan = replace(scan, slice_spacing_mm=max(scan.slice_spacing_mm, LEAST_APART_MM))
    yield patient, scan
    yield later(patient, rng), again(scan, rng)


def measured(models: Models, patient: PatientParameters, made: ScanParameters) -> dict[str, Any]:
    """Return the row of the level as the models find it, and as the truth has it.

    The level is looked for in pixels of about 3 mm, which is what its network sees; the slice
    where it is found is rendered in full.
    """
    torso, analyzer = Torso(patient), models.analyzer
    true_mm = float(torso.level_z_mm[DEFAULT_LEVEL])
    coarse = replace(made, matrix=(128, 128), pixel_spacing_mm=made.pixel_spacing_mm * 4)
    series = torso.render(coarse)[0]
    score = MemberScores(analyzer.scorer, series)
    found = {each.level: each for each in find_levels(analyzer.scorer, series, score, OPTIONS)}
    subject = Subject(patient.height_mm / 1000, patient.weight_kg, patient.sex, "")
    rows: dict[str, Any] = {}
    for name, place_mm in (("found", found[DEFAULT_LEVEL].z_mm), ("true", true_mm)):
        if place_mm is None:
            rows[name] = {"status": found[DEFAULT_LEVEL].status.value}
            continue
        z_mm = float(series.slice_z_mm[series.nearest_slice(place_mm)])
        volume, labels = torso.render(replace(made, z_start_mm=z_mm, z_end_mm=z_mm))
        scan = Scan(volume, "phantom", subject=subject, acquisition=Acquisition(kvp=made.kvp))
        mask = labels[0] if name == "true" else analyzer.segmenter(volume, [0])[0]
        flat = np.zeros(1, np.float32)
        choice = SliceChoice(DEFAULT_LEVEL, LevelStatus.FOUND, "", 0, z_mm, flat, flat, crossings=1)
        measurer = LevelMeasurer(scan, ABDOMINAL_TISSUES, 0.0, by_hand=True, references=())
        result = SeriesResult(
            ABDOMINAL_TISSUES, (measurer.measure(choice, {0: mask}),), {}, subject
        )
        rows[name] = result_rows(SeriesKey("study", "series"), scan, result)[0]
    return rows


def measure(path: Path, people: int) -> None:
    """Measure people that the file has not, one line each."""
    done = len(path.read_text().splitlines()) if path.is_file() else 0
    models = load_models()
    for index in range(done, people):
        rows = [measured(models, *each) for each in both_scans(index)]
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"person": index, "scans": rows}) + "\n")


Rows = Sequence[Mapping[str, Any]]


def read(paths: Sequence[Path]) -> dict[int, Rows]:
    """Return person -> both rows of everybody whose level was found in both scans."""
    lines = [line for path in paths for line in path.read_text().splitlines()]
    people = {each["person"]: each["scans"] for each in map(json.loads, lines)}
    return {
        number: rows
        for number, rows in sorted(people.items())
        if all(row["found"]["status"] == LevelStatus.FOUND for row in rows)
    }


def values(rows: Rows, quantity: str) -> tuple[list[float], float] | None:
    """Return both measured values of a quantity and the true change; None if one is missing."""
    found = [row["found"].get(quantity) for row in rows]
    true = [row["true"].get(quantity) for row in rows]
    return None if None in (*found, *true) else (found, true[1] - true[0])


def repeatability(people: Sequence[Rows], models: Mapping[str, str]) -> Repeatability:
    """Return the limits that 95 % of errors of changes stay below."""
    root_area: dict[str, float] = {}
    absolute: dict[str, float] = {}
    for quantity in COMPARED:
        if quantity in INDEX_OF:
            continue
        is_area = quantity.endswith("_area_cm2")
        errors = []
        for rows in people:
            if (both := values(rows, quantity)) is not None:
                (first, second), change = both
                scale = math.hypot(error_scale(first), error_scale(second)) if is_area else 1.0
                errors.append((second - first - change) / scale)
        if len(errors) >= FEWEST:
            (root_area if is_area else absolute)[quantity] = round(limit_of(errors), 3)
    return Repeatability(
        title="default models on phantom people of the held-out anatomy, scanned twice",
        source=f"python -m benchmarks.follow_up, {len(people)} people, L3, same settings",
        people=len(people),
        models=models,
        root_area=root_area,
        absolute=absolute,
    )


def coverage(people: Sequence[Rows]) -> list[str]:
    """Return the lines of a table: how often intervals of changes hold the true change.

    Two thirds of the people, drawn at random again and again, make the limits for the others.
    """
    rng = np.random.default_rng(SEED)
    held: dict[str, list[bool]] = {}
    said: list[tuple[float, bool]] = []
    for _ in range(DRAWS):
        order = rng.permutation(len(people))
        made, others = np.split(order, [2 * len(people) // 3])
        known = repeatability([people[n] for n in made], {})
        for rows in (people[n] for n in others):
            earlier, later = (row["found"] for row in rows)
            for change in compare_pair((0, 1), None, earlier, later, [known]).changes:
                true = values(rows, INDEX_OF.get(change.quantity, change.quantity))
                low, high, chance = change.low, change.high, change.probability
                is_index = change.quantity in INDEX_OF  # held where its area is
                if is_index or low is None or high is None or chance is None or true is None:
                    continue
                held.setdefault(change.quantity, []).append(low <= true[1] <= high)
                said.append((chance, true[1] * change.difference > 0))
    lines = [f"{100 * np.mean(each):.1f} % {quantity}" for quantity, each in held.items()]
    lines.append(f"{100 * np.mean([one for each in held.values() for one in each]):.1f} % of all")
    for low, high in pairwise((0.5, 0.75, 0.9, 0.975, 1.001)):
        own = [right for chance, right in said if low <= chance < high]
        lines.append(f"chance {low}..{high}: right {100 * np.mean(own):.0f} %")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["measure", "repeatability", "coverage"])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--out", type=Path, help="file of repeatability to write")
    options = parser.parse_args()
    if options.what == "measure":
        measure(options.runs[0], options.people)
        return
    people = list(read(options.runs).values())
    if options.what == "coverage":
        print(*coverage(people), sep="\n")
        return
    models = load_models().analyzer
    digests = {"slice_selection": models.scorer.digest, "segmentation": models.segmenter.digest}
    write_repeatability(options.out, repeatability(people, digests))


if __name__ == "__main__":
    main()

"""``evaluate`` measures a study as ``analyze``: the same values, indices, cut-offs and flags."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from bodycomp.analysis.loading import AnalyzerLoader
from bodycomp.analysis.pipeline import Analyzer
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.errors import UsageError
from bodycomp.evaluation.case_run import CaseEvaluator, CaseTask, evaluate_all
from bodycomp.evaluation.level_rows import name_series
from bodycomp.evaluation.options import EvaluateOptions, Truths
from bodycomp.evaluation.run import read_patient_table
from bodycomp.nifti import write_nifti_labels
from bodycomp.preparation.cases import read_cases
from bodycomp.processes import ProcessWorkers
from bodycomp.study.options import AnalyzeOptions
from bodycomp.study.patients import PatientTable, read_patients
from bodycomp.study.run import analyze_inputs
from support.annotated_cases import L3_SLICE, SPACING_MM, case_row, make_volume, write_table
from support.annotation_files import index_to_lps, save_nifti
from support.faulty_models import Scorer, Segmenter

OF_THE_RUN = {"study", "series", "notes"}
"""Columns that name the run's own things."""

HEADERS = {
    "plain": {},
    "of a person": {"patient_sex": "F", "patient_height_m": 1.62, "patient_weight_kg": 71.0},
    "impossible height": {"patient_sex": "M", "patient_height_m": 162.0},
    "contrast, sharp kernel, thick slices, low voltage": {
        "patient_sex": "M",
        "patient_height_m": 1.8,
        "contrast_agent": "Iohexol",
        "kernel": "B70f",
        "kvp": 80.0,
        "slice_thickness_mm": 10.0,
    },
}


def make_study(folder: Path, scan: str, **header: object) -> Path:
    """Write one annotated case and return its cases table."""
    volume, labels = make_volume(0)
    if scan.endswith(".nii.gz"):
        (folder / "case-0").mkdir(parents=True)
        save_nifti(folder / scan, volume.hu.T, index_to_lps(volume))
    else:
        write_ct_series(folder / scan, volume, SeriesHeader(seed="s", patient_id="P7", **header))
    write_nifti_labels(folder / "case-0" / "mask.nii.gz", volume, labels)
    (folder / "levels.csv").write_text(
        f"patient,level,z_mm\ncase-0,L3,{-200.0 + SPACING_MM * L3_SLICE + 1}\n"
    )
    return write_table(folder / "cases.csv", [case_row("case-0") | {"scan": scan}])


def analyzer() -> Analyzer:
    return Analyzer(Scorer(), Segmenter(1))


def analyzed(folder: Path, scan: str, patients: Path | None) -> dict[str, str]:
    """Return the row of L3 that ``analyze`` writes."""
    out = folder / "measured"
    options = AnalyzeOptions(
        inputs=(folder / scan,),
        models_dir=folder,
        out_dir=out,
        patients=patients,
        workers=0,
        previews=False,
        report=False,
    )
    analyze_inputs(options, analyzer=analyzer())
    with (out / "results.csv").open(newline="") as stream:
        (row,) = [row for row in csv.DictReader(stream) if row["level"] == "L3"]
    return row


def evaluated(folder: Path, table: Path, patients: PatientTable) -> dict[str, object]:
    """Return what the page of ``evaluate`` says of L3."""
    cases = read_cases(table).cases
    names = name_series([case.patient for case in cases], identifiers=False)
    (folder / "views").mkdir()
    evaluator = CaseEvaluator(
        (AnalyzerLoader(analyzer),), patients=patients, views=folder / "views"
    )
    tasks = [CaseTask(0, case, own) for case, own in zip(cases, names, strict=True)]
    (found,) = evaluate_all(evaluator, tasks, ProcessWorkers(1), lambda _: None).cases
    (cells,) = [page.cells for page in found.pages if page.cells["level"] == "L3"]
    return dict(cells)


def same(written: str, cell: object) -> bool:
    if isinstance(cell, float | int) and not isinstance(cell, bool):
        return float(written) == pytest.approx(float(cell), abs=1e-4)  # as tables round
    return written == ("" if cell is None else str(cell))


def compare(row: dict[str, str], cells: dict[str, object]) -> None:
    columns = [name for name in row if name not in OF_THE_RUN]
    assert set(columns) <= set(cells)
    different = {n: (row[n], cells[n]) for n in columns if not same(row[n], cells[n])}
    assert different == {}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_what_the_header_says_counts_in_both(tmp_path: Path, header: dict[str, object]) -> None:
    table = make_study(tmp_path, "case-0/ct", **header)
    row = analyzed(tmp_path, "case-0/ct", None)
    compare(row, evaluated(tmp_path, table, PatientTable()))
    assert bool(row["skeletal_muscle_index_cm2_m2"]) == (0 < header.get("patient_height_m", 0) < 3)
    assert ("sharp" in row["quality_flags"]) == ("kernel" in header)


def test_what_a_table_of_patients_says_counts_in_both(tmp_path: Path) -> None:
    table = make_study(tmp_path, "case-0/ct", patient_sex="M")
    path = tmp_path / "patients.csv"
    path.write_text("patient_id,height_cm,sex\nP7,170,F\ncase-0,120,M\n")
    row = analyzed(tmp_path, "case-0/ct", path)
    compare(row, evaluated(tmp_path, table, read_patients(path)))
    assert row["skeletal_muscle_index_cm2_m2"]


def test_a_volume_file_is_measured_alike_and_its_patient_known_by_the_code(tmp_path: Path) -> None:
    table = make_study(tmp_path, "case-0/scan.nii.gz")
    compare(
        analyzed(tmp_path, "case-0/scan.nii.gz", None), evaluated(tmp_path, table, PatientTable())
    )
    path = tmp_path / "patients.csv"
    path.write_text("patient_id,height_m,sex\ncase-0,1.7,F\n")
    (tmp_path / "again").mkdir()
    cells = evaluated(tmp_path / "again", table, read_patients(path))
    assert cells["skeletal_muscle_index_cm2_m2"] == pytest.approx(cells["muscle_area_cm2"] / 1.7**2)


def test_a_table_that_knows_patients_by_a_runs_names_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "patients.csv"
    path.write_text("study,height_m\nstudy-1,1.7\n")
    with pytest.raises(UsageError, match="patient_id or study_uid"):
        read_patient_table(path)
    with pytest.raises(UsageError, match="--cases with --patients"):
        EvaluateOptions(tmp_path, Truths(segmentation=tmp_path), models=tmp_path, patients=path)

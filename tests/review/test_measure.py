"""Masks measured without models give the numbers of the analysis, in every format."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

import bodycomp
from bodycomp.analysis.pipeline import Analyzer
from bodycomp.cli import main
from bodycomp.errors import ReviewError, UsageError
from support.annotation_files import (
    dicom_case,
    dicom_seg,
    markups,
    nifti_map,
    nrrd_map,
    rtstruct,
    slice_outlines,
    small_phantom,
)
from support.stand_ins import KnownLabels, LevelAt


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    volume, labels = small_phantom()
    return dicom_case(tmp_path_factory.mktemp("case"), volume, labels)


@pytest.fixture
def found(case):
    """What the analysis gives with networks that draw what the mask has."""
    middle = float(case.scan.volume.slice_z_mm[6])
    return Analyzer(LevelAt(middle), KnownLabels(case.labels)).analyze(case.scan)["L3"]


def of_format(kind: str, case, folder: Path) -> tuple[Path, list[str]]:
    """The case's labels in a file, and what its labels mean."""
    numbers = ["1=muscle", "2=subcutaneous_fat", "3=visceral_fat"]
    names = ["muscle=muscle", "subcutaneous_fat=subcutaneous_fat", "visceral_fat=visceral_fat"]
    volume, labels = case.scan.volume, case.labels
    if kind == "NIfTI":
        return nifti_map(folder / "mask.nii.gz", labels, volume), numbers
    if kind == "NRRD":
        return nrrd_map(folder / "mask.nrrd", labels, volume), numbers
    if kind == "SEG":
        return dicom_seg(folder / "seg.dcm", labels, case.scan.files), names
    regions = {
        name.partition("=")[0]: slice_outlines(labels, label, volume)
        for label, name in enumerate(names, start=1)
    }
    return rtstruct(folder / "rs.dcm", regions, case.scan.files), names


@pytest.mark.parametrize("kind", ["NIfTI", "NRRD", "SEG", "RTSTRUCT"])
def test_a_mask_measures_what_the_analysis_would(kind, case, found, tmp_path):
    mask, labels = of_format(kind, case, tmp_path)
    index = found.choice.slice_index
    level = bodycomp.measure(case.scan, mask, labels=labels, level="L3", slice_index=index)["L3"]
    assert level.slice_indices == (index,)
    assert level.measurements == found.measurements
    assert level.quantities == found.quantities
    assert level.cut_offs == found.cut_offs
    assert level.flags == found.flags


def test_a_range_is_averaged_and_the_subject_counts(case, tmp_path):
    mask, _ = of_format("NIfTI", case, tmp_path)
    scan = case.scan.with_subject(height_m=1.6)
    z_mm = float(scan.volume.slice_z_mm[6])
    result = bodycomp.measure(scan, mask, z_mm=z_mm, range_mm=10)
    assert result["L3"].slice_indices == (5, 6, 7)
    assert result["L3"].quantities["skeletal_muscle_index_cm2_m2"].value > 0
    assert result["L3"].measurements["muscle"].volume_ml > 0


def test_one_labeled_slice_is_the_level_and_one_label_the_only_tissue(case, tmp_path):
    single = np.zeros_like(case.labels)
    single[4] = case.labels[4] == 1
    mask = nifti_map(tmp_path / "muscle.nii.gz", single, case.scan.volume)
    result = bodycomp.measure(case.scan, mask, labels={1: "muscle"}, level="T12")
    assert result.level_names == ("T12",)
    assert list(result["T12"].areas_cm2) == ["muscle"]
    assert result["T12"].choice.slice_index == 4


def test_levels_of_a_file_are_measured_where_the_mask_has_labels(case, tmp_path):
    labels = case.labels.copy()
    labels[8:] = 0
    mask = nifti_map(tmp_path / "mask.nii.gz", labels, case.scan.volume)
    z_mm = case.scan.volume.slice_z_mm
    places = {"L2": (0.0, 0.0, float(z_mm[10])), "L3": (0.0, 0.0, float(z_mm[3]))}
    points = markups(tmp_path / "levels.mrk.json", places)
    assert bodycomp.measure(case.scan, mask, levels=points).level_names == ("L3",)
    with pytest.raises(ReviewError, match="expected labels"):
        bodycomp.measure(case.scan, mask, levels=points, level="L2")
    with pytest.raises(ReviewError, match="expected T5 in levels"):
        bodycomp.measure(case.scan, mask, levels=points, level="T5")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({}, "expected labels on one slice"),
        ({"slice_index": 99}, "expected a slice from 0 to 11, found 99"),
        ({"z_mm": 1e4}, "expected a z from"),
        ({"slice_index": 1, "z_mm": 2.0}, "expected one of --slice"),
        ({"range_mm": -1.0, "slice_index": 1}, "--range"),
    ],
)
def test_places_that_are_none_are_refused(place, message, case, tmp_path):
    mask, _ = of_format("NIfTI", case, tmp_path)
    with pytest.raises((ReviewError, UsageError), match=message):
        bodycomp.measure(case.scan, mask, **place)


def test_the_command_writes_what_an_analysis_writes(case, tmp_path, capsys):
    mask, _ = of_format("NIfTI", case, tmp_path)
    out = tmp_path / "out"
    words = ["measure", str(case.folder), str(mask), "--out", str(out), "--slice", "6"]
    assert main([*words, "--height-m", "1.7", "--dicom", "seg", "sr"]) == 0
    assert "L3: slice 6" in capsys.readouterr().out
    with (out / "results.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["level"], row["status"], row["segmentation_model"]) == ("L3", "found", "")
    assert float(row["skeletal_muscle_index_cm2_m2"]) > 0
    assert row["contrast_agent"] == "Some agent"
    assert "contrast_agent" in row["quality_flags"]
    document = json.loads((out / "results.json").read_text())
    assert document["models"] == {}
    assert (out / "preview-L3.png").is_file()
    assert (out / "labels.nii.gz").is_file()
    seg = pydicom.dcmread(out / "segmentation.dcm")
    assert {item.SegmentAlgorithmType for item in seg.SegmentSequence} == {"MANUAL"}
    assert pydicom.dcmread(out / "measurements.dcm").Modality == "SR"
    assert main(words) == 1  # there already
    assert main([*words, "--overwrite", "--no-previews"]) == 0
    assert not (out / "preview-L3.png").exists()


def test_names_are_pseudonyms_unless_asked_for(case, tmp_path):
    mask, _ = of_format("NIfTI", case, tmp_path)
    scan = replace(case.scan, patient_id="P7")
    for name, identifiers in (("plain", False), ("named", True)):
        bodycomp.measure(
            scan, mask, slice_index=6, out=tmp_path / name, identifiers=identifiers, previews=False
        )
    plain, named = ((tmp_path / name / "results.csv").read_text() for name in ("plain", "named"))
    assert "P7" not in plain
    assert scan.series_uid not in plain
    assert "P7" in named
    assert plain.splitlines()[1].split(",")[0].startswith("study-")

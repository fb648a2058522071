"""A cohort on disk: studies, truth and training sets agree with one another."""

import csv
import hashlib
from pathlib import Path

import nibabel
import numpy as np
import pytest

from bodycomp.anatomy import ABDOMINAL_TISSUES, tissues_for
from bodycomp.annotation.labels import LabelMapping
from bodycomp.annotation.level_options import LevelOptions
from bodycomp.annotation.levels import read_levels
from bodycomp.annotation.masks import read_masks
from bodycomp.cohort.options import CohortOptions
from bodycomp.cohort.study import read_truth
from bodycomp.cohort.write import write_cohort
from bodycomp.data.datasets import SliceDataset
from bodycomp.data.segmentation_set import open_segmentation_split
from bodycomp.data.slice_set import open_slice_split
from bodycomp.dicom.read import read_series
from bodycomp.dicom.series import find_series
from bodycomp.errors import InputNotFoundError, OutputError
from bodycomp.imaging.preprocessing import SLICE_SELECTION_PREPROCESSING
from bodycomp.preparation.cases import read_cases
from bodycomp.reading.read_scan import read_scan
from bodycomp.validation.segmentation import check_segmentation_set
from bodycomp.validation.slices import survey_slice_set
from support.phantom_sets import few_patients

pytestmark = pytest.mark.xdist_group("cohort")


def test_both_training_sets_pass_validation(cohort: Path) -> None:
    masks = check_segmentation_set(
        cohort / "segmentation", tissues=tissues_for(thoracic=False), allow_scaled=False
    )
    slices = survey_slice_set(cohort / "slice-selection", levels=("L3",)).issues
    assert [issue for issue in (*masks, *slices) if issue.severity == "error"] == []


def test_each_study_has_a_main_series_with_the_truth_on_its_grid(cohort: Path) -> None:
    for truth in read_truth(cohort):
        search = find_series([cohort / "dicom" / truth.patient])
        main = next(s for s in search.candidates if s.series_uid == truth.series_uid)
        volume = read_series(main).volume
        labels = nibabel.load(cohort / "truth" / truth.patient / "labels.nii.gz")
        mask = np.asarray(labels.dataobj)
        assert mask.shape == (*volume.slice_shape[::-1], len(volume))
        assert volume.nearest_slice(truth.level_z_mm["L3"]) == truth.level_slice
        for tissue in ABDOMINAL_TISSUES:
            pixels = int((mask[:, :, truth.level_slice] == tissue.label).sum())
            area_cm2 = pixels * volume.pixel_area_mm2 / 100
            assert area_cm2 == pytest.approx(truth.area_cm2[tissue.key], abs=1e-3)


def test_training_slices_are_what_the_network_sees_of_the_study(cohort: Path) -> None:
    """The PNG of a slice and the slice read from DICOM give the same network input, bit for bit."""
    truth = next(t for t in read_truth(cohort) if t.split == "train")
    split = open_slice_split(cohort / "slice-selection", "train", ("L3",))
    assert split is not None
    search = find_series([cohort / "dicom" / truth.patient])
    series = next(s for s in search.candidates if s.series_uid == truth.series_uid)
    volume = read_series(series).volume
    heights = volume.slice_z_mm - truth.level_z_mm["L3"]
    dataset = SliceDataset(split, SLICE_SELECTION_PREPROCESSING)
    for index in range(0, len(dataset), 10):
        image, offsets = dataset[index]
        nearest = int(np.argmin(np.abs(heights - float(offsets[0]))))
        assert heights[nearest] == pytest.approx(float(offsets[0]), abs=0.02)
        expected = SLICE_SELECTION_PREPROCESSING.from_hu(volume.hu[nearest])
        np.testing.assert_array_equal(np.asarray(image)[0], expected)


def test_masks_come_with_raw_hu(cohort: Path) -> None:
    split = open_segmentation_split(cohort / "segmentation", "val")
    assert split is not None
    fat = split.images[split.masks == 2]
    assert -130 < float(np.median(fat)) < -80
    assert int(split.images.min()) <= -900


def test_the_table_names_every_patient_once(cohort: Path) -> None:
    with (cohort / "cohort.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["split"] for row in rows] == ["train", "val", "test"]
    assert len({row["patient"] for row in rows}) == 3


def test_the_same_seed_gives_the_same_bytes_in_one_process_or_two(
    cohort: Path, tmp_path: Path
) -> None:
    def digests(folder: Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    write_cohort(few_patients(tmp_path / "one", jobs=1))
    first, second = digests(tmp_path / "one"), digests(cohort)
    assert first == second
    assert len(first) > 50


def test_an_existing_cohort_is_not_overwritten(cohort: Path) -> None:
    with pytest.raises(OutputError, match="not empty"):
        write_cohort(CohortOptions(cohort, 1, seed=0, splits=(0, 0, 1)))


def test_a_folder_without_truth_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match=r"truth\.json"):
        read_truth(tmp_path)


def test_the_cases_table_leads_from_every_scan_to_its_truth(cohort: Path) -> None:
    """As evaluation and preparation read it, with all of their checks."""
    table = read_cases(cohort / "cases.csv")
    assert [case.split for case in table.cases] == ["train", "val", "test"]
    assert {"sex", "bmi_kg_m2", "contrast", "scanner", "slice_thickness_mm"} <= set(
        table.free_columns
    )
    mapping = LabelMapping.parse(f"{tissue.label}={tissue.key}" for tissue in ABDOMINAL_TISSUES)
    for case, truth in zip(table.cases, read_truth(cohort), strict=True):
        scan = read_scan(case.scan, series=case.series)
        masks = read_masks(case.masks, scan, mapping)
        marks = read_levels(case.levels, scan, LevelOptions(case=case.patient))
        assert scan.series_uid == truth.series_uid
        assert masks.annotated[truth.level_slice]
        inside = {name: z for name, z in truth.level_z_mm.items() if name in marks.z_mm}
        assert marks.z_mm == pytest.approx(inside)
        assert "L3" in marks.z_mm

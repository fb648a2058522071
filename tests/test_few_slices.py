"""How many slices a scan needs: one rule for all formats, by what they are needed for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bodycomp.analysis.pipeline import Analyzer
from bodycomp.annotation.labels import LabelMapping
from bodycomp.cli import main
from bodycomp.data.segmentation_set import open_segmentation_split
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.errors import CasesError, SeriesError
from bodycomp.evaluation.annotated_case import read_case
from bodycomp.evaluation.options import AnnotationFormat
from bodycomp.imaging.volume import MIN_SLICES, Volume
from bodycomp.preparation.cases import Case
from bodycomp.preparation.options import LevelTask, MaskTask, PrepareOptions, SplitOptions
from bodycomp.preparation.run import prepare
from bodycomp.reading.read_scan import read_scan
from bodycomp.study.options import AnalyzeOptions
from bodycomp.study.run import analyze_inputs
from support.annotation_files import index_to_lps, save_nifti, save_nrrd
from support.factories import torso_slice
from support.stand_ins import BodyIsMuscle, LevelAt

LABELS = ("1=muscle", "2=subcutaneous_fat", "3=visceral_fat")
SIZE = (48, 48)


def scan_and_labels(slices: int) -> tuple[Volume, np.ndarray]:
    rng = np.random.default_rng(slices)
    made = [torso_slice(rng, SIZE) for _ in range(slices)]
    hu, labels = (np.stack(each) for each in zip(*made, strict=True))
    return Volume(hu, (4.0, 4.0), 5.0 * np.arange(slices)), labels


def lps(volume: Volume) -> np.ndarray:
    if len(volume) > 1:
        return index_to_lps(volume)
    return np.diag([4.0, 4.0, 5.0, 1.0])


def nifti(folder: Path, volume: Volume) -> Path:
    return save_nifti(folder / "ct.nii.gz", volume.hu.transpose(2, 1, 0), lps(volume))


def nrrd(folder: Path, volume: Volume) -> Path:
    return save_nrrd(folder / "ct.nrrd", volume.hu.transpose(2, 1, 0), lps(volume))


def dicom(folder: Path, volume: Volume) -> Path:
    write_ct_series(folder / "ct", volume, SeriesHeader(seed="s", slice_thickness_mm=5.0))
    return folder / "ct"


FORMATS = {"NIfTI": nifti, "NRRD": nrrd, "DICOM": dicom}
every_format = pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
Write = Callable[[Path, Volume], Path]


@every_format
@pytest.mark.parametrize("slices", [1, 2, MIN_SLICES - 1, MIN_SLICES])
def test_a_level_is_found_in_ten_slices_or_more(tmp_path: Path, write: Write, slices: int) -> None:
    scan = write(tmp_path, scan_and_labels(slices)[0])
    options = AnalyzeOptions(
        inputs=(scan,),
        models_dir=tmp_path,
        out_dir=tmp_path / "out",
        previews=False,
        report=False,
        workers=0,
    )
    report = analyze_inputs(options, analyzer=Analyzer(LevelAt(20.0), BodyIsMuscle()))
    expected = [] if slices >= MIN_SLICES else [f"expected at least 10 slices, found {slices}"]
    assert [refused.reason.partition(". ")[0] for refused in report.refused] == expected
    assert len(report.analyzed) == (slices >= MIN_SLICES)


def one_case(folder: Path, scan: Path, labels: np.ndarray, volume: Volume) -> Path:
    mask = save_nifti(folder / "mask.nii.gz", labels.transpose(2, 1, 0), lps(volume))
    table = folder / "cases.csv"
    table.write_text(f"patient,scan,masks,levels\nA,{scan},{mask},{folder / 'levels.csv'}\n")
    (folder / "levels.csv").write_text("level,slice_index\nL3,0\n")
    return table


def prepared(table: Path, task: MaskTask | LevelTask) -> Path:
    out = table.parent / "set"
    options = PrepareOptions(table, out, task, split=SplitOptions((1.0, 0.0, 0.0)), jobs=1)
    prepare(options, lambda *_: None)
    return out


@every_format
@pytest.mark.parametrize("slices", [1, 2, 3, 9])
def test_segmentation_is_prepared_from_single_slices(
    tmp_path: Path, write: Write, slices: int
) -> None:
    volume, labels = scan_and_labels(slices)
    table = one_case(tmp_path, write(tmp_path, volume), labels, volume)
    out = prepared(table, MaskTask(LabelMapping.parse(LABELS)))
    split = open_segmentation_split(out, "train")
    assert split is not None
    assert len(split.images) == slices


@every_format
def test_slice_selection_and_evaluation_need_a_stack(tmp_path: Path, write: Write) -> None:
    volume, labels = scan_and_labels(9)
    scan = write(tmp_path, volume)
    table = one_case(tmp_path, scan, labels, volume)
    with pytest.raises(CasesError, match="at least 10 slices, found 9"):
        prepared(table, LevelTask())
    case = Case("row 2", "A", scan, (tmp_path / "mask.nii.gz",))
    with pytest.raises(SeriesError, match="at least 10 slices, found 9"):
        read_case(case, AnnotationFormat(LabelMapping.parse(LABELS)))


def test_a_dicom_file_and_a_two_dimensional_nifti_are_scans_of_one_slice(tmp_path: Path) -> None:
    volume, labels = scan_and_labels(1)
    dicom(tmp_path, volume)
    (file,) = (tmp_path / "ct").iterdir()
    other = volume.hu + np.int16(1)
    flat = save_nifti(tmp_path / "flat.nii", other[0].T, lps(volume))
    for path, hu in ((file, volume.hu), (flat, other)):
        found = read_scan(path, min_slices=1).volume
        np.testing.assert_array_equal(found.hu, hu)
        assert found.slice_spacing_mm is None
    mask = save_nifti(tmp_path / "m.nii", labels[0].T, lps(volume))
    table = tmp_path / "cases.csv"
    table.write_text(f"patient,scan,masks\nA,{file},{mask}\nB,{flat},{mask}\n")
    out = tmp_path / "out"
    assert main(["prepare", "segmentation", str(table), str(out), "--labels", *LABELS,
                 "--split", "1", "0", "0"]) == 0  # fmt: skip
    split = open_segmentation_split(out, "train")
    assert split is not None
    assert len(split.images) == 2

"""Corrected masks and moved levels given back: numbers by count, what stays, what is refused."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.errors import InputNotFoundError, ReviewError, SeriesError, UsageError
from bodycomp.review.options import CorrectionOptions, RemeasureOptions
from bodycomp.study.options import AnalyzeOptions, DicomObject
from bodycomp.study.run import analyze_inputs
from bodycomp.tag import read_tag, write_tag
from support.annotation_files import (
    dicom_seg,
    index_to_lps,
    nifti_map,
    nrrd_map,
    save_nifti,
    seg_nrrd,
)
from support.reviewed_runs import (
    AT,
    SLICES,
    ByDensity,
    LevelsAt,
    Run,
    area_cm2,
    contents,
    level_document,
    make_run,
    tissue_labels,
    widening,
)

L3 = 12
SEGMENTS = [("Muscle", 1, 0), ("Subcutaneous fat", 2, 0), ("Visceral fat", 3, 0)]


@pytest.fixture
def run(tmp_path) -> Run:
    return make_run(tmp_path)


def series_number(run: Run) -> int:
    """Return which patient the first row of the results is; pseudonyms do not tell."""
    widths = [tissue_labels(widening(n).hu[L3]) for n in (0, 1)]
    found = float(run.rows()[0]["muscle_area_cm2"])
    return int(abs(area_cm2(widths[1], 1) - found) < 1e-9)


def networks_labels(run: Run, *slices: int) -> NDArray[np.uint8]:
    labels = np.zeros(widening().hu.shape, np.uint8)
    for index in slices:
        labels[index] = tissue_labels(widening(series_number(run)).hu[index])
    return labels


def redrawn(run: Run, *slices: int) -> NDArray[np.uint8]:
    """Labels of slices on which a person found visceral fat inside, and less muscle."""
    labels = networks_labels(run, *(slices or (L3,)))
    for index in slices or (L3,):
        labels[index, 14:20, 12:18] = 3
        labels[index, 20:22, 12:15] = 0
    return labels


def write_nifti(run: Run, labels):
    return nifti_map(run.place / "mask.nii.gz", labels, widening())


def write_nrrd(run: Run, labels):
    return nrrd_map(run.place / "mask.nrrd", labels, widening())


def write_slicer(run: Run, labels):
    extent = (slice(10, 15), slice(4, 36), slice(2, 60))
    return seg_nrrd(run.place / "mask.seg.nrrd", [labels], widening(), SEGMENTS, extent=extent)


def write_seg(run: Run, labels):
    files = sorted((run.place / "in" / str(series_number(run))).iterdir())
    z_mm = [float(pydicom.dcmread(file).ImagePositionPatient[2]) for file in files]
    ordered = [files[index] for index in np.argsort(z_mm)]
    return dicom_seg(run.place / "mask.dcm", labels, ordered)


@pytest.mark.parametrize("write", [write_nifti, write_nrrd, write_slicer, write_seg])
def test_a_corrected_mask_is_measured_by_its_pixels(run, write):
    original, before = run.rows()[0], contents(run.out)
    labels = redrawn(run)
    (done,) = run.remeasure(segmenter=False, mask=write(run, labels), reason="bowel")

    row = run.row()
    for label, key in ((1, "muscle"), (2, "subcutaneous_fat"), (3, "visceral_fat")):
        assert float(row[f"{key}_area_cm2"]) == pytest.approx(area_cm2(labels[L3], label))
    inside = widening(series_number(run)).hu[L3][labels[L3] == 3]
    assert float(row["visceral_fat_mean_hu"]) == pytest.approx(inside.mean())
    assert "unusual_density" in row["quality_flags"].split("; ")
    kept = ("status", "reason", "level_z_mm", "slice_index", "confidence", "offset_mm")
    assert {name: row[name] for name in kept} == {name: original[name] for name in kept}
    assert (row["corrected"], row["corrected_by"], row["verdict"]) == ("mask", "AB", "")
    assert (
        row["corrected_from"]
        == f"mask {level_document(run.folder())['correction']['mask_digest_before']}"
    )
    assert done.after["muscle_area_cm2"] == pytest.approx(area_cm2(labels[L3], 1))
    files = contents(run.out)
    assert {name: files[name] for name in before} == before
    assert run.row(1) == run.rows()[1] | dict.fromkeys(set(run.row(1)) - set(original), "")


def test_a_corrected_mask_says_how_far_it_is_from_the_networks(run):
    labels = redrawn(run)
    run.remeasure(segmenter=False, mask=write_nifti(run, labels), reason="bowel")
    correction = level_document(run.folder())["correction"]
    networks = networks_labels(run, L3)[L3]
    both = np.count_nonzero((labels[L3] == 1) & (networks == 1))
    dice = 2 * both / (np.count_nonzero(labels[L3] == 1) + np.count_nonzero(networks == 1))
    assert correction["dice"]["muscle"]["value"] == pytest.approx(dice, abs=1e-4)
    assert correction["dice"]["subcutaneous_fat"]["value"] == 1
    assert correction["dice"]["visceral_fat"]["value"] == 0
    assert correction["what"] == ["mask"]
    assert (correction["by"], correction["reason"]) == ("AB", "bowel")
    assert correction["areas_before_cm2"]["muscle"] == pytest.approx(area_cm2(networks, 1))
    assert len(correction["mask_digest"]) == len(correction["mask_digest_before"]) == 12


def test_giving_the_mask_back_twice_or_unchanged_changes_nothing(run):
    mask = write_nifti(run, redrawn(run))
    run.remeasure(segmenter=False, mask=mask)
    before = contents(run.out)
    assert run.remeasure(segmenter=False, mask=mask) == ()
    assert contents(run.out) == before

    assert run.remeasure(segmenter=False, mask=run.folder() / "labels.nii.gz") != ()
    assert not (run.folder() / "corrected").exists()
    assert run.row()["corrected"] == ""
    assert run.remeasure(segmenter=False, mask=run.folder() / "labels.nii.gz") == ()


@pytest.mark.parametrize(("place", "z_mm"), [({"slice_index": 20}, 100), ({"z_mm": 101.5}, 101.5)])
def test_a_level_alone_can_be_moved(run, place, z_mm):
    (done,) = run.remeasure(**place)
    row = run.row()
    assert (row["slice_index"], float(row["level_z_mm"])) == ("20", z_mm)
    assert float(row["muscle_area_cm2"]) == pytest.approx(area_cm2(networks_labels(run, 20)[20], 1))
    assert done.after["corrected"] == "level"
    assert run.remeasure(**place) == ()
    (back,) = run.remeasure(slice_index=L3)
    assert back.after == back.before
    assert run.row()["level_z_mm"] == run.rows()[0]["level_z_mm"]


def test_a_mask_at_the_level_that_a_model_found_keeps_its_word_of_caution(run):
    path = run.folder() / "results.json"
    document = json.loads(path.read_text())
    flag = {"key": "model_caution", "message": "not validated", "value": None, "affects": []}
    document["levels"][0]["flags"] = [flag]
    path.write_text(json.dumps(document))
    run.remeasure(mask=write_nifti(run, redrawn(run)))
    assert level_document(run.folder())["flags"][-1]["message"] == "not validated"


def test_what_a_model_segments_anew_keeps_its_word_of_caution(run):
    """A level that was moved has it; a mask that a person drew there does not."""
    run.segmenter.caution = "not validated on your scanner"
    run.apply(run.review_row(verdict="accept", moved_to_slice=20))
    (flag,) = [f for f in level_document(run.folder())["flags"] if f["key"] == "model_caution"]
    assert flag["message"] == "not validated on your scanner"
    assert "model_caution" in run.row()["quality_flags"]
    run.remeasure(mask=write_nifti(run, redrawn(run, 20)))
    assert "model_caution" not in run.row()["quality_flags"]


def test_level_and_mask_in_one(run):
    labels = redrawn(run, 20)
    run.remeasure(segmenter=False, mask=write_nifti(run, labels), level="L3", slice_index=20)
    row = run.row()
    assert float(row["visceral_fat_area_cm2"]) == pytest.approx(area_cm2(labels[20], 3))
    assert row["corrected"] == "level; mask"
    assert row["corrected_from"].startswith("slice_index 12 (z = 61.0 mm); mask ")


def test_a_mask_on_a_moved_level(run):
    run.apply(run.review_row(verdict="accept", moved_to_slice=20))
    labels, networks = redrawn(run, 20), run.folder() / "corrected" / "L3" / "labels.nii.gz"
    digest = hashlib.sha256(networks.read_bytes()).hexdigest()[:12]
    run.remeasure(segmenter=False, mask=write_nifti(run, labels))
    row = run.row()
    assert row["corrected_from"] == f"slice_index 12 (z = 61.0 mm); mask {digest}"
    found = level_document(run.folder())["correction"]["dice"]["muscle"]["value"]
    before, after = networks_labels(run, 20)[20] == 1, labels[20] == 1
    assert found == pytest.approx(
        2 * (before & after).sum() / (before.sum() + after.sum()), abs=1e-4
    )
    assert (row["slice_index"], row["corrected"]) == ("20", "level; mask")
    assert float(row["muscle_area_cm2"]) == pytest.approx(area_cm2(labels[20], 1))
    assert row["verdict"] == ""  # it was given to another measurement
    assert run.apply(run.review_row(verdict="accept", moved_to_slice=20)).older == 1
    assert run.row()["corrected"] == "level; mask"


def test_segments_may_be_called_after_any_level_of_the_run(tmp_path):
    run = make_run(tmp_path, levels={"umbilicus": 61.0}, patients=1)
    names = [(f"{name} at umbilicus", label, 0) for name, label, _ in SEGMENTS]
    labels = redrawn(run)
    mask = seg_nrrd(run.place / "mask.seg.nrrd", [labels], widening(), names)
    (done,) = run.remeasure(segmenter=False, mask=mask)
    assert done.after["muscle_area_cm2"] == pytest.approx(area_cm2(labels[L3], 1))
    other = [(f"{name} at L2", label, 0) for name, label, _ in SEGMENTS]
    mask = seg_nrrd(run.place / "other.seg.nrrd", [labels], widening(), other)
    with pytest.raises(SeriesError, match=r"expected the labels of bodycomp, found .* at L2"):
        run.remeasure(segmenter=False, mask=mask)


def test_a_mask_counts_for_the_levels_that_it_changes(tmp_path):
    run = make_run(tmp_path, patients=1, levels={"T12": 120.0, "L3": 61.0})
    labels = networks_labels(run, 24, L3)
    labels[L3, 14:20, 12:18] = 3
    (done,) = run.remeasure(segmenter=False, mask=write_nifti(run, labels))
    assert done.case.level == "L3"
    with pytest.raises(ReviewError, match="expected one of the levels T12, L3"):
        run.remeasure(slice_index=3)
    with pytest.raises(ReviewError, match=r"a level that was looked for \(T12, L3\), found 'L1'"):
        run.remeasure(slice_index=3, level="L1")


def test_over_a_range_the_mask_needs_labels_on_every_slice(tmp_path):
    run = make_run(tmp_path, patients=1, analysis=AnalysisOptions(range_mm=14.0))
    labels = redrawn(run, 11, 12, 13)
    with pytest.raises(ReviewError, match="is measured on slice 11, 13: expected labels there"):
        run.remeasure(segmenter=False, mask=write_nifti(run, redrawn(run, 12)))
    run.remeasure(segmenter=False, mask=write_nifti(run, labels))
    mean = np.mean([area_cm2(labels[index], 1) for index in (11, 12, 13)])
    assert float(run.row()["muscle_area_cm2"]) == pytest.approx(mean, abs=1e-4)


def test_labels_of_another_meaning_have_to_be_said(run):
    labels = redrawn(run)
    turned = np.array([0, 3, 2, 1], np.uint8)[labels]
    segments = [("VAT", 1, 0), ("SAT", 2, 0), ("Muscle", 3, 0)]
    path = seg_nrrd(run.place / "own.seg.nrrd", [turned], widening(), segments)
    with pytest.raises(SeriesError, match=r"expected the labels of bodycomp, found 1 \(VAT\)"):
        run.remeasure(segmenter=False, mask=path)
    own = ("VAT=visceral_fat", "SAT=subcutaneous_fat", "Muscle=muscle")
    run.remeasure(segmenter=False, mask=path, labels=own)
    assert float(run.row()["visceral_fat_area_cm2"]) == pytest.approx(area_cm2(labels[L3], 3))


def test_dicom_objects_say_that_a_person_had_a_hand_in_them(tmp_path):
    run = make_run(tmp_path, dicom=frozenset({DicomObject.SR}))
    run.remeasure(segmenter=False, mask=write_nifti(run, redrawn(run)))
    folder = run.folder() / "corrected" / "L3"
    seg = pydicom.dcmread(folder / "segmentation.dcm")
    assert {item.SegmentAlgorithmType for item in seg.SegmentSequence} == {"SEMIAUTOMATIC"}
    report = pydicom.dcmread(folder / "measurements.dcm")
    text = f"{seg}{report}"
    assert "corrected: mask" in text
    assert "'AB'" not in text
    first = pydicom.dcmread(run.folder() / "segmentation.dcm")
    assert {item.SegmentAlgorithmType for item in first.SegmentSequence} == {"AUTOMATIC"}


def test_dicom_objects_and_pictures_can_be_asked_for(run):
    scans = {"dicom": frozenset({DicomObject.SEG}), "previews": True}
    run.remeasure(segmenter=False, mask=write_nifti(run, redrawn(run)), scans=scans)
    names = {path.name for path in (run.folder() / "corrected" / "L3").iterdir()}
    assert names >= {"results.json", "labels.nii.gz", "preview-L3.png", "segmentation.dcm"}


def test_heights_of_a_table_stay(tmp_path):
    (tmp_path / "patients.csv").write_text("patient_id,height_m,sex\nSECRET-0,1.8,M\n")
    run = make_run(tmp_path, patients=1, patients_table=tmp_path / "patients.csv")
    labels = redrawn(run)
    run.remeasure(segmenter=False, mask=write_nifti(run, labels))
    typical = float(run.row()["muscle_hu_range_area_cm2"])
    index = float(run.row()["skeletal_muscle_index_cm2_m2"])
    assert index == pytest.approx(typical / 1.8**2, abs=1e-3)
    assert run.row()["low_muscle_index_prado_2008"] == "yes"


def test_a_volume_file_is_corrected_likewise(tmp_path):
    (tmp_path / "in").mkdir()
    volume = widening()
    save_nifti(tmp_path / "in" / "ct.nii.gz", volume.hu.transpose(2, 1, 0), index_to_lps(volume))
    analyzer = Analyzer(LevelsAt({"L3": 61.0}), ByDensity(), AnalysisOptions())
    options = AnalyzeOptions(
        inputs=(tmp_path / "in",),
        models_dir=tmp_path,
        out_dir=tmp_path / "out",
        previews=False,
        workers=0,
    )
    analyze_inputs(options, analyzer=analyzer)
    run = Run(tmp_path, ByDensity())
    labels = tissue_labels(volume.hu)
    labels[:, 14:20, 12:18] = 3
    run.remeasure(segmenter=False, mask=write_nifti(run, labels))
    assert float(run.row()["visceral_fat_area_cm2"]) == pytest.approx(area_cm2(labels[L3], 3))


def test_what_does_not_fit_is_refused_and_nothing_written(run, tmp_path):
    before = contents(run.out)
    mask = write_nifti(run, redrawn(run))
    elsewhere = nifti_map(tmp_path / "far.nii.gz", networks_labels(run, 3), widening())
    small = nifti_map(tmp_path / "small.nii.gz", redrawn(run)[:20], widening())
    for message, options in (
        ("expected a series of this run, found 'series-x'", {"mask": mask, "series": "series-x"}),
        (r"measured \(slice 12\), found some on slice 3 alone", {"mask": elsewhere}),
        ("slice 12: expected labels.*slice 3 alone", {"mask": elsewhere, "level": "L3"}),
        ("expected a slice from 0 to 29, found 30", {"slice_index": SLICES}),
        ("expected a z from 0.0 to 145.0 mm, found 146", {"z_mm": 146.0}),
    ):
        with pytest.raises(ReviewError, match=message):
            run.remeasure(**options)
    with pytest.raises(SeriesError, match="one covers more than the other"):
        run.remeasure(mask=small)
    with pytest.raises(InputNotFoundError, match="expected a file or folder"):
        run.remeasure(mask=tmp_path / "gone.nii.gz")
    with pytest.raises(ReviewError, match="expected the scans of series-"):
        run.remeasure(mask=mask, scans={"inputs": (tmp_path / "in" / str(1 - series_number(run)),)})
    with pytest.raises(ReviewError, match="expected the models of the run"):
        run.remeasure(segmenter=False, slice_index=20)
    assert contents(run.out) == before


def test_a_level_nobody_found_needs_a_place(tmp_path):
    run = make_run(tmp_path, patients=1, levels={"L3": 400.0})
    mask = write_nifti(run, tissue_labels(widening().hu) * (np.arange(SLICES) == 5)[:, None, None])
    with pytest.raises(ReviewError, match="expected labels where a level is measured"):
        run.remeasure(segmenter=False, mask=mask)
    with pytest.raises(ReviewError, match="was not found"):
        run.remeasure(segmenter=False, mask=mask, level="L3")
    run.remeasure(segmenter=False, mask=mask, level="L3", slice_index=5)
    assert run.row()["status"] == "found"
    assert run.row()["corrected_from"] == "not found; mask none"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": " ", "slice_index": 3}, "who corrected"),
        ({"by": "AB"}, "a corrected mask or a place"),
        ({"by": "AB", "slice_index": 3, "z_mm": 3.0}, "one of --slice and --z-mm"),
        ({"by": "AB", "slice_index": 3, "labels": ("1=muscle",)}, "a mask whose labels"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        RemeasureOptions(scans=CorrectionOptions(out_dir=tmp_path), series="series-1", **options)


def test_what_is_written_names_the_corrector_and_nobody_else(run):
    run.remeasure(segmenter=False, mask=write_nifti(run, redrawn(run)), by="=cmd()")
    assert run.row()["corrected_by"] == "'=cmd()"
    for name, content in contents(run.out).items():
        for secret in (b"SECRET", b"Doe", str(run.place).encode()):
            assert secret not in content, name
    event = json.loads((run.out / "reviews.jsonl").read_text())
    assert (event["kind"], event["change"], event["at"] > AT) == ("remeasure", "corrected", True)


@pytest.mark.parametrize("identifiers", [False, True])
def test_tag_files_of_a_run_are_taken_back_as_masks(tmp_path, identifiers):
    """Their names are those of the slices, as Slice-O-Matic wants it, if files may be named."""
    tags = frozenset({DicomObject.TAG})
    run = make_run(tmp_path, patients=1, dicom=tags, identifiers=identifiers)
    (path,) = (run.folder() / "tag").iterdir()
    names = {f"{file.name}.tag" for file in (tmp_path / "in" / "0").iterdir()}
    assert path.name in (names if identifiers else {f"slice-{L3:06d}.tag"})
    run.remeasure(slice_index=20)
    (moved,) = (run.folder() / "corrected" / "L3" / "tag").iterdir()
    tag = read_tag(moved)
    np.testing.assert_array_equal(tag.pixels[0] == 1, networks_labels(run, 20)[20] == 1)
    pixels = tag.pixels.copy()
    pixels[0, 14:20, 12:18] = 5
    write_tag(tmp_path / "redrawn.tag", replace(tag, pixels=pixels))
    (done,) = run.remeasure(segmenter=False, mask=tmp_path / "redrawn.tag")
    assert done.after["visceral_fat_area_cm2"] == pytest.approx(area_cm2(pixels[0], 5))

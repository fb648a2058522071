"""SEG, SR and Secondary Capture: valid, true to the result, and about the right patient."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes

from bodycomp.analysis.quality_flags import FLAG_KINDS
from bodycomp.anatomy import (
    ABDOMINAL_TISSUES,
    ALL_TISSUES,
    MUSCLE,
    OWN_SCHEME,
    SUBCUTANEOUS_FAT,
    VISCERAL_FAT,
)
from bodycomp.dicom.derived.coded_values import flag_code, quantity_code, tissue_groups
from bodycomp.dicom.derived.encapsulated_pdf import encapsulated_pdf
from bodycomp.dicom.derived.identity import KeptIdentity, PseudonymIdentity, PseudonymKey
from bodycomp.dicom.derived.measured import MeasuredSeries
from bodycomp.dicom.derived.secondary_capture import overlay_of
from bodycomp.dicom.derived.seg_write import segmentation_of
from bodycomp.dicom.derived.sr_write import report_of
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.read import read_series
from bodycomp.dicom.seg import read_seg
from bodycomp.dicom.series import find_series
from bodycomp.dicom.write import write_ct_series
from bodycomp.errors import SeriesError
from bodycomp.imaging.volume import Volume
from bodycomp.quantities import QUANTITIES
from bodycomp.reference.compare import ReferenceOutcome
from bodycomp.reference.table import ReferenceTable, Stratum
from bodycomp.results import (
    LevelResult,
    LevelStatus,
    Measurement,
    QualityFlag,
    Quantity,
    SeriesResult,
    SliceChoice,
)
from support.dicom_files import enhanced

HEADER = SeriesHeader(
    seed="one",
    patient_id="SECRET-7",
    patient_name="Doe^Jane",
    patient_sex="F",
    study_description="Abdomen of Jane",
    body_part="ABDOMEN",
)
KEY = PseudonymKey(b"k" * 32)
QUANTITY_VALUES = {
    kind.key: Quantity(1.5 + number) if number else Quantity(None, "no height")
    for number, kind in enumerate(QUANTITIES)
}
FLAGS = tuple(QualityFlag(kind.key, f"{kind.rule} 7", 7.0, kind.limit, ()) for kind in FLAG_KINDS)
REFERENCES = (
    ReferenceOutcome("donors", QUANTITIES[0].key, 36.0, below=False, limit=31.2),
    ReferenceOutcome("own", "muscle_hu_range_area_cm2", 101.0, z_score=-1.0, percentile=15.87),
    ReferenceOutcome("own", QUANTITIES[0].key, 36.0, reason="the reference has L4, not L3"),
)
TABLES = (
    ReferenceTable(
        key="donors",
        title="Donors",
        source="An article",
        population="Donors",
        strata=(Stratum(QUANTITIES[0].key, "L3", limit=31.2),),
        limit_key="p5",
        limit_words="5th percentile",
    ),
    ReferenceTable(
        key="own",
        title="Own",
        source="Own",
        population="Männer",
        strata=(Stratum("muscle_hu_range_area_cm2", "L3", mean=110.0, sd=9.0),),
    ),
)
AREAS = {MUSCLE: 151.25, SUBCUTANEOUS_FAT: 210.0625, VISCERAL_FAT: 0.0}


def level(name: str, indices: tuple[int, ...], shape: tuple[int, int]) -> LevelResult:
    """Muscle and subcutaneous fat in random pixels, no visceral fat."""
    rng = np.random.default_rng(indices[0])
    curve = np.zeros(16, np.float32)
    return LevelResult(
        SliceChoice(name, LevelStatus.FOUND, "", indices[0], 0.0, curve, curve, 1),
        indices,
        {
            tissue.key: Measurement(area, 31.5, 33.0, 12.25, 9.0, 0.0, area - 2.0, 34.5)
            if area
            else Measurement(0.0, None, None, None, None, None)
            for tissue, area in AREAS.items()
        },
        {index: rng.integers(0, 3, shape).astype(np.uint8) for index in indices},
        QUANTITY_VALUES,
        flags=FLAGS,
        references=REFERENCES,
    )


@pytest.fixture
def measured(tmp_path: Path, volume: Volume) -> MeasuredSeries:
    write_ct_series(tmp_path / "ct", volume, HEADER)
    (candidate,) = find_series([tmp_path / "ct"]).candidates
    loaded = read_series(candidate)
    levels = (level("L3", (7,), volume.slice_shape), level("T12", (11, 12), volume.slice_shape))
    models = {"segmentation": "abcdef012345"}
    result = SeriesResult(ABDOMINAL_TISSUES, levels, models, references=TABLES)
    return MeasuredSeries(loaded, result, KeptIdentity())


@pytest.fixture
def verify(tmp_path: Path) -> Callable[[pydicom.Dataset], list[str]]:
    """Write an object and return dciodvfy's errors about it."""

    def errors(dataset: pydicom.Dataset) -> list[str]:
        if shutil.which("dciodvfy") is None:
            pytest.skip("no dciodvfy to validate with: apt-get install dicom3tools")
        dataset.save_as(tmp_path / "object.dcm", enforce_file_format=True)
        done = subprocess.run(
            ["dciodvfy", "-new", tmp_path / "object.dcm"],
            capture_output=True,
            text=True,
            check=False,
        )
        return [line for line in done.stderr.splitlines() if line.startswith("Error")]

    return errors


@pytest.fixture(params=["kept", "pseudonym"])
def either(request: pytest.FixtureRequest, measured: MeasuredSeries) -> MeasuredSeries:
    return replace(
        measured, identity=KeptIdentity() if request.param == "kept" else PseudonymIdentity(KEY)
    )


def test_all_objects_pass_the_validator(either, verify) -> None:
    seg = segmentation_of(either, "seg")
    picture = np.zeros((*either.volume.slice_shape, 3), np.uint8)
    document = encapsulated_pdf(either, b"%PDF-1.4")
    for dataset in (seg, report_of(either, seg), overlay_of(either, 7, picture), document):
        assert verify(dataset) == []


def stored(dataset: pydicom.Dataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_label_map_has_the_segments_of_the_binary_one_in_one_plane_per_slice(
    measured, tmp_path
) -> None:
    path = stored(segmentation_of(measured, "labelmap"), tmp_path / "map.dcm")
    assert hd.seg.segread(path).segmentation_type is hd.seg.SegmentationTypeValues.LABELMAP
    planes = {frame.grid.affine[2, 3]: frame.labels[:, :, 0].T for frame in read_seg(path).frames}
    l3, t12 = measured.result.levels
    expected = {7: l3.masks[7]}
    expected |= {i: np.where(mask > 0, mask + 2, 0) for i, mask in t12.masks.items()}
    assert len(planes) == 3
    for index, mask in expected.items():
        plane = planes[measured.volume.slice_z_mm[index]]
        np.testing.assert_array_equal(plane, mask)


def test_segmentation_read_back_gives_the_masks_and_names_the_slices(measured, tmp_path) -> None:
    seg = hd.seg.segread(stored(segmentation_of(measured, "seg"), tmp_path / "seg.dcm"))

    sources = {index: pydicom.dcmread(item.path) for index, item in enumerate(measured.slices)}
    for index, segments in ((7, (1, 2)), (11, (3, 4)), (12, (3, 4))):
        pixels = seg.get_pixels_by_source_instance(
            [sources[index].SOPInstanceUID], segment_numbers=segments
        )
        mask = next(x.masks[index] for x in measured.result.levels if index in x.masks)
        np.testing.assert_array_equal(pixels[0, :, :, 0], mask == MUSCLE.label)
        np.testing.assert_array_equal(pixels[0, :, :, 1], mask == SUBCUTANEOUS_FAT.label)
    (first, *_) = seg.SegmentSequence
    assert first.SegmentLabel == "Muscle at L3"
    assert first.SegmentedPropertyTypeCodeSequence[0].CodeValue == MUSCLE.concept.value
    assert first.SegmentAlgorithmType == "AUTOMATIC"
    assert first.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == "bodycomp"
    uids = [item.TrackingUID for item in seg.SegmentSequence]
    assert len(set(uids)) == 4
    assert uids == [item.tracking_uid for item in replace(measured).segments]


def test_segmentation_lies_over_its_source_for_an_independent_reader(
    measured, tmp_path, sitk
) -> None:
    """GDCM, through SimpleITK, sees muscle on the very pixels of the CT, frame by frame."""
    path = stored(segmentation_of(measured, "seg"), tmp_path / "seg.dcm")
    planes = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    groups = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence
    source = sitk.ReadImage(str(measured.slices[7].path))
    bright = sitk.GetArrayFromImage(source)[0]
    for plane, group in zip(planes, groups, strict=True):
        position = group.PlanePositionSequence[0].ImagePositionPatient
        segment = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        if position == pytest.approx(source.GetOrigin()) and segment == 1:
            mask = plane > 0
    muscle = measured.result.levels[0].masks[7] == MUSCLE.label
    np.testing.assert_array_equal(mask, muscle)
    assert bright[mask].mean() == pytest.approx(measured.volume.hu[7][muscle].mean())


def test_oblique_source_keeps_its_grid(tmp_path, volume) -> None:
    cos, sin = np.cos(0.1), np.sin(0.1)
    tilted = replace(volume, orientation=(cos, sin, 0.0, -sin, cos, 0.0))
    write_ct_series(tmp_path / "ct", tilted, HEADER)
    (candidate,) = find_series([tmp_path / "ct"]).candidates
    loaded = read_series(candidate)
    levels = (level("L3", (7,), volume.slice_shape),)
    result = SeriesResult(ABDOMINAL_TISSUES, levels, {}, references=TABLES)
    oblique = MeasuredSeries(loaded, result, KeptIdentity())
    frame, _ = read_seg(stored(segmentation_of(oblique, "seg"), tmp_path / "seg.dcm")).frames
    np.testing.assert_allclose(frame.grid.affine[:3, 3], loaded.slices[7].position_mm)
    np.testing.assert_allclose(frame.grid.directions[:, 0], [cos, sin, 0], atol=1e-8)


def test_report_read_back_gives_the_numbers(measured, tmp_path) -> None:
    seg = segmentation_of(measured, "seg")
    path = stored(report_of(measured, seg), tmp_path / "sr.dcm")
    report = hd.sr.srread(path).content

    groups = report.get_volumetric_roi_measurement_groups()
    assert len(groups) == 4
    for group, segment in zip(groups, measured.segments, strict=True):
        assert group.tracking_uid == segment.tracking_uid
        assert group.finding_type.value == segment.tissue.concept.value
        (site,) = group.finding_sites
        assert site.value.meaning == f"{segment.level.choice.level} vertebra"
        assert group.referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID
        assert group.referenced_segment.referenced_segment_numbers == [segment.number]
        (area,) = group.get_measurements(name=codes.SCT.Area)
        assert (area.value, area.unit.value) == (AREAS[segment.tissue], "cm2")
        found = {
            item.derivation.meaning: (item.value, item.unit.value)
            for item in group.get_measurements(name=codes.DCM.AttenuationCoefficient)
        }
        unit = "[hnsf'U]"
        assert found == {
            "Mean": (31.5, unit),
            "Median": (33.0, unit),
            "Standard Deviation": (12.25, unit),
        }
        (spread,) = group.get_measurements(name=codes.IBSI.IntensityHistogramInterquartileRange)
        assert (spread.value, spread.unit.value) == (9.0, unit)
        own = {
            item.name.value: (item.value, item.unit.value)
            for item in group.get_measurements()
            if item.name.scheme_designator == OWN_SCHEME
        }
        inside = AREAS[segment.tissue] - 2.0
        assert own == {"RANGE-AREA": (inside, "cm2"), "RANGE-MEAN": (34.5, unit)}
    empty = report.get_image_measurement_groups()[0]
    (area,) = empty.get_measurements(name=codes.SCT.Area)
    assert area.value == 0
    (source,) = empty.source_images
    assert (
        source.referenced_sop_instance_uid
        == pydicom.dcmread(measured.slices[7].path).SOPInstanceUID
    )


def test_report_holds_the_quantities_and_flags_of_each_level(measured, tmp_path) -> None:
    path = stored(report_of(measured, segmentation_of(measured, "seg")), tmp_path / "sr.dcm")
    report = hd.sr.srread(path)

    groups = {g.tracking_identifier: g for g in report.content.get_image_measurement_groups()}
    for level_name in ("L3", "T12"):
        group = groups[f"Body composition at {level_name}"]
        assert group.finding_sites[0].value.meaning == f"{level_name} vertebra"
        found = {
            (item.name.scheme_designator, item.name.value): (item.value, item.unit.value)
            for item in group.get_measurements()
        }
        assert found == {  # what has no value is left out
            (quantity_code(kind.key).scheme, quantity_code(kind.key).value): (
                QUANTITY_VALUES[kind.key].value,
                kind.unit,
            )
            for kind in QUANTITIES
            if QUANTITY_VALUES[kind.key].value is not None
        }
        findings = group.get_qualitative_evaluations(name=codes.DCM.QualityFinding)
        assert [item.value.value for item in findings] == [flag_code(f.key).value for f in FLAGS]
        texts = [i.TextValue for i in group[0].ContentSequence if i.ValueType == "TEXT"]
        said = len(FLAGS) + 2
        assert texts[-said:-2] == [flag.message for flag in FLAGS]
        index, area = "Skeletal muscle index 36.0 cm2/m2", "Muscle area in its HU range 101.0 cm2"
        assert [text.removesuffix(". No diagnosis.") for text in texts[-2:]] == [
            f"{index}: not below 31.2, 5th percentile, in Donors (An article)",
            f"{area}: z -1.0, percentile 16, in Manner (Own)",
        ]
    (scheme,) = report.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == OWN_SCHEME


def test_own_codes_are_told_apart_and_fit_into_a_code_value() -> None:
    own = [quantity_code(kind.key) for kind in QUANTITIES]
    own += [flag_code(kind.key) for kind in FLAG_KINDS]
    assert len({code.value for code in own}) == len(own)
    assert all(len(code.value) <= 16 for code in own)  # VR SH
    assert all(len(code.meaning) <= 64 for code in own)  # VR LO


def test_objects_go_back_into_the_study_or_name_nobody(either, tmp_path) -> None:
    seg = segmentation_of(either, "seg")
    picture = np.full((*either.volume.slice_shape, 3), 100, np.uint8)
    objects = [seg, report_of(either, seg), overlay_of(either, 7, picture)]
    kept = isinstance(either.identity, KeptIdentity)

    assert len({item.StudyInstanceUID for item in objects}) == 1
    assert len({item.SeriesInstanceUID for item in objects}) == 3
    for item in objects:
        assert (item.StudyInstanceUID == HEADER.uid("study")) is kept
        assert (item.PatientID == "SECRET-7") is kept
        data = stored(item, tmp_path / "object.dcm").read_bytes()
        for secret in ("SECRET-7", "Doe", "Jane", HEADER.uid("study"), HEADER.uid("series")):
            if not kept:
                assert secret.encode() not in data


def test_pseudonyms_depend_on_the_key_alone(measured) -> None:
    def patient(secret: bytes) -> tuple[str, str]:
        identity = PseudonymIdentity(PseudonymKey(secret))
        header = replace(measured, identity=identity).header(7)
        return header.PatientID, header.StudyInstanceUID

    assert patient(b"a" * 32) == patient(b"a" * 32)
    assert patient(b"a" * 32) != patient(b"b" * 32)


def test_overlay_shows_the_picture_the_right_way_round(measured, tmp_path) -> None:
    picture = np.random.default_rng(1).integers(
        0, 255, (*measured.volume.slice_shape, 3), dtype=np.uint8
    )
    found = pydicom.dcmread(stored(overlay_of(measured, 7, picture), tmp_path / "sc.dcm"))
    np.testing.assert_array_equal(found.pixel_array, picture)
    assert list(found.PatientOrientation) == ["L", "P"]


def test_nothing_measured_is_said(measured) -> None:
    nothing = replace(measured, result=replace(measured.result, levels=()))
    with pytest.raises(SeriesError, match="nothing to segment"):
        segmentation_of(nothing, "seg")


def test_levels_that_share_a_slice_make_no_label_map(measured) -> None:
    shape = measured.volume.slice_shape
    levels = (level("L3", (7,), shape), level("L2", (7,), shape))
    both = replace(measured, result=replace(measured.result, levels=levels))
    with pytest.raises(SeriesError, match="share a slice"):
        segmentation_of(both, "labelmap")
    assert len(segmentation_of(both, "seg").SegmentSequence) == 4


def test_frames_of_an_enhanced_image_are_named_one_by_one(measured, tmp_path, verify) -> None:
    enhanced([item.path for item in measured.slices], tmp_path / "enhanced" / "ct.dcm")
    (candidate,) = find_series([tmp_path / "enhanced"]).candidates
    loaded = read_series(candidate)
    frames = replace(measured, scan=loaded)

    seg = segmentation_of(frames, "seg")
    report = report_of(frames, seg)
    assert verify(seg) == verify(report) == []
    source = pydicom.dcmread(tmp_path / "enhanced" / "ct.dcm")
    for group in seg.PerFrameFunctionalGroupsSequence:
        (image,) = group.DerivationImageSequence[0].SourceImageSequence
        place = source.PerFrameFunctionalGroupsSequence[int(image.ReferencedFrameNumber) - 1]
        assert image.ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert (
            group.PlanePositionSequence[0].ImagePositionPatient
            == place.PlanePositionSequence[0].ImagePositionPatient
        )
    path = stored(seg, tmp_path / "seg.dcm")
    labels = [frame.labels[:, :, 0].T for frame in read_seg(path).frames if frame.segment == 1]
    np.testing.assert_array_equal(labels[0], measured.result.levels[0].masks[7] == MUSCLE.label)


def test_muscle_holds_its_groups_in_a_binary_segmentation_and_not_in_a_label_map(
    measured, tmp_path, verify
) -> None:
    rng, result = np.random.default_rng(3), measured.result
    mask = rng.integers(0, 10, measured.volume.slice_shape).astype(np.uint8)
    tissues = {tissue.key: Measurement(1.0, 1.0, 1.0, 1.0, 1.0, 0.0) for tissue in ALL_TISSUES}
    one = replace(result.levels[0], measurements=tissues, masks={7: mask})
    grouped = replace(measured, result=replace(result, tissues=ALL_TISSUES, levels=(one,)))
    seg, label_map = (segmentation_of(grouped, kind) for kind in ("seg", "labelmap"))
    assert verify(seg) == []
    frames = read_seg(stored(seg, tmp_path / "seg.dcm")).frames
    muscle = next(frame for frame in frames if frame.segment == 1)
    np.testing.assert_array_equal(muscle.labels[:, :, 0].T > 0, np.isin(mask, (1, 4, 5, 6, 7)))
    (plane,) = read_seg(stored(label_map, tmp_path / "map.dcm")).frames
    np.testing.assert_array_equal(plane.labels[:, :, 0].T, mask)
    groups = {group.tissue.key for group in tissue_groups(grouped, one)}
    assert groups == {tissue.key for tissue in ALL_TISSUES}

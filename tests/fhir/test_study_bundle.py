"""fhir.json, read back by two libraries: the numbers of results.json, the codes of the report."""

import importlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest

from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.errors import UsageError
from bodycomp.fhir.study_bundle import check_fhir
from bodycomp.imaging.volume import Volume
from bodycomp.study.options import AnalyzedSeries, AnalyzeOptions, DicomObject, StudyReport
from bodycomp.study.run import analyze_inputs
from support.stand_ins import BodyIsMuscle, LevelAt

HEADER = SeriesHeader(
    seed="one",
    patient_id="SECRET-7",
    patient_name="Doe^Jane^Q",
    patient_sex="F",
    kernel="B70f",  # raises a flag
)
UNITS = "http://unitsofmeasure.org"
SYSTEMS = {
    "http://snomed.info/sct": "SCT",
    "http://dicom.nema.org/resources/ontology/DCM": "DCM",
    "urn:oid:1.2.840.10008.2.16.13": "IBSI",
    UNITS: "UCUM",
}


def ct(slices: int = 30, z0: float = 0.0) -> Volume:
    hu = np.full((slices, 40, 48), -1000, np.int16)
    hu[:, 10:30, 9:39] = np.random.default_rng(1).integers(0, 90, (slices, 20, 30))
    return Volume(hu, (2.0, 2.0), z0 + np.arange(slices) * 5.0)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[AnalyzedSeries, dict]:
    """A series with its segmentation and report, and the bundle of its study."""
    folder = tmp_path_factory.mktemp("written") / "in"
    write_ct_series(folder / "a", ct(), HEADER)
    report = analyze(folder, dicom=frozenset({DicomObject.SR}))
    return report.analyzed[0], bundle_of(report)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    write_ct_series(tmp_path / "in" / "a", ct(), HEADER)
    return tmp_path / "in"


def analyze(scans: Path, *, scorer: LevelAt | None = None, **options: object) -> StudyReport:
    given = {"previews": False, "report": False, "workers": 0, "fhir": True, **options}
    return analyze_inputs(
        AnalyzeOptions(inputs=(scans,), out_dir=scans.parent / "out", **given),
        analyzer=Analyzer(scorer or LevelAt(60.0), BodyIsMuscle(), AnalysisOptions()),
    )


def bundle_of(report: StudyReport) -> dict:
    """Read by fhir.resources as R4B and by fhirclient as plain R4; both say the same."""
    path = report.analyzed[0].folder.parent / "fhir.json"
    text = path.read_text(encoding="utf-8")
    read = importlib.import_module("fhir.resources.R4B.bundle").Bundle.model_validate_json(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what fhirclient imports
        plain = importlib.import_module("fhirclient.models.bundle").Bundle(json.loads(text))
    document = json.loads(read.model_dump_json())
    assert plain.as_json() == document
    return document


def resources(bundle: dict, kind: str) -> list[dict]:
    found = (entry["resource"] for entry in bundle["entry"])
    return [each for each in found if each["resourceType"] == kind]


def targets(element: object) -> Iterator[str]:
    """Every reference anywhere in a resource."""
    if isinstance(element, dict):
        if isinstance(element.get("reference"), str):
            yield element["reference"]
        for value in element.values():
            yield from targets(value)
    elif isinstance(element, list):
        for value in element:
            yield from targets(value)


def members(bundle: dict, title: str) -> list[dict]:
    """The Observations that a group has."""
    by_url = {entry["fullUrl"]: entry["resource"] for entry in bundle["entry"]}
    (group,) = (each for each in by_url.values() if each.get("code", {}).get("text") == title)
    return [by_url[each["reference"]] for each in group.get("hasMember", ())]


def code_of(concept: dict) -> tuple[str, str]:
    (coding,) = concept["coding"]
    return SYSTEMS.get(coding["system"], "99BODYCOMP"), coding["code"]


def test_every_reference_resolves_within_the_bundle(written):
    _, bundle = written
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(urls)) == len(urls)
    assert set(targets(bundle)) <= set(urls)
    (report,) = resources(bundle, "DiagnosticReport")
    groups = [o for o in resources(bundle, "Observation") if "category" not in o]
    assert len(report["result"]) == len(groups) == 4  # three tissues and the level
    (provenance,) = resources(bundle, "Provenance")
    assert len(provenance["target"]) == 1 + len(resources(bundle, "Observation"))


def test_codes_references_and_invariants_are_those_that_the_profiles_require(written):
    _, bundle = written
    kinds = {entry["fullUrl"]: entry["resource"]["resourceType"] for entry in bundle["entry"]}
    for entry in bundle["entry"]:
        kind = entry["resource"]["resourceType"]
        model = getattr(importlib.import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
        for name, field in model.model_fields.items():
            value = entry["resource"].get(field.alias or name)
            extra = field.json_schema_extra or {}
            if value is not None and extra.get("enum_values"):
                assert {*(value if isinstance(value, list) else [value])} <= {*extra["enum_values"]}
            if value is not None and extra.get("enum_reference_types"):
                allowed = {*extra["enum_reference_types"]}
                assert {kinds[each] for each in targets(value)} <= allowed or "Resource" in allowed
    for each in resources(bundle, "Observation"):  # obs-6, and something to say at all
        said = {"valueQuantity", "valueCodeableConcept", "dataAbsentReason"} & set(each)
        assert len(said) <= 1
        assert said or each["hasMember"]


def test_each_value_is_that_of_results_json(written):
    series, bundle = written
    (level,) = json.loads((series.folder / "results.json").read_text())["levels"]

    numbers = [each["valueQuantity"]["value"] for each in members(bundle, "Muscle at L3")]
    found = level["measurements"]["muscle"]
    fields = ("area_cm2", "mean_hu", "median_hu", "sd_hu", "iqr_hu")
    in_range = ("hu_range_area_cm2", "hu_range_mean_hu")
    assert numbers == [found[name] for name in (*fields, *in_range)]
    fat = [each["valueQuantity"]["value"] for each in members(bundle, "Visceral fat at L3")]
    assert fat == [0, 0]  # areas; a tissue without a pixel has no attenuation
    quantities, findings = [], []
    for each in members(bundle, "Body composition at L3"):
        (findings if "valueCodeableConcept" in each else quantities).append(each)
    for each, expected in zip(quantities, level["quantities"].values(), strict=True):
        if expected["value"] is None:
            assert each["dataAbsentReason"]["text"] == expected["reason"]
            assert each["dataAbsentReason"]["coding"][0]["code"] == "unknown"
        else:
            assert each["valueQuantity"]["value"] == expected["value"]
    flags = [(flag["message"]) for flag in level["flags"]]
    assert flags
    assert [each["note"][0]["text"] for each in findings] == flags


def test_codes_and_units_are_those_of_the_structured_report(written):
    series, bundle = written
    document = hd.sr.srread(series.folder / "measurements.dcm")
    groups = document.content.get_volumetric_roi_measurement_groups()
    groups += document.content.get_image_measurement_groups()
    assert len(groups) == 4
    for group in groups:
        uid = f"urn:oid:{group.tracking_uid}"
        (observation,) = (
            each for each in resources(bundle, "Observation")
            if uid in [name["value"] for name in each["identifier"]]
        )  # fmt: skip
        title = observation["code"]["text"]
        assert title == group.tracking_identifier
        site = group.finding_sites[0].value
        assert code_of(observation["bodySite"]) == (site.scheme_designator, site.value)
        if group.finding_type:
            finding = code_of(observation["valueCodeableConcept"])
            assert finding == (group.finding_type.scheme_designator, group.finding_type.value)
        reported = [
            (
                (item.name.scheme_designator, item.name.value),
                (item.derivation.scheme_designator, item.derivation.value)
                if item.derivation
                else None,
                (item.unit.scheme_designator, item.unit.value),
                pytest.approx(item.value, abs=5e-5),
            )
            for item in group.get_measurements()
        ]
        written = [
            (
                code_of(each["code"]),
                code_of(each["method"]) if "method" in each else None,
                ("UCUM", each["valueQuantity"]["code"]),
                each["valueQuantity"]["value"],
            )
            for each in members(bundle, title)
            if "valueQuantity" in each
        ]
        assert written == reported
        flags = [item.value.value for item in group.get_qualitative_evaluations()]
        assert flags == [
            code_of(each["valueCodeableConcept"])[1]
            for each in members(bundle, title)
            if "valueCodeableConcept" in each
        ]
    (scheme,) = document.CodingSchemeIdentificationSequence
    systems = {o["code"]["coding"][0]["system"] for o in resources(bundle, "Observation")}
    assert f"urn:oid:{scheme.CodingSchemeUID}" in systems


def test_numbers_are_derived_from_written_objects(written):
    series, bundle = written
    by_url = {entry["fullUrl"]: entry["resource"] for entry in bundle["entry"]}
    files = {
        f"urn:oid:{pydicom.dcmread(path).SOPInstanceUID}": path
        for path in series.folder.glob("*.dcm")
    }
    assert len(files) == 2
    for each in resources(bundle, "Observation"):
        named = [by_url[found["reference"]] for found in each["derivedFrom"]]
        assert {found["masterIdentifier"]["value"] for found in named} == set(files)
        for found in named:
            url = found["content"][0]["attachment"]["url"]
            assert series.folder.parent / url == files[found["masterIdentifier"]["value"]]
    (study,) = resources(bundle, "ImagingStudy")
    modalities = [found["modality"]["code"] for found in study["series"]]
    assert modalities == ["CT", "SEG", "SR"]


def test_a_level_that_is_absent_says_why(scans):
    report = analyze(scans, scorer=LevelAt(900.0), dicom=frozenset({DicomObject.SR}))
    bundle = bundle_of(report)
    (row,) = report.analyzed[0].rows
    (found,) = resources(bundle, "Observation")
    assert found["dataAbsentReason"]["text"] == f"L3 absent: {row['reason']}"
    assert found["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    assert found["bodySite"]["text"] == "L3 vertebra"
    (study,) = (
        e["fullUrl"]
        for e in bundle["entry"]
        if "status" in e["resource"] and e["resource"]["resourceType"] == "ImagingStudy"
    )
    assert list(targets(found["derivedFrom"])) == [study]  # no object was written


def test_nothing_identifying_leaves_unless_asked(scans):
    bundle = bundle_of(analyze(scans))
    secrets = ("SECRET-7", "Doe", "Jane", HEADER.uid("study"), HEADER.uid("series"))
    assert not any(secret in json.dumps(bundle) for secret in secrets)
    (patient,) = resources(bundle, "Patient")
    assert set(patient) == {"resourceType", "identifier"}
    assert patient["identifier"][0]["value"].startswith("patient-")
    (study,) = resources(bundle, "ImagingStudy")
    assert "started" not in study

    bundle = bundle_of(analyze(scans, identifiers=True, overwrite=True))
    (patient,) = resources(bundle, "Patient")
    assert patient["identifier"][0]["value"] == "SECRET-7"
    assert patient["name"] == [{"family": "Doe", "given": ["Jane", "Q"]}]
    assert patient["gender"] == "female"
    (study,) = resources(bundle, "ImagingStudy")
    assert study["identifier"][0]["value"] == f"urn:oid:{HEADER.uid('study')}"
    assert date.fromisoformat(study["started"])


def test_the_same_measurements_have_the_same_identifiers(scans):
    first, second = (bundle_of(analyze(scans, overwrite=again)) for again in (False, True))
    urls = [[entry["fullUrl"] for entry in bundle["entry"]] for bundle in (first, second)]
    assert urls[0] == urls[1]


def test_a_study_of_several_series_has_one_bundle(scans):
    write_ct_series(scans / "b", ct(40), replace(HEADER, series_number=2))
    report = analyze(scans, all_series=True)
    assert len(report.analyzed) == 2
    bundle = bundle_of(report)
    (study,) = resources(bundle, "ImagingStudy")
    assert len(study["series"]) == 2
    assert len(resources(bundle, "DiagnosticReport")[0]["result"]) == 8


def test_patients_without_an_id_do_not_become_one(tmp_path):
    write_ct_series(tmp_path / "in", ct(), replace(HEADER, patient_id=""))
    for identifiers in (False, True):
        bundle = bundle_of(analyze(tmp_path / "in", identifiers=identifiers, overwrite=identifiers))
        assert "identifier" not in resources(bundle, "Patient")[0]


def test_what_cannot_be_written_is_noted_and_the_measurement_stays(scans):
    image = nib.Nifti1Image(ct().hu.transpose(2, 1, 0), np.diag([-2.0, -2.0, 5.0, 1.0]))
    nib.save(image, scans / "scan.nii.gz")
    for path in (scans / "a").iterdir():
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID = None
        dataset.save_as(path)
    report = analyze(scans)
    notes = [series.rows[0]["notes"] for series in report.analyzed]
    assert "FHIR is missing: expected source slices with SOPInstanceUID" in notes[0]
    assert "FHIR is missing: expected a scan from DICOM" in notes[1]
    assert report.analyzed[0].rows[0]["status"] == "found"
    assert not list(report.out_dir.rglob("fhir.json"))


def test_without_the_library_nothing_is_begun(scans, monkeypatch):
    monkeypatch.setattr("bodycomp.fhir.study_bundle._BUNDLE", "no_such_library.R4B.bundle")
    with pytest.raises(UsageError, match=r"bodycomp\[fhir\]"):
        check_fhir()
    with pytest.raises(UsageError):
        analyze(scans)
    assert not (scans.parent / "out").exists()

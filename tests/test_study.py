"""From files to results: what is written, what is refused, and what never leaks or stops a run."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pypdf import PdfReader

from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.errors import InputNotFoundError, ModelError, OutputError, UsageError
from bodycomp.imaging.preprocessing import Preprocessing
from bodycomp.imaging.volume import Volume
from bodycomp.networks.checkpoint import ModelCard, build_network, save_model
from bodycomp.nifti import write_nifti_labels
from bodycomp.study.options import AnalyzeOptions, DicomObject
from bodycomp.study.run import analyze_inputs
from support.stand_ins import BodyIsMuscle, LevelAt

REAL = Path(__file__).parents[1] / "../shared/real"
needs_real = pytest.mark.skipif(not REAL.exists(), reason="../shared/real is absent")
BODY_PIXELS = 20 * 30


ANALYZER = Analyzer(LevelAt(60.0), BodyIsMuscle(), AnalysisOptions())
HEADER = SeriesHeader(
    seed="patient one",
    patient_id="SECRET-7",
    patient_name="Doe^Jane",
    series_description="CT abdomen",
    manufacturer="ACME",
    kernel="SOFT",
)


FILES = ("journal.jsonl", "refused.csv", "results.csv", "run.json", "series.csv")


def ct(slices=30, z0=0.0, spacing=5.0):
    hu = np.full((slices, 40, 48), -1000, np.int16)
    hu[:, 10:30, 9:39] = 45
    return Volume(hu, (2.0, 2.0), z0 + np.arange(slices) * spacing)


@pytest.fixture
def study(tmp_path):
    write_ct_series(tmp_path / "in" / "a", ct(), HEADER)
    return tmp_path / "in"


def analyze(tmp_path, *inputs, analyzer=ANALYZER, **options):
    given = AnalyzeOptions(
        inputs=inputs or (tmp_path / "in",),
        models_dir=tmp_path / "models",
        out_dir=tmp_path / "out",
        **{"previews": False, "workers": 0} | options,
    )
    return analyze_inputs(given, analyzer=analyzer)


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_study_leaves_table_json_preview_and_masks(tmp_path, study):
    report = analyze(tmp_path, previews=True)

    (series,) = report.analyzed
    assert report.levels_found == 1
    assert series.folder.parent.parent == tmp_path / "out"
    names = ["case-L3.json", "labels.nii.gz", "preview-L3.png", "results.json"]
    assert sorted(path.name for path in series.folder.iterdir()) == names
    (row,) = table(tmp_path / "out" / "results.csv")
    assert float(row["muscle_area_cm2"]) == pytest.approx(BODY_PIXELS * 0.04)
    assert float(row["level_z_mm"]) == pytest.approx(60, abs=0.1)
    assert (row["study"], row["series"]) == (series.study, series.series)
    assert (row["manufacturer"], row["kernel"], row["slices"]) == ("ACME", "SOFT", "30")
    document = json.loads((series.folder / "results.json").read_text())
    assert document["levels"][0]["measurements"]["muscle"]["mean_hu"] == 45
    assert table(tmp_path / "out" / "refused.csv") == []
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(
        [*FILES, "report.html", series.study]
    )


def test_masks_lie_on_the_source_grid(tmp_path, study):
    (series,) = analyze(tmp_path).analyzed

    image = nib.load(series.folder / "labels.nii.gz")
    labels = np.asarray(image.dataobj)
    assert labels.shape == (48, 40, 30)
    assert np.flatnonzero(labels.any(axis=(0, 1))).tolist() == [12]
    assert np.count_nonzero(labels) == BODY_PIXELS
    assert image.affine[2, 3] == 0
    assert image.affine[2, 2] == 5


def test_nothing_identifying_leaves_unless_asked(tmp_path, study, caplog):
    caplog.set_level("DEBUG")
    analyze(tmp_path)

    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    texts = [path.read_text() for path in written if path.suffix in {".csv", ".json"}]
    names = [str(path.relative_to(tmp_path)) for path in written]
    for secret in ("SECRET-7", "Doe", HEADER.uid("study"), HEADER.uid("series"), str(study)):
        assert not any(secret in text for text in [*texts, *names, caplog.text])


def test_free_text_of_the_header_leaves_on_request_alone(tmp_path, study, caplog):
    caplog.set_level("DEBUG")
    told = replace(HEADER, series_number=2, series_description="Jane, seen by Dr Roe")
    write_ct_series(study / "b", ct(), told)
    write_ct_series(study / "few", ct(slices=2), replace(told, series_number=3))
    report = analyze(tmp_path)
    kinds = {row["kind"] for row in table(tmp_path / "out" / "refused.csv")}
    assert kinds == {"not chosen", "too few slices"}
    written = [path for path in (tmp_path / "out").rglob("*") if path.suffix in {".csv", ".json"}]
    texts = [*(path.read_text() for path in (*written, *(tmp_path / "out").glob("*.jsonl")))]
    for text in (*texts, caplog.text, str(report)):
        assert "abdomen" not in text
        assert "Roe" not in text

    analyze(tmp_path, identifiers=True, overwrite=True)
    rows = table(tmp_path / "out" / "series.csv")
    assert [row["series_description"] for row in rows].count("Jane, seen by Dr Roe") == 2


def test_identifiers_are_written_on_request(tmp_path, study):
    analyze(tmp_path, identifiers=True)

    (row,) = table(tmp_path / "out" / "results.csv")
    assert row["patient_id"] == "SECRET-7"
    assert row["study_uid"] == HEADER.uid("study")
    assert row["source_path"] == str(study / "a")


def test_dicom_objects_are_written_on_request_and_note_what_they_cannot_be(tmp_path, study):
    every = frozenset(DicomObject)
    (series,) = analyze(tmp_path, dicom=every, identifiers=True).analyzed

    names = {path.name for path in series.folder.glob("*.dcm")}
    documents = {"segmentation.dcm", "labelmap.dcm", "measurements.dcm", "report.dcm"}
    assert names == documents | {"overlay-L3.dcm"}
    overlay = pydicom.dcmread(series.folder / "overlay-L3.dcm")
    assert overlay.PatientID == "SECRET-7"
    red, green, blue = overlay.pixel_array[20, 20].astype(int)
    assert red > green > blue  # muscle is orange
    assert series.rows[0]["notes"].startswith("picture of 96 x 80 mm")

    for path in (study / "a").iterdir():
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID = None
        dataset.save_as(path)
    (series,) = analyze(tmp_path, dicom=every, overwrite=True).analyzed
    assert "expected source slices with SOPInstanceUID" in series.rows[0]["notes"]
    assert series.rows[0]["status"] == "found"
    assert not list(series.folder.glob("*.dcm"))


def test_a_report_alone_brings_its_segmentation(tmp_path, study):
    (series,) = analyze(tmp_path, dicom=frozenset({DicomObject.SR})).analyzed
    report = pydicom.dcmread(series.folder / "measurements.dcm")
    seg = pydicom.dcmread(series.folder / "segmentation.dcm")
    named = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    found = {item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in named}
    assert seg.SOPInstanceUID in found


@pytest.mark.parametrize("identifiers", [True, False])
def test_the_report_names_nobody_unless_asked_and_is_the_same_as_a_document(
    tmp_path, study, identifiers
):
    (series,) = analyze(
        tmp_path, pdf=True, dicom=frozenset({DicomObject.PDF}), identifiers=identifiers
    ).analyzed
    content = (series.folder / "report.pdf").read_bytes()
    document = pydicom.dcmread(series.folder / "report.dcm")
    assert document.EncapsulatedDocument[: document.EncapsulatedDocumentLength] == content
    assert document.BurnedInAnnotation == ("YES" if identifiers else "NO")
    assert (document.PatientID == "SECRET-7") is identifiers
    (page,) = PdfReader(series.folder / "report.pdf").pages
    text = page.extract_text()
    assert ("SECRET-7" in text) is identifiers
    assert series.study in text
    for secret in ("Doe", "CT abdomen", HEADER.uid("study")):
        assert secret not in text
    assert [path.name for path in series.folder.glob("*.dcm")] == ["report.dcm"]


def test_pseudonyms_follow_the_key_beside_the_results(tmp_path, study):
    first = analyze(tmp_path).analyzed[0].study
    key = tmp_path / "out.pseudonym-key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert analyze(tmp_path, overwrite=True).analyzed[0].study == first

    key.rename(tmp_path / "kept")
    assert analyze(tmp_path, overwrite=True).analyzed[0].study != first
    again = analyze(tmp_path, overwrite=True, pseudonym_key=tmp_path / "kept")
    assert again.analyzed[0].study == first

    (tmp_path / "kept").write_text("short")
    with pytest.raises(UsageError, match="key of 32 bytes"):
        analyze(tmp_path, overwrite=True, pseudonym_key=tmp_path / "kept")
    with pytest.raises(InputNotFoundError, match="pseudonym key"):
        analyze(tmp_path, overwrite=True, pseudonym_key=tmp_path / "gone")


def test_best_series_of_a_study_is_analyzed_and_the_other_one_listed(tmp_path, study):
    write_ct_series(study / "b", ct(slices=100, spacing=1.5), replace(HEADER, series_number=2))

    report = analyze(tmp_path)

    assert len(report.analyzed) == 1
    (other,) = table(tmp_path / "out" / "refused.csv")
    assert other["kind"] == "not chosen"
    assert "--all-series" in other["reason"]
    assert other["study"] == report.analyzed[0].study


def test_every_series_has_a_row_with_its_rank_and_reason(tmp_path, study):
    sharp = replace(HEADER, series_number=2, kernel="B70f")
    write_ct_series(study / "b", ct(), sharp)
    write_ct_series(study / "few", ct(slices=2), replace(HEADER, series_number=3))

    analyze(tmp_path)

    rows = table(tmp_path / "out" / "series.csv")
    assert [(row["series_number"], row["rank"], row["chosen"]) for row in rows] == [
        ("1", "1", "yes"),
        ("2", "2", "no"),
        ("3", "", "no"),
    ]
    assert (
        rows[0]["reason"]
        == "first of 2; the next one: sharp kernel, against soft or unknown kernel"
    )
    assert rows[1]["reason"].startswith("another series ranks first: sharp kernel, against")
    assert rows[2]["reason"] == "expected at least 10 slices, found 2"
    assert len({row["study"] for row in rows}) == 1
    assert len({row["series"] for row in rows}) == 3
    text = (tmp_path / "out" / "series.csv").read_text()
    for secret in ("SECRET-7", "Doe", "abdomen", HEADER.uid("study"), sharp.uid("series")):
        assert secret not in text
    analyze(tmp_path, identifiers=True, overwrite=True)
    named = table(tmp_path / "out" / "series.csv")[1]
    assert (named["patient_id"], named["series_uid"]) == ("SECRET-7", sharp.uid("series"))


def test_next_series_is_measured_where_the_best_one_cannot_be_read(tmp_path, study):
    best = replace(HEADER, series_number=2, slice_thickness_mm=4.0)
    write_ct_series(study / "b", ct(slices=50), best)
    for path in (study / "b").iterdir():
        path.write_bytes(path.read_bytes()[:-3000])

    report = analyze(tmp_path)

    assert [series.rows[0]["slices"] for series in report.analyzed] == [30]
    assert [refusal.kind for refusal in report.refused] == ["not readable"]


def test_all_series_of_a_study_are_analyzed_on_request(tmp_path, study):
    write_ct_series(study / "b", ct(slices=100, spacing=1.5), replace(HEADER, series_number=2))

    report = analyze(tmp_path, all_series=True)

    assert len({series.folder for series in report.analyzed}) == 2
    assert len({series.study for series in report.analyzed}) == 1
    assert len(table(tmp_path / "out" / "results.csv")) == 2
    assert report.not_chosen == ()


def test_series_that_does_not_qualify_is_refused_with_its_reason(tmp_path, study):
    few = replace(HEADER, series_number=3, series_description="few")
    write_ct_series(study / "few", ct(slices=2), few)

    report = analyze(tmp_path)

    (refused,) = report.refused
    assert refused.study == report.analyzed[0].study
    (row,) = table(tmp_path / "out" / "refused.csv")
    assert (row["kind"], row["files"]) == ("too few slices", "2")
    assert row["what"] == "series 3, 2 images"


def test_series_that_cannot_be_decoded_is_refused_and_the_others_go_on(tmp_path, study):
    for path in write_ct_series(tmp_path / "in" / "broken", ct(), SeriesHeader(seed="two")):
        path.write_bytes(path.read_bytes()[:-3000])

    report = analyze(tmp_path)

    assert len(report.analyzed) == 1
    assert [refusal.kind for refusal in report.refused] == ["not readable"]
    assert len(list((tmp_path / "out").glob("study-*"))) == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_tables_say_which_series_took_the_place_of_an_unreadable_one(tmp_path, study, workers):
    best = replace(HEADER, series_number=2)
    for path in write_ct_series(study / "best", ct(slices=60), best):
        path.write_bytes(path.read_bytes()[:-3000])
    sharp = replace(HEADER, series_number=3, kernel="B70f")
    write_ct_series(study / "last", ct(), sharp)

    report = analyze(tmp_path, workers=workers)

    out = tmp_path / "out"
    rows = {row["series_number"]: row for row in table(out / "series.csv")}
    chosen = {number: row["chosen"] for number, row in rows.items()}
    assert [row["rank"] for row in rows.values()] == ["1", "2", "3"]
    assert chosen == {"2": "no", "1": "yes", "3": "no"}
    assert rows["2"]["kind"] == "not readable"
    assert rows["1"]["reason"].startswith("measured in place of better ones")
    (measured,) = table(out / "results.csv")
    assert measured["series"] == rows["1"]["series"]
    refused = {row["series"]: row["kind"] for row in table(out / "refused.csv")}
    assert refused == {rows["2"]["series"]: "not readable", rows["3"]["series"]: "not chosen"}
    assert len(report.not_chosen) == 1
    tables = [(out / name).read_bytes() for name in ("series.csv", "refused.csv")]
    analyze(tmp_path, workers=workers, resume=True)
    assert [(out / name).read_bytes() for name in ("series.csv", "refused.csv")] == tables


def test_unexpected_fault_costs_one_series_only(tmp_path, study):
    write_ct_series(study / "b", ct(z0=7.0), SeriesHeader(seed="two"))

    class Odd(LevelAt):
        def __call__(self, volume, progress=None, slice_indices=None):
            if volume.slice_z_mm[0] == 7:
                raise IndexError("strange")
            return super().__call__(volume, progress, slice_indices)

    report = analyze(tmp_path, analyzer=replace(ANALYZER, scorer=Odd(60.0)))

    assert len(report.analyzed) == 1
    assert [refusal.kind for refusal in report.refused] == ["fault"]
    assert len(table(tmp_path / "out" / "refused.csv")) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ModelError("weights")])
def test_run_that_ends_early_lists_what_was_finished(tmp_path, study, error):
    write_ct_series(study / "b", ct(), SeriesHeader(seed="two"))

    class Second(LevelAt):
        seen = 0

        def __call__(self, volume, progress=None, slice_indices=None):
            self.seen += 1
            if self.seen == 2:
                raise error
            return super().__call__(volume, progress, slice_indices)

    with pytest.raises(type(error)):
        analyze(tmp_path, analyzer=replace(ANALYZER, scorer=Second(60.0)))

    (row,) = table(tmp_path / "out" / "results.csv")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == sorted([*FILES, row["study"]])


def test_absent_level_is_a_row_with_a_reason_and_a_preview_but_no_mask(tmp_path, study):
    report = analyze(tmp_path, analyzer=replace(ANALYZER, scorer=LevelAt(-400.0)), previews=True)

    (series,) = report.analyzed
    assert report.levels_found == 0
    (row,) = table(tmp_path / "out" / "results.csv")
    assert row["status"] == "absent"
    assert "below the lowest slice" in row["reason"]
    assert row["muscle_area_cm2"] == ""
    assert not (series.folder / "labels.nii.gz").exists()
    assert (series.folder / "preview-L3.png").exists()


def test_nifti_volume_is_analyzed_like_its_dicom_series(tmp_path, study):
    volume = ct()
    write_nifti_labels(tmp_path / "Doe.nii.gz", volume, (volume.hu > 0).astype(np.uint8))
    image = nib.load(tmp_path / "Doe.nii.gz")
    hu = np.ascontiguousarray(volume.hu.transpose(2, 1, 0))
    nib.save(nib.Nifti1Image(hu, image.affine), tmp_path / "Doe.nii.gz")

    analyze(tmp_path, study, tmp_path / "Doe.nii.gz")

    dicom, nifti = table(tmp_path / "out" / "results.csv")
    assert nifti["source"] == "NIfTI"
    assert "Doe" not in "".join(nifti.values())
    measured = [key for key in dicom if key.startswith("muscle") or key == "level_z_mm"]
    assert [nifti[key] for key in measured] == [dicom[key] for key in measured]


def test_damaged_nifti_is_refused_without_its_name(tmp_path, study, caplog):
    (tmp_path / "Doe.nii").write_bytes(b"nothing")

    report = analyze(tmp_path, study, tmp_path / "Doe.nii")

    (refused,) = report.refused
    assert refused.what == "NIfTI volume 1 of 1"
    assert "Doe" not in refused.reason + caplog.text


def test_output_folder_with_content_is_refused_and_left_alone(tmp_path, study):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="not empty"):
        analyze(tmp_path)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_overwrite_replaces_earlier_results_and_nothing_else(tmp_path, study):
    stale = tmp_path / "out" / "study-0123" / "series-4567"
    stale.mkdir(parents=True)
    (tmp_path / "out" / "mine.txt").write_text("keep")

    report = analyze(tmp_path, overwrite=True)

    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "mine.txt",
        *FILES,
        "report.html",
        report.analyzed[0].study,
    }


def test_inputs_without_images_are_refused_before_anything_is_written(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no image")
    with pytest.raises(InputNotFoundError, match="found none in 1 file"):
        analyze(tmp_path)
    with pytest.raises(InputNotFoundError):
        analyze(tmp_path, tmp_path / "nowhere")
    with pytest.raises(UsageError, match="found none"):
        AnalyzeOptions(inputs=(), models_dir=tmp_path, out_dir=tmp_path, workers=0)
    assert not (tmp_path / "out").exists()


def test_progress_is_told_of_every_stage(tmp_path, study):
    told = []
    given = AnalyzeOptions(
        inputs=(study,), models_dir=tmp_path, out_dir=tmp_path / "out", workers=0
    )
    analyze_inputs(given, lambda *state: told.append(state), analyzer=ANALYZER)
    assert told[-1] == ("series", 1, 1)
    assert ("search", 30, 30) in told


@pytest.fixture
def models(tmp_path):
    """Both networks, tiny, with random weights."""
    cards = {
        "slice-selection": ModelCard(
            "slice_selection",
            "densenet",
            {"nb_blocks": 2, "nb_layers_per_block": 1, "nb_initial_filters": 4, "num_outputs": 1},
            Preprocessing((64, 64), quantised=True),
            levels=("L3",),
            target_scale_mm=10.0,
        ),
        "segmentation": ModelCard(
            "segmentation",
            "unet",
            {"num_classes": 4, "compression_channels": (4, 8), "decompression_channels": (4,)},
            Preprocessing((64, 64)),
            tissues=ABDOMINAL_TISSUES,
        ),
    }
    for name, card in cards.items():
        save_model(tmp_path / "models" / name, build_network(card), card)
    return tmp_path / "models"


def test_models_folder_runs_end_to_end(tmp_path, study, models):
    report = analyze(tmp_path, analyzer=None, range_mm=20.0, device="cpu")
    assert report.analyzed[0].rows[0]["status"] in {"found", "absent", "uncertain"}


def test_missing_models_are_refused_before_anything_is_written(tmp_path, study):
    with pytest.raises(InputNotFoundError, match="models"):
        analyze(tmp_path, analyzer=None)
    assert not (tmp_path / "out").exists()


@needs_real
def test_real_torso_and_head_run_through(tmp_path, models):
    report = analyze(tmp_path, REAL / "torso_ct", REAL / "head_chest", analyzer=None, device="cpu")
    assert sorted(row["slices"] for series in report.analyzed for row in series.rows) == [24, 99]


@needs_real
def test_real_torso_is_measured_on_its_own_grid(tmp_path):
    scorer = LevelAt(-657.0)  # L3 by eye
    report = analyze(tmp_path, REAL / "torso_ct", analyzer=replace(ANALYZER, scorer=scorer))
    (row,) = report.analyzed[0].rows
    assert row["status"] == "found"
    assert 600 < row["muscle_area_cm2"] < 800  # the whole cross-section
    assert row["muscle_border_fraction"] < 0.002  # the table alone reaches the circle


@needs_real
def test_real_reformats_are_refused(tmp_path):
    report = analyze(tmp_path, REAL / "reformats")
    assert report.analyzed == ()
    assert report.refused
    assert table(tmp_path / "out" / "results.csv") == []

"""The first rule that matches decides, and says why."""

from pathlib import Path

import pydicom
import pytest

from bodycomp.dicom.received import SeriesFacts, received_image, series_facts
from bodycomp.errors import SeriesError
from bodycomp.node.config import Rule
from bodycomp.node.routing import decide
from support.dicom_files import enhanced
from support.nodes import write_study

THIN = SeriesFacts(("CT Abdomen for Jane Doe", "thin"), "ABDOMEN", 1.0)
THICK = SeriesFacts(("CT Abdomen for Jane Doe", "thick"), "ABDOMEN", 5.0)
HEAD = Rule(name="head", body_part=("HEAD",), measure=False)
BELLY = Rule(name="belly", description=("*abdomen*",), thickness_mm=(2.0, 5.0))


def test_only_series_that_fulfil_every_condition_are_measured() -> None:
    found = decide([HEAD, BELLY], "PACS", {"a": THIN, "b": THICK})
    assert (found.rule, found.series) == (BELLY, {"b"})
    assert found.words == (
        "rule 'head' does not match: the nearest series: body part differs; rule 'belly' matches "
        "1 of 2 series (description *abdomen*, thickness 2 to 5 mm)"
    )


def test_without_a_match_the_nearest_series_says_why_and_no_header_is_quoted() -> None:
    found = decide([BELLY, Rule(name="ct2", calling=("CT2",))], "CT1", {"a": THIN})
    assert found.rule is None
    assert found.words == (
        "rule 'belly' does not match: the nearest series: thickness is 1 mm; "
        "rule 'ct2' does not match: calling AE title is CT1"
    )
    assert "Jane" not in found.words


def test_a_rule_without_conditions_takes_everything_in_either_case() -> None:
    assert decide([Rule(name="all")], "X", {"a": THIN}).series == {"a"}
    assert decide([Rule(name="low", description=("*ABDOMEN*",))], "X", {"a": THIN}).rule
    assert decide([Rule(name="all")], "X", {}).rule is None


def test_facts_are_those_of_the_headers_of_one_image_or_many(tmp_path: Path) -> None:
    files = write_study(tmp_path / "a", 1, study_description="s", body_part="CHEST")
    assert series_facts(files[0]) == SeriesFacts(("s",), "CHEST", 10.0)
    enhanced(files, tmp_path / "b" / "all.dcm")
    assert series_facts(tmp_path / "b" / "all.dcm").thickness_mm == 10.0
    files[1].write_bytes(b"no DICOM")
    assert series_facts(files[1]) == SeriesFacts((), "", None)


def test_the_digest_is_of_the_dataset_alone(tmp_path: Path) -> None:
    path = write_study(tmp_path / "a", 1)[0]
    before = received_image(path)
    dataset = pydicom.dcmread(path)
    assert before.sop_uid == dataset.SOPInstanceUID
    dataset.file_meta.SourceApplicationEntityTitle = "OTHER"
    dataset.save_as(path)
    assert received_image(path) == before
    dataset.SeriesDescription = "new"
    dataset.save_as(path)
    assert received_image(path).content != before.content
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.save_as(path)
    with pytest.raises(SeriesError, match="found another one"):
        received_image(path)

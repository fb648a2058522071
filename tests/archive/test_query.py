"""What an archive is asked for, and which of its answers count."""

from pathlib import Path

import pytest

from bodycomp.archive.options import Peer, PullOptions, parse_archive
from bodycomp.archive.query import Level, Query
from bodycomp.archive.rows import wanted_rows
from bodycomp.errors import BodycompError, InputNotFoundError, UsageError

ARCHIVE = "PACS@127.0.0.1:104"


def options(tmp_path: Path, **given) -> PullOptions:
    return PullOptions(**{"archive": ARCHIVE, "out_dir": tmp_path / "out"} | given)


def test_series_of_ct_are_asked_for_unless_the_query_says_otherwise() -> None:
    assert Query.parse(["PatientID=P1"]).of(Level.SERIES) == {"Modality": "CT"}
    assert Query.parse(["PatientID=P1", "Modality=PT"]).of(Level.SERIES) == {"Modality": "PT"}


@pytest.mark.parametrize(
    ("asked", "answer", "is_match"),
    [
        ("StudyDate=2026-01-31", "20260131", True),
        ("StudyDate=20260101-20260131", "20260201", False),
        ("StudyDate=20260101-20260131", "20260131", True),
        ("StudyDate=20260101-", "20991231", True),
        ("StudyDate=-20260101", "20260102", False),
        ("StudyDescription=*abdomen*", "CT ABDOMEN (portal)", True),
        ("StudyDescription=CT?", "CT", False),
        ("AccessionNumber=A.1", "AB1", False),
        ("StudyInstanceUID=1.2", "1.2.3", False),
    ],
)
def test_answers_count_by_the_rules_of_matching(asked: str, answer: str, is_match: bool) -> None:
    query = Query.parse([asked])
    key = asked.partition("=")[0]
    assert query.matches(Level.STUDY, {key: [answer]}) is is_match
    assert not query.matches(Level.STUDY, {})


def test_one_of_several_values_matches() -> None:
    query = Query.parse(["ModalitiesInStudy=CT"])
    assert query.matches(Level.STUDY, {"ModalitiesInStudy": ["SR", "CT"]})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["AccesionNumber=1"], "Did you mean AccessionNumber"),
        (["PatientID"], "KEY=VALUE"),
        (["PatientID="], "as PatientID"),
        (["PatientID=*"], "a key of a study to ask by"),
        (["SeriesDescription=abd*"], "a key of a study to ask by"),
        (["StudyDate=yesterday"], "a date such as 20260131"),
        (["StudyInstanceUID=1.2\\1.3"], "a UID"),
    ],
)
def test_wrong_queries_say_what_is_expected_and_repeat_no_value(words, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        Query.parse(words)
    assert "yesterday" not in str(caught.value)


def test_addresses_are_of_dicom_or_of_dicomweb() -> None:
    assert parse_archive("MY PACS@pacs.example.org:104") == Peer("MY PACS", "pacs.example.org", 104)
    assert parse_archive("PACS@[::1]:104") == Peer("PACS", "::1", 104)
    assert parse_archive("https://pacs.example.org/dicom-web/") == (
        "https://pacs.example.org/dicom-web"
    )


@pytest.mark.parametrize(
    "given",
    [
        {"archive": "pacs.example.org"},
        {"archive": "PACS@host:99999"},
        {"archive": "https://user:secret@host/dicom-web"},
        {"archive": "https://host/dicom-web", "receive_at": "11112"},
        {"token": Path("token")},
        {"certificate": Path("own.pem")},
        {"receive_at": "here"},
        {"title": "a title of more than 16"},
        {"timeout_s": 0.0},
        {"query": ()},
    ],
)
def test_options_that_cannot_be_used_are_refused(tmp_path: Path, given) -> None:
    with pytest.raises(UsageError) as caught:
        options(tmp_path, **{"query": ("PatientID=P1",)} | given)
    assert "secret" not in str(caught.value)


def test_rows_of_a_table_are_asked_for_together_with_the_query(tmp_path: Path, caplog) -> None:
    table = tmp_path / "list.csv"
    table.write_text("accession;Study Date;comment\nA1;2026-01-31;x\n\nA2;;\n")
    first, second = wanted_rows(
        options(tmp_path, accessions=table, query=("SeriesDescription=*1mm*",))
    )
    assert (first.line, second.line) == (2, 4)
    assert first.query.keys == {
        "AccessionNumber": "A1",
        "StudyDate": "20260131",
        "Modality": "CT",
        "SeriesDescription": "*1mm*",
    }
    assert "StudyDate" not in second.query.keys
    assert "columns not used: comment" in caplog.text


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (None, InputNotFoundError, "found nothing"),
        ("name\nx\n", UsageError, "expected a column accession_number"),
        ("accession,comment\nA1,\n,x\n", UsageError, "line 3: expected AccessionNumber"),
        ("accession\nA*\n", UsageError, "line 2: expected one study"),
        ("study_uid\nA1\n", UsageError, "line 2: expected a UID"),
    ],
)
def test_tables_that_cannot_be_used_say_where(
    tmp_path: Path, text: str | None, kind: type[BodycompError], said: str
) -> None:
    table = tmp_path / "list.csv"
    if text is not None:
        table.write_text(text)
    with pytest.raises(kind, match=said):
        wanted_rows(options(tmp_path, accessions=table))

"""Pulling from a real archive, over each protocol: what lands, what is told, what is left."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest

import bodycomp
from bodycomp.archive import run
from bodycomp.archive.options import PullReport, Status
from bodycomp.cli import main
from bodycomp.dicom.series import find_series
from bodycomp.errors import ArchiveUnreachableError, OutputError, UsageError
from bodycomp.study.pseudonyms import read_key, study_pseudonym
from bodycomp.study.sources import dicom_source
from support.orthanc import DICOMWEB_PLUGIN, Orthanc, running_orthanc
from support.ports import free_port
from support.pull_harness import environment, fill, kill_and_repeat, landed, write_list

pytestmark = pytest.mark.xdist_group("pull")  # one archive for all
STUDIES = 4
WAYS = ("get", "move", "web")


@dataclass(frozen=True)
class Filled:
    """An archive with studies, and how to reach it."""

    orthanc: Orthanc
    folder: Path
    port: int

    def way(self, name: str) -> dict[str, str]:
        if name == "web" and not DICOMWEB_PLUGIN.is_file():
            pytest.skip("no DICOMweb to pull from: apt-get install orthanc-dicomweb")
        place = {"archive": self.orthanc.dicom_web if name == "web" else self.orthanc.peer}
        return place | ({"receive_at": str(self.port)} if name == "move" else {})

    def pull(self, out: Path, way: str = "get", **given) -> PullReport:
        return bodycomp.pull(out=out, **self.way(way) | given)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    folder, port = tmp_path_factory.mktemp("orthanc"), free_port()
    peers = {"us": ["BODYCOMP", "127.0.0.1", port]}
    with running_orthanc(folder, DicomModalities=peers) as orthanc:
        fill(orthanc, folder / "ct", STUDIES)
        write_list(folder / "list.csv", STUDIES)
        yield Filled(orthanc, folder, port)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch, archive: Filled) -> None:
    monkeypatch.setattr(run, "WAITS_S", [0.01])
    monkeypatch.setenv("NETRC", environment(archive.orthanc, archive.folder)["NETRC"])


def images(folder: Path) -> dict[str, pydicom.Dataset]:
    """Return every image, elements of the group that files add left out, by its UID."""
    found = map(pydicom.dcmread, folder.rglob("*.dcm"))
    return {image.SOPInstanceUID: image for image in found}


@pytest.mark.parametrize("way", WAYS)
def test_studies_land_as_the_archive_has_them_and_come_once(
    archive: Filled, tmp_path: Path, way: str
) -> None:
    given = {"accessions": archive.folder / "list.csv"}
    report = archive.pull(tmp_path / "out", way, **given)
    assert [each.status for each in report.outcomes] == [Status.PULLED] * 4 + [Status.NOT_FOUND]
    assert [each.row for each in report.outcomes] == [2, 3, 4, 5, 6]
    assert [each.series for each in report.outcomes] == [2, 1, 1, 2, 0]
    stored, pulled = images(archive.folder / "ct"), images(tmp_path / "out")
    assert pulled == stored
    for uid, image in pulled.items():
        assert image.file_meta.TransferSyntaxUID == stored[uid].file_meta.TransferSyntaxUID
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
    before, again = landed(tmp_path / "out"), archive.pull(tmp_path / "out", way, **given)
    assert landed(tmp_path / "out") == before
    assert (again.earlier, again.count(Status.PULLED)) == (STUDIES, STUDIES)


def test_names_tables_and_logs_identify_nobody(archive: Filled, tmp_path: Path, caplog) -> None:
    caplog.set_level("DEBUG")
    out = tmp_path / "out"
    archive.pull(out, accessions=archive.folder / "list.csv")
    secrets = ["SECRET", "Secret", "ACC-", *images(out)]
    secrets += [image.StudyInstanceUID for image in images(out).values()]
    written = [str(path.relative_to(out)) for path in out.rglob("*")]
    written += [path.read_text() for path in out.iterdir() if path.is_file()]
    own = [record.getMessage() for record in caplog.records if record.name.startswith("bodycomp")]
    assert "row 6: not found" in "".join(own)
    for secret in secrets:
        assert not any(secret in text for text in (*written, *own))
    assert out.stat().st_mode & 0o077 == 0


def test_names_are_those_that_analyze_gives(archive: Filled, tmp_path: Path) -> None:
    out = tmp_path / "out"
    archive.pull(out, query=["PatientID=SECRET-0"])
    key = read_key(tmp_path / "out.pseudonym-key")
    sources = [dicom_source(each) for each in find_series([out], min_slices=1).candidates]
    assert len(sources) == 2
    (folder,) = out.glob("study-*")
    assert {study_pseudonym(key, source.study) for source in sources} == {folder.name}


def test_another_query_adds_what_is_missing_of_a_study(archive: Filled, tmp_path: Path) -> None:
    one = ["PatientID=SECRET-0", "SeriesDescription=*lung*"]
    first = archive.pull(tmp_path, query=one).outcomes[0]
    before = landed(tmp_path)
    second = archive.pull(tmp_path, query=one[:1]).outcomes[0]
    assert (first.series, second.series) == (1, 2)
    assert second.study == first.study
    assert before.items() <= landed(tmp_path).items()


@pytest.mark.parametrize("way", ["get", "web"])
@pytest.mark.parametrize(
    ("query", "status", "count"),
    [
        ("StudyDate=20260130-20260131|PatientID=SECRET-*", Status.THERE, 4),
        ("StudyDate=20260131", Status.THERE, 2),
        ("PatientName=secret^name2", Status.THERE, 1),
        ("PatientID=SECRET-0|SeriesDescription=CT lung", Status.THERE, 1),
        ("PatientID=SECRET-?|ModalitiesInStudy=CT", Status.THERE, 4),
        ("PatientID=SECRET", Status.NOT_FOUND, 1),
        ("PatientID=SECRET-1|Modality=MR", Status.NO_SERIES, 1),
        ("PatientID=SECRET-1|SeriesDescription=*lung*", Status.NO_SERIES, 1),
    ],
)
def test_a_dry_run_says_what_a_query_would_pull(
    archive: Filled, tmp_path: Path, way: str, query: str, status: Status, count: int
) -> None:
    report = archive.pull(tmp_path / "out", way, query=query.split("|"), dry_run=True)
    assert [each.status for each in report.outcomes] == [status] * count
    assert list(tmp_path.iterdir()) == []


# pynetdicom leaves sockets of refused connections to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"archive": "ORTHANC@127.0.0.1:{closed}"}, "Connection refused"),
        ({"archive": "OTHER@127.0.0.1:{open}"}, "another AE title than OTHER"),
        ({"archive": "ORTHANC@nobody.invalid:104"}, "(?s)cannot be used"),
        ({"title": "STRANGER"}, "do not know our AE title STRANGER"),
        ({"archive": "http://127.0.0.1:{closed}/dicom-web"}, "cannot be reached"),
        ({"archive": "http://localhost:{http}/dicom-web"}, "does not let us in .HTTP 401"),
        ({"archive": "http://127.0.0.1:{http}/elsewhere"}, "(?s)HTTP status 404.*/studies"),
        ({"archive": "https://127.0.0.1:{http}/dicom-web"}, "(?s)not trusted.*--ca"),
    ],
)
def test_archives_that_cannot_be_used_say_why(
    archive: Filled, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    orthanc = archive.orthanc
    ports = {"closed": free_port(), "open": orthanc.dicom_port, "http": orthanc.http_port}
    given = {name: text.format(**ports) for name, text in change.items()}
    with pytest.raises(ArchiveUnreachableError, match=said):
        archive.pull(tmp_path / "out", query=["PatientID=SECRET-1"], timeout_s=5.0, **given)
    assert not list(tmp_path.rglob("*.dcm"))


def test_a_port_that_is_taken_is_no_place_to_receive_at(archive: Filled, tmp_path: Path) -> None:
    taken = str(archive.orthanc.dicom_port)
    with pytest.raises(UsageError, match="place to listen"):
        archive.pull(tmp_path, query=["PatientID=SECRET-1"], receive_at=taken)


def test_a_folder_of_something_else_stays_as_it_is(archive: Filled, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="pulled studies"):
        archive.pull(tmp_path, query=["PatientID=SECRET-1"])
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_command_says_what_came_and_fails_where_nothing_did(
    archive: Filled, tmp_path: Path, capsys
) -> None:
    common = ["--quiet", "pull", "--from", archive.orthanc.peer, "--out", str(tmp_path / "out")]
    assert main([*common, "--query", "PatientID=SECRET-2"]) == 0
    assert "1 pulled; studies in" in capsys.readouterr().out
    assert main([*common, "--query", "PatientID=SECRET-NONE"]) == 1
    assert main([*common, "--query", "PatientId=x"]) == 2
    assert "Did you mean PatientID?" in capsys.readouterr().err


def test_a_killed_pull_continues_and_nothing_comes_twice(archive: Filled, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "bodycomp", "--quiet", "pull", "-o", str(out)]
    command += ["--from", archive.orthanc.peer, "-a", str(archive.folder / "list.csv")]
    variables = environment(archive.orthanc, archive.folder)
    count = len(images(archive.folder / "ct"))
    _, wrong = kill_and_repeat(command, out, variables, count, kills=1, seed=os.getpid())
    assert not wrong
    assert images(out) == images(archive.folder / "ct")
    lines = (out / "pulled.jsonl").read_text().splitlines()
    assert len({json.loads(line)["key"] for line in lines}) == STUDIES + 1

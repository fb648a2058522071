"""Archives that refuse, send too little or something else, or break: nothing wrong lands."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt

import bodycomp
from bodycomp.archive import run
from bodycomp.archive.landing import Landing
from bodycomp.archive.options import PullReport, Status
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.errors import ArchiveUnreachableError, UsageError
from bodycomp.imaging.volume import Volume
from support.ports import free_port

FIND, MOVE, GET = (UID(f"1.2.840.10008.5.1.4.1.2.2.{number}") for number in (1, 2, 3))
PENDING, SUCCESS = 0xFF00, 0x0000
HEADER = SeriesHeader(seed="faulty", patient_id="P1")
OTHER = SeriesHeader(seed="another patient", patient_id="P2")
Pull = Callable[..., PullReport]


def images(folder: Path, header: SeriesHeader) -> list[Dataset]:
    volume = Volume(np.zeros((3, 8, 8), np.int16), (2.0, 2.0), 5.0 * np.arange(3))
    return [pydicom.dcmread(path) for path in write_ct_series(folder, volume, header)]


class Stub:
    """An archive of one study with one series; what it does wrong is set from outside.

    Attributes:
        sent: Images that it sends.
        offers: What it may be asked.
        find_status: Of the end of a query.
        breaks: Requests for images on which it breaks the connection.
    """

    def __init__(self, folder: Path) -> None:
        self.stored = images(folder / "own", HEADER)
        self.others = images(folder / "other", OTHER)
        self.sent = self.stored
        self.offers: tuple[UID, ...] = (FIND, GET, MOVE)
        self.find_status = SUCCESS
        self.breaks = 0
        self.requests = 0
        self.port = free_port()

    def start(self, **settings: Any) -> Any:
        entity = AE("STUB")
        for name, value in settings.items():
            setattr(entity, name, value)
        for syntax in self.offers:
            entity.add_supported_context(syntax)
        entity.add_supported_context(
            CTImageStorage, ExplicitVRLittleEndian, scu_role=True, scp_role=True
        )
        handlers = [(evt.EVT_C_FIND, self.find), (evt.EVT_C_GET, self.get)]
        handlers.append((evt.EVT_C_MOVE, self.move))
        return entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)

    def find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        if self.find_status == SUCCESS:
            for image in (self.stored[0], self.others[0]):  # whatever was asked for
                asked.StudyInstanceUID = image.StudyInstanceUID
                asked.PatientID = image.PatientID
                asked.Modality = "CT"
                asked.SeriesInstanceUID = image.SeriesInstanceUID
                asked.NumberOfSeriesRelatedInstances = len(self.stored)
                yield PENDING, asked
                if asked.QueryRetrieveLevel == "SERIES":
                    break
        yield self.find_status, None

    def get(self, event: evt.Event) -> Iterator[Any]:
        self.requests += 1
        if self.requests <= self.breaks:
            event.assoc.abort()
            return
        yield len(self.sent)
        for image in self.sent:
            yield PENDING, image

    def move(self, _: evt.Event) -> Iterator[Any]:
        yield None, None  # knows nobody

    def pull(self, out: Path, **given: Any) -> PullReport:
        usual = {"archive": f"STUB@127.0.0.1:{self.port}", "query": ["PatientID=P1"]}
        return bodycomp.pull(out=out, **usual | {"timeout_s": 5.0} | given)


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stub:
    monkeypatch.setattr(run, "WAITS_S", [0.01])
    return Stub(tmp_path)


@pytest.fixture
def started(stub: Stub) -> Iterator[Stub]:
    server = stub.start()
    yield stub
    server.shutdown()


def test_answers_of_others_are_not_pulled(started: Stub, tmp_path: Path) -> None:
    """Archives may ignore a key and answer with all that they have."""
    report = started.pull(tmp_path / "out")
    assert [each.status for each in report.outcomes] == [Status.PULLED]
    (folder,) = (tmp_path / "out").glob("study-*/*")
    assert {pydicom.dcmread(path).PatientID for path in folder.iterdir()} == {"P1"}
    report = started.pull(tmp_path / "out", query=["PatientID=P3"])
    assert report.outcomes[0].status is Status.NOT_FOUND
    assert report.outcomes[0].reason == "2 answers that do not match the query"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (lambda stub: stub.stored[:2], "sent 2 of 3 images"),
        (lambda _: [], "sent 0 of 3 images"),
        (lambda stub: [*stub.stored[:2], stub.others[0]], "of another series"),
        (lambda stub: [*stub.stored[:2], stub.stored[0]], "sent 2 of 3 images"),
    ],
)
def test_a_study_that_is_not_sent_as_it_is_does_not_land(
    started: Stub, tmp_path: Path, sent: Callable[[Stub], list[Dataset]], said: str
) -> None:
    started.sent = sent(started)
    (outcome,) = started.pull(tmp_path / "out").outcomes
    assert outcome.status is Status.FAILED
    assert said in outcome.reason
    assert started.requests == 2  # tried once more
    assert not list((tmp_path / "out").rglob("*.dcm"))
    started.sent = started.stored
    assert started.pull(tmp_path / "out").outcomes[0].status is Status.PULLED


def test_a_broken_connection_is_made_anew(started: Stub, tmp_path: Path) -> None:
    started.breaks = 1
    assert started.pull(tmp_path / "out").outcomes[0].status is Status.PULLED


def test_a_series_that_always_breaks_costs_its_study_alone(started: Stub, tmp_path: Path) -> None:
    started.breaks = 9
    (outcome,) = started.pull(tmp_path / "out").outcomes
    assert outcome.status is Status.FAILED
    assert "broke the connection" in outcome.reason


def test_a_refused_query_names_its_keys_alone(started: Stub, tmp_path: Path) -> None:
    started.find_status = 0xA900
    (outcome,) = started.pull(tmp_path / "out").outcomes
    assert outcome.reason == "the archive refused the query by PatientID with status A900"


def test_a_full_disk_ends_the_pull(
    started: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Landing, "__call__", full)
    with pytest.raises(OSError, match="No space left"):
        started.pull(tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "given", "said"),
    [
        ({"require_calling_aet": ["FRIEND"]}, {}, "does not know our AE title BODYCOMP"),
        ({"offers": (FIND,)}, {}, "(?s)does not offer C-GET to BODYCOMP.*--receive-at"),
        ({"offers": (GET,)}, {}, "does not offer C-FIND"),
        ({"offers": (FIND, GET)}, {"receive_at": "{free}"}, "does not offer C-MOVE"),
    ],
)
def test_what_an_archive_refuses_is_said(
    stub: Stub, tmp_path: Path, settings: dict[str, Any], given: dict[str, str], said: str
) -> None:
    stub.offers = settings.pop("offers", stub.offers)
    server = stub.start(**settings)
    try:
        given = {name: text.format(free=free_port()) for name, text in given.items()}
        with pytest.raises(ArchiveUnreachableError, match=said):
            stub.pull(tmp_path / "out", **given)
    finally:
        server.shutdown()


def test_c_move_needs_an_ae_title_that_the_archive_knows(started: Stub, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the archive sends images to, found BODYCOMP"):
        started.pull(tmp_path / "out", receive_at=str(free_port()))

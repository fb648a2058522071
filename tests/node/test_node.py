"""A node from the first image to the delivered report; its models are stand-ins."""

import io
import json
import socket
import threading
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pydicom
import pytest
from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage

from bodycomp.cli import main
from bodycomp.node.ledger import State
from support.nodes import (
    SENDER,
    Archive,
    Node,
    archive,
    send,
    settled,
    studies,
    wait_for,
    write_config,
    write_study,
)
from support.ports import free_port

pytestmark = [
    pytest.mark.xdist_group("node"),  # they share the process that nodes are forked from
    # pynetdicom leaves the socket of a connection that was refused to the garbage collector
    pytest.mark.filterwarnings("ignore:.*<socket:pytest.PytestUnraisableExceptionWarning"),
]


def delivered(pacs: Archive) -> list[pydicom.Dataset]:
    """What came, once each; what came twice is the same."""
    assert all(len(set(each)) == 1 for each in pacs.got.values())
    return [pydicom.dcmread(io.BytesIO(each[0])) for each in pacs.got.values()]


def test_a_study_comes_back_as_segmentation_and_report_once(tmp_path: Path) -> None:
    with archive() as pacs:
        config = write_config(tmp_path, pacs.port)
        with Node(config) as node:
            files = write_study(tmp_path / "ct", 1)
            assert send(node.port, files) == [0] * len(files)
            (study,) = settled(config, 1)
            assert send(node.port, files) == [0] * len(files)  # nothing new
    assert [len(each) for each in pacs.got.values()] == [1, 1]
    assert studies(config) == [study]
    seg, report = delivered(pacs)
    source = pydicom.dcmread(files[6])
    assert (seg.SOPClassUID, report.SOPClassUID) == (SegmentationStorage, Comprehensive3DSRStorage)
    for each in (seg, report):
        assert each.StudyInstanceUID == source.StudyInstanceUID
        assert each.PatientID == "SECRET-1"
    (series,) = seg.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    assert series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    (evidence,) = report.CurrentRequestedProcedureEvidenceSequence
    named = {each.SeriesInstanceUID for each in evidence.ReferencedSeriesSequence}
    assert named == {source.SeriesInstanceUID, seg.SeriesInstanceUID}
    names = [str(path.relative_to(tmp_path)) for path in (tmp_path / "spool").rglob("*")]
    said = [(tmp_path / "node.log").read_text(), str(study), *names]
    for secret in ("SECRET", "Doe", source.StudyInstanceUID):
        assert not any(secret in text for text in said)


def test_a_study_that_grows_is_measured_again_and_says_so(tmp_path: Path) -> None:
    with archive() as pacs:
        config = write_config(tmp_path, pacs.port)
        with Node(config) as node:
            files = write_study(tmp_path / "ct", 1, slices=16)
            send(node.port, files[:12])
            settled(config, 1)
            send(node.port, files[12:])
            wait_for(lambda: len(pacs.got) == 4)
            (study,) = settled(config, 1)
    assert (study.measured_times, study.reason) == (2, "4 images came late; measured again")
    found = delivered(pacs)
    first, second = (each for each in found if each.SOPClassUID == Comprehensive3DSRStorage)
    assert second.SeriesDescription == "Body composition measurements, measurement 2"
    (earlier,) = second.PredecessorDocumentsSequence
    (series,) = earlier.ReferencedSeriesSequence
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert "PredecessorDocumentsSequence" not in first


def test_what_a_lost_destination_misses_is_tried_again_then_set_aside(
    tmp_path: Path, capsys
) -> None:
    pacs = Archive(free_port())
    config = write_config(tmp_path, pacs.port, "give_up_hours = 0.001")
    with Node(config) as node:
        send(node.port, write_study(tmp_path / "ct", 1))
        (study,) = settled(config, 1, State.SET_ASIDE)
        assert study.reason == "not delivered to pacs: it cannot be reached"
        with archive(into=pacs):
            assert main(["serve", "retry", str(config)]) == 0
            assert f"{study.name}\n1 study tried again" in capsys.readouterr().out
            settled(config, 1)
    assert [len(each) for each in pacs.got.values()] == [1, 1]


def test_a_destination_that_fails_halfway_gets_everything_once_more(tmp_path: Path) -> None:
    answers = iter([0, 0xA700, 0xB000, 0])
    with archive() as pacs:
        pacs.answer = lambda: next(answers)
        config = write_config(tmp_path, pacs.port)
        with Node(config) as node:
            send(node.port, write_study(tmp_path / "ct", 1))
            settled(config, 1)
    assert [len(each) for each in pacs.got.values()] == [2, 2]
    assert len(delivered(pacs)) == 2


def test_what_cannot_be_measured_is_refused_with_the_reason(tmp_path: Path) -> None:
    rules = [
        "[[rules]]", 'name = "chest"', 'body_part = ["CHEST"]', "measure = false",
        "[[rules]]", 'name = "abdomen"', 'body_part = ["ABD*"]', 'destinations = ["pacs"]',
    ]  # fmt: skip
    config = write_config(tmp_path, free_port(), *rules, max_images=12)
    with Node(config) as node:
        send(node.port, write_study(tmp_path / "a", 1, body_part="HEAD"))
        send(node.port, write_study(tmp_path / "b", 2, body_part="CHEST"))
        send(node.port, write_study(tmp_path / "c", 3, body_part="ABDOMEN", slices=3))
        large = send(node.port, write_study(tmp_path / "e", 5, slices=14))
        refused = settled(config, 3, State.REFUSED)
        (aside,) = settled(config, 1, State.SET_ASIDE)
    assert large == [0] * 12 + [0xA700] * 2
    said = sorted(each.reason for each in refused)
    assert said[0].startswith("a rule leaves it out: rule 'chest' matches 1 of 1 series")
    assert "expected at least 10 slices" in said[2]
    assert said[1].startswith("no rule matches: rule 'chest' does not match: the nearest series: ")
    assert aside.reason == "more than 12 images or 20 GB"


def test_strangers_and_garbage_stay_outside_and_the_node_goes_on(tmp_path: Path) -> None:
    files = write_study(tmp_path / "ct", 1)
    with archive() as pacs:
        config = write_config(tmp_path, pacs.port)
        with Node(config) as node:
            assert send(node.port, files[:1], title="STRANGER") == [-1]
            assert send(node.port, files[:1], called="OTHER") == [-1]
            for data in (
                b"GET / HTTP/1.1\r\n\r\n",
                b"\x04\x00\xff\xff\xff\xff" + bytes(99),
                b"\x01",
            ):
                with socket.create_connection(("127.0.0.1", node.port)) as caller:
                    caller.sendall(data)
            assert send(node.port, files) == [0] * 12
            settled(config, 1)
            assert not list((tmp_path / "spool" / "incoming").iterdir())
    assert "unknown calling AE title" in (tmp_path / "node.log").read_text()


def test_an_address_that_no_peer_has_gets_no_answer(tmp_path: Path) -> None:
    config = write_config(tmp_path, free_port())
    elsewhere = f'"{SENDER}"\naddresses = ["10.0.0.0/8"]'
    config.write_text(config.read_text().replace(f'"{SENDER}"', elsewhere))
    with Node(config) as node:
        assert send(node.port, write_study(tmp_path / "ct", 1)[:1]) == [-1]
    assert "no peer is at this address" in (tmp_path / "node.log").read_text()


def test_the_page_wants_its_token_and_names_nobody(tmp_path: Path, capsys) -> None:
    port = free_port()
    with archive() as pacs:
        config = write_config(tmp_path, pacs.port, "[page]", f"port = {port}")
        with Node(config) as node:
            send(node.port, write_study(tmp_path / "ct", 1))
            (study,) = settled(config, 1)

            def get(path: str, token: str) -> str:
                asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
                asked.add_header("Authorization", f"Bearer {token}")
                with urllib.request.urlopen(asked, timeout=60) as answer:
                    return answer.read().decode()

            token = (tmp_path / "spool" / "page-token").read_text().strip()
            for wrong in ("", "x" * len(token)):
                with pytest.raises(urllib.error.HTTPError, match="401"):
                    get("/", wrong)
            page, found = get("/", token), json.loads(get("/status.json", token))
            assert main(["serve", "status", str(config)]) == 0
            said = capsys.readouterr().out
        assert main(["serve", "status", str(config)]) == 0
    assert found["counts"]["done"] == found["last_day"] == 1
    assert study.name in page
    assert study.name in said
    assert said.startswith("the node is running\n0 receiving, 0 queued, 0 delivering, 1 done")
    assert "to pacs: 1 delivered, 0 pending, 0 failed" in said
    assert capsys.readouterr().out.startswith("the node is not running")
    for secret in ("SECRET", "Doe", token):
        assert secret not in page


class Stow(BaseHTTPRequestHandler):
    """A DICOMweb service that stores, or fails at first."""

    got: ClassVar[Counter[str]] = Counter()
    fails = 1

    def do_POST(self) -> None:
        content, size = b"", int(self.headers.get("Content-Length", -1))
        content = self.rfile.read(size) if size >= 0 else b"".join(self._chunks())
        assert self.headers["Authorization"] == "Basic bWU6c2VjcmV0"
        type(self).fails -= 1
        if self.fails >= 0:
            self.send_error(503)
            return
        for part in content.split(b"\r\n\r\n")[1:]:
            self.got[str(pydicom.dcmread(io.BytesIO(part)).SOPClassUID)] += 1
        self.send_response(200)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def _chunks(self):
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()

    def log_message(self, *_: object) -> None: ...


def test_results_go_to_a_dicomweb_service(tmp_path: Path) -> None:
    server = HTTPServer(("127.0.0.1", 0), Stow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "password").write_text("secret\n")
    url = f"http://127.0.0.1:{server.server_port}/dicom-web"
    stow = [
        "[[destinations]]", 'name = "web"', f'url = "{url}"', 'user = "me"',
        'password_file = "password"', "[[rules]]", 'name = "all"', 'destinations = ["web"]',
    ]  # fmt: skip
    config = write_config(tmp_path, free_port(), *stow)
    with Node(config) as node:
        send(node.port, write_study(tmp_path / "ct", 1))
        settled(config, 1)
    server.shutdown()
    server.server_close()
    assert Stow.got == {SegmentationStorage: 1, Comprehensive3DSRStorage: 1}
    assert "it answered with HTTP 503" in (tmp_path / "node.log").read_text()

"""Real peers: Orthanc sends and gets back, dcmtk sends and asks, and TLS lets no stranger in."""

import base64
import json
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pydicom
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage

from bodycomp.cli import main
from bodycomp.node.config import Tls
from bodycomp.node.ledger import State
from bodycomp.node.service import client_context, server_context
from support.dicom_files import enhanced
from support.nodes import (
    EXPLICIT,
    Node,
    archive,
    send,
    settled,
    wait_for,
    write_config,
    write_study,
)
from support.ports import free_port

pytestmark = [
    pytest.mark.xdist_group("node"),
    # pynetdicom leaves sockets of associations that failed to the garbage collector
    pytest.mark.filterwarnings("ignore:.*<s.*ocket:pytest.PytestUnraisableExceptionWarning"),
]


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        pytest.skip(f"no {name}: apt-get install orthanc dcmtk dicom3tools")
    return found


def run(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)


class Orthanc:
    """An archive on free ports."""

    title = "ORTHANC"

    def __init__(self, folder: Path, node_port: int) -> None:
        self.port, self._web = free_port(), free_port()
        settings = {
            "StorageDirectory": str(folder / "archive"),
            "IndexDirectory": str(folder / "archive"),
            "HttpPort": self._web,
            "HttpBindAddresses": ["127.0.0.1"],
            "DicomAet": self.title,
            "DicomPort": self.port,
            "DicomModalities": {
                "node": ["BODYCOMP", "127.0.0.1", node_port],
                "dcmtk": ["SCANNER", "127.0.0.1", free_port()],
            },
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {"test": "test"},
            "Plugins": [],
        }
        folder.mkdir()
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self.process = subprocess.Popen(
            [program("Orthanc"), folder / "orthanc.json"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self._answers)

    def _answers(self) -> bool:
        try:
            return bool(self.ask("/system"))
        except (urllib.error.URLError, ConnectionError):
            return False

    def ask(self, path: str, content: bytes | None = None) -> bytes:
        asked = urllib.request.Request(f"http://127.0.0.1:{self._web}{path}", data=content)
        asked.add_header("Authorization", f"Basic {base64.b64encode(b'test:test').decode()}")
        with urllib.request.urlopen(asked, timeout=120) as answer:
            return answer.read()


def test_orthanc_sends_mixed_studies_and_gets_segmentations_and_reports(tmp_path: Path) -> None:
    port = free_port()
    pacs = Orthanc(tmp_path / "orthanc", port)
    config = write_config(tmp_path, pacs.port, port=port)
    config.write_text(
        config.read_text().replace("ARCHIVE", pacs.title)
        + f'[[peers]]\nae_title = "{pacs.title}"\n'
    )
    files = [write_study(tmp_path / str(n), n) for n in range(3)]
    files[1] = [tmp_path / "enhanced.dcm"]
    enhanced(write_study(tmp_path / "single", 1), files[1][0])
    files.append(write_study(tmp_path / "few", 9, slices=3))  # nothing to be measured
    try:
        with Node(config) as node:
            for path in (path for study in files for path in study):
                pacs.ask("/instances", path.read_bytes())
            for study in json.loads(pacs.ask("/studies")):
                pacs.ask("/modalities/node/store", study.encode())
            settled(config, 3)
            settled(config, 1, State.REFUSED)
            echo = run(
                program("echoscu"), "-aet", "SCANNER", "-aec", "BODYCOMP", "127.0.0.1", node.port
            )
            assert echo.returncode == 0
            found = {}
            for series in json.loads(pacs.ask("/series?expand")):
                tags = series["MainDicomTags"]
                if tags["Modality"] in ("SEG", "SR"):
                    (instance,) = series["Instances"]
                    path = tmp_path / f"{instance}.dcm"
                    path.write_bytes(pacs.ask(f"/instances/{instance}/file"))
                    found[path] = pydicom.dcmread(path)
            query = run(
                program("findscu"), "-S", "-aet", "SCANNER", "-aec", pacs.title,
                "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID=SECRET-0",
                "-k", "ModalitiesInStudy", "127.0.0.1", pacs.port,
            )  # fmt: skip
    finally:
        pacs.process.terminate()
        pacs.process.wait(60)
    assert sorted(each.Modality for each in found.values()) == ["SEG"] * 3 + ["SR"] * 3
    assert r"CT\SEG\SR" in query.stdout + query.stderr
    for path, each in found.items():
        if each.Modality == "SEG":
            assert each.ReferencedSeriesSequence[0].ReferencedInstanceSequence
        said = run(program("dciodvfy"), path)
        assert "Error" not in said.stdout + said.stderr, path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA with certificates of a node, of a scanner, and of a stranger who signed his own."""
    folder = tmp_path_factory.mktemp("tls")
    openssl = program("openssl")

    def request(name: str, *more: str) -> None:
        made = run(
            openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "90", "-subj", f"/CN={name}", "-addext",
            "subjectAltName=IP:127.0.0.1", "-keyout", folder / f"{name}.key",
            "-out", folder / f"{name}.pem", *more,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr

    request("ca")
    by_ca = ("-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "ca.key"))
    for name in ("node", "scanner"):
        request(name, *by_ca, "-addext", "basicConstraints=critical,CA:FALSE")
    request("stranger")
    return folder


def tls(folder: Path, name: str) -> Tls:
    return Tls(certificate=folder / f"{name}.pem", key=folder / f"{name}.key", ca=folder / "ca.pem")


def over_tls(port: int, context: ssl.SSLContext, files: list[Path]) -> list[int]:
    entity = AE("SCANNER")
    entity.add_requested_context(CTImageStorage, EXPLICIT)
    peer = entity.associate("127.0.0.1", port, ae_title="BODYCOMP", tls_args=(context, "127.0.0.1"))
    if not peer.is_established:
        return []
    found = [int(peer.send_c_store(path).Status) for path in files]
    peer.release()
    return found


def test_tls_works_both_ways_and_nobody_comes_in_without(tmp_path, authority, capsys) -> None:
    files = write_study(tmp_path / "ct", 1)
    (section,) = [
        f'[tls]\ncertificate = "{each.certificate}"\nkey = "{each.key}"\nca = "{each.ca}"'
        for each in [tls(authority, "node")]
    ]
    with archive(context=server_context(tls(authority, "scanner"))) as pacs:
        config = write_config(tmp_path, pacs.port, section)
        config.write_text(config.read_text().replace('"ARCHIVE"', '"ARCHIVE"\ntls = true'))
        with Node(config) as node:
            stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            stranger.load_verify_locations(authority / "ca.pem")
            assert over_tls(node.port, stranger, files) == []  # without a certificate
            stranger.load_cert_chain(authority / "stranger.pem", authority / "stranger.key")
            assert over_tls(node.port, stranger, files) == []
            assert send(node.port, files[:1]) == [-1]  # in plain
            scanner = client_context(tls(authority, "scanner"))
            assert scanner.minimum_version == ssl.TLSVersion.TLSv1_2
            assert over_tls(node.port, scanner, files[:6]) == [0] * 6
            sent = run(
                program("storescu"), "-aet", "SCANNER", "-aec", "BODYCOMP", "+tls",
                authority / "scanner.key", authority / "scanner.pem", "+cf", authority / "ca.pem",
                "-rc", "127.0.0.1", node.port, *files[6:],
            )  # fmt: skip
            assert sent.returncode == 0, sent.stderr
            settled(config, 1)
        assert main(["serve", "check", str(config)]) == 0
    assert len(pacs.got) == 2
    said = capsys.readouterr().out
    assert "ok       TLS: the certificate is valid for " in said
    assert "ok       destination 'pacs': ARCHIVE at 127.0.0.1" in said

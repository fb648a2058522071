"""A real archive on free ports: Orthanc with DICOM, REST behind a password, DICOMweb."""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.ports import free_port

DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
TITLE = "ORTHANC"


@dataclass(frozen=True)
class Orthanc:
    """A running archive; ``dicom_web`` is empty without its plugin."""

    dicom_port: int
    http_port: int
    password: str

    @property
    def peer(self) -> str:
        """The archive as ``pull --from`` takes it."""
        return f"{TITLE}@127.0.0.1:{self.dicom_port}"

    @property
    def dicom_web(self) -> str:
        """The URL of DICOMweb."""
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    def __call__(self, path: str, content: bytes | None = None) -> bytes:
        """Ask its REST interface."""
        asked = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data=content)
        login = base64.b64encode(f"test:{self.password}".encode()).decode()
        asked.add_header("Authorization", f"Basic {login}")
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return answer.read()


@contextmanager
def running_orthanc(folder: Path, **settings: Any) -> Iterator[Orthanc]:
    """Run Orthanc with its files in a folder; its own settings may be given."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    if program is None:
        pytest.skip("no Orthanc to store objects in: apt-get install orthanc")
    archive = Orthanc(free_port(), free_port(), secrets.token_hex(8))
    plugin = [str(DICOMWEB_PLUGIN)] if DICOMWEB_PLUGIN.is_file() else []
    usual = {
        "StorageDirectory": str(folder / "archive"),
        "IndexDirectory": str(folder / "archive"),
        "HttpPort": archive.http_port,
        "HttpBindAddresses": ["127.0.0.1"],
        "DicomAet": TITLE,
        "DicomPort": archive.dicom_port,
        "DicomCheckCalledAet": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"test": archive.password},
        "UnknownSopClassAccepted": True,
        "Plugins": plugin,
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(usual | settings))
    process = subprocess.Popen(
        [program, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            try:
                archive("/system")
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        yield archive
    finally:
        process.terminate()
        process.wait(30)

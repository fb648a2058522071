"""The node's documents are current, and its unit is one that systemd takes."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom.pixels.decoders.base import get_decoder

from bodycomp.dicom.pixels import readable_syntaxes

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("node_tables", ROOT / "docs" / "node_tables.py")
tables = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tables)


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.name)
def test_tables_are_what_the_code_makes(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert tables.current(text) == text, "write them anew: python docs/node_tables.py"


def test_every_transfer_syntax_that_is_accepted_can_be_decoded() -> None:
    assert len(readable_syntaxes()) == 15
    assert all(get_decoder(each).is_available for each in readable_syntaxes())


def test_the_guide_fits_two_pages() -> None:
    assert len((ROOT / "docs" / "serve.md").read_text().split()) < 900


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = (ROOT / "deploy" / "bodycomp-node.service").read_text()
    unit = unit.replace("/opt/bodycomp/bin/bodycomp", "/bin/true")
    (tmp_path / "bodycomp-node.service").write_text(unit)
    run = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "bodycomp-node.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")

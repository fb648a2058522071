"""A spool without a node."""

from pathlib import Path

import pytest

from bodycomp.node.config import Listener
from bodycomp.node.spool import Spool


@pytest.fixture
def spool(tmp_path: Path):
    made = Spool(Listener(spool=tmp_path / "spool", min_free_gb=0.0))
    yield made
    made.ledger.close()

"""A spool without a node, and what pynetdicom leaves behind."""

import gc
import warnings
from pathlib import Path

import pytest

from bodycomp.node.config import Listener
from bodycomp.node.spool import Spool


@pytest.fixture
def spool(tmp_path: Path):
    made = Spool(Listener(spool=tmp_path / "spool", min_free_gb=0.0))
    yield made
    made.ledger.close()


@pytest.fixture(autouse=True)
def _sockets_collected():
    """Collect sockets that pynetdicom leaves open when it is refused, in the test they are of."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()

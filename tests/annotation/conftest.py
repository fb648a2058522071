from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from support.annotation_files import Case, dicom_case, simpleitk, small_phantom

REAL = Path(__file__).parents[2] / "../shared/real"


@pytest.fixture
def real() -> Path:
    if not (REAL / "torso_ct").is_dir():
        pytest.skip("no folder shared/real with real scans beside the checkout")
    return REAL.resolve()


@pytest.fixture(scope="session")
def sitk() -> ModuleType:
    return simpleitk()


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Twelve slices of the phantom about L3, 5 mm apart."""
    return dicom_case(tmp_path_factory.mktemp("case") / "ct", *small_phantom())

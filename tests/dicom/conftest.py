from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from bodycomp.dicom.series import CandidateSeries, SeriesSearch, find_series
from bodycomp.imaging.volume import Volume

REAL = Path(__file__).parents[2] / "../shared/real"


@pytest.fixture
def real() -> Path:
    if not REAL.is_dir():
        pytest.skip("no folder shared/real with real scans beside the checkout")
    return REAL.resolve()


@pytest.fixture(scope="session")
def sitk() -> ModuleType:
    """SimpleITK, whose SWIG wrapper warns while it is imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("SimpleITK")


@pytest.fixture
def volume() -> Volume:
    """Sixteen small slices without any symmetry."""
    rng = np.random.default_rng(7)
    hu = rng.integers(-1024, 1500, (16, 36, 40)).astype(np.int16)
    return Volume(
        hu, (0.75, 0.5), -200.0 + 5.0 * np.arange(16), first_pixel_mm=(-33.25, -120.5, -200.0)
    )


@pytest.fixture
def only_candidate() -> Callable[[Path], CandidateSeries]:
    def find(folder: Path) -> CandidateSeries:
        search = find_series([folder])
        assert search.refusals == ()
        (candidate,) = search.candidates
        return candidate

    return find


@pytest.fixture
def refusal_of() -> Callable[[Path], tuple[str, str]]:
    """Kind and reason of the only refusal in a folder without candidates."""

    def find(folder: Path) -> tuple[str, str]:
        search: SeriesSearch = find_series([folder])
        assert search.candidates == ()
        (refusal,) = search.refusals
        return refusal.kind.value, refusal.reason

    return find

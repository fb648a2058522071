from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.rank import preferred, rank_series, why_behind
from bodycomp.dicom.series import CandidateSeries, find_series
from bodycomp.dicom.write import write_ct_series
from bodycomp.imaging.volume import Volume
from bodycomp.subject import Acquisition


@pytest.fixture
def base(
    tmp_path: Path, volume: Volume, only_candidate: Callable[[Path], CandidateSeries]
) -> CandidateSeries:
    header = SeriesHeader(seed="s", kernel="B30f", slice_thickness_mm=5)
    write_ct_series(tmp_path / "base", volume, header)
    return only_candidate(tmp_path / "base")


def test_rule_in_its_order_and_its_words(base: CandidateSeries) -> None:
    made = base.acquisition
    better_first = {
        "derived from other images": replace(base, penalties=("derived from other images",)),
        "names another part of the body": replace(base, region="Thorax HR"),
        "covers 2 cm, against covers 8 cm": replace(base, coverage_mm=base.coverage_mm - 50),
        "12 degrees from axial": replace(
            base, orientation=(1, 0, 0, 0, math.cos(math.radians(12)), math.sin(math.radians(12)))
        ),
        "sharp kernel, against soft": replace(base, acquisition=replace(made, kernel="B70f")),
        "slices of 1 mm": replace(base, acquisition=replace(made, slice_thickness_mm=1.0)),
        "contrast phase arterial": replace(base, region="Abdomen arteriell"),
        "15 slices, against 16 slices": replace(base, slices=base.slices[1:]),
        "smaller series number": replace(base, series_number=2),
    }
    worst_first = list(better_first.values())
    assert rank_series(worst_first) == tuple(reversed(worst_first))
    for words, series in better_first.items():
        assert words in why_behind(series, base)


def test_one_series_per_study_is_preferred(tmp_path: Path, volume: Volume) -> None:
    for seed in ("a", "b"):
        for number, kernel in ((1, "BONE"), (2, "STANDARD")):
            header = SeriesHeader(seed=seed, series_number=number, kernel=kernel)
            write_ct_series(tmp_path / seed / f"{number}", volume, header)
    candidates = find_series([tmp_path]).candidates
    assert [series.series_number for series in candidates] == [1, 2, 1, 2]
    assert [series.series_number for series in preferred(candidates)] == [2, 2]


@pytest.mark.parametrize(
    ("kernel", "sharp"),
    [("Br38f\\3", False), ("Bl57d\\3", True), ("I70f\\2", True), ("BONEPLUS", True),
     ("SOFT", False), ("FC08-H", False), ("FC30", True), ("B", False), ("YC", True), ("", False)],
)  # fmt: skip
def test_kernels_of_the_makers(kernel: str, *, sharp: bool) -> None:
    assert Acquisition(kernel=kernel).sharp_kernel is sharp

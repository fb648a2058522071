from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bodycomp.errors import ImageError
from bodycomp.imaging.volume import Volume

HU = np.zeros((4, 3, 2), np.int16)
Z_MM = np.array([0.0, 5.0, 10.0, 20.0])


def test_what_a_volume_knows() -> None:
    volume = Volume(HU, (0.5, 0.8), Z_MM)
    assert (len(volume), volume.slice_shape) == (4, (3, 2))
    assert volume.pixel_area_mm2 == pytest.approx(0.4)
    assert volume.slice_spacing_mm == 5
    assert [volume.nearest_slice(z) for z in (-99, 4, 16, 99)] == [0, 1, 3, 3]


def test_a_single_slice_has_no_spacing() -> None:
    assert Volume(HU[:1], (1, 1), Z_MM[:1]).slice_spacing_mm is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hu": HU[0]}, "slice, row, column"),
        ({"hu": HU[:0], "slice_z_mm": Z_MM[:0]}, "slice, row, column"),
        ({"hu": HU.astype(np.uint8)}, "int16 or float32"),
        ({"slice_z_mm": Z_MM[:3]}, "one z position per slice"),
        ({"slice_z_mm": Z_MM[::-1]}, "ascend from feet to head"),
        ({"slice_z_mm": np.array([0.0, 5, 5, 6])}, "ascend from feet to head"),
        ({"slice_z_mm": np.array([0.0, 5, np.nan, 6])}, "ascend from feet to head"),
        ({"pixel_spacing_mm": (0.5, 0.0)}, "positive pixel spacing"),
    ],
)
def test_impossible_volumes_are_refused(change: dict[str, Any], message: str) -> None:
    valid = {"hu": HU, "pixel_spacing_mm": (0.5, 0.5), "slice_z_mm": Z_MM}
    with pytest.raises(ImageError, match=message):
        Volume(**(valid | change))

from __future__ import annotations

import json

import numpy as np
import pytest

from bodycomp.errors import ModelError
from bodycomp.imaging.preprocessing import (
    SEGMENTATION_PREPROCESSING,
    SLICE_SELECTION_PREPROCESSING,
    Preprocessing,
)
from bodycomp.imaging.window import SOFT_TISSUE, Window
from bodycomp.json_file import to_plain

HU = np.random.default_rng(2).integers(-1024, 1500, (300, 340)).astype(np.int16)


@pytest.mark.parametrize("input_max", [1.0, 255.0])
def test_segmentation_input_is_the_windowed_slice(input_max: float) -> None:
    preprocessing = Preprocessing(size=HU.shape, input_max=input_max)
    expected = np.clip((HU + 160) / 400, 0, 1) * input_max
    np.testing.assert_allclose(preprocessing.from_hu(HU), expected, atol=1e-4)


def test_padding_does_not_bleed_into_the_body() -> None:
    padded, air = HU.copy(), HU.copy()
    padded[:, :50], air[:, :50] = -3024, -1024
    np.testing.assert_array_equal(
        SEGMENTATION_PREPROCESSING.from_hu(padded), SEGMENTATION_PREPROCESSING.from_hu(air)
    )


def test_slice_selection_input_equals_that_of_the_training_png() -> None:
    """The training set holds 8-bit pictures; a slice read from DICOM gives the same bits."""
    from_png = SLICE_SELECTION_PREPROCESSING.from_gray(SOFT_TISSUE.to_gray(HU))
    from_dicom = SLICE_SELECTION_PREPROCESSING.from_hu(HU)
    np.testing.assert_array_equal(from_dicom, from_png)
    assert (from_dicom.shape, from_dicom.dtype) == ((256, 256), np.float32)
    levels = from_dicom * 255
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)


def test_model_card_brings_it_back() -> None:
    original = Preprocessing(size=(64, 96), window=Window(50, 350), quantised=True, input_max=255)
    assert Preprocessing.from_dict(json.loads(json.dumps(to_plain(original)))) == original


@pytest.mark.parametrize("broken", [{}, {"size": [1]}, {"size": [1, 2], "window": 3}])
def test_a_card_without_it_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="preprocessing cannot be read"):
        Preprocessing.from_dict(broken)

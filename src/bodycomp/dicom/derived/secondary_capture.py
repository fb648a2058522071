"""A picture of a measured slice -> Secondary Capture, for viewers that show no segmentations."""

from __future__ import annotations

from typing import Final

import numpy as np
from highdicom.sc import SCImage
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import DS

from bodycomp.dicom.derived.measured import MeasuredSeries, equipment
from bodycomp.dicom.quiet import quiet_pydicom

_LETTERS: Final = (("L", "R"), ("P", "A"), ("H", "F"))
"""Letters of the positive and the negative direction along x, y and z (PS3.3 C.7.6.1.1.1)."""


@quiet_pydicom()
def overlay_of(measured: MeasuredSeries, index: int, picture: NDArray[np.uint8]) -> SCImage:
    """Return a picture of one measured slice as a Secondary Capture (PS3.3 A.8.1).

    Args:
        measured: The series.
        index: The slice; it is also the instance's number, counted from 1.
        picture: (row, column, 3) sRGB on the source's pixel grid.
    """
    across, down = measured.volume.orientation[:3], measured.volume.orientation[3:]
    spacing = measured.volume.pixel_spacing_mm
    made = SCImage.from_ref_dataset(
        measured.header(index),
        pixel_array=picture,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        series_instance_uid=measured.overlay_series_uid,
        instance_number=index + 1,
        patient_orientation=(_letters(across), _letters(down)),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **equipment("overlay"),
    )
    # highdicom's parameter of this name is declared to take whole numbers only.
    made.PixelSpacing = [DS(mm, auto_format=True) for mm in spacing]
    made.PixelSpacingCalibrationType = "GEOMETRY"
    made.PixelSpacingCalibrationDescription = "Pixel grid of the source image"
    made.Laterality = ""  # Type 2C where no body part is named
    return made


def _letters(direction: tuple[float, ...]) -> str:
    """Return the main direction's letter.

    >>> _letters((-1.0, 0.0, 0.0))
    'R'
    """
    axis = int(np.argmax(np.abs(direction)))
    return _LETTERS[axis][int(direction[axis] < 0)]

"""One DICOM file's pixels in HU, for tests that look at single images."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bodycomp.dicom.pixels import HuReader
from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.scan import SliceFile


@quiet_pydicom()
def decode_hu(path: Path, slope_hu: float, intercept_hu: float) -> NDArray[np.generic]:
    """The (row, column) pixels under a rescale."""
    return HuReader().read(SliceFile(path, "", "", None, (0, 0, 0), slope_hu, intercept_hu))

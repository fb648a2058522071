"""Causes that explain many findings at once: a turned or moved mask, and shifted HU."""

from __future__ import annotations

from typing import Final

import numpy as np

from bodycomp.anatomy import ABDOMINAL_TISSUES, Tissue
from bodycomp.data.sample_facts import FITTING_HU

FIT_GAIN, GOOD_FIT = 0.1, 0.85
"""Phantom masks fit by 0.957 and more, mirrored ones by 0.84 and less."""

LEAST_FAT, LEAST_LABELLED = 0.1, 0.2
"""Shares of the labels and of the body. A small label finds a place to fit somewhere; muscle alone
fits in every organ."""

SHIFTS_HU: Final = (1024, 1000, -1024, -1000)
"""Stored values instead of HU, or the intercept applied twice (DICOM PS3.3 C.11.1.1.2)."""

FEWEST_PIXELS: Final = 200
"""Means of fewer pixels say little."""


def is_turned(sample: np.void) -> bool:
    """Tell whether a mask fits its image much better when it is turned; from ``SAMPLE_FACTS``."""
    fit = float(sample["turned_fit_share"])
    is_best = fit >= sample["shifted_fit_share"]
    return bool(sample["turn"] > 0 and is_best and _explains(fit, sample))


def is_moved(sample: np.void) -> bool:
    """Tell whether a mask fits its image much better when it is moved; from ``SAMPLE_FACTS``."""
    labelled, fat = int(sample["pixels"].sum()), int(sample["pixels"][1:].sum())
    covers = labelled >= LEAST_LABELLED * sample["body_pixels"]
    is_telling = bool(covers and fat >= LEAST_FAT * labelled and sample["shift"].any())
    explains = _explains(float(sample["shifted_fit_share"]), sample)
    return is_telling and explains and not is_turned(sample)


def _explains(fit: float, sample: np.void) -> bool:
    return bool(fit >= GOOD_FIT and fit - sample["fit_share"] >= FIT_GAIN)


def tissue_means(sample: np.void) -> dict[Tissue, float]:
    """Return the mean HU of the tissues that have enough pixels."""
    return {
        tissue: float(sample["mean_hu"][tissue.label - 1])
        for tissue in ABDOMINAL_TISSUES
        if sample["pixels"][tissue.label - 1] >= FEWEST_PIXELS
    }


def shift_of(sample: np.void) -> int:
    """Return the shift without which all tissues would have HU of theirs, 0 if there is none."""
    means = tissue_means(sample).items()

    def fits(shift: int) -> bool:
        return all(
            FITTING_HU[tissue.label - 1][0] <= mean - shift <= FITTING_HU[tissue.label - 1][1]
            for tissue, mean in means
        )

    if not means or fits(0):
        return 0
    return next((shift for shift in SHIFTS_HU if fits(shift)), 0)

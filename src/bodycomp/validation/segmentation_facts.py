"""What one look at a segmentation sample shows: the numbers that rules and pictures are made of."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import ABDOMINAL_TISSUES, OPEN_ABOVE, Tissue, may_be
from bodycomp.imaging.body_mask import MATTER_ABOVE_HU, STEP, body_box, body_mask
from bodycomp.imaging.hu_range import GAS_HU, TISSUE_HU
from bodycomp.imaging.window import PNG_WHITE, SOFT_TISSUE
from bodycomp.validation.details import DIGEST_BYTES, ROW_STEP, describe_details, perceptual_hash

TISSUES: Final = len(ABDOMINAL_TISSUES)
LOWEST_BIN_HU: Final = -2048
BIN_BITS: Final = 12
BINS: Final = 2**BIN_BITS
"""HU are counted in bins of 1 HU from -2048 to 2047; what lies beyond counts at the end."""

FITTING_HU: Final = ((-29, 150), (-190, -30), (-190, -30))
"""HU of muscle (Mitsiopoulos et al., J Appl Physiol 85, 1998) and of fat (Kvist et al., Am J Clin
Nutr 48, 1988), first and last."""

POOR_FIT: Final = 0.9
"""Below this share a mask is also tried turned and mirrored; phantom masks fit by 0.957 or more."""

TURNS: Final[tuple[str, ...]] = (
    "as it is",
    "mirrored left-right",
    "mirrored up-down",
    "turned by 180 degrees",
    "transposed",
    "turned by 90 degrees",
    "turned by 270 degrees",
    "transposed along the other diagonal",
)

LARGEST_HU: Final = (float(np.finfo(np.float32).min), float(np.finfo(np.float32).max))

AIR_BELOW_HU: Final = -300
"""A pixel that holds less than this holds more air than tissue."""

SAMPLE_FACTS: Final = np.dtype(
    [
        ("seen", "?"),
        ("lowest_hu", "<f4"),
        ("highest_hu", "<f4"),
        ("image_digest", f"V{DIGEST_BYTES}"),
        ("mask_digest", f"V{DIGEST_BYTES}"),
        ("perceptual_hash", "<u8"),
        ("body_pixels", "<u4"),
        ("body_box", "<u2", (4,)),
        ("pixels", "<u4", (TISSUES,)),
        ("unknown_pixels", "<u4", (TISSUES,)),
        ("mean_hu", "<f4", (TISSUES,)),
        ("sd_hu", "<f4", (TISSUES,)),
        ("air_share", "<f4", (TISSUES,)),
        ("outside_share", "<f4", (TISSUES,)),
        ("detached_pixels", "<u4"),
        ("outermost", "<u2", (TISSUES,)),
        ("single_pixels", "<u4"),
        ("rim_pixels", "<u4"),
        ("fit_share", "<f4"),
        ("turned_fit_share", "<f4"),
        ("turn", "u1"),
        ("shifted_fit_share", "<f4"),
        ("shift", "<i2", (2,)),
        ("tissue_share", "<f4"),
        ("matter_share", "<f4"),
    ]
)
"""Per sample: whether it could be looked at (not with NaN or unknown labels); range of the image;
digests of image (``image_digest``) and mask;
``perceptual_hash``; pixels of the body and its first and last row and column; and for each of
``ABDOMINAL_TISSUES`` its pixels, the mean and standard deviation of their HU (NaN without
pixels), the share of them that holds air, and the share outside the body (NaN likewise).
``unknown_pixels`` are those that may be of the tissue, because nobody annotated them, or because
they are background of a sample in which the tissue was not labeled.
``detached_pixels`` are labelled matter outside the body: table, arms. ``outermost`` counts the rows
whose first labelled pixel is of the tissue. ``single_pixels`` are
labelled unlike all four neighbours. ``rim_pixels`` are muscle one pixel wide between background and
subcutaneous fat along a row, which interpolated masks have along the skin. ``fit_share`` is the
share of labelled pixels whose HU their tissue has (``FITTING_HU``), NaN without any; if it is low,
``turned_fit_share`` is the best one of the mask turned by ``TURNS[turn]``, and
``shifted_fit_share`` the best one of the mask moved by ``shift`` rows and columns.
``tissue_share`` is the share of all pixels whose HU lie within ``TISSUE_HU``, ``matter_share`` of
those above ``GAS_HU``."""

FIT_GAIN, GOOD_FIT = 0.1, 0.85
"""Phantom masks fit by 0.957 and more, mirrored ones by 0.84 and less."""

LEAST_FAT, LEAST_LABELED = 0.1, 0.2
"""Shares of the labels and of the body. A small label finds a place to fit somewhere; muscle alone
fits in every organ."""

SHIFTS_HU: Final = (1024, 1000, -1024, -1000)
"""Stored values instead of HU, or the intercept applied twice (DICOM PS3.3 C.11.1.1.2)."""

FEWEST_PIXELS: Final = 200
"""Means of fewer pixels say little."""


def describe_sample(
    hu: NDArray[Any], labels: NDArray[np.uint8], ends: tuple[float, float]
) -> tuple[np.void, np.void]:
    """Look at one sample.

    ``hu`` is (row, column) and finite, with sides alike and divided by ``STEP``; ``labels`` are
    0..3 and those of ``background_or``, ``ends`` the lowest and highest HU. Returns
    ``SAMPLE_FACTS`` without ``image_digest``, and ``DETAIL``.
    """
    facts: np.void = np.zeros(1, SAMPLE_FACTS)[0]
    facts["seen"] = True
    facts["lowest_hu"], facts["highest_hu"] = np.clip(ends, *LARGEST_HU)
    rows = np.ascontiguousarray(labels[::ROW_STEP])
    digest = hashlib.blake2b(rows.data, digest_size=DIGEST_BYTES).digest()
    facts["mask_digest"] = np.void(digest)
    body = body_mask(hu[STEP // 2 :: STEP, STEP // 2 :: STEP], MATTER_ABOVE_HU)
    facts["body_pixels"] = np.count_nonzero(body) * STEP**2
    facts["body_box"] = box = body_box(body, (STEP, STEP))
    tissues, unknown = labels, labels > OPEN_ABOVE
    if unknown.any():
        facts["unknown_pixels"] = [np.count_nonzero(may_be(labels, t)) for t in ABDOMINAL_TISSUES]
        tissues = np.where(unknown, 0, labels).astype(np.uint8)
    _describe_tissues(facts, hu, tissues, body)
    first = labels[np.arange(len(labels)), (labels != 0).argmax(axis=1)]  # unknown ones say nothing
    facts["outermost"] = np.bincount(first, minlength=TISSUES + 1)[1 : TISSUES + 1]
    facts["single_pixels"] = _single_pixels(labels)
    facts["rim_pixels"] = _rim_pixels(labels)
    if facts["fit_share"] < POOR_FIT:
        facts["turn"], facts["turned_fit_share"] = _best_turn(hu, tissues)
        facts["shift"], facts["shifted_fit_share"] = best_shift(hu, tissues)
    low, high = (hu.dtype.type(end) for end in (SOFT_TISSUE.low_hu, SOFT_TISSUE.high_hu))
    detail = describe_details(np.clip(hu, low, high) - low, box, PNG_WHITE / (high - low))
    facts["perceptual_hash"] = perceptual_hash(detail["thumbnail"].astype(np.float32))
    return facts, detail


def _best_turn(hu: NDArray[Any], labels: NDArray[np.uint8]) -> tuple[int, float]:
    """Return the turn of the mask that fits the image best, and how well."""
    fitting = [(hu >= low) & (hu <= high) for low, high in FITTING_HU[:2]]
    labeled = np.count_nonzero(labels)
    turned = (
        *(labels, labels[:, ::-1], labels[::-1], labels[::-1, ::-1]),
        *(labels.T, np.rot90(labels), np.rot90(labels, 3), labels[::-1, ::-1].T),
    )
    fits = [
        np.count_nonzero((fitting[0] & (mask == 1)) | (fitting[1] & (mask >= 2))) / labeled
        for mask in turned
    ]
    best = int(np.argmax(fits))
    return best, fits[best]


def best_shift(hu: NDArray[Any], labels: NDArray[np.uint8]) -> tuple[tuple[int, int], float]:
    """Return by how many rows and columns the mask must be moved to fit best, and how well it does.

    Moves are multiples of ``STEP`` up to a quarter of the image; all are tried at once by a
    correlation of coarse images. What is moved out of the image fits nothing.
    """
    coarse = (slice(STEP // 2, None, STEP),) * 2
    values, mask = hu[coarse], labels[coarse]
    size = tuple(2 * side for side in mask.shape)
    overlap = np.zeros(size)
    for (low, high), labeled in zip(FITTING_HU[:2], (mask == 1, mask >= 2), strict=True):
        fitting = np.fft.rfft2((values >= low) & (values <= high), size)
        overlap += np.fft.irfft2(fitting * np.conj(np.fft.rfft2(labeled, size)), size)
    reach = [side // 4 for side in mask.shape]
    near = np.ix_(*(np.arange(-r, r + 1) for r in reach))
    best = np.unravel_index(int(overlap[near].argmax()), [2 * r + 1 for r in reach])
    down, across = (int(place) - r for place, r in zip(best, reach, strict=True))
    fit = float(overlap[down, across]) / max(1, int(np.count_nonzero(mask)))
    return (down * STEP, across * STEP), fit


def _describe_tissues(
    facts: np.void, hu: NDArray[Any], labels: NDArray[np.uint8], body: NDArray[np.bool_]
) -> None:
    counts = _joint_counts(hu, labels, body)
    values = np.arange(BINS, dtype=np.float64) + LOWEST_BIN_HU
    tissue = slice(*(int(end) - LOWEST_BIN_HU for end in TISSUE_HU))
    facts["tissue_share"] = counts[..., tissue].sum() / labels.size
    facts["matter_share"] = counts[..., int(GAS_HU) - LOWEST_BIN_HU :].sum() / labels.size
    both = counts[:, 1:].sum(axis=0).astype(np.float64)
    pixels = both.sum(axis=1)
    air = AIR_BELOW_HU - LOWEST_BIN_HU
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: no pixels, no mean
        mean = both @ values / pixels
        spread = np.maximum(both @ values**2 / pixels - mean**2, 0)
        facts["air_share"] = both[:, :air].sum(axis=1) / pixels
        facts["outside_share"] = counts[1, 1:].sum(axis=1) / pixels
        facts["fit_share"] = _fitting(both) / pixels.sum()
    facts["pixels"], facts["mean_hu"], facts["sd_hu"] = pixels, mean, np.sqrt(spread)
    facts["detached_pixels"] = counts[1, 1:, air:].sum()


def _fitting(counts: NDArray[np.float64]) -> float:
    """Return how many pixels have HU of their tissue."""
    return sum(
        float(bins[low - LOWEST_BIN_HU : high - LOWEST_BIN_HU + 1].sum())
        for bins, (low, high) in zip(counts, FITTING_HU, strict=True)
    )


def _joint_counts(
    hu: NDArray[Any], labels: NDArray[np.uint8], body: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return (inside or outside the body, label, HU bin) counts from one histogram."""
    rounded = hu if hu.dtype.kind == "i" else np.rint(hu)
    last_bin_hu = LOWEST_BIN_HU + BINS - 1
    bins = np.clip(rounded, LOWEST_BIN_HU, last_bin_hu).astype(np.int16, copy=False)
    outside = np.repeat(np.where(body, 0, TISSUES + 1).astype(np.uint8), STEP, axis=1)
    classes = labels.reshape(len(body), STEP, -1) + outside[:, None, :]
    codes = classes.reshape(labels.shape).astype(np.int16)
    codes <<= BIN_BITS
    codes -= np.int16(LOWEST_BIN_HU)
    codes += bins
    counts = np.bincount(codes.ravel(), minlength=2 * (TISSUES + 1) * BINS)
    return counts.reshape(2, TISSUES + 1, BINS)


def _single_pixels(labels: NDArray[np.uint8]) -> int:
    """Count labelled pixels that differ from all four neighbours, each of which is annotated."""
    flat, width = labels.reshape(-1), labels.shape[1]
    middle = flat[width:-width]
    single = (middle != 0) & (middle <= OPEN_ABOVE)
    for shift in (0, 2 * width, width - 1, width + 1):
        neighbor = flat[shift : shift + len(middle)]
        single &= (middle != neighbor) & (neighbor <= OPEN_ABOVE)
    return int(np.count_nonzero(single))


def _rim_pixels(labels: NDArray[np.uint8]) -> int:
    """Count runs 0, 1, 2 and 2, 1, 0 along rows."""
    flat = labels.reshape(-1)
    ends = flat[:-2] ^ flat[2:]
    between = (flat[1:-1] == 1) & (ends == 2) & ((flat[:-2] & 1) == 0)
    return int(np.count_nonzero(between))


def is_turned(sample: np.void) -> bool:
    """Return whether a mask fits its image much better when it is turned; from ``SAMPLE_FACTS``."""
    fit = float(sample["turned_fit_share"])
    is_best = fit >= sample["shifted_fit_share"]
    return bool(sample["turn"] > 0 and is_best and _explains(fit, sample))


def is_moved(sample: np.void) -> bool:
    """Return whether a mask fits its image much better when it is moved; from ``SAMPLE_FACTS``."""
    labeled, fat = int(sample["pixels"].sum()), int(sample["pixels"][1:].sum())
    covers = labeled >= LEAST_LABELED * sample["body_pixels"]
    is_distinctive = bool(covers and fat >= LEAST_FAT * labeled and sample["shift"].any())
    explains = _explains(float(sample["shifted_fit_share"]), sample)
    return is_distinctive and explains and not is_turned(sample)


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

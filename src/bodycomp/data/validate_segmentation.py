"""What is wrong with a segmentation training set; one pass over its files, in small pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from bodycomp.anatomy import BACKGROUND_LABEL, Tissue
from bodycomp.data.arrays import ArrayHeader
from bodycomp.data.findings import Finding, FindingList, Place
from bodycomp.data.leaks import shared_between_splits
from bodycomp.data.naming import SPLITS
from bodycomp.data.places import images_place, sample_place
from bodycomp.data.segmentation_pass import Observer, PassOptions, SplitScan, scan_split
from bodycomp.data.segmentation_set import SplitHeaders, inspect_segmentation_split
from bodycomp.data.validate_duplicates import repeated_images
from bodycomp.progress import StepProgress

SLOW_FORTRAN_BYTES: Final = 2**30
FEWEST_TO_CLIP: Final = 5
BONE_HU: Final = 2000.0
"""Metal and dense bone go beyond; scanners end at 3071 HU."""

AIR_BELOW_HU: Final = -500
"""Every raw slice of a body holds air outside or inside it, near -1000 HU."""


def check_segmentation_set(
    data_dir: Path,
    *,
    tissues: Sequence[Tissue],
    allow_scaled: bool = False,
    observe: Observer | None = None,
    progress: StepProgress | None = None,
) -> tuple[Finding, ...]:
    """Read a whole segmentation training set and list what is wrong with it.

    Memory does not grow with the size of the images. Values of a split are read only if the
    headers of its files are right.

    Args:
        data_dir: Folder of the ``.npy`` files.
        tissues: Classes beside the background.
        allow_scaled: Report images that look windowed or scaled as a warning, not an error.
        observe: Looks at every piece in the same pass.
        progress: Called with samples done and samples in all.
    """
    findings: list[Finding] = []
    splits: dict[str, SplitHeaders] = {}
    for split in SPLITS:
        headers, errors = inspect_segmentation_split(data_dir, split)
        findings += (error for error in errors if error not in findings)  # labels.json is the set's
        if headers is not None:
            splits[split] = headers
    total = sum(headers.images.shape[0] for headers in splits.values())
    digests: dict[str, Sequence[bytes | None]] = {}
    options, done = PassOptions(tissues, observe), 0
    for split, headers in splits.items():
        report = None if progress is None else partial(_shifted, progress, done, total)
        scan = scan_split(split, headers, options, report)
        done += headers.images.shape[0]
        digests[split] = scan.digests
        collected = FindingList(split)
        collected.extend(repeated_images(split, scan.digests, sample_place))
        _check_clipping(scan, collected, split)
        _check_range(scan, collected, split, allow_scaled=allow_scaled)
        _check_classes(scan, collected, headers.masks, tissues)
        _check_order(collected, headers)
        findings += (*scan.findings, *collected.all())
    return (*findings, *_leaks(digests))


def _shifted(progress: StepProgress, done_before: int, total: int, done: int) -> None:
    progress(done_before + done, total)


def _check_range(scan: SplitScan, findings: FindingList, split: str, *, allow_scaled: bool) -> None:
    name = images_place(split)
    low, high = np.asarray(scan.lowest), np.asarray(scan.highest)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return
    found = f"found values from {low.min():g} to {high.max():g} only"
    scale = _scale(float(low.min()), float(high.max()))
    if scale:
        message = f"expected raw HU with air near -1000, {found} (within {scale})"
        hint = (
            "The images look windowed or scaled already; save the raw HU. If these values are "
            "meant, go on with --allow-scaled-images."
        )
        report = findings.warning if allow_scaled else findings.error
        report("scaled-images", name, message, hint)
    elif low.min() > AIR_BELOW_HU:
        message = f"expected raw HU with air near -1000, {found}"
        hint = "Check that the rescale intercept was applied and that no window was."
        findings.warning("no-air", name, message, hint)
    else:
        for sample in np.flatnonzero(low >= 0):
            message = f"expected raw HU, found no value below 0 ({low[sample]:g}..{high[sample]:g})"
            hint = "This sample looks scaled, unlike others; check how it was made."
            place = sample_place(split, int(sample))
            findings.warning("sample-without-air", place, message, hint)


def _scale(low: float, high: float) -> str:
    """Return the scale of 8 bits or of 0 to 1 that all values lie in, empty if there is none."""
    scales = {"0..1": (0, 1), "0..255": (0, 255), "-128..127": (-128, 127)}
    return next((name for name, ends in scales.items() if ends[0] <= low <= high <= ends[1]), "")


def _check_clipping(scan: SplitScan, findings: FindingList, split: str) -> None:
    """Warn if bone is cut off: all images end at one value that is not the file type's own."""
    highest = {value for low, value in zip(scan.lowest, scan.highest, strict=True) if low < value}
    if len(scan.highest) < FEWEST_TO_CLIP or len(highest) != 1:
        return
    (top,) = highest
    if top < BONE_HU:
        message = f"expected bone of various HU, found that all images end at {top:g}"
        hint = "The images look windowed; save the raw HU."
        findings.warning("hu-clipped", images_place(split), message, hint)


def _check_classes(
    scan: SplitScan, findings: FindingList, header: ArrayHeader, tissues: Sequence[Tissue]
) -> None:
    name = header.path.name
    if scan.labels <= {BACKGROUND_LABEL}:
        found = "only background" if scan.labels else "no annotated pixel"
        message = f"expected labelled tissue, found {found} in all {header.shape[0]} samples"
        findings.error("only-background", name, message, "Check how the masks were exported.")
        return
    for tissue in tissues:
        if tissue.label not in scan.labels:
            message = (
                f"expected label {tissue.label} ({tissue.title.lower()}), found none in any sample"
            )
            hint = (
                "The class cannot be learnt or judged on this split. For a model without visceral "
                "fat use the thoracic option (-t)."
            )
            findings.warning("class-absent", name, message, hint)


def _check_order(findings: FindingList, headers: SplitHeaders) -> None:
    for header in (headers.images, headers.masks):
        size = int(np.prod(header.shape, dtype=np.int64)) * header.dtype.itemsize
        if header.fortran_order and size >= SLOW_FORTRAN_BYTES:
            message = f"found Fortran order in a file of {size / 2**30:.1f} GiB, which is slow"
            hint = "Each sample lies scattered over the file; save numpy.ascontiguousarray(array)."
            findings.warning("fortran-order", header.path.name, message, hint)


def _leaks(digests: Mapping[str, Sequence[bytes | None]]) -> tuple[Finding, ...]:
    findings = FindingList()
    for one, other, pairs in shared_between_splits(digests):
        first, second = pairs[0]
        message = (
            f"expected different images in {one} and {other}, found {len(pairs)} that are in both; "
            f"the first is sample {first} of {one} and sample {second} of {other}"
        )
        hint = f"Scores on {other} are too good if it shares images with {one}; split by patient."
        findings.warning(
            "image-in-two-splits", Place(images_place(one).where, other, second), message, hint
        )
    return findings.all()

"""What is wrong with a segmentation training set; one pass over its files, in small pieces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import BACKGROUND_LABEL, Tissue
from bodycomp.data.arrays import ArrayHeader, read_samples
from bodycomp.data.findings import Finding, FindingList
from bodycomp.data.leaks import image_digest, shared_between_splits
from bodycomp.data.naming import SPLITS
from bodycomp.data.segmentation_set import SplitHeaders, inspect_segmentation_split
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE

Progress = Callable[[int, int], None]
"""Called with the samples done and the samples in all."""

PIECE_BYTES: Final = 16 * 2**20
FORTRAN_PIECE_BYTES: Final = 256 * 2**20
"""Each piece of a Fortran-ordered file touches the whole file, so that pieces are large."""

SLOW_FORTRAN_BYTES: Final = 2**30
AIR_BELOW_HU: Final = -500
"""Every raw slice of a body holds air outside or inside it, near -1000 HU."""


@dataclass(eq=False)
class _SplitScan:
    """What one pass over a split gathers; a few bytes per sample."""

    lowest: list[float] = field(default_factory=list)
    highest: list[float] = field(default_factory=list)
    digests: list[bytes | None] = field(default_factory=list)
    labels: set[int] = field(default_factory=set)


def check_segmentation_set(
    data_dir: Path,
    *,
    tissues: Sequence[Tissue],
    allow_scaled: bool = False,
    progress: Progress | None = None,
) -> tuple[Finding, ...]:
    """Read a whole segmentation training set and list what is wrong with it.

    Memory does not grow with the size of the images. Values of a split are read only if the
    headers of its files are right.

    Args:
        data_dir: Folder of the ``.npy`` files.
        tissues: Classes beside the background.
        allow_scaled: Report images that look windowed or scaled as a warning, not an error.
        progress: Called with samples done and samples in all.
    """
    findings: list[Finding] = []
    splits: dict[str, SplitHeaders] = {}
    for split in SPLITS:
        headers, errors = inspect_segmentation_split(data_dir, split)
        findings += errors
        if headers is not None:
            splits[split] = headers
    total = sum(headers.images.shape[0] for headers in splits.values())
    digests: dict[str, Sequence[bytes | None]] = {}
    done = 0
    for split, headers in splits.items():
        collected = FindingList()
        scan = _SplitScan()
        for span in _spans(headers):
            _scan_images(scan, collected, headers.images, span)
            _scan_masks(scan, collected, headers.masks, span, tissues)
            if progress is not None:
                progress(done + span[1], total)
        done += headers.images.shape[0]
        _check_range(scan, collected, headers.images, allow_scaled=allow_scaled)
        _check_classes(scan, collected, headers.masks, tissues)
        _check_order(collected, headers)
        digests[split] = scan.digests
        findings += collected.all()
    return (*findings, *_leaks(digests))


def _spans(headers: SplitHeaders) -> list[tuple[int, int]]:
    """Divide a split into spans of samples that fit into memory together."""
    samples = headers.images.shape[0]
    fortran = headers.images.fortran_order or headers.masks.fortran_order
    sample_bytes = int(np.prod(SEGMENTATION_SIZE)) * headers.images.dtype.itemsize
    step = max(1, (FORTRAN_PIECE_BYTES if fortran else PIECE_BYTES) // sample_bytes)
    return [(start, min(start + step, samples)) for start in range(0, samples, step)]


def _scan_images(
    scan: _SplitScan, findings: FindingList, header: ArrayHeader, span: tuple[int, int]
) -> None:
    images = read_samples(header, *span)
    lowest, highest = images.min(axis=1), images.max(axis=1)  # NaN if any pixel is
    for position in np.flatnonzero(~(np.isfinite(lowest) & np.isfinite(highest))):
        _report_not_finite(findings, header, span[0] + int(position), images[position])
    scan.lowest += lowest.tolist()
    scan.highest += highest.tolist()
    scan.digests += [
        None if low == high else image_digest(image.reshape(SEGMENTATION_SIZE))
        for image, low, high in zip(images, lowest, highest, strict=True)
    ]


def _report_not_finite(
    findings: FindingList, header: ArrayHeader, sample: int, pixels: NDArray[Any]
) -> None:
    wrong = np.flatnonzero(~np.isfinite(pixels))
    row, column = divmod(int(wrong[0]), SEGMENTATION_SIZE[1])
    message = (
        f"expected finite HU, found {pixels[wrong[0]]} at row {row}, column {column} "
        f"({len(wrong)} such pixels in this sample)"
    )
    hint = "Replace pixels outside the scan by air, -1024 HU."
    findings.error("not-finite", f"{header.path.name}, sample {sample}", message, hint)


def _scan_masks(
    scan: _SplitScan,
    findings: FindingList,
    header: ArrayHeader,
    span: tuple[int, int],
    tissues: Sequence[Tissue],
) -> None:
    masks = read_samples(header, *span)
    known = (BACKGROUND_LABEL, *(tissue.label for tissue in tissues))
    scan.labels |= {label for label in known if label not in scan.labels and (masks == label).any()}
    for position in np.flatnonzero(masks.max(axis=1) > max(known)):
        values = np.unique(masks[position])
        wrong = [int(value) for value in values if value not in known]
        first = int(np.flatnonzero(masks[position] == wrong[0])[0])
        row, column = divmod(first, SEGMENTATION_SIZE[1])
        message = (
            f"expected labels {', '.join(map(str, known))}, found "
            f"{', '.join(map(str, wrong[:8]))}; {wrong[0]} first at row {row}, column {column}"
        )
        where = f"{header.path.name}, sample {span[0] + int(position)}"
        findings.error("mask-value", where, message, _label_hint(tissues, wrong))


def _label_hint(tissues: Sequence[Tissue], wrong: Sequence[int]) -> str:
    names = ", ".join(f"{tissue.label} {tissue.title.lower()}" for tissue in tissues)
    hint = f"Labels are 0 background, {names}."
    if wrong == [3]:
        return f"{hint} A set with visceral fat is trained without the thoracic option (-t)."
    return f"{hint} Labels must not be scaled or interpolated when masks are made."


def _check_range(
    scan: _SplitScan, findings: FindingList, header: ArrayHeader, *, allow_scaled: bool
) -> None:
    name = header.path.name
    low, high = np.asarray(scan.lowest), np.asarray(scan.highest)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return
    found = f"found values from {low.min():g} to {high.max():g} only"
    if low.min() >= 0 and high.max() <= 255:
        scale = "0..1" if high.max() <= 1 else "0..255"
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
            findings.warning("sample-without-air", f"{name}, sample {sample}", message, hint)


def _check_classes(
    scan: _SplitScan, findings: FindingList, header: ArrayHeader, tissues: Sequence[Tissue]
) -> None:
    name = header.path.name
    if scan.labels == {BACKGROUND_LABEL}:
        message = (
            f"expected labelled tissue, found only background in all {header.shape[0]} samples"
        )
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
        findings.warning("image-in-two-splits", f"{one}_images.npy", message, hint)
    return findings.all()

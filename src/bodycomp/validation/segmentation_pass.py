"""One pass over a segmentation split in small chunks, several at a time; memory stays flat."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import BACKGROUND_LABEL, MUSCLE, NOT_ANNOTATED_LABEL, Tissue, may_be
from bodycomp.data.arrays import read_samples
from bodycomp.data.issues import Issue, Rule, collect, sample_place
from bodycomp.data.label_declaration import DECLARATION, LABELED
from bodycomp.data.layout import LABELS_NAME
from bodycomp.data.segmentation_set import SplitHeaders
from bodycomp.imaging.label_map import folded
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE
from bodycomp.validation.details import image_digest

CHUNK_BYTES: Final = 4 * 2**20
FORTRAN_CHUNK_BYTES: Final = 256 * 2**20
"""Each chunk of a Fortran-ordered file touches the whole file, so that chunks are large."""

MAX_THREADS: Final = 4
DIGEST_STEP: Final = 2
"""Of 512 rows every eighth is enough to distinguish two scans, ``ROW_STEP`` times this."""

UNLABELED_TISSUE: Final = Rule(
    "label-undeclared",
    "error",
    f'Name the tissue in "{LABELED}" of {LABELS_NAME} if it was labeled throughout the sample; if '
    f"not, write 0 for it. The order of the samples may differ from that in {LABELS_NAME}.",
)
NOT_FINITE: Final = Rule("not-finite", "error", "Replace pixels outside the scan by air, -1024 HU.")


@dataclass(eq=False)
class SplitScan:
    """What a pass over a split or a chunk of it gathers; a few bytes per sample.

    ``lowest`` and ``highest`` are NaN if any pixel is; ``digests`` are None for images of one
    value; ``labels`` are those of the classes that occur.
    """

    lowest: list[float] = field(default_factory=list)
    highest: list[float] = field(default_factory=list)
    digests: list[bytes | None] = field(default_factory=list)
    labels: set[int] = field(default_factory=set)
    issues: list[Issue] = field(default_factory=list)

    def append(self, other: SplitScan) -> None:
        """Add the chunk that follows."""
        self.lowest += other.lowest
        self.highest += other.highest
        self.digests += other.digests
        self.labels |= other.labels
        self.issues += other.issues


@dataclass(frozen=True, slots=True)
class Chunk:
    """Samples that were read together: split, first index, (samples, 512, 512) images and masks.

    ``backgrounds`` are those of ``LabelDeclaration``, of these samples, as is ``has_more_tissues``.
    """

    split: str
    start: int
    images: NDArray[Any]
    masks: NDArray[np.uint8]
    scan: SplitScan
    backgrounds: bytes = b""
    has_more_tissues: bool = False


Observer = Callable[[Chunk], None]
"""Called with each chunk once, from several threads."""


def scan_split(
    split: str,
    headers: SplitHeaders,
    tissues: Sequence[Tissue],
    observe: Observer | None = None,
    progress: Callable[[int], None] | None = None,
) -> SplitScan:
    """Read every sample of a split once; ``progress`` is called with the samples done."""
    whole = SplitScan()
    for chunk in _in_parallel(partial(_scan_chunk, split, headers, tissues, observe), headers):
        whole.append(chunk)
        if progress is not None:
            progress(len(whole.digests))
    whole.issues = list(collect(whole.issues, split))
    return whole


def _in_parallel(
    scan: Callable[[tuple[int, int]], SplitScan], headers: SplitHeaders
) -> Iterator[SplitScan]:
    """Scan the chunks in several threads; the order of the results is that of the samples."""
    fortran = headers.images.fortran_order or headers.masks.fortran_order
    threads = 1 if fortran else min(MAX_THREADS, os.cpu_count() or 1)
    samples = headers.images.shape[0]
    sample_bytes = int(np.prod(SEGMENTATION_SIZE)) * headers.images.dtype.itemsize
    step = max(1, (FORTRAN_CHUNK_BYTES if fortran else CHUNK_BYTES) // sample_bytes)
    spans = [(start, min(start + step, samples)) for start in range(0, samples, step)]
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(scan, spans)


def _scan_chunk(
    split: str,
    headers: SplitHeaders,
    tissues: Sequence[Tissue],
    observe: Observer | None,
    span: tuple[int, int],
) -> SplitScan:
    images, masks = (read_samples(each, *span) for each in (headers.images, headers.masks))
    raw, masks = masks, masks if headers.tissues is None else folded(masks, headers.tissues)
    lowest, highest = images.min(axis=1), images.max(axis=1)  # NaN if any pixel is
    classes = (BACKGROUND_LABEL, *(tissue.label for tissue in tissues))
    scan = SplitScan(
        lowest=lowest.tolist(),
        highest=highest.tolist(),
        digests=[
            None if low == high else image_digest(image.reshape(SEGMENTATION_SIZE)[::DIGEST_STEP])
            for image, low, high in zip(images, lowest, highest, strict=True)
        ],
        # Most samples have all labels: the first one of the chunk spares a look at the others.
        labels={n for n in classes if (masks[:1] == n).any() or (masks == n).any()},
    )
    for position in np.flatnonzero(~(np.isfinite(lowest) & np.isfinite(highest))).tolist():
        scan.issues.append(_not_finite(images[position], split, span[0] + position))
    allowed = (*classes, NOT_ANNOTATED_LABEL) if headers.has_not_annotated else classes
    is_strange = masks.max(axis=1) > max(classes)
    if MUSCLE not in tissues:  # the labels of all others have no gap
        is_strange |= (masks == MUSCLE.label).any(axis=1)
    for position in np.flatnonzero(is_strange).tolist():
        scan.issues += _wrong_labels(masks[position], allowed, tissues, split, span[0] + position)
    backgrounds = headers.backgrounds[slice(*span)]
    for position, background in enumerate(backgrounds):
        for tissue in tissues if background else ():
            if may_be(background, tissue) and (masks[position] == tissue.label).any():
                scan.issues.append(_unlabeled(tissue, split, span[0] + position))
    if observe is not None:
        images, raw = (each.reshape(-1, *SEGMENTATION_SIZE) for each in (images, raw))
        more = headers.tissues is not None
        observe(Chunk(split, span[0], images, raw, scan, backgrounds, more))
    return scan


def _not_finite(pixels: NDArray[Any], split: str, sample: int) -> Issue:
    wrong = np.flatnonzero(~np.isfinite(pixels))
    row, column = divmod(int(wrong[0]), SEGMENTATION_SIZE[1])
    message = (
        f"expected finite HU, found {pixels[wrong[0]]} at row {row}, column {column} "
        f"({len(wrong)} such pixels in this sample)"
    )
    return NOT_FINITE.broken(sample_place(split, sample), message, len(wrong))


def _wrong_labels(
    mask: NDArray[np.uint8],
    allowed: Sequence[int],
    tissues: Sequence[Tissue],
    split: str,
    sample: int,
) -> Iterator[Issue]:
    wrong = [label for label in np.unique(mask).tolist() if label not in allowed]
    if wrong:
        first = int(np.flatnonzero(mask == wrong[0])[0])
        row, column = divmod(first, SEGMENTATION_SIZE[1])
        message = (
            f"expected labels {', '.join(map(str, allowed))}, found "
            f"{', '.join(map(str, wrong[:8]))}; {wrong[0]} first at row {row}, column {column}"
        )
        rule = Rule("mask-value", "error", _label_hint(wrong, tissues))
        yield rule.broken(sample_place(split, sample, "masks"), message, wrong[0])


def _unlabeled(tissue: Tissue, split: str, sample: int) -> Issue:
    message = (
        f"expected no label {tissue.label}, as {LABELS_NAME} says that "
        f"{tissue.title.lower()} was not labeled in this sample, found it"
    )
    return UNLABELED_TISSUE.broken(sample_place(split, sample, "masks"), message, tissue.label)


def _label_hint(wrong: Sequence[int], tissues: Sequence[Tissue]) -> str:
    """Say what the labels are, and what the ones that were found may come from."""
    names = ", ".join(f"{tissue.label} {tissue.title.lower()}" for tissue in tissues)
    hint = f"Labels are 0 background, {names}."
    if wrong == [3]:
        return f"{hint} A set with visceral fat is trained without the thoracic option (-t)."
    if wrong == [NOT_ANNOTATED_LABEL]:
        declared = json.dumps(DECLARATION)
        return (
            f"{hint} If {NOT_ANNOTATED_LABEL} marks pixels that nobody annotated, write "
            f"{declared} into {LABELS_NAME} beside the masks."
        )
    return f"{hint} Labels must not be scaled or interpolated when masks are made."

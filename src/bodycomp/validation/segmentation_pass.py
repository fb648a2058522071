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

from bodycomp.anatomy import BACKGROUND_LABEL, NOT_ANNOTATED_LABEL, Tissue
from bodycomp.data.arrays import read_samples
from bodycomp.data.issues import Issue, IssueList, Rule, sample_place
from bodycomp.data.layout import LABELS_NAME
from bodycomp.data.segmentation_set import DECLARATION, SplitHeaders
from bodycomp.imaging.preprocessing import SEGMENTATION_SIZE
from bodycomp.validation.details import image_digest

CHUNK_BYTES: Final = 4 * 2**20
FORTRAN_CHUNK_BYTES: Final = 256 * 2**20
"""Each chunk of a Fortran-ordered file touches the whole file, so that chunks are large."""

MAX_THREADS: Final = 4
DIGEST_STEP: Final = 2
"""Of 512 rows every eighth is enough to tell two scans apart, ``ROW_STEP`` times this."""

NOT_FINITE: Final = Rule("not-finite", "error", "Replace pixels outside the scan by air, -1024 HU.")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Samples that were read together.

    Attributes:
        split: Their split.
        start: Index of the first one.
        images, masks: (samples, 512, 512).
        lowest, highest: Of each image; NaN if any pixel is.
        digests: ``image_digest`` of each image, None for one of one value.
    """

    split: str
    start: int
    images: NDArray[Any]
    masks: NDArray[np.uint8]
    lowest: Sequence[float]
    highest: Sequence[float]
    digests: Sequence[bytes | None]


Observer = Callable[[Chunk], None]
"""Called with each chunk once, from several threads."""


@dataclass(eq=False)
class SplitScan:
    """What one pass over a split gathers; a few bytes per sample.

    Attributes:
        lowest, highest: Smallest and largest value of each image; NaN if any pixel is.
        digests: Of each image; None for an image of one value.
        labels: Every label of the classes that occurs.
        issues: What is wrong with single samples.
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
class PassOptions:
    """What a pass looks for: the classes beside the background, and who looks along."""

    tissues: Sequence[Tissue]
    observe: Observer | None = None


def scan_split(
    split: str,
    headers: SplitHeaders,
    options: PassOptions,
    progress: Callable[[int], None] | None = None,
) -> SplitScan:
    """Read every sample of a split once; ``progress`` is told the samples done."""
    whole = SplitScan()
    for chunk in _in_parallel(partial(_scan_chunk, split, headers, options), headers):
        whole.append(chunk)
        if progress is not None:
            progress(len(whole.digests))
    collected = IssueList(split)
    for issue in whole.issues:
        collected.add(issue)
    whole.issues = list(collected.all())
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
    split: str, headers: SplitHeaders, options: PassOptions, span: tuple[int, int]
) -> SplitScan:
    chunk = SplitScan()
    images, masks = (read_samples(each, *span) for each in (headers.images, headers.masks))
    _scan_images(chunk, images, split, span[0])
    _scan_masks(chunk, masks, _Labels(options.tissues, headers.has_not_annotated), split, span[0])
    if options.observe is not None:
        shape = (-1, *SEGMENTATION_SIZE)
        options.observe(
            Chunk(
                split=split,
                start=span[0],
                images=images.reshape(shape),
                masks=masks.reshape(shape),
                lowest=chunk.lowest,
                highest=chunk.highest,
                digests=chunk.digests,
            )
        )
    return chunk


def _scan_images(chunk: SplitScan, images: NDArray[Any], split: str, start: int) -> None:
    lowest, highest = images.min(axis=1), images.max(axis=1)  # NaN if any pixel is
    for position in np.flatnonzero(~(np.isfinite(lowest) & np.isfinite(highest))):
        sample = start + int(position)
        chunk.issues.append(_not_finite(images[position], split, sample))
    chunk.lowest += lowest.tolist()
    chunk.highest += highest.tolist()
    chunk.digests += [
        None if low == high else image_digest(image.reshape(SEGMENTATION_SIZE)[::DIGEST_STEP])
        for image, low, high in zip(images, lowest, highest, strict=True)
    ]


def _not_finite(pixels: NDArray[Any], split: str, sample: int) -> Issue:
    wrong = np.flatnonzero(~np.isfinite(pixels))
    row, column = divmod(int(wrong[0]), SEGMENTATION_SIZE[1])
    message = (
        f"expected finite HU, found {pixels[wrong[0]]} at row {row}, column {column} "
        f"({len(wrong)} such pixels in this sample)"
    )
    return NOT_FINITE.broken(sample_place(split, sample), message, len(wrong))


@dataclass(frozen=True, slots=True)
class _Labels:
    """What masks may hold: background, the tissues, and perhaps pixels that are not annotated."""

    tissues: Sequence[Tissue]
    has_not_annotated: bool

    def classes(self) -> tuple[int, ...]:
        return (BACKGROUND_LABEL, *(tissue.label for tissue in self.tissues))

    def allowed(self) -> tuple[int, ...]:
        return (*self.classes(), *((NOT_ANNOTATED_LABEL,) if self.has_not_annotated else ()))

    def hint(self, wrong: Sequence[int]) -> str:
        """Say what the labels are, and what the ones that were found may come from."""
        names = ", ".join(f"{tissue.label} {tissue.title.lower()}" for tissue in self.tissues)
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


def _scan_masks(
    chunk: SplitScan, masks: NDArray[np.uint8], labels: _Labels, split: str, start: int
) -> None:
    classes, allowed = labels.classes(), labels.allowed()
    # Most samples have all labels, so that the first one of the chunk spares a look at the others.
    chunk.labels |= {
        label for label in classes if (masks[:1] == label).any() or (masks == label).any()
    }
    for position in np.flatnonzero(masks.max(axis=1) > max(classes)):
        values = np.unique(masks[position])
        wrong = [int(value) for value in values if value not in allowed]
        if not wrong:
            continue
        first = int(np.flatnonzero(masks[position] == wrong[0])[0])
        row, column = divmod(first, SEGMENTATION_SIZE[1])
        message = (
            f"expected labels {', '.join(map(str, allowed))}, found "
            f"{', '.join(map(str, wrong[:8]))}; {wrong[0]} first at row {row}, column {column}"
        )
        place = sample_place(split, start + int(position), "masks")
        rule = Rule("mask-value", "error", labels.hint(wrong))
        chunk.issues.append(rule.broken(place, message, wrong[0]))

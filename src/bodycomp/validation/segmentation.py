"""Validate a segmentation training set: one pass over its files, then all rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import BACKGROUND_LABEL, NOT_ANNOTATED_LABEL, Tissue, tissues_for
from bodycomp.data.arrays import ArrayHeader
from bodycomp.data.issues import Issue, IssueList, Place, images_place, sample_place
from bodycomp.data.layout import SPLITS
from bodycomp.data.manifest import Manifest, pixel_digest
from bodycomp.data.segmentation_set import SplitHeaders, inspect_segmentation_split
from bodycomp.progress import StepProgress
from bodycomp.validation.check_duplicates import almost_repeated, repeated_images, repeated_masks
from bodycomp.validation.check_flips import check_flips, grouping_of
from bodycomp.validation.check_images import HU_SHIFTED, TISSUES_SWAPPED, check_hu
from bodycomp.validation.check_manifest import (
    check_digests,
    check_leaks,
    from_manifest,
    open_manifest,
)
from bodycomp.validation.check_masks import MASK_SHIFTED, MASK_TURNED, check_masks
from bodycomp.validation.check_splits import (
    check_hu_of_splits,
    check_split_sizes,
    shared_between_splits,
)
from bodycomp.validation.details import Gathered, evenly, gather_into, progress_of_split
from bodycomp.validation.segmentation_facts import SAMPLE_FACTS, describe_sample
from bodycomp.validation.segmentation_pass import (
    Chunk,
    Observer,
    PassOptions,
    SplitScan,
    scan_split,
)

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
) -> tuple[Issue, ...]:
    """Read a whole segmentation training set and list what is wrong with it.

    Memory does not grow with the size of the images. Values of a split are read only if the
    headers of its files are right.

    Args:
        data_dir: Folder of the ``.npy`` files.
        tissues: Classes beside the background.
        allow_scaled: Report images that look windowed or scaled as a warning, not an error.
        observe: Looks at every chunk in the same pass.
        progress: Called with samples done and samples in all.
    """
    issues: list[Issue] = []
    splits: dict[str, SplitHeaders] = {}
    for split in SPLITS:
        headers, errors = inspect_segmentation_split(data_dir, split)
        issues += (error for error in errors if error not in issues)  # labels.json is the set's
        if headers is not None:
            splits[split] = headers
    total = sum(headers.images.shape[0] for headers in splits.values())
    digests: dict[str, Sequence[bytes | None]] = {}
    options, done = PassOptions(tissues, observe), 0
    for split, headers in splits.items():
        report = progress_of_split(progress, done, total)
        scan = scan_split(split, headers, options, report)
        done += headers.images.shape[0]
        digests[split] = scan.digests
        collected = IssueList(split)
        collected.extend(repeated_images(split, scan.digests, sample_place))
        _check_clipping(scan, collected, split)
        _check_range(scan, collected, split, allow_scaled=allow_scaled)
        _check_classes(scan, collected, headers.masks, tissues)
        _check_order(collected, headers)
        issues += (*scan.issues, *collected.all())
    return (*issues, *_leaks(digests))


def _check_range(scan: SplitScan, issues: IssueList, split: str, *, allow_scaled: bool) -> None:
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
        report = issues.warning if allow_scaled else issues.error
        report("scaled-images", name, message, hint)
    elif low.min() > AIR_BELOW_HU:
        message = f"expected raw HU with air near -1000, {found}"
        hint = "Check that the rescale intercept was applied and that no window was."
        issues.warning("no-air", name, message, hint)
    else:
        for sample in np.flatnonzero(low >= 0):
            message = f"expected raw HU, found no value below 0 ({low[sample]:g}..{high[sample]:g})"
            hint = "This sample looks scaled, unlike others; check how it was made."
            place = sample_place(split, int(sample))
            issues.warning("sample-without-air", place, message, hint)


def _scale(low: float, high: float) -> str:
    """Return the scale of 8 bits or of 0 to 1 that all values lie in, empty if there is none."""
    scales = {"0..1": (0, 1), "0..255": (0, 255), "-128..127": (-128, 127)}
    return next((name for name, ends in scales.items() if ends[0] <= low <= high <= ends[1]), "")


def _check_clipping(scan: SplitScan, issues: IssueList, split: str) -> None:
    """Warn if bone is cut off: all images end at one value that is not the file type's own."""
    highest = {value for low, value in zip(scan.lowest, scan.highest, strict=True) if low < value}
    if len(scan.highest) < FEWEST_TO_CLIP or len(highest) != 1:
        return
    (top,) = highest
    if top < BONE_HU:
        message = f"expected bone of various HU, found that all images end at {top:g}"
        hint = "The images look windowed; save the raw HU."
        issues.warning("hu-clipped", images_place(split), message, hint)


def _check_classes(
    scan: SplitScan, issues: IssueList, header: ArrayHeader, tissues: Sequence[Tissue]
) -> None:
    name = header.path.name
    if scan.labels <= {BACKGROUND_LABEL}:
        found = "only background" if scan.labels else "no annotated pixel"
        message = f"expected labelled tissue, found {found} in all {header.shape[0]} samples"
        issues.error("only-background", name, message, "Check how the masks were exported.")
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
            issues.warning("class-absent", name, message, hint)


def _check_order(issues: IssueList, headers: SplitHeaders) -> None:
    for header in (headers.images, headers.masks):
        size = int(np.prod(header.shape, dtype=np.int64)) * header.dtype.itemsize
        if header.fortran_order and size >= SLOW_FORTRAN_BYTES:
            message = f"found Fortran order in a file of {size / 2**30:.1f} GiB, which is slow"
            hint = "Each sample lies scattered over the file; save numpy.ascontiguousarray(array)."
            issues.warning("fortran-order", header.path.name, message, hint)


def _leaks(digests: Mapping[str, Sequence[bytes | None]]) -> tuple[Issue, ...]:
    issues = IssueList()
    for one, other, pairs in shared_between_splits(digests):
        first, second = pairs[0]
        message = (
            f"expected different images in {one} and {other}, found {len(pairs)} that are in both; "
            f"the first is sample {first} of {one} and sample {second} of {other}"
        )
        hint = f"Scores on {other} are too good if it shares images with {one}; split by patient."
        issues.warning(
            "image-in-two-splits", Place(images_place(one).where, other, second), message, hint
        )
    return issues.all()


LARGEST_LABEL: Final = 3
SAMPLED: Final = 32
"""Samples of a split that training looks at closely before its first step: some 0.1 s."""

BASED_ON_HU: Final = frozenset(
    rule.code for rule in (HU_SHIFTED, TISSUES_SWAPPED, MASK_TURNED, MASK_SHIFTED)
)


class SampleObserver:
    """Looks at samples as they pass by; to be called from several threads.

    Args:
        gathered: Where facts and details are kept.
        with_digests: Whether there is a manifest to compare with.
        chosen: Split -> samples to look at; None for all.
    """

    def __init__(
        self,
        gathered: Gathered,
        *,
        with_digests: bool = False,
        chosen: Mapping[str, frozenset[int]] | None = None,
    ) -> None:
        self._gathered, self._chosen = gathered, chosen
        counts = {split: len(facts) for split, facts in gathered.facts.items()}
        self._with_digests = with_digests
        self.image_digests, self.mask_digests = (
            {split: [""] * count for split, count in counts.items()} for _ in range(2)
        )

    def __call__(self, chunk: Chunk) -> None:
        """Look at the samples of a chunk; those with NaN or unknown labels are left out."""
        split = chunk.split
        for offset, (hu, labels) in enumerate(zip(chunk.images, chunk.masks, strict=True)):
            index, digest = chunk.start + offset, chunk.digests[offset]
            if self._chosen is not None and index not in self._chosen[split]:
                continue
            if self._with_digests:
                self.image_digests[split][index] = pixel_digest(hu)
                self.mask_digests[split][index] = pixel_digest(labels)
            ends = chunk.lowest[offset], chunk.highest[offset]
            known = labels.max() <= LARGEST_LABEL or _are_known(labels)
            if np.isfinite(ends).all() and known:
                facts, detail = describe_sample(hu, labels, ends)
                if digest is not None:
                    facts["image_digest"] = np.void(digest)
                self._gathered.put(split, index, (facts, detail))


def _are_known(labels: NDArray[np.uint8]) -> bool:
    return bool(((labels <= LARGEST_LABEL) | (labels == NOT_ANNOTATED_LABEL)).all())


def validate_samples(
    data_dir: Path,
    *,
    thoracic: bool = False,
    allow_scaled: bool = False,
    progress: StepProgress | None = None,
) -> tuple[tuple[Issue, ...], dict[str, NDArray[np.void]]]:
    """Return the issues of a segmentation set and split -> ``SAMPLE_FACTS``."""
    counts = _counts(data_dir)
    manifest, manifest_issues = open_manifest(data_dir, counts)
    gathered = gather_into(counts, SAMPLE_FACTS)
    with gathered.store:
        observer = SampleObserver(gathered, with_digests=manifest is not None)
        issues = check_segmentation_set(
            data_dir,
            tissues=tissues_for(thoracic=thoracic),
            allow_scaled=allow_scaled,
            observe=observer,
            progress=progress,
        )
        more = IssueList()
        more.extend(manifest_issues)
        for split, facts in gathered.facts.items():
            found = _check_samples(split, facts, tissues_for(thoracic=thoracic))
            more.extend(_allowed(found, allow_scaled=allow_scaled))
        more.extend(_compare(gathered, manifest))
        if manifest is not None:
            more.extend(_check_manifest(manifest, observer))
    return (*issues, *more.all()), gathered.facts


def check_before_training(
    data_dir: Path,
    *,
    tissues: Sequence[Tissue],
    allow_scaled: bool = False,
    progress: StepProgress | None = None,
) -> tuple[Issue, ...]:
    """Return what ``check_segmentation_set`` finds, and the errors of a sample of each split.

    ``SAMPLED`` images and masks, evenly spread, are looked at as by ``validate_samples``, in the
    same pass over the files.
    """
    counts = _counts(data_dir)
    gathered = gather_into(counts, SAMPLE_FACTS)
    chosen = {split: frozenset(evenly(count, SAMPLED)) for split, count in counts.items()}
    with gathered.store:
        issues = check_segmentation_set(
            data_dir,
            tissues=tissues,
            allow_scaled=allow_scaled,
            observe=SampleObserver(gathered, chosen=chosen),
            progress=progress,
        )
    more = IssueList()
    for split, facts in gathered.facts.items():
        found = _check_samples(split, facts, tissues)
        errors = (each for each in found if each.severity == "error")
        more.extend(_allowed(errors, allow_scaled=allow_scaled))
    return (*issues, *more.all())


def _counts(data_dir: Path) -> dict[str, int]:
    """Return the number of samples of every split whose headers are right."""
    inspected = {split: inspect_segmentation_split(data_dir, split)[0] for split in SPLITS}
    return {split: h.images.shape[0] for split, h in inspected.items() if h is not None}


def _check_samples(
    split: str, facts: NDArray[np.void], tissues: Sequence[Tissue]
) -> Iterator[Issue]:
    yield from check_hu(split, facts)
    yield from check_masks(split, facts, tissues)
    yield from repeated_masks(split, facts, _mask_place)


def _allowed(issues: Iterable[Issue], *, allow_scaled: bool) -> Iterator[Issue]:
    """Turn errors that are based on HU into warnings where the values are meant to be no HU."""
    for issue in issues:
        no_hu = allow_scaled and issue.code in BASED_ON_HU
        yield replace(issue, severity="warning") if no_hu else issue


def _compare(gathered: Gathered, manifest: Manifest | None) -> Iterator[Issue]:
    splits = tuple(gathered.facts)
    series = from_manifest(manifest, "series_instance_uid", splits)
    patients = from_manifest(manifest, "patient", splits)
    yield from almost_repeated(gathered, sample_place, series)
    heights = np.zeros(len(gathered.store), np.int64)  # sets for segmentation are of one level
    yield from check_flips(gathered, grouping_of(heights, patients), patients, sample_place)
    yield from check_split_sizes(gathered.facts)
    yield from check_hu_of_splits(gathered.facts)


def _check_manifest(manifest: Manifest, observer: SampleObserver) -> Iterator[Issue]:
    yield from check_leaks(manifest)
    yield from check_digests(manifest, observer.image_digests, "image_digest", sample_place)
    yield from check_digests(manifest, observer.mask_digests, "labels_digest", _mask_place)


def _mask_place(split: str, index: int) -> Place:
    return sample_place(split, index, "masks")

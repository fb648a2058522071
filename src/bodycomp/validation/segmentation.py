"""Validate a segmentation training set: one pass over its files, then all rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import (
    ABDOMINAL_TISSUES,
    BACKGROUND_LABEL,
    FATS,
    NOT_ANNOTATED_LABEL,
    Tissue,
    may_be,
    tissues_for,
)
from bodycomp.data.issues import (
    Issue,
    Place,
    Rule,
    collect,
    error,
    images_place,
    sample_place,
    warning,
)
from bodycomp.data.label_declaration import LabelDeclaration, read_declaration, with_background
from bodycomp.data.layout import SPLITS
from bodycomp.data.manifest import Manifest
from bodycomp.data.segmentation_set import SplitHeaders, inspect_segmentation_split
from bodycomp.imaging.label_map import folded
from bodycomp.progress import StepProgress
from bodycomp.validation.check_duplicates import almost_repeated, repeated_images, repeated_masks
from bodycomp.validation.check_flips import check_flips, grouping_of
from bodycomp.validation.check_images import HU_SHIFTED, TISSUES_SWAPPED, check_hu
from bodycomp.validation.check_masks import MASK_SHIFTED, MASK_TURNED, check_masks
from bodycomp.validation.check_splits import (
    check_hu_of_splits,
    check_leaks,
    check_manifest,
    check_split_sizes,
    from_manifest,
    open_manifest,
)
from bodycomp.validation.details import Gathered, evenly, gather_into, progress_of_split
from bodycomp.validation.segmentation_facts import SAMPLE_FACTS, describe_sample
from bodycomp.validation.segmentation_pass import Chunk, Observer, SplitScan, scan_split

SLOW_FORTRAN_BYTES: Final = 2**30
FEWEST_TO_CLIP: Final = 5
BONE_HU: Final = 2000.0
"""Metal and dense bone go beyond; scanners end at 3071 HU."""

NO_AIR_ABOVE_HU: Final = -500
"""Every raw slice of a body holds air outside or inside it, near -1000 HU."""

LARGEST_LABEL: Final = 3
NEVER_LABELED: Final = Rule(
    "tissue-never-labeled",
    "error",
    "Add samples that were labeled for it: a network that nobody tells what the tissue is would "
    "find it anywhere. For a model without visceral fat use the thoracic option (-t), for one of "
    f"fats alone --tissues {' '.join(tissue.key for tissue in FATS)}.",
)
SAMPLED: Final = 32
"""Samples of a split that training looks at closely before its first step: some 0.1 s."""

BASED_ON_HU: Final = frozenset(
    rule.code for rule in (HU_SHIFTED, TISSUES_SWAPPED, MASK_TURNED, MASK_SHIFTED)
)


def validate_samples(
    data_dir: Path,
    *,
    thoracic: bool = False,
    allow_scaled: bool = False,
    progress: StepProgress | None = None,
) -> tuple[tuple[Issue, ...], dict[str, NDArray[np.void]]]:
    """Return the issues of a segmentation set and split -> ``SAMPLE_FACTS``.

    A set that says that fats alone were labeled is one for a model of them.
    """
    counts, declared = _counts(data_dir), read_declaration(data_dir)
    is_of_fats = isinstance(declared, LabelDeclaration) and declared.has_fats_alone
    tissues = FATS if is_of_fats else tissues_for(thoracic=thoracic)
    manifest, manifest_issues = open_manifest(data_dir, counts)
    columns = () if manifest is None else ("image_digest", "labels_digest")
    gathered = gather_into(counts, SAMPLE_FACTS, columns)
    with gathered.store:
        issues = check_segmentation_set(
            data_dir,
            tissues=tissues,
            allow_scaled=allow_scaled,
            observe=partial(_observe, gathered, None),
            progress=progress,
        )
        facts = gathered.facts
        more = collect(
            chain(
                manifest_issues,
                _allowed(_check_samples(facts, tissues), allow_scaled=allow_scaled),
                _compare(gathered, manifest),
                check_manifest(
                    manifest, gathered.digests, image_digest=sample_place, labels_digest=_mask_place
                ),
            )
        )
    return (*issues, *more), facts


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
            observe=partial(_observe, gathered, chosen),
            progress=progress,
        )
    found = _check_samples(gathered.facts, tissues)
    errors = (each for each in found if each.severity == "error")
    return (*issues, *collect(_allowed(errors, allow_scaled=allow_scaled)))


def check_segmentation_set(
    data_dir: Path,
    *,
    tissues: Sequence[Tissue],
    allow_scaled: bool = False,
    observe: Observer | None = None,
    progress: StepProgress | None = None,
) -> tuple[Issue, ...]:
    """Read a whole segmentation training set and list what is wrong with it.

    Memory does not grow with the size of the images. Values of a split are read only if the headers
    of its files are right. With ``allow_scaled``, images that look scaled are a warning.
    """
    issues: list[Issue] = []
    splits: dict[str, SplitHeaders] = {}
    for split in SPLITS:
        headers, errors = inspect_segmentation_split(data_dir, split, tissues)
        issues += (error for error in errors if error not in issues)  # labels.json is the set's
        if headers is not None:
            splits[split] = headers
    total = sum(headers.images.shape[0] for headers in splits.values())
    digests: dict[str, Sequence[bytes | None]] = {}
    done = 0
    for split, headers in splits.items():
        report = progress_of_split(progress, done, total)
        scan = scan_split(split, headers, tissues, observe, report)
        done += headers.images.shape[0]
        digests[split] = scan.digests
        rules = (
            repeated_images(split, scan.digests, sample_place),
            _check_clipping(scan, split),
            _check_range(scan, split, allow_scaled=allow_scaled),
            _check_classes(split, scan, headers, tissues),
            _check_order(headers),
        )
        issues += (*scan.issues, *collect(chain(*rules), split))
    leaks = check_leaks("image-in-two-splits", "images", digests, images_place)
    return (*issues, *collect(leaks))


def _observe(gathered: Gathered, chosen: Mapping[str, frozenset[int]] | None, chunk: Chunk) -> None:
    """Look at the chosen samples of a chunk, but for those with NaN or unknown labels."""
    split, scan = chunk.split, chunk.scan
    for offset, (hu, labels) in enumerate(zip(chunk.images, chunk.masks, strict=True)):
        index, digest = chunk.start + offset, scan.digests[offset]
        if chosen is not None and index not in chosen[split]:
            continue
        gathered.put_digests(split, index, image_digest=hu, labels_digest=labels)
        labels = folded(labels, ABDOMINAL_TISSUES) if chunk.has_more_tissues else labels  # noqa: PLW2901 - of the three that rules are for
        ends = scan.lowest[offset], scan.highest[offset]
        is_known = labels.max() <= LARGEST_LABEL or np.all(
            (labels <= LARGEST_LABEL) | (labels == NOT_ANNOTATED_LABEL)
        )
        if np.isfinite(ends).all() and is_known:
            known = labels
            if chunk.backgrounds:
                known = with_background(labels, chunk.backgrounds[offset])
            facts, detail = describe_sample(hu, known, ends)
            if digest is not None:
                facts["image_digest"] = np.void(digest)
            gathered.put(split, index, (facts, detail))


def _counts(data_dir: Path) -> dict[str, int]:
    """Return the number of samples of every split whose headers are right."""
    inspected = {split: inspect_segmentation_split(data_dir, split)[0] for split in SPLITS}
    return {split: h.images.shape[0] for split, h in inspected.items() if h is not None}


def _check_samples(
    facts: Mapping[str, NDArray[np.void]], tissues: Sequence[Tissue]
) -> Iterator[Issue]:
    for split, samples in facts.items():
        yield from check_hu(split, samples)
        yield from check_masks(split, samples, tissues)
        yield from repeated_masks(split, samples, _mask_place)


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


def _mask_place(split: str, index: int) -> Place:
    return sample_place(split, index, "masks")


def _check_range(scan: SplitScan, split: str, *, allow_scaled: bool) -> Iterator[Issue]:
    place = images_place(split)
    low, high = np.asarray(scan.lowest), np.asarray(scan.highest)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return
    found = f"found values from {low.min():g} to {high.max():g} only"
    scale = _scale(float(low.min()), float(high.max()))
    if scale:
        message = f"expected raw HU with air near -1000, {found} (within {scale})"
        hint = (
            "The images look windowed or scaled already; save the raw HU. If these values are "
            "meant, use --allow-scaled-images."
        )
        yield (warning if allow_scaled else error)("scaled-images", place, message, hint)
    elif low.min() > NO_AIR_ABOVE_HU:
        message = f"expected raw HU with air near -1000, {found}"
        hint = "Check that the rescale intercept was applied and that no window was."
        yield warning("no-air", place, message, hint)
    else:
        for sample in np.flatnonzero(low >= 0).tolist():
            message = f"expected raw HU, found no value below 0 ({low[sample]:g}..{high[sample]:g})"
            hint = "This sample looks scaled, unlike others; check how it was made."
            yield warning("sample-without-air", sample_place(split, sample), message, hint)


def _scale(low: float, high: float) -> str:
    """Return the scale of 8 bits or of 0 to 1 that all values lie in, empty if there is none."""
    scales = {"0..1": (0, 1), "0..255": (0, 255), "-128..127": (-128, 127)}
    return next((name for name, ends in scales.items() if ends[0] <= low <= high <= ends[1]), "")


def _check_clipping(scan: SplitScan, split: str) -> Iterator[Issue]:
    """Warn if bone is cut off: all images end at one value that is not the file type's own."""
    highest = {value for low, value in zip(scan.lowest, scan.highest, strict=True) if low < value}
    if (
        len(scan.highest) >= FEWEST_TO_CLIP
        and len(highest) == 1
        and (top := highest.pop()) < BONE_HU
    ):
        message = f"expected bone of various HU, found that all images end at {top:g}"
        hint = "The images look windowed; save the raw HU."
        yield warning("hu-clipped", images_place(split), message, hint)


def _check_classes(
    split: str, scan: SplitScan, headers: SplitHeaders, tissues: Sequence[Tissue]
) -> Iterator[Issue]:
    name = headers.masks.path.name
    if scan.labels <= {BACKGROUND_LABEL}:
        found = "only background" if scan.labels else "no annotated pixel"
        message = f"expected labelled tissue, found {found} in all {headers.masks.shape[0]} samples"
        yield error("only-background", name, message, "Check how the masks were exported.")
        return
    never = never_labeled(headers.backgrounds, tissues) if split == "train" else []
    for tissue in tissues:
        if tissue in never:
            message = f"expected samples labeled for {tissue.title.lower()}, found none"
            yield NEVER_LABELED.broken(name, message, tissue.label)
        elif tissue.label not in scan.labels:
            message = (
                f"expected label {tissue.label} ({tissue.title.lower()}), found none in any sample"
            )
            hint = (
                "The class cannot be learnt or evaluated on this split. For a model without "
                "visceral fat use the thoracic option (-t)."
            )
            yield warning("class-absent", name, message, hint)


def never_labeled(backgrounds: Sequence[int], tissues: Sequence[Tissue]) -> list[Tissue]:
    """Return the tissues that no sample was labeled for, by those of ``LabelDeclaration``."""
    return [t for t in tissues if backgrounds and all(may_be(each, t) for each in backgrounds)]


def _check_order(headers: SplitHeaders) -> Iterator[Issue]:
    for header in (headers.images, headers.masks):
        size = int(np.prod(header.shape, dtype=np.int64)) * header.dtype.itemsize
        if header.fortran_order and size >= SLOW_FORTRAN_BYTES:
            message = f"found Fortran order in a file of {size / 2**30:.1f} GiB, which is slow"
            hint = "Each sample lies scattered over the file; save numpy.ascontiguousarray(array)."
            yield warning("fortran-order", header.path.name, message, hint)

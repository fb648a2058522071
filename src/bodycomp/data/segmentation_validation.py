"""Everything that is looked at in a segmentation training set, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import NOT_ANNOTATED_LABEL, Tissue, tissues_for
from bodycomp.data.asymmetry import grouping_of
from bodycomp.data.findings import Finding, FindingList, Place
from bodycomp.data.gathering import Gathered, evenly, gather_into
from bodycomp.data.manifest import Manifest, pixel_digest
from bodycomp.data.naming import SPLITS
from bodycomp.data.patients import from_manifest
from bodycomp.data.places import sample_place
from bodycomp.data.sample_facts import SAMPLE_FACTS, describe_sample
from bodycomp.data.segmentation_pass import Piece
from bodycomp.data.segmentation_set import inspect_segmentation_split
from bodycomp.data.validate_duplicates import almost_repeated, repeated_masks
from bodycomp.data.validate_flips import check_flips
from bodycomp.data.validate_hu import HU_SHIFTED, TISSUES_SWAPPED, check_hu
from bodycomp.data.validate_manifest import check_digests, check_leaks, open_manifest
from bodycomp.data.validate_masks import MASK_SHIFTED, MASK_TURNED, check_masks
from bodycomp.data.validate_segmentation import check_segmentation_set
from bodycomp.data.validate_splits import check_hu_of_splits, check_split_sizes
from bodycomp.progress import StepProgress

LARGEST_LABEL: Final = 3
SAMPLED: Final = 32
"""Samples of a split that training looks at closely before its first step: some 0.1 s."""

BASED_ON_HU: Final = frozenset(
    rule.code for rule in (HU_SHIFTED, TISSUES_SWAPPED, MASK_TURNED, MASK_SHIFTED)
)


class SampleLooker:
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

    def __call__(self, piece: Piece) -> None:
        """Look at the samples of a piece; those with NaN or unknown labels are left out."""
        split = piece.split
        for offset, (hu, labels) in enumerate(zip(piece.images, piece.masks, strict=True)):
            index, digest = piece.start + offset, piece.digests[offset]
            if self._chosen is not None and index not in self._chosen[split]:
                continue
            if self._with_digests:
                self.image_digests[split][index] = pixel_digest(hu)
                self.mask_digests[split][index] = pixel_digest(labels)
            ends = piece.lowest[offset], piece.highest[offset]
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
) -> tuple[tuple[Finding, ...], dict[str, NDArray[np.void]]]:
    """Return the findings of a segmentation set and split -> ``SAMPLE_FACTS``."""
    counts = _counts(data_dir)
    manifest, manifest_findings = open_manifest(data_dir, counts)
    gathered = gather_into(counts, SAMPLE_FACTS)
    with gathered.store:
        looker = SampleLooker(gathered, with_digests=manifest is not None)
        findings = check_segmentation_set(
            data_dir,
            tissues=tissues_for(thoracic=thoracic),
            allow_scaled=allow_scaled,
            observe=looker,
            progress=progress,
        )
        more = FindingList()
        more.extend(manifest_findings)
        for split, facts in gathered.facts.items():
            found = _check_samples(split, facts, tissues_for(thoracic=thoracic))
            more.extend(_allowed(found, allow_scaled=allow_scaled))
        more.extend(_compare(gathered, manifest))
        if manifest is not None:
            more.extend(_check_manifest(manifest, looker))
    return (*findings, *more.all()), gathered.facts


def check_before_training(
    data_dir: Path,
    *,
    tissues: Sequence[Tissue],
    allow_scaled: bool = False,
    progress: StepProgress | None = None,
) -> tuple[Finding, ...]:
    """Return what ``check_segmentation_set`` finds, and the errors of a sample of each split.

    ``SAMPLED`` images and masks, evenly spread, are looked at as by ``validate_samples``, in the
    same pass over the files.
    """
    counts = _counts(data_dir)
    gathered = gather_into(counts, SAMPLE_FACTS)
    chosen = {split: frozenset(evenly(count, SAMPLED)) for split, count in counts.items()}
    with gathered.store:
        findings = check_segmentation_set(
            data_dir,
            tissues=tissues,
            allow_scaled=allow_scaled,
            observe=SampleLooker(gathered, chosen=chosen),
            progress=progress,
        )
    more = FindingList()
    for split, facts in gathered.facts.items():
        found = _check_samples(split, facts, tissues)
        errors = (each for each in found if each.severity == "error")
        more.extend(_allowed(errors, allow_scaled=allow_scaled))
    return (*findings, *more.all())


def _counts(data_dir: Path) -> dict[str, int]:
    """Return the number of samples of every split whose headers are right."""
    inspected = {split: inspect_segmentation_split(data_dir, split)[0] for split in SPLITS}
    return {split: h.images.shape[0] for split, h in inspected.items() if h is not None}


def _check_samples(
    split: str, facts: NDArray[np.void], tissues: Sequence[Tissue]
) -> Iterator[Finding]:
    yield from check_hu(split, facts)
    yield from check_masks(split, facts, tissues)
    yield from repeated_masks(split, facts, _mask_place)


def _allowed(findings: Iterable[Finding], *, allow_scaled: bool) -> Iterator[Finding]:
    """Turn errors that are based on HU into warnings where the values are meant to be no HU."""
    for finding in findings:
        no_hu = allow_scaled and finding.code in BASED_ON_HU
        yield replace(finding, severity="warning") if no_hu else finding


def _compare(gathered: Gathered, manifest: Manifest | None) -> Iterator[Finding]:
    splits = tuple(gathered.facts)
    series = from_manifest(manifest, "series_instance_uid", splits)
    patients = from_manifest(manifest, "patient", splits)
    yield from almost_repeated(gathered, sample_place, series)
    heights = np.zeros(len(gathered.store), np.int64)  # sets for segmentation are of one level
    yield from check_flips(gathered, grouping_of(heights, patients), patients, sample_place)
    yield from check_split_sizes(gathered.facts)
    yield from check_hu_of_splits(gathered.facts)


def _check_manifest(manifest: Manifest, looker: SampleLooker) -> Iterator[Finding]:
    yield from check_leaks(manifest)
    yield from check_digests(manifest, looker.image_digests, "image_digest", sample_place)
    yield from check_digests(manifest, looker.mask_digests, "labels_digest", _mask_place)


def _mask_place(split: str, index: int) -> Place:
    return sample_place(split, index, "masks")

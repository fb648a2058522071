"""Everything that is looked at in a segmentation training set, in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.anatomy import NOT_ANNOTATED_LABEL, tissues_for
from bodycomp.data.asymmetry import grouping_of
from bodycomp.data.findings import Finding, FindingList, Place
from bodycomp.data.gathering import Gathered, gather_into
from bodycomp.data.manifest import Manifest, pixel_digest
from bodycomp.data.naming import SPLITS
from bodycomp.data.patients import from_manifest
from bodycomp.data.places import sample_place
from bodycomp.data.sample_facts import SAMPLE_FACTS, describe_sample
from bodycomp.data.segmentation_pass import Piece
from bodycomp.data.segmentation_set import inspect_segmentation_split
from bodycomp.data.validate_duplicates import almost_repeated, repeated_masks
from bodycomp.data.validate_flips import check_flips
from bodycomp.data.validate_hu import check_hu
from bodycomp.data.validate_manifest import check_digests, check_leaks, open_manifest
from bodycomp.data.validate_masks import check_masks
from bodycomp.data.validate_segmentation import Progress, check_segmentation_set
from bodycomp.data.validate_splits import check_hu_of_splits, check_split_sizes

LARGEST_LABEL: Final = 3


class SampleLooker:
    """Looks at samples as they pass by; to be called from several threads.

    Args:
        gathered: Where facts and details are kept.
        with_digests: Whether there is a manifest to compare with.
    """

    def __init__(self, gathered: Gathered, *, with_digests: bool) -> None:
        self._gathered = gathered
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
    progress: Progress | None = None,
) -> tuple[tuple[Finding, ...], dict[str, NDArray[np.void]]]:
    """Return the findings of a segmentation set and split -> ``SAMPLE_FACTS``."""
    counts = {}
    for split in SPLITS:
        headers, _ = inspect_segmentation_split(data_dir, split)
        if headers is not None:
            counts[split] = headers.images.shape[0]
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
            more.extend(_check_samples(split, facts, thoracic=thoracic))
        more.extend(_compare(gathered, manifest))
        if manifest is not None:
            more.extend(_check_manifest(manifest, looker))
    return (*findings, *more.all()), gathered.facts


def _check_samples(split: str, facts: NDArray[np.void], *, thoracic: bool) -> Iterator[Finding]:
    yield from check_hu(split, facts)
    yield from check_masks(split, facts, tissues_for(thoracic=thoracic))
    yield from repeated_masks(split, facts, _mask_place)


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

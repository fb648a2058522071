"""Images that are there twice: the same, or the same but for noise, a small shift or the window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.findings import Finding, Place, Rule
from bodycomp.data.gathering import Gathered
from bodycomp.data.near_duplicates import near_duplicates, similar_pairs

IMAGE_REPEATED: Final = Rule(
    "image-repeated", "warning", "Keep one of them: the other adds nothing, or is a wrong slice."
)
NEAR_DUPLICATE: Final = Rule(
    "near-duplicate",
    "warning",
    "Look at both: the same slice saved twice is one sample too many, and in two splits a leak.",
)
MASK_REPEATED: Final = Rule(
    "mask-repeated", "warning", "Check how masks were paired with images; no two are drawn alike."
)

PlaceOf = Callable[[str, int], Place]


def repeated_images(
    split: str, digests: Sequence[bytes | None], place_of: PlaceOf
) -> Iterator[Finding]:
    """Yield images that an earlier one of the same split equals; None takes no part."""
    first: dict[bytes, int] = {}
    for index, digest in enumerate(digests):
        if digest is None:
            continue
        earlier = first.setdefault(digest, index)
        if earlier != index:
            message = f"expected every image once, found that of sample {earlier} again"
            yield IMAGE_REPEATED.broken(place_of(split, index), message, earlier)


def repeated_masks(split: str, facts: NDArray[np.void], place_of: PlaceOf) -> Iterator[Finding]:
    """Yield masks that an earlier one with another image equals, from ``SAMPLE_FACTS``."""
    first: dict[bytes, int] = {}
    for index in np.flatnonzero(facts["pixels"].sum(axis=1)).tolist():
        earlier = first.setdefault(facts[index]["mask_digest"].tobytes(), index)
        if facts[earlier]["image_digest"] != facts[index]["image_digest"]:
            message = f"expected a mask of its own, found that of sample {earlier}"
            yield MASK_REPEATED.broken(place_of(split, index), message, earlier)


def almost_repeated(
    gathered: Gathered, place_of: PlaceOf, series: NDArray[np.int64] | None = None
) -> Iterator[Finding]:
    """Yield images that another one of any split nearly equals; equal ones are told elsewhere.

    Args:
        gathered: Facts with ``perceptual_hash`` and ``image_digest``, and details.
        place_of: How a sample is called.
        series: Number of each sample's series, splits one after another; -1 if not known.
    """
    if not gathered.facts:
        return
    hashes = gathered.together("perceptual_hash").astype(np.uint64)
    digests = gathered.together("image_digest")
    pairs = similar_pairs(hashes, series)
    pairs = pairs[digests[pairs[:, 0]] != digests[pairs[:, 1]]]
    for one, other, alike in near_duplicates(gathered.store, pairs):
        place = place_of(*gathered.sample(other))
        message = (
            "expected different images, found nearly that of "
            f"{place_of(*gathered.sample(one)).where} ({alike:.3f} of 1)"
        )
        yield NEAR_DUPLICATE.broken(place, message, alike)

"""Images that are there twice: the same, or the same but for noise, a small shift or the window.

Neighbouring slices of a scan have the same perceptual hash as often as not, so that the hash alone
only proposes pairs. A pair is confirmed by one of two looks at the details:

- *residual*: what is left of one thumbnail after the other was fitted to it, linear in grey and
  shifted by a fraction of a part, in units of its standard deviation. Added noise averages out in
  the thumbnails, anatomy that differs does not.
- *grain*: the correlation of the pixels' Laplacian in the middle of both images, the best one of
  shifts by up to two pixels. Noise is an image's own, also after a shift or in another window.

What was measured on phantom and real slices: docs/validation.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.issues import Issue, PlaceOf, Rule
from bodycomp.validation.details import GRAIN_MARGIN, GRAIN_SIDE, DetailStore, Gathered

IMAGE_REPEATED: Final = Rule(
    "image-repeated", "warning", "Keep one of them: the other adds nothing, or is a wrong slice."
)
NEAR_DUPLICATE: Final = Rule(
    "near-duplicate",
    "warning",
    "Look at both: the same slice saved twice is one sample too many, and in two splits a leak.",
)
MASK_REPEATED: Final = Rule(
    "mask-repeated",
    "warning",
    "Check how masks were paired with images; no two are annotated alike.",
)

HASH_BITS: Final = 8
"""Pairs whose hashes differ in more bits are not looked at."""

MAX_RESIDUAL: Final = 0.06
"""Copies with 10 HU of noise leave at most 0.023, with 25 HU 0.056; neighbours at least 0.11."""

MIN_GRAIN: Final = 0.965
"""Shifted copies reach 1.00 and copies windowed at 50/350 0.95 to 0.99; neighbours at most 0.94."""

MIN_GRAIN_SD: Final = 2.0
"""Without texture in the middle, grain says nothing."""

MAX_PAIRS: Final = 20_000
"""So many pairs are looked at, those of the most similar hashes first."""

MIN_CORRELATION: Final = 0.97
"""Thumbnails of copies correlate by 0.98 and more, which spares most pairs the closer looks."""

DARK_GRAY: Final = 2.0
FEWEST_PARTS: Final = 32
_ROWS: Final = 512
_CHUNK: Final = 64


def repeated_images(
    split: str, digests: Sequence[bytes | None], place_of: PlaceOf
) -> Iterator[Issue]:
    """Yield images that an earlier one of the same split equals; None takes no part."""
    first: dict[bytes, int] = {}
    for index, digest in enumerate(digests):
        if digest is None:
            continue
        earlier = first.setdefault(digest, index)
        if earlier != index:
            message = f"expected every image once, found that of sample {earlier} again"
            yield IMAGE_REPEATED.broken(place_of(split, index), message, earlier)


def repeated_masks(split: str, facts: NDArray[np.void], place_of: PlaceOf) -> Iterator[Issue]:
    """Yield masks that an earlier one with another image equals, from ``SAMPLE_FACTS``."""
    first: dict[bytes, int] = {}
    for index in np.flatnonzero(facts["pixels"].sum(axis=1)).tolist():
        earlier = first.setdefault(facts[index]["mask_digest"].tobytes(), index)
        if facts[earlier]["image_digest"] != facts[index]["image_digest"]:
            message = f"expected a mask of its own, found that of sample {earlier}"
            yield MASK_REPEATED.broken(place_of(split, index), message, earlier)


def almost_repeated(
    gathered: Gathered, place_of: PlaceOf, series: NDArray[np.int64] | None = None
) -> Iterator[Issue]:
    """Yield images that another one of any split nearly equals; equal ones are reported elsewhere.

    ``series`` holds the number of each sample's series, splits one after another, -1 if not known.
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


def similar_pairs(
    hashes: NDArray[np.uint64], series: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Return (pair, 2) indices of images whose hashes are alike, the most similar first.

    A hash of 0 takes no part, nor do neighbors, which are images of one of the ``series`` (-1 if
    not known).
    """
    found: list[NDArray[np.int64]] = []
    bits: list[NDArray[np.uint8]] = []
    for start in range(0, len(hashes), _ROWS):
        rows = hashes[start : start + _ROWS, None]
        differ = np.bitwise_count(rows ^ hashes[None, start:])
        alike = (differ <= HASH_BITS) & (rows != 0) & (hashes[None, start:] != 0)
        if series is not None:
            known = series[start : start + _ROWS, None]
            alike &= (known != series[None, start:]) | (known < 0)
        one, other = np.nonzero(np.triu(alike, 1))
        found.append(np.stack([one, other], axis=1) + start)
        bits.append(differ[one, other])
    pairs = np.concatenate(found) if found else np.zeros((0, 2), np.int64)
    if not len(pairs):
        return pairs
    order = np.argsort(np.concatenate(bits), kind="stable")
    return pairs[order[:MAX_PAIRS]]


def near_duplicates(
    store: DetailStore, pairs: NDArray[np.int64]
) -> Iterator[tuple[int, int, float]]:
    """Yield those pairs that are confirmed, and how alike they are, 1 if the same."""
    for start in range(0, len(pairs), _CHUNK):
        chunk = pairs[start : start + _CHUNK]
        one, other = (
            np.concatenate([store.read(index, index + 1) for index in column.tolist()])
            for column in chunk.T
        )
        alike = likeness(one, other)
        for here in np.flatnonzero(alike > 0).tolist():
            yield int(chunk[here, 0]), int(chunk[here, 1]), float(alike[here])


def likeness(one: NDArray[np.void], other: NDArray[np.void]) -> NDArray[np.float64]:
    """Return (pair,) how alike pairs of ``DETAIL`` are, 0 where they are not the same."""
    alike = np.zeros(len(one))
    worth = (one["known"] > 0) & (other["known"] > 0)
    worth[worth] = (
        _correlations(one["thumbnail"][worth], other["thumbnail"][worth]) >= MIN_CORRELATION
    )
    left = np.full(len(one), np.inf)
    left[worth] = residuals(one["thumbnail"][worth], other["thumbnail"][worth])
    alike[left <= MAX_RESIDUAL] = 1 - left[left <= MAX_RESIDUAL]
    rest = worth & (left > MAX_RESIDUAL)
    grain = grain_correlations(one["grain"][rest], other["grain"][rest])
    alike[rest] = np.where(grain >= MIN_GRAIN, grain, 0)
    return alike


def residuals(one: NDArray[np.float16], other: NDArray[np.float16]) -> NDArray[np.float64]:
    """Return (pair,) the part of each thumbnail's variation that another one does not explain.

    Each of ``one`` is fitted by a constant, ``other`` and the slopes of ``other``: brightness,
    contrast, and a shift by a fraction of a part. Both are (pair, row, column).
    """
    goal, source = one.astype(np.float64), other.astype(np.float64)
    down, right = np.zeros_like(source), np.zeros_like(source)
    down[:, 1:-1] = (source[:, 2:] - source[:, :-2]) / 2
    right[:, :, 1:-1] = (source[:, :, 2:] - source[:, :, :-2]) / 2
    inner = (slice(None), slice(1, -1), slice(1, -1))
    terms = [_rows(each[inner]) for each in (source, down, right)]
    model = np.stack([np.ones_like(terms[0]), *terms], axis=2)
    target = _rows(goal[inner])
    body = (target > DARK_GRAY) | (terms[0] > DARK_GRAY)  # air is alike in all
    count = np.maximum(body.sum(axis=1), 1)
    weighted = model * body[:, :, None]
    squares = np.einsum("pmi,pmj->pij", weighted, model) + 1e-6 * np.eye(4)
    products = np.einsum("pmi,pm->pi", weighted, target)
    fitted = np.linalg.solve(squares, products[:, :, None])
    wrong = (target - (model @ fitted)[:, :, 0]) * body
    means = (target * body).sum(axis=1) / count
    spread = np.sqrt(((target - means[:, None]) ** 2 * body).sum(axis=1) / count)
    left: NDArray[np.float64] = np.sqrt((wrong**2).sum(axis=1) / count) / np.maximum(spread, 1e-3)
    return np.where(count >= FEWEST_PARTS, left, np.inf)


def grain_correlations(one: NDArray[np.int8], other: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return (pair,) the best correlation of two grains under shifts; both (pair, row, column)."""
    middle = slice(GRAIN_MARGIN, GRAIN_MARGIN + GRAIN_SIDE)
    goal = _rows(one[:, middle, middle]).astype(np.float32)
    target = goal - goal.mean(axis=1, keepdims=True)
    length = np.linalg.norm(target, axis=1)
    source = other.astype(np.float32)
    best = np.zeros(len(one))
    for rows in range(2 * GRAIN_MARGIN + 1):
        for columns in range(2 * GRAIN_MARGIN + 1):
            part = source[:, rows : rows + GRAIN_SIDE, columns : columns + GRAIN_SIDE]
            moved = _rows(part)
            sums = moved.sum(axis=1)
            squares = np.einsum("pm,pm->p", moved, moved)
            spread = np.sqrt(np.maximum(squares - sums**2 / GRAIN_SIDE**2, 0))
            lengths = length * spread
            product = np.einsum("pm,pm->p", target, moved)
            enough = lengths >= (MIN_GRAIN_SD * GRAIN_SIDE) ** 2
            best = np.where(enough, np.maximum(best, product / np.maximum(lengths, 1)), best)
    return best


def _rows(values: NDArray[Any]) -> NDArray[Any]:
    """Flatten all axes but the first, also without anything in it."""
    return values.reshape(len(values), int(np.prod(values.shape[1:])))


def _correlations(one: NDArray[np.float16], other: NDArray[np.float16]) -> NDArray[np.float64]:
    left, right = (_rows(each).astype(np.float64) for each in (one, other))
    left -= left.mean(axis=1, keepdims=True)
    right -= right.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    cosines: NDArray[np.float64] = np.einsum("pm,pm->p", left, right) / np.maximum(lengths, 1e-6)
    return cosines

"""What comparisons of images need: digests, a perceptual hash, and details kept in a file."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bodycomp.data.arrays import read_into
from bodycomp.data.manifest import pixel_digest
from bodycomp.progress import StepProgress

DIGEST_BYTES: Final = 16
ROW_STEP: Final = 4
"""Every fourth row distinguishes two scans and costs a quarter of the time."""

HASH_SIDE: Final = 8
THUMBNAIL_SIDE: Final = 32
FLAT_GRAY: Final = 1.0
"""An image whose parts differ by less, of 255 grey levels, shows nothing."""

GRAIN_SIDE: Final = 48
GRAIN_MARGIN: Final = 2
"""Grains are compared under shifts of up to so many pixels."""

ALIGNED_SIDE: Final = 24
_GRAIN: Final = GRAIN_SIDE + 2 * GRAIN_MARGIN
DETAIL: Final = np.dtype(
    [
        ("known", "u1"),
        ("thumbnail", "<f2", (THUMBNAIL_SIDE, THUMBNAIL_SIDE)),
        ("grain", "i1", (_GRAIN, _GRAIN)),
        ("aligned", "<f2", (ALIGNED_SIDE, ALIGNED_SIDE)),
    ]
)
"""Per image, in grey levels 0..255 of the window 40/400: means of 32 x 32 parts; half the
Laplacian of the 52 x 52 pixels in the middle, which is mostly noise and so the image's own; and the
24 x 24 parts of the body's box, less their mean and in units of their standard deviation."""


def image_digest(image: NDArray[np.generic]) -> bytes:
    """Return a digest of a (row, column) image that does not depend on its dtype.

    >>> image_digest(np.ones((8, 8), np.int16)) == image_digest(np.ones((8, 8), np.float64))
    True
    """
    with np.errstate(over="ignore", invalid="ignore"):  # float64 beyond float32 becomes infinite
        rows = np.ascontiguousarray(image[::ROW_STEP], dtype=np.float32)
    rows = rows + np.float32(0)  # -0.0 and 0.0 are the same grey
    return hashlib.blake2b(rows.data, digest_size=DIGEST_BYTES).digest()


def part_means(image: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Return the means of side x side parts of a (row, column) image, as equal as pixels allow.

    An image of fewer rows or columns has as many parts as those.
    """
    rows, columns = (_starts(length, side) for length in image.shape)
    exact = np.int32 if image.dtype.kind in "iu" else np.float32
    tall = np.add.reduceat(image.astype(exact), rows, axis=0)
    parts = np.add.reduceat(tall, columns, axis=1)
    heights, widths = (
        np.diff(starts, append=length)
        for starts, length in zip((rows, columns), image.shape, strict=True)
    )
    means: NDArray[np.float32] = (parts / (heights[:, None] * widths)).astype(np.float32)
    return means


def perceptual_hash(small: NDArray[np.float32]) -> np.uint64:
    """Return 64 bits: which low frequencies of a thumbnail lie above their median.

    The discrete cosine transform's lowest 8 x 8 frequencies without the mean, as is usual for
    such hashes (Zauner, Implementation and benchmarking of perceptual image hash functions, 2010);
    0 for an image without content.
    """
    if small.std() < FLAT_GRAY:
        return np.uint64(0)
    rows, columns = (_cosines(side) for side in small.shape)
    frequencies = (rows @ small @ columns.T).ravel()[1:]
    bits = np.append(frequencies > np.median(frequencies), np.False_)
    return np.uint64(int.from_bytes(np.packbits(bits).tobytes(), "big"))


def _starts(length: int, side: int) -> NDArray[np.int64]:
    parts = min(length, side)
    return np.arange(parts) * length // parts


@lru_cache(maxsize=8)
def _cosines(side: int) -> NDArray[np.float32]:
    """Return the lowest rows of the discrete cosine transform of type II."""
    k, n = np.arange(HASH_SIDE)[:, None], np.arange(side)[None, :]
    return np.cos(np.pi * k * (2 * n + 1) / (2 * side)).astype(np.float32)


def describe_details(
    image: NDArray[Any], box: tuple[int, int, int, int], gray_per_unit: float
) -> np.void:
    """Return ``DETAIL`` of a windowed image.

    ``image`` is (row, column), 0 where black; ``box`` the body's first and last row, first and last
    column; ``gray_per_unit`` says how many gray levels 0..255 its unit is.
    """
    detail: np.void = np.zeros(1, DETAIL)[0]
    step = max(1, (min(image.shape) // 256) ** 2)  # a part then has 64 pixels
    coarse = image[::step]
    means = part_means(coarse, THUMBNAIL_SIDE) * np.float32(gray_per_unit)
    top, bottom, left, right = box
    body = coarse[top // step : bottom // step + 1, left : right + 1]
    if min(body.shape) >= ALIGNED_SIDE:
        parts = part_means(body, ALIGNED_SIDE)
        detail["aligned"] = (parts - parts.mean()) / max(float(parts.std()), 1e-3)
    if means.shape == (THUMBNAIL_SIDE, THUMBNAIL_SIDE) and min(image.shape) >= _GRAIN + 2:
        detail["thumbnail"] = means
        detail["grain"] = _grain(image, gray_per_unit)
        detail["known"] = 1
    return detail


def _grain(image: NDArray[Any], gray_per_unit: float) -> NDArray[np.float32]:
    rows, columns = ((side - _GRAIN) // 2 - 1 for side in image.shape)
    middle = image[rows : rows + _GRAIN + 2, columns : columns + _GRAIN + 2].astype(np.float32)
    laplacian = 4 * middle[1:-1, 1:-1] - middle[:-2, 1:-1] - middle[2:, 1:-1]
    laplacian -= middle[1:-1, :-2] + middle[1:-1, 2:]
    scaled = np.rint(laplacian * np.float32(gray_per_unit / 2))
    clipped: NDArray[np.float32] = np.clip(scaled, -127, 127)
    return clipped


class DetailStore:
    """``DETAIL`` of many images in a file without a name, zero until written by any thread."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._file = tempfile.TemporaryFile(prefix="bodycomp-")  # noqa: SIM115 - closed by __exit__
        self._file.truncate(count * DETAIL.itemsize)

    def __len__(self) -> int:
        return self._count

    def write(self, index: int, detail: np.void) -> None:
        """Keep the details of one image."""
        os.pwrite(self._file.fileno(), detail.tobytes(), index * DETAIL.itemsize)

    def read(self, start: int, stop: int) -> NDArray[np.void]:
        """Return the details of images ``start`` to ``stop``."""
        details = np.empty(stop - start, DETAIL)
        if len(details):
            read_into(self._file.fileno(), start * DETAIL.itemsize, details.view(np.uint8))
        return details

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@dataclass(frozen=True, eq=False)
class Gathered:
    """What was seen of every sample; threads may write different samples at once.

    ``facts`` are by split; the store holds splits one after another from ``starts`` on. ``digests``
    maps columns of the manifest and splits to ``pixel_digest`` of each sample, empty without a
    manifest to compare with.
    """

    facts: dict[str, NDArray[np.void]]
    store: DetailStore
    starts: dict[str, int]
    digests: dict[str, dict[str, list[str]]]

    def put(self, split: str, index: int, seen: tuple[np.void, np.void]) -> None:
        """Keep the facts and the details of a sample."""
        self.facts[split][index], detail = seen
        self.store.write(self.starts[split] + index, detail)

    def put_digests(self, split: str, index: int, **pixels: NDArray[Any]) -> None:
        """Keep the digests of a sample, by their columns, if there is a manifest."""
        for column, values in pixels.items():
            if column in self.digests:
                self.digests[column][split][index] = pixel_digest(values)

    def together(self, name: str) -> NDArray[np.generic]:
        """Return one fact of all samples, splits one after another."""
        columns = [facts[name] for facts in self.facts.values()]
        return np.concatenate(columns) if columns else np.zeros(0)

    def sample(self, position: int) -> tuple[str, int]:
        """Return split and index of a place in the store."""
        split = [name for name, start in self.starts.items() if start <= position][-1]
        return split, position - self.starts[split]


def gather_into(
    counts: Mapping[str, int], kind: DTypeLike, digests: Iterable[str] = ()
) -> Gathered:
    """Return room for so many samples of each split, and for digests of these columns."""
    used = {split: count for split, count in counts.items() if count}
    facts = {split: np.zeros(count, kind) for split, count in used.items()}
    ends = np.cumsum([0, *used.values()]).tolist()
    rooms = {column: {split: [""] * n for split, n in used.items()} for column in digests}
    return Gathered(facts, DetailStore(ends[-1]), dict(zip(used, ends, strict=False)), rooms)


def evenly(count: int, most: int) -> list[int]:
    """Return up to ``most`` of the numbers 0..count-1, evenly spread, with the first and the last.

    >>> evenly(10, 4), evenly(3, 4), evenly(0, 4)
    ([0, 3, 6, 9], [0, 1, 2], [])
    """
    if count <= most:
        return list(range(count))
    return [place * (count - 1) // (most - 1) for place in range(most)]


def progress_of_split(
    progress: StepProgress | None, done_before: int, total: int
) -> Callable[[int], None] | None:
    """Return what to call with the samples done of a split that begins after ``done_before``."""
    return None if progress is None else lambda done: progress(done_before + done, total)

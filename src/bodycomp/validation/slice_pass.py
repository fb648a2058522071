"""One pass over the PNG files of a split: read, decoded if the cache does not know them, looked at.

Each file is read once. What its bytes decode to is looked up by their digest, so that a changed
file is seen even if its size and time are those of before.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.data.gray_cache import (
    NOT_BLANK,
    SLICE_FACTS,
    GrayCache,
    GrayFile,
    GrayFileWriter,
    KnownSlices,
    content_digest,
    note_use,
)
from bodycomp.data.issues import Issue, collect, slice_place, warning
from bodycomp.data.png import decode_png, read_png
from bodycomp.data.slice_set import SliceSplit
from bodycomp.imaging.body_mask import body_box, body_mask
from bodycomp.imaging.resize import resize_gray
from bodycomp.validation.details import (
    DIGEST_BYTES,
    describe_details,
    image_digest,
    perceptual_hash,
)

COARSE_SIDE: Final = 128
MATTER_ABOVE_GRAY: Final = 16
"""-135 HU in a window of 40/400: below fat, above clothes and cushions."""

SEEN_SLICE: Final = np.dtype(
    [
        ("seen", "?"),
        ("content_digest", f"V{DIGEST_BYTES}"),
        ("image_digest", f"V{DIGEST_BYTES}"),
        ("perceptual_hash", "<u8"),
        ("rows", "<u2"),
        ("columns", "<u2"),
        ("mean_gray", "<f4"),
        ("sd_gray", "<f4"),
        ("black_share", "<f4"),
        ("white_share", "<f4"),
        ("body_share", "<f4"),
        ("body_gray", "<f4"),
        ("border_gray", "<f4"),
        ("air_share", "<f4"),
        ("body_box", "<u2", (4,)),
    ]
)
"""Per slice: whether it could be decoded; digests of its file and of its pixels
(``image_digest``); ``perceptual_hash``; size,
mean and standard deviation of all grey levels, shares of pixels that are 0 and 255, the share of
the image that the body takes, the body's mean grey, the mean grey of the image's outermost
rows and columns, the share of the body that is black (lungs, bowel gas), and the body's first and
last row and column. All zero where a file cannot be used."""


def describe_slice(gray: NDArray[np.uint8]) -> tuple[np.void, np.void]:
    """Look at a (row, column) slice; return ``SEEN_SLICE`` without digests, and ``DETAIL``."""
    facts: np.void = np.zeros(1, SEEN_SLICE)[0]
    facts["seen"] = True
    counts = np.bincount(gray.ravel(), minlength=256)
    levels = np.arange(256)
    mean = float(counts @ levels) / gray.size
    facts["rows"], facts["columns"] = np.minimum(gray.shape, np.iinfo(np.uint16).max)
    facts["mean_gray"] = mean
    facts["sd_gray"] = np.sqrt(max(float(counts @ levels**2) / gray.size - mean**2, 0))
    facts["black_share"] = counts[0] / gray.size
    facts["white_share"] = counts[-1] / gray.size
    step = (max(1, gray.shape[0] // COARSE_SIDE), max(1, gray.shape[1] // COARSE_SIDE))
    coarse = gray[step[0] // 2 :: step[0], step[1] // 2 :: step[1]]
    body = body_mask(coarse, MATTER_ABOVE_GRAY)
    inside = coarse[body]
    facts["body_share"] = len(inside) / body.size
    facts["body_gray"] = inside.mean() if len(inside) else 0
    facts["air_share"] = np.count_nonzero(inside == 0) / max(1, len(inside))
    facts["body_box"] = box = body_box(body, step)
    border = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    facts["border_gray"] = border.mean()
    detail = describe_details(gray, box, 1.0)
    facts["perceptual_hash"] = perceptual_hash(detail["thumbnail"].astype(np.float32))
    return facts, detail


log = logging.getLogger(__name__)

MAX_THREADS: Final = 8
QUEUED: Final = 256
"""Slices handed to the threads at a time, so that memory stays flat."""

Observer = Callable[[str, int, NDArray[np.uint8]], None]
"""Called with split, index and pixels of a slice as it was decoded; from several threads."""


@dataclass(frozen=True, slots=True)
class _Slice:
    """What is known of a slice, and its pixels in the network's size.

    ``in_same`` says that they come from the file that seems to hold the whole split.
    """

    facts: np.void
    gray: NDArray[np.uint8]
    in_same: bool = False


@dataclass(frozen=True, eq=False)
class PassResult:
    """What a pass over a split gathers: ``SLICE_FACTS``, issues, and decoded slices if kept."""

    facts: NDArray[np.void]
    issues: tuple[Issue, ...]
    decoded: GrayFile | None


class SlicePass:
    """Reads splits one after another; ``size`` is what the network sees."""

    def __init__(
        self, size: tuple[int, int], cache: GrayCache | None, observe: Observer | None = None
    ) -> None:
        self._size, self._observe = size, observe
        self._cache = cache if cache is not None and cache.limit_bytes > 0 else None
        self._in_use: list[GrayFile] = []

    def run(self, split: SliceSplit, progress: Callable[[int], None] | None) -> PassResult:
        """Read every PNG of a split; ``progress`` is called with the slices done."""
        files = [] if self._cache is None else self._cache.files(self._size)
        same = _likely_same(files, split)
        read = partial(self._read, split, KnownSlices(files), same)
        facts = np.zeros(len(split), SLICE_FACTS)
        in_use = [file.path for file in self._in_use]
        keeper = _Keeper(self._cache, self._size, same, len(split), in_use)
        with closing(keeper):

            def issues() -> Iterator[Issue]:
                for index, outcome in enumerate(_in_parallel(read, len(split))):
                    if isinstance(outcome, Issue):
                        yield outcome
                        keeper.give_up()
                    else:
                        facts[index] = outcome.facts
                        yield from _blank(split, index, int(outcome.facts["blank_gray"]))
                        keeper.keep(index, outcome)
                    if progress is not None:
                        progress(index + 1)

            found = collect(issues(), split.name)
            decoded = keeper.finish()
        if decoded is not None:
            note_use(decoded)
            self._in_use.append(decoded)
        return PassResult(facts, found, decoded)

    def _read(
        self, split: SliceSplit, known: KnownSlices, same: GrayFile | None, index: int
    ) -> _Slice | Issue:
        place = slice_place(split.name, index)
        data = read_png(split.png_path(index), place)
        if isinstance(data, Issue):
            return data
        content = content_digest(data)
        if same is not None and same.facts[index]["content"].tobytes() == content:
            kept = same.read_checked(index)
            if kept is not None:
                return _Slice(same.facts[index], kept, in_same=True)
        found = known.find(content)
        if found is not None:
            return _Slice(*found)
        image = decode_png(data, place, verify=True)
        if isinstance(image, Issue):
            return image
        if self._observe is not None:
            self._observe(split.name, index, image)
        return _known_slice(image, content, None if self._cache is None else self._size)


def _likely_same(files: list[GrayFile], split: SliceSplit) -> GrayFile | None:
    """Return the file that seems to hold the split as it is, by count and first slice."""
    of_length = [file for file in files if len(file) == len(split)]
    data = read_png(split.png_path(0), "") if of_length else None
    if data is None or isinstance(data, Issue):
        return None
    first = content_digest(data)
    return next((file for file in of_length if file.facts[0]["content"].tobytes() == first), None)


def _in_parallel(read: Callable[[int], _Slice | Issue], count: int) -> Iterator[_Slice | Issue]:
    threads = min(MAX_THREADS, (os.cpu_count() or 1) + 1)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, count, QUEUED):
            yield from pool.map(read, range(start, min(start + QUEUED, count)))


def _known_slice(image: NDArray[np.uint8], content: bytes, size: tuple[int, int] | None) -> _Slice:
    """Describe a slice; ``size`` is that in which it is kept, None if it is not."""
    lowest, highest = int(image.min()), int(image.max())
    blank = lowest == highest
    gray = image if size is None else np.ascontiguousarray(resize_gray(image, size))
    facts: np.void = np.zeros(1, SLICE_FACTS)[0]
    facts["content"] = np.void(content)
    facts["image"] = np.void(bytes(16) if blank else image_digest(image))
    facts["checksum"] = zlib.crc32(gray.data)
    facts["blank_gray"] = lowest if blank else NOT_BLANK
    return _Slice(facts, gray)


def _blank(split: SliceSplit, index: int, gray: int) -> Iterator[Issue]:
    if gray != NOT_BLANK:
        message = f"expected a CT slice, found one grey level ({gray}) in all pixels"
        hint = "Check the export; a slice outside the body teaches little."
        yield warning("blank-png", slice_place(split.name, index), message, hint)


class _Keeper:
    """Keeps the slices of a split on disk, as long as that works.

    Nothing is written while they are those of the file ``same``, one after another.
    """

    def __init__(
        self,
        cache: GrayCache | None,
        size: tuple[int, int],
        same: GrayFile | None,
        count: int,
        in_use: list[Path],
    ) -> None:
        self._cache, self._size, self._same = cache, size, same
        self._count, self._in_use = count, in_use
        self._writer: GrayFileWriter | None = None

    def keep(self, index: int, found: _Slice) -> None:
        """Take the next slice."""
        if self._cache is None or (self._writer is None and found.in_same):
            return
        try:
            if self._writer is None:
                self._begin(self._cache, index)
            if self._writer is not None:
                self._writer.append(found.facts, found.gray)
        except OSError as error:
            self._report(error)

    def finish(self) -> GrayFile | None:
        """Return the file of all slices, or None if they are not kept."""
        if self._cache is None:
            return None
        if self._writer is None:
            return self._same
        try:
            return self._writer.finish()
        except OSError as error:
            self._report(error)
            return None

    def give_up(self) -> None:
        """Keep nothing of this split."""
        self._cache = None

    def close(self) -> None:
        """Remove what was not finished."""
        if self._writer is not None:
            self._writer.close()

    def _begin(self, cache: GrayCache, index: int) -> None:
        """Begin a file with the slices so far, which are those of ``same``."""
        if not cache.make_room(self._count, self._size, self._in_use):
            log.warning(
                "%d decoded slices do not fit into the cache %s; they are decoded again in each "
                "run. A larger --cache_gb, or more free space on the disk, keeps them",
                self._count,
                cache.folder,
            )
            self.give_up()
            return
        self._writer = GrayFileWriter(cache.folder, self._size)
        for earlier in range(index):
            gray = None if self._same is None else self._same.read_checked(earlier)
            if self._same is None or gray is None:
                raise OSError("a file of the cache has changed")
            self._writer.append(self._same.facts[earlier], gray)

    def _report(self, error: Exception) -> None:
        folder = self._cache.folder if self._cache is not None else ""
        log.warning(
            "decoded slices cannot be kept in the cache %s (%s); the training continues without. "
            "--cache_dir names another place, --cache_gb 0 turns the cache off",
            folder,
            error,
        )
        self.give_up()

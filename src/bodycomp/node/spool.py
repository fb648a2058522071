"""The spool: received images on the disk, each once, and what arrives for which study.

    SPOOL/incoming/                     files that are being received
    SPOOL/studies/study-*/images/       one file per image, named by series, instance and content
    SPOOL/studies/study-*/results-N/    what came of measuring it the N-th time

An image counts as received when its file has its name and both are on the disk.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

from bodycomp.dicom.derived.identity import CODE_LENGTH, PseudonymKey
from bodycomp.dicom.received import ReceivedImage, received_image
from bodycomp.errors import SeriesError
from bodycomp.node.config import Listener
from bodycomp.node.ledger import SETTLED, Delivery, Ledger, Sent, State, Study
from bodycomp.storage import flush_to_disk
from bodycomp.study.pseudonyms import key_path, read_or_make_key, study_pseudonym

_LOG: Final = logging.getLogger(__name__)
_DIGITS: Final = 16
"""Of a content's SHA-256 in names of files: 64 bits tell those of one instance apart."""
_GB: Final = 1e9
_PRIVATE: Final = 0o700


class Status(IntEnum):
    """Statuses of C-STORE (PS3.4 table B.2-1)."""

    SUCCESS = 0x0000
    NO_RESOURCES = 0xA700
    OTHER_STUDY = 0xA900
    UNREADABLE = 0xC000


class ImageFile(NamedTuple):
    """A received image, as the name of its file tells."""

    series: str
    instance: str
    content: str
    path: Path

    @classmethod
    def at(cls, path: Path) -> ImageFile:
        """Return what a name says."""
        series, instance, content = path.stem.split("-")
        return cls(series, instance, content, path)

    @property
    def key(self) -> bytes:
        """Instance and content."""
        return bytes.fromhex(self.instance + self.content)


KEY_BYTES: Final = (CODE_LENGTH + _DIGITS) // 2
INSTANCE_BYTES: Final = CODE_LENGTH // 2
"""Length of ``ImageFile.key``, and of the instance in it."""


@dataclass
class _Arriving:
    """What is known of a study while images arrive: instance -> its file, and their size."""

    files: dict[str, ImageFile]
    size: int


class Spool:
    """Folder and ledger of a node."""

    def __init__(self, limits: Listener) -> None:
        self.limits = limits
        self.folder = limits.spool
        self.incoming = self.folder / "incoming"
        for each in (self.folder, self.incoming, self.folder / "studies"):
            each.mkdir(parents=True, exist_ok=True, mode=_PRIVATE)
        self.key_path = key_path(self.folder / "studies")
        self.key: PseudonymKey = read_or_make_key(self.folder / "studies", None)
        self.ledger = Ledger(self.folder)
        self._arriving: dict[str, _Arriving] = {}
        self.lock = threading.RLock()

    def place(self, study: str) -> Path:
        """Return the folder of a study."""
        return self.folder / "studies" / study

    def images(self, study: str) -> list[ImageFile]:
        """Return the images of a study that are there, in the order of their names."""
        folder = self.place(study) / "images"
        names = sorted(folder.glob("*.dcm")) if folder.is_dir() else []
        return [ImageFile.at(path) for path in names]

    def results(self, study: Study) -> Path:
        """Return the folder of the last results of a study."""
        return self.place(study.name) / f"results-{study.measured_times}"

    def last_received(self, study: str) -> float:
        """Return when the last image of a study was received, seconds since 1970."""
        try:
            return (self.place(study) / "images").stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def receive(self, path: Path, peer: str) -> Status:
        """Take a received file into its study; it is on the disk when this says success.

        Args:
            path: A part 10 file on the same disk; it is moved.
            peer: AE title of the sender.
        """
        if free_gb(self.folder) < self.limits.min_free_gb:
            _LOG.warning("an image of %s is not accepted: the disk is almost full", peer)
            return Status.NO_RESOURCES
        try:
            image = received_image(path)
        except SeriesError as error:
            _LOG.warning("an image of %s is not accepted: %s", peer, error.message)
            return Status.UNREADABLE
        flush_to_disk(path)
        name = study_pseudonym(self.key, image.study_uid)
        with self.lock:
            status = self._take(path, image, name, peer)
        if status is Status.SUCCESS:
            flush_to_disk(self.place(name) / "images")
        return status

    def _take(self, path: Path, image: ReceivedImage, name: str, peer: str) -> Status:
        arriving = self._arriving.get(name) or self._look(name)
        sop, size = self.key.code("instance", image.sop_uid), path.stat().st_size
        series, content = self.key.code("series", image.series_uid), image.content[:_DIGITS]
        target = self.place(name) / "images" / f"{series}-{sop}-{content}.dcm"
        before = arriving.files.get(sop)
        study = self.ledger.study(name)
        if study is not None and study.uid != image.study_uid:
            _LOG.error("%s is the pseudonym of two studies; the second one is refused", name)
            return Status.OTHER_STUDY
        if before is not None and before.path == target and study is not None:
            if study.overfull or study.state not in (State.REFUSED, State.SET_ASIDE):
                return Status.SUCCESS  # a duplicate
        elif not self._has_room(arriving, size, before):
            self._set_aside(name, image, peer)
            return Status.NO_RESOURCES
        self._begin(study or Study(name, image.study_uid, since=time.time(), peer=peer), peer)
        if not arriving.files:
            target.parent.mkdir(parents=True, exist_ok=True, mode=_PRIVATE)
            for folder in (target.parents[1], target.parents[2]):
                flush_to_disk(folder)
        path.rename(target)
        if before is not None and before.path != target:  # the newest image of a UID counts
            arriving.size -= before.path.stat().st_size
            before.path.unlink()
        arriving.size += 0 if before is not None and before.path == target else size
        arriving.files[sop] = ImageFile.at(target)
        self._arriving[name] = arriving
        return Status.SUCCESS

    def _look(self, name: str) -> _Arriving:
        found = self.images(name)
        sizes = sum(each.path.stat().st_size for each in found)
        return _Arriving({each.instance: each for each in found}, sizes)

    def _has_room(self, arriving: _Arriving, size: int, before: ImageFile | None) -> bool:
        count = len(arriving.files) + (before is None)
        total = arriving.size + size
        return count <= self.limits.max_images and total <= self.limits.max_study_gb * _GB

    def _set_aside(self, name: str, image: ReceivedImage, peer: str) -> None:
        limits = self.limits
        reason = f"more than {limits.max_images} images or {limits.max_study_gb:g} GB"
        with self.ledger.transaction():
            study = self.ledger.study(name) or Study(name, image.study_uid, peer=peer)
            if study.state != State.SET_ASIDE:
                self.ledger.put(replace(moved(study, State.SET_ASIDE, reason), overfull=1))

    def _begin(self, study: Study, peer: str) -> None:
        """Note that images of a study arrive; a study that counted as complete waits again."""
        with self.ledger.transaction():
            found = self.ledger.study(study.name)
            if found is None:
                self.ledger.put(study)
            elif found.state != State.RECEIVING:
                self.ledger.put(*reopened(found, self.ledger.deliveries(study.name), peer))

    def settle(self, study: Study) -> None:
        """Forget what was kept of a study in memory while its images arrived."""
        with self.lock:
            self._arriving.pop(study.name, None)

    def remove_images(self, study: Study) -> None:
        """Remove the images of a study, unless some arrive just now."""
        with self.lock:
            now = self.ledger.study(study.name)
            if now == study and study.state in SETTLED:
                self._arriving.pop(study.name, None)
                shutil.rmtree(self.place(study.name) / "images", ignore_errors=True)

    def remove(self, study: Study) -> None:
        """Remove everything of a study, unless images arrive just now."""
        with self.lock:
            if self.ledger.study(study.name) != study:
                return
            place, removed = self.place(study.name), self.incoming / study.name
            if place.is_dir():  # in one step: what a crash leaves is no study
                place.rename(removed)
            self.ledger.forget(study.name)
            self._arriving.pop(study.name, None)
        shutil.rmtree(removed, ignore_errors=True)

    def remove_abandoned(self, older_seconds: float) -> None:
        """Remove files of associations that ended, and what a crash left of removed studies."""
        for path in self.incoming.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif time.time() - path.stat().st_mtime >= older_seconds:
                path.unlink(missing_ok=True)

    def adopt(self) -> None:
        """Take in studies that the ledger does not know, should it have been lost."""
        for place in (self.folder / "studies").iterdir():
            images = self.images(place.name)
            if images and self.ledger.study(place.name) is None:
                uid = received_image(images[0].path).study_uid
                self.ledger.put(Study(place.name, uid, since=time.time()))


def free_gb(folder: Path) -> float:
    """Return how much of a folder's disk is free."""
    return shutil.disk_usage(folder).free / _GB


def reopened(study: Study, deliveries: list[Delivery], peer: str) -> tuple[Study | Delivery, ...]:
    """Return a study that waits for images again, with what failed to be tried again."""
    again = [
        replace(each, state=Sent.PENDING, since=time.time(), attempts=0, due=0.0, reason="")
        for each in deliveries
        if each.state == Sent.FAILED
    ]
    generation = study.generation + 1
    new = replace(study, peer=peer, generation=generation, attempts=0, due=0.0, overfull=0)
    return moved(new, State.RECEIVING, study.reason), *again


def moved(study: Study, state: State, reason: str = "") -> Study:
    """Return a study that enters another state now."""
    return replace(study, state=state, since=time.time(), reason=reason)


def image_keys(images: list[ImageFile]) -> bytes:
    """Return instances and contents of images as one value."""
    return b"".join(sorted(each.key for each in images))


def split_keys(keys: bytes) -> set[bytes]:
    """Return what ``image_keys`` joined."""
    return {keys[at : at + KEY_BYTES] for at in range(0, len(keys), KEY_BYTES)}

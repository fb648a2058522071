"""Why a case is refused, in words that reveal nothing of the patient, and what scans contradict."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bodycomp.errors import BodycompError, CasesError, UsageError
from bodycomp.level_names import check_spelling, vertebra_rank
from bodycomp.preparation.cases import Case, listed
from bodycomp.preparation.shards import Shard, found_levels
from bodycomp.reading.archives import ARCHIVE_SUFFIX
from bodycomp.tables import write_table

_LOG: Final = logging.getLogger(__name__)

REFUSED_NAME: Final = "refused.csv"
_UID: Final = re.compile(r"\b\d+(?:\.\d+){4,}\b")
_PATH: Final = re.compile(r"(?:/[^\s/:'\",]+){2,}")
_SHORT: Final = 3
"""Codes shorter than this occur in words and numbers by chance."""


@dataclass(frozen=True, slots=True)
class RefusedCase:
    """A case that was left out, and why, in words without names, codes, paths and UIDs."""

    where: str
    patient: str
    kind: str
    reason: str


def refusal(case: Case, error: Exception) -> RefusedCase:
    """Return why a case is refused, whatever library raised the error."""
    kind = type(error).__name__
    if isinstance(error, BodycompError):
        reason = without_names(str(error), case)
    elif isinstance(error, OSError):
        kind, reason = "file", f"a file cannot be read: {error.strerror}"
    elif isinstance(error, MemoryError):
        kind, reason = "memory", "expected a scan that fits into memory; try fewer --jobs"
    else:
        _LOG.debug("unexpected fault", exc_info=error)
        reason = without_names(f"cannot be read ({error})", case)
    return RefusedCase(case.where, case.patient, kind, reason)


def all_refused(refused: Sequence[RefusedCase]) -> CasesError:
    """Return the error of a table without a case that is left."""
    return CasesError(
        f"every case is refused:{listed([f'{r.where}: {r.reason}' for r in refused])}"
    )


def without_names(message: str, case: Case) -> str:
    """Return a message with words for the case's paths, file names, code and UIDs.

    >>> case = Case("row 2", "Miller", Path("/ct/Miller 1970"), (Path("/seg/Miller.nii.gz"),))
    >>> without_names("Miller.nii.gz: expected the frame of /ct/Miller 1970", case)
    '<mask 1>: expected the frame of <scan>'
    """
    named = {case.scan: "<scan>"}
    named |= {path: f"<mask {number}>" for number, path in enumerate(case.masks, start=1)}
    if case.levels is not None:
        named[case.levels] = "<levels>"
    words = {str(path): word for path, word in named.items()}
    words |= {path.name: word for path, word in named.items()}
    if len(case.patient) >= _SHORT:
        words[case.patient] = "<patient>"
    for text in sorted(filter(None, words), key=len, reverse=True):
        whole = rf"(?<!\w){re.escape(text)}(?!\w)"  # a folder "ct" is not in "expected"
        message = re.sub(whole, words[text], message)
    return _PATH.sub("<path>", _UID.sub("<UID>", message))


def write_refused(folder: Path, refused: Sequence[RefusedCase]) -> None:
    """Write ``refused.csv``: row of the cases table, patient, and why."""
    columns = ("row", "patient", "kind", "reason")
    cells = ((r.where, r.patient, r.kind, " ".join(r.reason.split())) for r in refused)
    rows = (dict(zip(columns, row, strict=True)) for row in cells)
    write_table(folder / REFUSED_NAME, columns, rows)


_ID_HINT: Final = (
    "Give rows of one patient one code. If the scans were anonymised so that the Patient ID does "
    "not distinguish patients, use --shared-patient-id."
)
_SCAN_HINT: Final = "Keep one row per scan; put all its masks into it, separated by ';'."
_IMAGE_HINT: Final = "Keep one of the scans, or give both the same patient."


def check_conflicts(shards: Iterable[Shard], *, shared_patient_id: bool) -> None:
    """Check that codes distinguish patients, and rows scans.

    Raises:
        CasesError: They do not; all conflicts of the first kind found are listed.
    """
    of_scan: dict[str, Case] = {}
    of_id: dict[str, Case] = {}
    of_image: dict[bytes, Case] = {}
    scans: list[str] = []
    identities: list[str] = []
    images: list[str] = []
    for shard in shards:
        case, record = shard.case, shard.record()
        # Rows may name single slices of one series, each a file of its own.
        is_slice = case.scan.is_file() and not case.scan.name.lower().endswith(ARCHIVE_SUFFIX)
        keys = [record.scan_digest, *([] if is_slice else [record.series_instance_uid])]
        earlier = [of_scan.setdefault(key, case) for key in keys]
        repeated = dict.fromkeys(other.where for other in earlier if other is not case)
        scans += (f"{case.where}: the scan of {where}" for where in repeated)
        if record.patient_id_digest and not shared_patient_id:
            other = of_id.setdefault(record.patient_id_digest, case)
            if other.patient != case.patient:
                identities.append(f"{case.where}: another code for the patient of {other.where}")
        for sample in () if repeated else record.samples:
            if sample.constant:
                continue
            owner = of_image.setdefault(bytes.fromhex(sample.image_digest), case)
            if owner.patient != case.patient:
                images.append(
                    f"{case.where}: slice {sample.slice_index} is an image of {owner.where}, "
                    "which is another patient"
                )
                break
    for faults, hint in ((scans, _SCAN_HINT), (identities, _ID_HINT), (images, _IMAGE_HINT)):
        if faults:
            what = "expected rows of different patients and scans, found"
            raise CasesError(f"{what}{listed(faults)}", hint=hint)


def check_level_names(shards: Iterable[Shard], wanted: Sequence[str]) -> None:
    """Check that names of levels mean the same in all cases.

    No ``wanted`` levels stand for all that were found.
    """
    found = found_levels(shards)
    try:
        check_spelling(dict.fromkeys((*wanted, *found)))
    except UsageError as error:
        raise CasesError(f"files of levels: {error.message}", hint=error.hint) from error
    missing = [n for n in wanted if n not in found and vertebra_rank(n) is None]
    if missing:
        raise CasesError(
            f"expected {', '.join(missing)} in at least one scan, found {', '.join(found)}",
            hint="Write the level as the files of levels do, or leave it out of -L.",
        )

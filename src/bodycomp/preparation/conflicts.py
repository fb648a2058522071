"""What the scans say against the table: one patient under two codes, one scan in two rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bodycomp.errors import CasesError, UsageError
from bodycomp.level_names import check_spelling, head_to_feet, vertebra_rank
from bodycomp.preparation.cases import Case
from bodycomp.preparation.part import PartRecord, read_record

_SHOWN: Final = 20
_ID_HINT: Final = (
    "Give rows of one patient one code. If the scans were anonymised so that the Patient ID does "
    "not tell patients apart, go on with --shared-patient-id."
)
_SCAN_HINT: Final = "Keep one row per scan; put all its masks into it, separated by ';'."
_IMAGE_HINT: Final = "Keep one of the scans, or give both the same patient."


@dataclass(frozen=True, slots=True)
class FinishedCase:
    """A case and its part."""

    case: Case
    part: Path

    def record(self) -> PartRecord:
        """Read what the case is."""
        return read_record(self.part)


def check_conflicts(finished: Iterable[FinishedCase], *, shared_patient_id: bool) -> None:
    """Check that patients are told apart by their codes, and scans by their rows.

    Args:
        finished: All cases, in the table's order.
        shared_patient_id: Do not compare DICOM Patient IDs.

    Raises:
        CasesError: They are not; all conflicts of the first kind found are listed.
    """
    seen = _Seen()
    for item in finished:
        seen.add(item.case, item.record(), shared_patient_id=shared_patient_id)
    for faults, hint in ((seen.series, _SCAN_HINT), (seen.identities, _ID_HINT)):
        _refuse(faults, hint)
    _refuse(seen.images, _IMAGE_HINT)


def check_level_names(finished: Iterable[FinishedCase], wanted: Sequence[str]) -> None:
    """Check that names of levels mean the same in all cases.

    Args:
        finished: All cases.
        wanted: Levels that shall have a column; empty for all that were found.

    Raises:
        CasesError: Names differ in upper and lower case alone, or a wanted one lies in no scan and
            is no vertebra, which may be outside all of them.
    """
    records = (item.record() for item in finished)
    found = head_to_feet({n for record in records for s in record.samples for n in s.offsets_mm})
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


class _Seen:
    """First row of everything that must not occur in another one."""

    def __init__(self) -> None:
        self.series: list[str] = []
        self.identities: list[str] = []
        self.images: list[str] = []
        self._scans: dict[str, Case] = {}
        self._ids: dict[str, Case] = {}
        self._image_owners: dict[bytes, Case] = {}

    def add(self, case: Case, record: PartRecord, *, shared_patient_id: bool) -> None:
        """Compare a case with all before it."""
        same = _never
        for key in dict.fromkeys((record.series_instance_uid, record.scan_digest)):
            _compare(self._scans, key, case, self.series, same, "the scan")
        if record.patient_id_digest and not shared_patient_id:
            key = record.patient_id_digest
            _compare(
                self._ids, key, case, self.identities, _patient, "another code for the patient"
            )
        if self.series and self.series[-1].startswith(f"{case.where}:"):
            return  # its images are there twice, of course
        for sample in record.samples:
            if not sample.constant:
                owner = self._image_owners.setdefault(bytes.fromhex(sample.image_digest), case)
                if owner.patient != case.patient:
                    self.images.append(
                        f"{case.where}: slice {sample.slice_index} is an image of {owner.where}, "
                        "which is another patient"
                    )
                    return


def _never(one: Case, other: Case) -> bool:
    return one is other


def _patient(one: Case, other: Case) -> bool:
    return one.patient == other.patient


def _compare(
    first: dict[str, Case],
    key: str,
    case: Case,
    faults: list[str],
    same: Callable[[Case, Case], bool],
    what: str,
) -> None:
    other = first.setdefault(key, case)
    if not same(other, case):
        fault = f"{case.where}: {what} of {other.where}"
        if fault not in faults:
            faults.append(fault)


def _refuse(faults: list[str], hint: str) -> None:
    if faults:
        more = [f"  and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        lines = [f"  {fault}" for fault in faults[:_SHOWN]]
        what = "expected rows of different patients and scans, found"
        raise CasesError("\n".join([what, *lines, *more]), hint=hint)

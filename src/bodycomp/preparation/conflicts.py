"""What the scans say against the table: one patient under two codes, one scan in two rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from bodycomp.errors import CasesError, UsageError
from bodycomp.level_names import check_spelling, vertebra_rank
from bodycomp.preparation.cases import Case
from bodycomp.preparation.shards import Shard, found_levels

_SHOWN: Final = 20
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
        keys = (record.series_instance_uid, record.scan_digest)
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
        _refuse(faults, hint)


def _refuse(faults: list[str], hint: str) -> None:
    if faults:
        more = [f"  and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        lines = [f"  {fault}" for fault in faults[:_SHOWN]]
        what = "expected rows of different patients and scans, found"
        raise CasesError("\n".join([what, *lines, *more]), hint=hint)


def check_level_names(shards: Iterable[Shard], wanted: Sequence[str]) -> None:
    """Check that names of levels mean the same in all cases.

    No ``wanted`` levels stand for all that were found.

    Raises:
        CasesError: Names differ in upper and lower case alone, or a wanted one lies in no scan and
            is no vertebra, which may be outside all of them.
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

"""What changed of a person, handed to the writer of structured reports."""

from __future__ import annotations

from pathlib import Path

from bodycomp.comparison.change import Change, LevelComparison, PairComparison
from bodycomp.comparison.person import PersonComparison
from bodycomp.dicom.derived.comparison_sr import ReportedChange, ReportedScan, comparison_of
from bodycomp.dicom.derived.measured import save_object
from bodycomp.study.out_folder import CORRECTED_NAME
from bodycomp.study.outputs import SR_NAME


def write_report(path: Path, person: PersonComparison) -> None:
    """Write the report of a person's changes.

    Raises:
        SeriesError: The runs wrote no reports of the scans, or those name different people.
    """
    scans = tuple(
        ReportedScan(_reports(scan.folder), person.month(place), _values(person, place))
        for place, scan in enumerate(person.scans)
    )
    changes = [
        _reported(level, pair, change)
        for level in person.levels
        for pair in level.pairs
        for change in pair.changes
    ]
    comments = {
        (place, level.level): found
        for level in person.levels
        for place in level.scans
        if (found := _comments(level, place))
    }
    save_object(comparison_of(person.patient, scans, changes, comments), path)


def _reports(folder: Path) -> tuple[Path, ...]:
    found = (folder / SR_NAME, *sorted(folder.glob(f"{CORRECTED_NAME}/*/{SR_NAME}")))
    return tuple(path for path in found if path.is_file())


def _values(person: PersonComparison, place: int) -> dict[str, dict[str, float]]:
    """Return level -> column -> what was compared of a scan."""
    return {
        level.level: {
            change.quantity: change.earlier if place == pair.earlier else change.later
            for pair in level.pairs
            if place in (pair.earlier, pair.later)
            for change in pair.changes
        }
        for level in person.levels
        if place in level.scans
    }


def _reported(level: LevelComparison, pair: PairComparison, change: Change) -> ReportedChange:
    unlike = any(each.is_certain for each in pair.differences)
    return ReportedChange(
        level.level,
        change.quantity,
        pair.earlier,
        pair.later,
        change.difference,
        change.per_month,
        change.detectable[0].limit if change.detectable else None,
        None if change.probability is None else 100 * change.probability,
        None if unlike else change.is_beyond,
    )


def _comments(level: LevelComparison, place: int) -> list[str]:
    """Return in what a scan differs from those before, and how its attenuation is corrected."""
    unlike = [
        f"Compared with scan {pair.earlier + 1}: {each}. {' '.join(each.effects)}"
        for pair in level.pairs
        if pair.later == place
        for each in pair.differences
    ]
    sources = dict.fromkeys(
        f"Smallest detectable changes of scan {pair.earlier + 1} to this one: {each.source}"
        for pair in level.pairs
        if pair.later == place
        for change in pair.changes
        for each in change.detectable[:1]
    )
    corrected = [
        f"Muscle attenuation raw {each.raw_hu:.1f} HU, corrected {each.corrected_hu:.1f} HU by "
        f"{each.source}. Limits: {each.limits}."
        for each in level.corrected.get(place, ())
    ]
    return [*unlike, *sources, *corrected]

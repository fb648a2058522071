"""What came of a preparation, for the terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bodycomp.cli.terminal import counted, say

if TYPE_CHECKING:
    from bodycomp.preparation.run import PrepareSummary

REFUSED_SHOWN = 25
NOTES_SHOWN = 8
WARNINGS_SHOWN = 10


def print_summary(summary: PrepareSummary, *, allow_refused: bool) -> int:
    """Print patients and slices per split, what was seen, what is missing, what to type next.

    Returns the exit code: 1 where cases were refused, unless that is allowed.
    """
    from rich.console import Console
    from rich.table import Table

    from bodycomp.data.layout import SPLITS

    table = Table()
    for heading in ("split", "patients", "slices"):
        table.add_column(heading, justify="left" if heading == "split" else "right")
    for split in SPLITS:
        patients = len(summary.counts.patients.get(split, ()))
        table.add_row(split, str(patients), str(summary.counts.slices[split]))
    Console().print(table)
    say(
        *_seen(summary),
        *_empty(summary),
        *_left_out(summary),
        *_warnings(summary),
        "",
        *_next(summary),
    )
    if summary.refused and not allow_refused:
        say(
            f"INCOMPLETE: {counted(len(summary.refused), 'case')} left out. Mend them and repeat "
            "the command with --overwrite (finished cases are not repeated), or accept it with "
            "--allow-refused."
        )
        return 1
    return 0


def _seen(summary: PrepareSummary) -> list[str]:
    from bodycomp.anatomy import ABDOMINAL_TISSUES
    from bodycomp.level_names import head_to_feet

    counts = summary.counts
    lines = []
    for tissue in ABDOMINAL_TISSUES if counts.areas_cm2 else ():
        slices = counts.labeled[tissue.key]
        mean = f", {counts.areas_cm2[tissue.key] / slices:.1f} cm2 on average" if slices else ""
        lines.append(f"{tissue.title}: labelled on {slices} slices{mean}")
    if counts.level_scans:
        found = (f"{n} in {counts.level_scans[n]}" for n in head_to_feet(counts.level_scans))
        lines.append(f"levels in scans: {', '.join(found)}")
    lines += [
        f"{counted(number, 'case')}: {note}"
        for note, number in counts.notes.most_common(NOTES_SHOWN)
    ]
    if len(counts.notes) > NOTES_SHOWN:
        lines.append(f"{len(counts.notes) - NOTES_SHOWN} further notes: see prepared.json")
    return lines


def _empty(summary: PrepareSummary) -> list[str]:
    from bodycomp.data.layout import OPTIONAL_SPLITS, SPLITS

    return [
        f"{split} is empty, and training needs it: add patients, or name other shares with --split"
        for split in SPLITS
        if split not in OPTIONAL_SPLITS and not summary.counts.slices[split]
    ]


def _left_out(summary: PrepareSummary) -> list[str]:
    lines = []
    if summary.source:
        reasons = Counter(case.left_out for case in summary.source.cases if case.left_out)
        lines += [f"{counted(n, 'case')} left out: {why}" for why, n in reasons.most_common()]
    if summary.reused:
        lines.append(f"{counted(summary.reused, 'case')} finished by an earlier run")
    if summary.skipped:
        lines.append(f"{counted(summary.skipped, 'case')} without this kind of annotation left out")
    lines += [f"refused: {case.where}: {case.reason}" for case in summary.refused[:REFUSED_SHOWN]]
    if len(summary.refused) > REFUSED_SHOWN:
        lines.append(f"refused: {len(summary.refused) - REFUSED_SHOWN} more")
    if summary.refused:
        lines.append(f"all refused cases: {summary.options.out / 'refused.csv'}")
    return lines


def _warnings(summary: PrepareSummary) -> list[str]:
    shown = summary.warnings[:WARNINGS_SHOWN]
    lines = [f"WARNING: {warning.where}: {warning.message}" for warning in shown]
    if len(summary.warnings) > WARNINGS_SHOWN:
        more = len(summary.warnings) - WARNINGS_SHOWN
        lines.append(f"WARNING: {more} more: see prepared.json")
    return lines


def _next(summary: PrepareSummary) -> list[str]:
    import shlex

    from bodycomp.anatomy import DEFAULT_LEVEL
    from bodycomp.level_names import head_to_feet
    from bodycomp.preparation.options import MaskTask
    from bodycomp.preparation.source_record import CARD_NAME

    options, source = summary.options, summary.source
    is_public = source is not None and source.source.is_public
    out, named = shlex.quote(str(options.out)), ""
    task = "segmentation" if isinstance(options.task, MaskTask) else "slice-selection"
    if not isinstance(options.task, MaskTask):
        levels = options.task.levels or head_to_feet(summary.counts.level_scans)
        named = "" if DEFAULT_LEVEL in levels else f" -L {' '.join(levels)}"
    return [
        f"training set: {options.out}",
        *([f"data card: {options.out / CARD_NAME}"] if source else []),
        *([f"key to the patients, keep it apart: {options.key}"] if not is_public else []),
        "type next",
        f"  bodycomp validate {out}",
        f"  bodycomp show {out}",
        f"  bodycomp train {task} {out} MODELS{named}",
    ]

"""What came of an evaluation, for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from bodycomp.evaluation.document import EvaluationDocument
    from bodycomp.evaluation.options import EvaluateOptions

SHOWN_REFUSED: Final = 10
SHOWN_VERDICTS: Final = 20
_PLACES: Final = {"training_set": "Levels in the series of the set", "cases": "Levels in the scans"}


def print_summary(options: EvaluateOptions, evaluation: EvaluationDocument) -> None:
    """Print the main numbers of every section, what is missing, and where the rest is."""
    from rich.console import Console

    from bodycomp.evaluation.document import NOTICE

    console = Console(highlight=False)
    sections = evaluation.sections
    if "segmentation" in sections:
        console.print(_segmentation(sections["segmentation"]))
    for source, section in sections.get("slice_selection", {}).items():
        console.print(_slice_selection(source, section))
    for level, section in sections.get("end_to_end", {}).items():
        _end_to_end(console, level, section)
    if "subgroups" in sections:
        console.print(_subgroups(sections["subgroups"]))
    if evaluation.comparison:
        _comparison(console, evaluation.comparison)
    lines = [f"warning: {warning}" for warning in evaluation.warnings]
    refused = evaluation.refused
    lines += [f"refused: {case.where}: {case.reason}" for case in refused[:SHOWN_REFUSED]]
    if len(refused) > SHOWN_REFUSED:
        lines.append(f"refused: {len(refused) - SHOWN_REFUSED} more, see refused.csv")
    lines += ["", f"results: {options.out}", NOTICE]
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def _table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _segmentation(section: Mapping[str, Any]) -> Table:
    return _table(
        f"Masks of {section['counts']['slices']} slices (mean, 95 % interval)",
        ("tissue", "Dice", "95 % Hausdorff\nmm", "area error\ncm2", "HU error"),
        (
            (
                _name(tissue),
                said(metrics["mean_dice"], 3),
                said(metrics["mean_hausdorff95_mm"], 1),
                said(metrics["mean_area_error_cm2"], 1, signed=True),
                said(metrics["mean_hu_error"], 1, signed=True),
            )
            for tissue, found in section["tissues"].items()
            for metrics in [found["metrics"]]
        ),
    )


def _slice_selection(source: str, section: Mapping[str, Any]) -> Table:
    return _table(
        _PLACES[source],
        ("level", "found", "false", "median |error|\nmm", "bias\nmm", "within\n10 mm"),
        (
            (
                level,
                f"{counts['present_found']} of {counts['present']}",
                f"{counts['absent_found']} of {counts['absent']}",
                said(metrics["median_absolute_error_mm"], 1),
                said(metrics["mean_error_mm"], 1, signed=True),
                said(metrics["within_10_mm"], 0, percent=True),
            )
            for level, found in section["levels"].items()
            for counts, metrics in [(found["counts"], found["metrics"])]
        ),
    )


def _end_to_end(console: Console, level: str, section: Mapping[str, Any]) -> None:
    counts = section["counts"]
    rows = []
    for tissue, found in section["tissues"].items():
        area, parts = found["area"], found["parts"]
        limits = (area["lower_limit_cm2"]["value"], area["upper_limit_cm2"]["value"])
        words = "-" if None in limits else "{:+.1f}\n{:+.1f}".format(*limits)
        bias, icc = said(area["bias_cm2"], 1, signed=True), said(area["icc_2_1"], 3)
        shares = (_part(parts, name) for name in ("segmentation", "slice"))
        rows.append((_name(tissue), bias, words, icc, *shares))
    title = f"Areas at {level} as analyzed, {counts['measured']} of {counts['cases']} cases"
    headings = ("cm2", "bias", "limits", "ICC(2,1)", "|segmentation|", "|slice|")
    console.print(_table(title, headings, rows))
    console.print(
        "|segmentation|, |slice|: mean absolute error at the true level, and that of going to the "
        "found one"
    )
    if counts["not_found"]:
        names = ", ".join(counts["cases_not_found"][:8])
        more = " ..." if counts["not_found"] > 8 else ""
        console.print(f"{level} not found, not in these areas: {names}{more}", soft_wrap=True)
    if counts["without_mask_at_level"]:
        console.print(
            f"{counts['without_mask_at_level']} cases have no mask within 5 mm of {level}"
        )


def _part(parts: Mapping[str, Any], name: str) -> str:
    mean, share = parts[f"{name}_mean_absolute_error_cm2"]["value"], parts[f"{name}_share"]["value"]
    if mean is None:
        return "-"
    return f"{mean:.1f}" if share is None else f"{mean:.1f}\n({100 * share:.0f} %)"


def _subgroups(groups: Sequence[Mapping[str, Any]]) -> Table:
    bare = partial(said, interval=False)
    rows = []
    for group in groups:
        few = " (few)" if "warning" in group else ""
        for level, found in group["slice_selection"].items():
            tissues = group["end_to_end"].get(level, {}).get("tissues", {}).values()
            biases = [bare(tissue["area"]["bias_cm2"], 1, signed=True) for tissue in tissues]
            within = bare(found["metrics"]["within_10_mm"], 0, percent=True)
            who = (f"{group['column']}: {group['group']}", f"{group['patients']}{few}")
            rows.append((*who, level, within, " ".join(biases) or "-"))
    headings = ("group", "patients", "level", "within\n10 mm", "area bias cm2\n(tissues in order)")
    return _table("Subgroups", headings, rows)


def _comparison(console: Console, comparison: Mapping[str, Any]) -> None:
    from bodycomp.evaluation.metrics import comparisons

    every = comparisons(comparison)
    decided = [(path, found) for path, found in every if found["better"] != "undecided"]
    title = f"MODELS minus --against: distinguishable in {len(decided)} of {len(every)} metrics"
    if not decided:
        console.print(title)
        return
    rows = [
        (
            " ".join(path),
            said(found["difference"], 3, signed=True),
            "MODELS" if found["better"] == "models" else "--against",
        )
        for path, found in decided[:SHOWN_VERDICTS]
    ]
    console.print(_table(title, ("metric", "difference", "better"), rows))
    if len(decided) > SHOWN_VERDICTS:
        console.print(f"{len(decided) - SHOWN_VERDICTS} more in evaluation.json")


def said(
    number: Mapping[str, Any],
    digits: int,
    *,
    signed: bool = False,
    percent: bool = False,
    interval: bool = True,
) -> str:
    """Return a number over its interval, a dash for none."""
    if number["value"] is None:
        return "-"

    def text(value: float) -> str:
        return f"{100 * value if percent else value:{'+' if signed else ''}.{digits}f}"

    ends = (number["low"], number["high"])
    words = text(number["value"]) + (" %" if percent else "")
    return words if not interval or None in ends else f"{words}\n{text(ends[0])} to {text(ends[1])}"


def _name(tissue: str) -> str:
    return tissue.replace("_", " ").replace("subcutaneous", "subcut.")

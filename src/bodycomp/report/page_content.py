"""What a page of results is made of, whatever was run: numbers, cards, cases, plots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from bodycomp.anatomy import ALL_TISSUES, tissue_by_key
from bodycomp.quantities import CutOff, Limit, cut_offs_for, quantities_for
from bodycomp.report.overlay import hex_color
from bodycomp.tables import Cell

PageKind = Literal["analysis", "evaluation", "training"]
PlotKind = Literal["bland_altman", "scatter", "histogram", "calibration", "curves"]
ColumnKind = Literal["number", "text", "flags", "case"]
Tone = Literal["", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Tile:
    """One number at the top of a page with its unit; ``tone`` says how much it should worry."""

    value: str
    label: str
    detail: str = ""
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a plot, by its values without limits; logarithmic ones leave out 0 and below."""

    label: str
    unit: str = ""
    limits: tuple[float, float] | None = None
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class PlotPoint:
    """One point; a click on it opens its case.

    Attributes:
        x, y: In the units of the axes. A histogram counts ``x`` alone.
        case: ``PageCase.key`` of its case; empty for none.
        series: Which of several curves or groups it belongs to.
        label: Shown beside the numbers; the case's name if empty.
    """

    x: float
    y: float = 0.0
    case: str = ""
    series: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class PlotLine:
    """A line through the plot, y = ``slope`` x + ``at``; if ``upright`` at x = ``at`` instead."""

    at: float
    label: str = ""
    slope: float = 0.0
    upright: bool = False
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot; ``kind`` says whether points are marks, bars of counts, or joined by series.

    ``sentence`` says what it shows, to those who cannot see it as well.
    """

    kind: PlotKind
    title: str
    x: Axis
    y: Axis
    points: Sequence[PlotPoint]
    lines: Sequence[PlotLine] = ()
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class PagePicture:
    """A picture that is there already, as examples of a training."""

    title: str
    path: Path
    about: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table of cases: the key of its cells, and how they are shown and sorted."""

    key: str
    title: str
    unit: str = ""
    digits: int = 1
    kind: ColumnKind = "number"
    about: str = ""


@dataclass(frozen=True, slots=True)
class PageCase:
    """One row of the table: cells, which count before what the file at ``path`` says."""

    cells: Mapping[str, Cell]
    path: Path | None = None

    @property
    def key(self) -> str:
        """What tells the case from all others of a page: study, series and level."""
        return "/".join(str(self.cells.get(name) or "") for name in ("study", "series", "level"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContent:
    """Everything that one page shows.

    Attributes:
        run_id: What tells this run from others; reviews are kept in the browser under it.
        cards: Role of a model ("segmentation", "slice_selection") -> its card as in ``card.json``.
        cases: All cases. Their files are read one at a time.
        columns: Of the table; those of an analysis if empty.
        order: Column by which the table is sorted first: cases without a value, then the largest.
        flag_rules: Key of a quality flag -> when it is raised, in words.
        pages: Files of all pages where the cases take several; ``page`` is this one's number.
    """

    kind: PageKind
    title: str
    run_id: str
    subtitle: str = ""
    tiles: Sequence[Tile] = ()
    cards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cases: Sequence[PageCase] = ()
    columns: Sequence[Column] = ()
    order: str = "review_priority"
    plots: Sequence[Plot] = ()
    pictures: Sequence[PagePicture] = ()
    evaluation: Mapping[str, Any] | None = None
    flag_rules: Mapping[str, str] = field(default_factory=dict)
    notices: Sequence[str] = ()
    pages: Sequence[str] = ()
    page: int = 1


_UNITS: Final = {
    "cm2": "cm²",
    "cm2/m2": "cm²/m²",
    "cm2.[hnsf'U]/m2": "cm²·HU/m²",
    "[hnsf'U]": "HU",
    "1": "",
}
"""UCUM code -> as people read it, where the two differ."""

TISSUE_FIELDS: Final = (
    ("area_cm2", "Area", "cm²", 1),
    ("area_pi90_low_cm2", "90 % from", "cm²", 1),
    ("area_pi90_high_cm2", "to", "cm²", 1),
    ("members_low_cm2", "Members from", "cm²", 1),
    ("members_high_cm2", "to", "cm²", 1),
    ("mean_hu", "Mean", "HU", 0),
    ("median_hu", "Median", "HU", 0),
    ("sd_hu", "SD", "HU", 0),
    ("hu_range_area_cm2", "In HU range", "cm²", 1),
    ("volume_ml", "Volume", "mL", 0),
    ("border_fraction", "At edge", "", 2),
)
"""Column without its tissue, heading, unit, decimals: the table of one case, without those that are
empty."""

SHORT_TITLES: Final = {"subcutaneous_fat": "SAT", "visceral_fat": "VAT"}
"""Where a whole title would make a column wide."""


def vocabulary() -> dict[str, Any]:
    """Return what a page needs to name tissues, quantities and cut-offs."""
    keys = tuple(tissue.key for tissue in ALL_TISSUES)
    return {
        "tissues": [
            {name: getattr(tissue, name) for name in ("label", "parts", "key", "title", "hu_range")}
            | {"color": hex_color(tissue.color)}
            for tissue in ALL_TISSUES
        ],
        "tissue_fields": [
            dict(zip(("key", "title", "unit", "digits"), each, strict=True))
            for each in TISSUE_FIELDS
        ],
        "quantities": [
            {"key": kind.key, "title": kind.title, "unit": _UNITS.get(kind.unit, kind.unit)}
            | {"about": f"{kind.formula} ({kind.source})"}
            for kind in quantities_for(keys)
        ],
        "cut_offs": [
            {"key": one.key, "title": cut_off_title(one), "about": _cut_off_about(one)}
            for one in cut_offs_for(keys)
        ],
    }


def analysis_columns(tissue_keys: Iterable[str]) -> tuple[Column, ...]:
    """Return the table of an analysis: where to look, what was found, what was measured."""
    tissues = [tissue_by_key(key) for key in tissue_keys]
    columns = [
        Column("case", "Case", kind="case", about="Pseudonyms of study and series"),
        Column("level", "Level", kind="text", about="Vertebral level"),
        Column("status", "Status", kind="text", about="Whether the level was found"),
        Column("review_priority", "Priority", digits=0, about=ABOUT_PRIORITY),
        Column("confidence", "Confidence", digits=2, about="That the level is within 10 mm"),
    ]
    for tissue in tissues:
        name = SHORT_TITLES.get(tissue.key, tissue.title)
        about = f"Area of {tissue.title.lower()} on the level's slice"
        columns.append(Column(f"{tissue.key}_area_cm2", name, "cm²", about=about))
        if tissue.key == "muscle":
            about = "Mean attenuation of muscle"
            columns.append(Column("muscle_mean_hu", "Muscle attenuation", "HU", 0, about=about))
    if any(tissue.key == "muscle" for tissue in tissues):
        about = "Muscle area in its HU range / height squared"
        columns.append(Column("skeletal_muscle_index_cm2_m2", "SMI", "cm²/m²", about=about))
    columns.append(Column("quality_flags", "Flags", kind="flags", about="What makes it less sure"))
    return tuple(columns)


ABOUT_PRIORITY: Final = (
    "What to look at first, 0 to 100: a level that is uncertain, then low confidence and flags"
)


def cut_off_title(cut_off: CutOff) -> str:
    """Return a name for people, e.g. ``Low muscle index (Prado 2008)``.

    The key ends in author and year.
    """
    words, author, year = cut_off.key.rsplit("_", 2)
    return f"{words.replace('_', ' ').capitalize()} ({author.capitalize()} {year})"


def _cut_off_about(cut_off: CutOff) -> str:
    limits = ", ".join(f"{_whom(one)} {cut_off.relation} {one.value:g}" for one in cut_off.limits)
    return f"{limits}; found in {cut_off.people} ({cut_off.source}). No diagnosis."


def _whom(limit: Limit) -> str:
    sex = {"F": "women", "M": "men"}.get(limit.sex, "all")
    low, high = limit.bmi_from, limit.bmi_below
    if low is None and high is None:
        return sex
    bounds = (f"from {low:g}" if low is not None else "", f"below {high:g}" if high else "")
    return f"{sex} of BMI {' '.join(bound for bound in bounds if bound)}"

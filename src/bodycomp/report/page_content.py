"""What a page of results is made of, whatever was run: numbers, cards, cases, plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bodycomp.report.result_rows import Cell

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

"""A page of made-up cases, with text that tries to break out of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.imaging.preprocessing import SEGMENTATION_PREPROCESSING
from bodycomp.networks.card import ModelCard
from bodycomp.report.case_view import CaseTruth, case_name, make_case_view, write_case_view
from bodycomp.report.page_content import (
    Axis,
    PageCase,
    PageContent,
    Plot,
    PlotLine,
    PlotPoint,
    Tile,
)
from bodycomp.report.result_rows import SeriesKey
from bodycomp.results import QualityFlag, SeriesResult
from bodycomp.scan import Scan
from bodycomp.subject import Acquisition
from support.report_cases import cylinder, found_at, not_found

HOSTILE = '</script><script>document.title="pwned"</script><img src=x onerror=alert(1)>'
MODELS = {"slice_selection": "aaaaaaaaaaaa", "segmentation": "bbbbbbbbbbbb"}
CARD = ModelCard("segmentation", "unet", {}, SEGMENTATION_PREPROCESSING, tissues=ABDOMINAL_TISSUES)
FLAG = QualityFlag("noise", "21.0 HU of noise", 21.0, 20.0, ("muscle_sd_hu",))


def page_cases(folder: Path) -> list[PageCase]:
    """Return five cases: three found, one with truth, one flagged; one absent; one bare row."""
    volume = cylinder(z=np.arange(40) * 2.5)
    cases = []
    for number in range(4):
        level = found_at(volume, 20) if number < 3 else not_found(volume)
        choice = replace(
            level.choice, level="L3", confidence=0.9 - 0.2 * number if number < 3 else None
        )
        level = replace(level, choice=choice, flags=(FLAG,) if number == 1 else ())
        key = SeriesKey(f"study-{number}", f"series-{number}")
        scan = Scan(volume, acquisition=Acquisition(kernel=HOSTILE))
        result = SeriesResult(ABDOMINAL_TISSUES, (level,), MODELS)
        drawn = np.ones(volume.slice_shape, np.uint8)
        truth = CaseTruth({22: drawn}, z_mm=55.0) if number == 2 else None
        path = folder / f"study-{number}" / case_name("L3")
        case = make_case_view(scan, result, level, key, truth)
        write_case_view(path, case)
        cases.append(PageCase(case["cells"], path))
    bare = {"study": HOSTILE, "series": "s", "level": "L3", "status": "uncertain"}
    return [*cases, PageCase(bare)]


def page_content(folder: Path) -> PageContent:
    """Return a page with everything on it; text from outside tries to break out of it."""
    cases = page_cases(folder)
    keys = [case.key for case in cases[:3]]
    points = [PlotPoint(100.0 + 10 * n, 3.0 * n - 2, key) for n, key in enumerate(keys)]
    x, y = Axis("mean of both areas", "cm²"), Axis("found minus true", "cm²")
    limits = (PlotLine(1.0, "bias"), PlotLine(4.0, "+1.96 SD", dashed=True))
    curve = [PlotPoint(n / 4, n / 4, series="share") for n in range(5)]
    return PageContent(
        kind="evaluation",
        title="A page of tests",
        run_id="run-1",
        tiles=[Tile("2.1 mm", "median error", "1.9 to 2.4")],
        cards={"segmentation": CARD.to_dict() | {"digest": "bbbbbbbbbbbb"}, "other": {}},
        cases=cases,
        plots=[
            Plot("bland_altman", "Bland-Altman of muscle", x, y, points, limits, "Bias is small."),
            Plot("histogram", "Errors", y, Axis("cases"), points),
            Plot("calibration", "Calibration", x, y, curve, (PlotLine(0.0, slope=1.0),)),
            Plot("curves", "Loss", x, y, curve),
            Plot("scatter", HOSTILE, x, y, ()),
        ],
        flag_rules={"noise": "noise in HU"},
        notices=["These are cylinders."],
    )

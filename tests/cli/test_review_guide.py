"""The commands of docs/review.md, run as they stand from the analysis to the second look."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from bodycomp.cli import main
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from support.annotation_files import seg_nrrd
from support.reviewed_runs import PIXEL_CM2, ByDensity, Run, widening

GUIDE = (Path(__file__).parents[2] / "docs" / "review.md").read_text(encoding="utf-8")
SLICE = 20


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE, flags=re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


class Measured(Run):
    """The results that the guide's commands leave."""

    @property
    def out(self) -> Path:
        return self.place / "measured"

    def export(self, **cells: object) -> None:
        """Write what the page would export."""
        row = self.rows()[0]
        models = f"{row['slice_selection_model']}+{row['segmentation_model']}"
        self.review(self.review_row(models=models, **cells))

    def draw(self) -> None:
        """Save a mask of the moved level's slice as 3D Slicer does."""
        labels = np.zeros(widening().hu.shape, np.uint8)
        labels[SLICE, 10:20, 10:20] = 1
        labels[SLICE, 22:30, 10:20] = 3
        segments = [("Segment_1", 1, 0), ("Segment_3", 3, 0)]
        seg_nrrd(self.place / "corrected.seg.nrrd", [labels], widening(), segments)


@pytest.mark.slow
def test_the_guide_leads_from_results_to_corrected_ones(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(models, "models")
    write_ct_series(Path("scans"), widening(), SeriesHeader(seed="one"))
    run = Measured(tmp_path, ByDensity())
    analyze, take_in, measure_moves, redraw, move, look_again = commands()

    assert main(analyze) == 0
    run.export(comment="no level here?")
    assert main(take_in) == 0
    assert (run.row()["comment"], run.row()["corrected"]) == ("no level here?", "")

    run.export(verdict="accept", moved_to_slice=SLICE, comment="here")
    assert main(measure_moves) == 0
    assert (run.row()["verdict"], run.row()["slice_index"]) == ("accept", str(SLICE))

    run.draw()
    series = {"series-0123456789ab": run.row()["series"], "57": "7"}
    assert main([series.get(word, word) for word in redraw]) == 0
    assert run.row()["corrected"] == "level; mask"
    assert float(run.row()["visceral_fat_area_cm2"]) == pytest.approx(80 * PIXEL_CM2)

    assert main([series.get(word, word) for word in move]) == 0
    assert (run.row()["slice_index"], run.row()["corrected"]) == ("7", "level")
    assert main(look_again) == 0
    assert "People corrected 1 of the cases" in Path("measured/report.html").read_text("utf-8")

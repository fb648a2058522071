"""Names of runs and the files in their folder."""

from __future__ import annotations

import pytest

from bodycomp.errors import UsageError
from bodycomp.training.run_folder import check_name, find_run_folder, write_metrics
from bodycomp.training.task_options import SegmentationOptions


@pytest.mark.parametrize("name", ["unet", "L3 model 2", "2026-11-23_15-00-00", "v1.2_elu"])
def test_plain_names_are_taken(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["..", ".hidden", "a/b", "../up", "/abs", "a\\b", "a\nb", "-rf", "a:b", "end.", " x"]
)
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(UsageError, match="plain folder name"):
        check_name(name)


def test_a_run_without_a_name_is_named_by_the_time(tmp_path):
    folder = find_run_folder(SegmentationOptions(data_dir=tmp_path, output_dir=tmp_path / "runs"))
    assert folder.path.parent == tmp_path / "runs"
    assert check_name(folder.path.name)
    assert not folder.path.exists()


def test_table_leaves_unmeasured_cells_empty(tmp_path):
    path = tmp_path / "metrics.csv"
    write_metrics(path, [{"epoch": 0, "dice": None}, {"epoch": 1, "dice": 0.123456789}])
    assert path.read_text() == "epoch,dice\n0,\n1,0.123457\n"

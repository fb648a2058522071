"""docs/measurements.md lists what is measured, as the tables in the code have it."""

from pathlib import Path

from bodycomp.analysis.quality_flags import FLAG_KINDS
from bodycomp.quantities import CUT_OFFS, QUANTITIES
from bodycomp.report.result_rows import MEASUREMENT_COLUMNS

PAGE = (Path(__file__).parents[2] / "docs/measurements.md").read_text(encoding="utf-8")


def row_of(key):
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{key}` |")]
    return row


def test_every_quantity_has_its_unit_formula_and_source():
    for kind in QUANTITIES:
        row = row_of(kind.key)
        assert f"`{kind.unit}`" in row
        assert kind.formula in row
        assert kind.source in row


def test_every_cut_off_has_its_limits_and_citation():
    for cut_off in CUT_OFFS:
        row = row_of(cut_off.key)
        assert all(f": {limit.value:g}" in row for limit in cut_off.limits)
        assert f"`{cut_off.quantity}` {cut_off.relation} |" in row
        assert cut_off.source in row
        assert cut_off.people in row


def test_every_flag_says_what_it_touches():
    for kind in FLAG_KINDS:
        row = row_of(kind.key)
        assert kind.rule in row
        assert all(f"`{column}`" in row for column in kind.affects)
        assert kind.limit is None or f"| {kind.limit:g} |" in row


def test_every_column_of_a_tissue_is_explained():
    assert all(f"`{column}`" in PAGE for column in MEASUREMENT_COLUMNS)

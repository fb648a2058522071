"""``manifest.csv``: what is written is read again, and damage is named."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from bodycomp.data.manifest import (
    COLUMNS,
    MANIFEST_NAME,
    ManifestRow,
    ManifestWriter,
    read_manifest,
)
from bodycomp.errors import TrainingSetError

ROW = ManifestRow(
    split="train",
    index=0,
    patient="patient-0001",
    series_instance_uid="1.2.3",
    sop_instance_uid="1.2.3.4",
    slice_index=17,
    z_mm=-123.456,
    row_spacing_mm=0.75,
    column_spacing_mm=0.75,
    source_rows=512,
    source_columns=512,
    turn="transpose flip_rows",
    source_digest="ab" * 32,
    image_digest="cd" * 16,
)


def write(folder: Path, *rows: ManifestRow) -> Path:
    with ManifestWriter(folder) as writer:
        for row in rows:
            writer.append(row)
    return folder


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    rows = (ROW, replace(ROW, index=1), replace(ROW, split="val", patient="patient, the 2nd"))
    manifest = read_manifest(write(tmp_path, *rows))
    assert manifest is not None
    assert len(manifest) == 3
    assert tuple(manifest.columns) == COLUMNS
    assert manifest.of("val").texts("patient") == ("patient, the 2nd",)
    assert len(manifest.of("test")) == 0
    assert manifest.numbers("z_mm").tolist() == [-123.456] * 3
    assert {name: str(value) for name, value in asdict(ROW).items()} == {
        name: manifest.texts(name)[0] for name in COLUMNS
    }


def test_a_set_without_a_manifest_has_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None


def test_columns_in_another_order_and_further_ones_are_read(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_NAME).write_text("site,patient,index,split,z_mm\nA,p,0,val,\n")
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    assert manifest.texts("site") == ("A",)
    assert np.isnan(manifest.numbers("z_mm")).all()
    assert "turn" not in manifest
    with pytest.raises(TrainingSetError, match="expected a column turn, found site"):
        manifest.texts("turn")
    with pytest.raises(TrainingSetError, match=r"row 0, column site: expected a number"):
        manifest.numbers("site")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected one column split, found none"),
        ("split,index\ntrain,0\n", "expected one column patient"),
        ("split,index,patient\ntrain,0\n", "row 0: expected 3 cells, found 2"),
        ("split,index,patient\nholdout,0,p\n", "row 0: expected a split of train, val, test"),
        ("split,index,patient\ntrain,0,p\ntrain,2,p\n", "row 1: expected index 1 of train"),
        ('split,index,patient\ntrain,0,"p\n', "expected a comma-separated table"),
    ],
)
def test_damage_is_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST_NAME).write_text(text)
    with pytest.raises(TrainingSetError, match=said):
        read_manifest(tmp_path)

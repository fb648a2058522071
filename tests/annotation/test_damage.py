"""Whatever is wrong inside a file, it is refused in words: no other error and no silent loss."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bodycomp.annotation.dicom_layers import referenced_series
from bodycomp.annotation.levels import read_levels
from bodycomp.annotation.masks import read_masks
from bodycomp.errors import BodycompError
from bodycomp.imaging.volume import Volume
from bodycomp.reading.kinds import Kind, kind_of, volume_header
from support.annotation_files import (
    TISSUE_NAMES,
    TISSUES,
    Case,
    dicom_case,
    dicom_seg,
    markups,
    nifti_map,
    nrrd_map,
    rtstruct,
    seg_nrrd,
    slice_outlines,
)

LABELS = np.kron(np.arange(144).reshape(12, 3, 4) % 4, np.ones((1, 4, 4))).astype(np.uint8)
VOLUME = Volume(
    np.where(LABELS > 1, 40, -1000).astype(np.int16),
    (0.75, 0.5),
    -300.0 + 5.0 * np.arange(12),
    first_pixel_mm=(-40.0, -120.0, -300.0),
)
SEGMENTS = [(name, label, 0) for label, name in TISSUE_NAMES.items()]


def contours(path: Path, case: Case) -> Path:
    regions = {
        name: slice_outlines(LABELS, k, case.scan.volume) for k, name in TISSUE_NAMES.items()
    }
    return rtstruct(path, regions, case.scan.files)


WRITERS: dict[str, Callable[[Path, Case], Path]] = {
    "m.dcm": lambda path, case: dicom_seg(path, LABELS, case.scan.files),
    "map.dcm": lambda path, case: dicom_seg(path, LABELS, case.scan.files, kind="LABELMAP"),
    "rs.dcm": contours,
    "m.nii": lambda path, _: nifti_map(path, LABELS, VOLUME),
    "m.nii.gz": lambda path, _: nifti_map(path, LABELS, VOLUME),
    "m.nrrd": lambda path, _: nrrd_map(path, LABELS, VOLUME),
    "m.seg.nrrd": lambda path, _: seg_nrrd(path, [LABELS], VOLUME, SEGMENTS),
    "l.mrk.json": lambda path, _: markups(path, {"L3": (-38.0, -115.0, -280.0)}),
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return dicom_case(tmp_path_factory.mktemp("small") / "ct", VOLUME, LABELS)


def read(path: Path, case: Case) -> object:
    volume_header(path)
    referenced_series(path)
    if kind_of(path) is Kind.MARKUPS:
        return dict(read_levels(path, case.scan).z_mm)
    return read_masks([path], case.scan, TISSUES).labels.tobytes()


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.filterwarnings("default")  # nibabel and pydicom tell what they repair
def test_damaged_files_are_refused_in_words(tmp_path: Path, small: Case, name: str) -> None:
    """Sixty files each: cut anywhere, or with bytes of header or body replaced."""
    path = WRITERS[name](tmp_path / name, small)
    whole, truth = path.read_bytes(), read(path, small)
    rng = random.Random(name)
    for turn in range(60):
        content = bytearray(whole)
        if cut := turn % 3 == 0:
            del content[rng.randrange(len(content)) :]
        else:
            reach = len(content) if turn % 3 == 1 else min(len(content), 600)
            for _ in range(rng.choice([1, 3, 10])):
                content[rng.randrange(reach)] = rng.randrange(256)
        path.write_bytes(content)
        try:
            found = read(path, small)
        except BodycompError:
            continue
        assert not cut or found == truth

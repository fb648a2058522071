"""Of two places that a NIfTI file states one is right, or the file is refused with both."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycomp.errors import SeriesError
from bodycomp.imaging.nifti_forms import stated_affine
from bodycomp.nifti import read_nifti_grid, read_nifti_labels, read_nifti_volume

SPACING_MM = np.array([0.6885, 0.6885, 2.5])


def placed(spacing_mm: np.ndarray = SPACING_MM, angle: float = 0.1) -> np.ndarray:
    """An oblique affine as DICOM gives it, in RAS."""
    turn = np.eye(3)
    turn[1:, 1:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ turn * spacing_mm
    affine[:3, 3] = [170, 160, -400]
    return affine


@given(
    st.lists(st.floats(0.3, 6), min_size=3, max_size=3),
    st.floats(-0.4, 0.4),
    st.sampled_from([np.float32, np.float64]),
)
def test_rounding_of_headers_passes_without_a_note(spacing, angle, dtype):
    """Through nibabel, which stores a quaternion and single precision."""
    sform = placed(np.array(spacing), angle)
    header = nib.Nifti1Header()
    header.set_data_shape((512, 512, 200))
    header.set_qform(sform, 1)
    rounded = sform.astype(dtype).astype(np.float64)
    stored = header["pixdim"][1:4].astype(np.float64)
    affine, notes = stated_affine(rounded, header.get_qform(), stored, "ct.nii")
    assert notes == ()
    np.testing.assert_array_equal(affine, rounded)


@given(st.integers(0, 2), st.one_of(st.floats(0.2, 0.95), st.floats(1.05, 5)))
def test_another_scale_of_sform_gives_way_to_qform_with_a_note(axis, factor):
    sform = placed()
    sform[:, axis] *= factor
    affine, notes = stated_affine(sform, placed(), SPACING_MM, "ct.nii")
    np.testing.assert_array_equal(affine, placed())
    assert notes[0].startswith("sform states voxels of ")
    assert "pixdim and qform of 0.6885 x 0.6885 x 2.5 mm; qform was used" in notes[0]


@given(st.floats(0.5, 500), st.integers(0, 2))
def test_another_origin_is_noted_with_its_distance(shift_mm, axis):
    sform = placed()
    sform[axis, 3] += shift_mm
    affine, notes = stated_affine(sform, placed(), SPACING_MM, "ct.nii")
    np.testing.assert_array_equal(affine, sform)
    said_mm = float(notes[0].removeprefix("sform and qform lie ").partition(" ")[0])
    assert said_mm == pytest.approx(shift_mm, abs=0.051)  # one digit, rounded
    assert notes == (f"sform and qform lie {said_mm:.1f} mm apart; sform was used",)


def flipped(axis: int) -> np.ndarray:
    affine = placed()
    affine[:3, axis] *= -1
    return affine


def sheared() -> np.ndarray:
    affine = placed()
    affine[1, 2] += 0.5
    return affine


def scaled_and_moved() -> np.ndarray:
    affine = placed(SPACING_MM * [1, 1, 4 / 3])
    affine[2, 3] += 40
    return affine


@pytest.mark.parametrize(
    "sform",
    [
        flipped(0),
        flipped(1),
        flipped(2),
        placed(angle=0.2),
        sheared(),
        scaled_and_moved(),
        placed()[:, [1, 0, 2, 3]],
        np.diag([0.0, 0, 0, 1]),
    ],
    ids=["x", "y", "z", "turned", "sheared", "scaled and moved", "axes", "zero"],
)
def test_forms_that_contradict_one_another_are_refused_with_both(sform):
    with pytest.raises(SeriesError, match="expected sform and qform to agree") as refusal:
        stated_affine(sform, placed(), SPACING_MM, "ct.nii")
    assert "\n  sform: voxels of" in refusal.value.message
    assert "\n  qform: voxels of 0.6885 x 0.6885 x 2.5 mm" in refusal.value.message
    assert refusal.value.hint


def test_sform_alone_must_have_the_spacing_of_pixdim():
    sform = placed()
    assert stated_affine(sform, None, SPACING_MM, "ct.nii") == (sform, ())
    with pytest.raises(SeriesError, match="expected sform and pixdim to agree"):
        stated_affine(sform, None, SPACING_MM * [1, 1, 2], "ct.nii")
    assert stated_affine(sform, None, np.zeros(3), "ct.nii") == (sform, ())  # not stated


@pytest.mark.parametrize("spacing", [[0.7, 0.7, 0], [0.7, -0.7, 2.5], [np.nan] * 3])
def test_qform_needs_a_spacing(spacing):
    for sform in (None, placed()):
        with pytest.raises(SeriesError, match="expected a spacing above 0 mm in pixdim"):
            stated_affine(sform, placed(), np.array(spacing), "ct.nii")


def save(path: Path, data: np.ndarray, sform: np.ndarray | None, qform: np.ndarray | None) -> Path:
    image = nib.Nifti1Image(data, placed())
    image.set_qform(qform, code=int(qform is not None))
    image.set_sform(sform, code=int(sform is not None))
    nib.save(image, path)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_files_are_read_by_the_rule(tmp_path: Path, suffix: str):
    rng = np.random.default_rng(3)
    data = rng.integers(-1000, 200, (6, 5, 4)).astype(np.int16)
    wrong = placed(SPACING_MM * [1, 1, 4 / 3])
    volume = read_nifti_volume(save(tmp_path / f"ct{suffix}", data, wrong, placed()))
    np.testing.assert_allclose(np.diff(volume.slice_z_mm), 2.5 * np.cos(0.1), rtol=1e-5)
    assert "qform was used" in volume.notes[0]
    labels = read_nifti_labels(save(tmp_path / f"m{suffix}", np.abs(data), wrong, placed()))
    assert labels.grid.notes == volume.notes
    for sform, qform in ((placed(), None), (None, placed())):
        grid = read_nifti_grid(save(tmp_path / f"ok{suffix}", data, sform, qform))
        np.testing.assert_allclose(grid.spacing_mm, SPACING_MM, rtol=1e-5)
        assert grid.notes == ()


def test_a_spacing_of_zero_is_not_taken_for_one(tmp_path: Path):
    """nibabel puts 1 in place of 0 when it reads a header."""
    path = save(tmp_path / "ct.nii", np.zeros((3, 3, 3), np.int16), None, placed())
    content = bytearray(path.read_bytes())
    content[88:92] = np.float32(0).tobytes()  # pixdim[3]
    path.write_bytes(content)
    with pytest.raises(SeriesError, match=r"found 0\.6885 x 0\.6885 x 0\n"):
        read_nifti_grid(path)

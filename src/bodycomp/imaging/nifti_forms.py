"""Which of the two places that a NIfTI file states is the right one, or that neither is sure.

A header states the affine up to twice: ``sform`` as a matrix, ``qform`` as a rotation and an
origin whose scale is ``pixdim`` (nifti1.h, methods 2 and 3). Both should say the same of a CT.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bodycomp.errors import SeriesError

_SCALE_TOLERANCE: Final = 1e-3
"""Of a spacing: headers round to single precision, or to three decimals."""
_COSINE_TOLERANCE: Final = 2e-3
"""Single precision leaves a quaternion's angle uncertain by some 1e-3 near half a turn."""
_ORIGIN_TOLERANCE: Final = 0.1
"""Of the smallest spacing, as far as masks may be off."""
_HINT: Final = "Convert the series from DICOM again, or correct the header that is wrong."


def stated_affine(
    sform: NDArray[np.float64] | None,
    qform: NDArray[np.float64] | None,
    spacing_mm: NDArray[np.float64],
    where: str,
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the affine to go by, and what was corrected or left open.

    Two forms that differ in the origin alone measure alike: sform is used and the distance noted.
    Where sform has another scale than pixdim and is else the same as qform, qform is used and both
    scales are noted. Whatever else differs is refused.

    Args:
        sform: (4, 4) in mm, None if its code is 0.
        qform: The same.
        spacing_mm: ``pixdim`` of the three axes, as it is stored.
        where: The file, for messages.

    Raises:
        SeriesError: Neither form is stated, they contradict one another or pixdim, or qform alone
            is stated and pixdim is not.
    """
    has_spacing = bool(np.all(np.isfinite(spacing_mm)) and np.all(spacing_mm > 0))
    if sform is None and qform is None:
        raise SeriesError(
            f"{where}: expected qform or sform, found neither: left and right are unknown",
            hint="Convert the series from DICOM again.",
        )
    if (sform is None or qform is not None) and not has_spacing:
        raise SeriesError(
            f"{where}: expected a spacing above 0 mm in pixdim, which qform needs, found "
            f"{_words(spacing_mm)}",
            hint=_HINT,
        )
    if sform is None:
        return np.asarray(qform), ()
    if qform is not None:
        return _one_of_both(sform, qform, spacing_mm, where)
    if has_spacing and not _same_scale(sform, spacing_mm):
        raise _contradiction(sform, None, spacing_mm, where)
    return sform, ()


def _one_of_both(
    sform: NDArray[np.float64],
    qform: NDArray[np.float64],
    spacing_mm: NDArray[np.float64],
    where: str,
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    shift_mm = float(np.linalg.norm(sform[:3, 3] - qform[:3, 3]))
    same_origin = shift_mm <= _ORIGIN_TOLERANCE * spacing_mm.min()
    same_scale = _same_scale(sform, spacing_mm)
    off = _axes(sform, _lengths_mm(sform)) - _axes(qform, spacing_mm)
    if np.abs(off).max() > _COSINE_TOLERANCE or not (same_scale or same_origin):
        raise _contradiction(sform, qform, spacing_mm, where)
    if not same_scale:
        note = f"sform states voxels of {_words(_lengths_mm(sform))} mm, pixdim and qform of "
        return qform, (f"{note}{_words(spacing_mm)} mm; qform was used",)
    if not same_origin:
        return sform, (f"sform and qform lie {shift_mm:.1f} mm apart; sform was used",)
    return sform, ()


def _same_scale(sform: NDArray[np.float64], spacing_mm: NDArray[np.float64]) -> bool:
    return bool(np.allclose(_lengths_mm(sform), spacing_mm, rtol=_SCALE_TOLERANCE, atol=0))


def _lengths_mm(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.linalg.norm(affine[:3, :3], axis=0)
    return lengths


def _axes(affine: NDArray[np.float64], spacing_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (3, 3) direction cosines, one column for each axis; zeros for one without length."""
    return affine[:3, :3] / np.where(spacing_mm > 0, spacing_mm, 1.0)


def _contradiction(
    sform: NDArray[np.float64],
    qform: NDArray[np.float64] | None,
    spacing_mm: NDArray[np.float64],
    where: str,
) -> SeriesError:
    said = [f"sform: {_place(sform, _lengths_mm(sform))}"]
    if qform is None:
        said.append(f"pixdim: voxels of {_words(spacing_mm)} mm; no qform")
    else:
        said.append(f"qform: {_place(qform, spacing_mm)}")
    which = "pixdim" if qform is None else "qform"
    return SeriesError(
        f"{where}: expected sform and {which} to agree, found two that do not\n  "
        + "\n  ".join(said),
        hint=_HINT,
    )


def _place(affine: NDArray[np.float64], spacing_mm: NDArray[np.float64]) -> str:
    axes = np.round(_axes(affine, spacing_mm), 3).T + 0.0
    cosines = "; ".join(", ".join(f"{x:.3g}" for x in axis) for axis in axes)
    origin = ", ".join(f"{x:.2f}" for x in affine[:3, 3] + 0.0)
    return (
        f"voxels of {_words(spacing_mm)} mm, first voxel at ({origin}) mm, axes along ({cosines}) "
        "in RAS"
    )


def _words(spacing_mm: NDArray[np.float64]) -> str:
    return " x ".join(f"{s:.4g}" for s in spacing_mm)

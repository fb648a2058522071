"""Groups of muscle, fat between muscles and vertebral bodies: parts of what phantoms had before."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from bodycomp.anatomy import (
    ABDOMINAL_TISSUES,
    ALL_TISSUES,
    ERECTOR_SPINAE,
    INTERMUSCULAR_FAT,
    MUSCLE_GROUPS,
    PSOAS,
    VERTEBRAL_BODY,
)
from bodycomp.imaging.label_map import folded
from bodycomp.phantom import Torso, sample_patient, sample_scan


@pytest.fixture(scope="module", params=["standard", "varied"])
def slices(request):
    """A slice at L3, without noise, labeled for three tissues and for all."""
    torso = Torso(sample_patient(1, 0, request.param))
    scan = sample_scan(torso.patient)
    z_mm = torso.level_z_mm["L3"]
    return torso.render_slice(scan, z_mm), torso.render_slice(scan, z_mm, ALL_TISSUES), scan


def test_groups_make_up_the_muscle_and_nothing_else_changes(slices):
    (hu, labels), (same_hu, all_labels), _ = slices
    assert_array_equal(hu, same_hu)
    assert_array_equal(folded(all_labels, ABDOMINAL_TISSUES), labels)
    assert set(np.unique(all_labels)) == {0, *(tissue.label for tissue in ALL_TISSUES)} - {1}


def test_each_lies_where_it_is_in_people(slices):
    _, (hu, labels), scan = slices
    area_cm2 = scan.pixel_spacing_mm**2 / 100
    rows = {tissue: np.argwhere(labels == tissue.label)[:, 0].mean() for tissue in ALL_TISSUES[3:]}
    assert rows[PSOAS] < rows[ERECTOR_SPINAE]  # in front of it
    assert 9 < (labels == VERTEBRAL_BODY.label).sum() * area_cm2 < 24
    assert 6 < (labels == PSOAS.label).sum() * area_cm2 < 60
    for group in MUSCLE_GROUPS:
        assert -29 < np.median(hu[labels == group.label]) < 150
    assert np.median(hu[labels == INTERMUSCULAR_FAT.label]) < 0

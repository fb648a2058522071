"""The default models on real scans and on patients of an anatomy that trained nothing."""

from pathlib import Path

import numpy as np
import pytest

import bodycomp
from bodycomp.analysis.locating import locate_levels
from bodycomp.analysis.pipeline import choice_options
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.cohort.level_set import level_series
from bodycomp.results import LevelStatus
from default_models.outline_masks import TEST_SCANS, outlined_slices, outlines_of

REAL = Path(__file__).parents[1] / "../shared/real"
HALF_VERTEBRA_MM = 17.0
"""Half of the height of a lumbar vertebra with half a disc."""

needs_real = pytest.mark.skipif(
    not REAL.is_dir(), reason="no folder shared/real with real scans beside the checkout"
)


@pytest.fixture(scope="module")
def models():
    return bodycomp.load_models(device="cpu")


@needs_real
def test_slices_that_trained_nothing_are_segmented_as_outlined_by_hand(models):
    dice = []
    for _, volume, truth in outlined_slices(REAL, TEST_SCANS):
        found = models.analyzer.segmenter(volume, [0])[0]
        shares = []
        for tissue in ABDOMINAL_TISSUES:
            ours, theirs = found == tissue.label, truth == tissue.label
            shares.append(2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()))
            low, high = tissue.hu_range
            values = volume.hu[0][ours]
            assert np.mean((values >= low - 30) & (values <= high + 30)) > 0.99
        dice.append(shares)
    assert (np.mean(dice, axis=0) > (0.94, 0.97, 0.92)).all()
    assert np.min(dice) > 0.88


def test_levels_of_patients_of_another_anatomy_are_found_to_some_millimeters(models):
    errors_mm = []
    for patient in (6, 30):
        samples = list(level_series(77, patient, "held-out"))
        z_mm = np.array([sample.offsets_mm["L3"] for sample in samples])
        scorer = models.analyzer.scorer
        grays = [sample.gray for sample in samples]
        scores = scorer.score_gray(grays.__getitem__, z_mm, range(len(z_mm)))
        for choice in locate_levels(
            lambda indices, scores=scores: scores[list(indices)],
            z_mm,
            scorer.levels,
            choice_options(scorer),
        ):
            true_mm = z_mm[0] - samples[0].offsets_mm[choice.level]
            if z_mm[0] + 15 < true_mm < z_mm[-1] - 15:
                assert choice.status is LevelStatus.FOUND
                errors_mm.append(abs(choice.z_mm - true_mm))
    assert len(errors_mm) > 12
    assert np.median(errors_mm) < 4
    assert max(errors_mm) < HALF_VERTEBRA_MM


@needs_real
def test_lumbar_levels_of_a_person_are_found_in_their_vertebrae(models):
    result = models.analyze(bodycomp.read_scan(REAL / "torso_ct"))
    true_mm = {outline.level: outline.z_mm for outline in outlines_of(["torso_ct"])}
    for level in ("L1", "L2", "L3", "L4", "L5"):
        assert result[level].choice.status is LevelStatus.FOUND
        assert abs(result[level].choice.z_mm - true_mm[level]) < HALF_VERTEBRA_MM
    assert all(tissue.area_cm2 > 50 for tissue in result["L3"].measurements.values())


@needs_real
def test_levels_are_measured_with_a_word_of_caution_and_l3_below_the_scan_is_not(models):
    result = models.analyze(bodycomp.read_scan(REAL / "thorax_upper_abdomen"))
    measured = [level for level in result.levels if level.measurements]
    assert measured
    assert all("model_caution" in {flag.key for flag in level.flags} for level in measured)
    assert result["L3"].choice.status is not LevelStatus.FOUND


@needs_real
@pytest.mark.parametrize("scan", ["head_chest", "jpeg2000"])
def test_l3_is_absent_where_it_is_not(models, scan):
    found = models.analyze(bodycomp.read_scan(REAL / scan))["L3"]
    assert found.choice.status is LevelStatus.ABSENT


@needs_real
def test_l3_is_not_found_in_a_chest(models):
    found = models.analyze(bodycomp.read_scan(REAL / "chest_noncontrast"))["L3"]
    assert found.choice.status is not LevelStatus.FOUND

"""Flags carry their numbers and name what they touch."""

from bodycomp.analysis.quality_flags import quality_flags
from bodycomp.anatomy import ABDOMINAL_TISSUES, MUSCLE
from bodycomp.results import Measurement, Quantity
from bodycomp.subject import Acquisition

CLEAN = {
    "cut_off_area_cm2": Quantity(0.0),
    "body_area_cm2": Quantity(600.0),
    "outside_body_area_cm2": Quantity(0.0),
    "metal_area_cm2": Quantity(0.0),
    "noise_hu": Quantity(9.0),
}
GOOD = Measurement(150.0, 40.0, 40.0, 15.0, 20.0, 0.0, hu_range_area_cm2=145.0)


def flags(measured=GOOD, acquisition=None, **quantities):
    found = quality_flags(
        ABDOMINAL_TISSUES,
        {MUSCLE.key: measured},
        CLEAN | {key: Quantity(value) for key, value in quantities.items()},
        acquisition or Acquisition(kvp=120.0, slice_thickness_mm=3.0),
    )
    return {flag.key: flag for flag in found}


def test_clean_measurement_has_no_flag():
    assert flags() == {}


def test_each_number_raises_its_flag():
    raised = flags(
        cut_off_area_cm2=12.0, outside_body_area_cm2=3.0, metal_area_cm2=0.4, noise_hu=31.0
    )
    assert list(raised) == ["body_cut_off", "labels_outside_body", "metal", "noise"]
    assert raised["noise"].value == 31.0
    assert raised["noise"].limit == 20.0
    assert "intermuscular_fat_area_cm2" in raised["noise"].affects
    assert "12 cm2" in raised["body_cut_off"].message


def test_tissue_at_the_edge_or_of_odd_density_names_its_own_columns():
    odd = Measurement(150.0, 90.0, 90.0, 15.0, 20.0, 0.02, hu_range_area_cm2=30.0)
    raised = flags(odd)
    assert {key: flag.affects for key, flag in raised.items()} == {
        "tissue_at_edge": ("muscle_",),
        "unusual_density": ("muscle_",),
    }
    assert "20% of muscle lies within -29..150 HU" in raised["unusual_density"].message


def test_how_the_series_was_made_raises_flags():
    acquisition = Acquisition(80.0, "B70f", 7.0, "agent")
    raised = flags(acquisition=acquisition)
    assert set(raised) == {"sharp_kernel", "thick_slices", "tube_voltage", "contrast_agent"}
    assert raised["tube_voltage"].value == 80.0


def test_contrast_agent_is_known_from_the_files_or_from_the_aorta():
    named = Acquisition(kvp=120.0, contrast_agent="Iohexol")
    denied = Acquisition(kvp=120.0, contrast_agent="NONE")
    (flag,) = flags(acquisition=named).values()
    assert (flag.value, flag.message) == (
        None,
        "the files name a contrast agent; muscle is denser",
    )
    (flag,) = flags(acquisition=denied, aortic_hu=151.4).values()
    assert (flag.value, flag.limit) == (151.4, 80.0)
    assert flag.message == "the aorta has 151 HU; muscle is denser"
    (flag,) = flags(acquisition=named, aortic_hu=151.4).values()
    assert "name a contrast agent and the aorta has 151 HU" in flag.message
    assert flags(acquisition=denied, aortic_hu=76.0) == {}
    assert flags(acquisition=denied, aortic_hu=None) == {}


def test_body_cut_off_by_an_unknown_amount_is_flagged_all_the_same():
    quantities = CLEAN | {
        "cut_off_area_cm2": Quantity(None, "too little skin is seen"),
        "body_area_cm2": Quantity(None, "the trunk reaches the edge"),
    }
    (flag,) = quality_flags(ABDOMINAL_TISSUES, {}, quantities, Acquisition())
    assert (flag.key, flag.value) == ("body_cut_off", None)
    assert "the trunk reaches the edge" in flag.message

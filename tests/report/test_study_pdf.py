"""The page to sign: what stands on it, read back by another library."""

import io
from dataclasses import replace

import numpy as np
import pytest
from pypdf import PdfReader

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.report.case_view import CaseView, make_case_view
from bodycomp.report.result_rows import SeriesKey
from bodycomp.report.study_pdf import report_pdf
from bodycomp.results import (
    CutOffOutcome,
    LevelResult,
    Measurement,
    QualityFlag,
    Quantity,
    SeriesResult,
)
from bodycomp.scan import Scan
from support.report_cases import cylinder, found_at, not_found

VOLUME = cylinder()
MUSCLE = Measurement(
    92.2, 40.4, 41.0, 9.0, 12.0, 0.3, area_pi90_low_cm2=88.1, area_pi90_high_cm2=97.3
)
FLAG = QualityFlag("kvp", "scanned at 140 kVp", 140.0, None, ())
CARDS = {
    "segmentation": {
        "digest": "5bb9d018e6be1234",
        "description": {
            "words": {
                "name": "Our model",
                "out_of_scope": ["Children."],
                "known_failures": ["It costs $5 and $6."],  # no formula
            }
        },
    }
}


def found() -> LevelResult:
    level = found_at(VOLUME, 3)
    return replace(
        level,
        measurements={**level.measurements, "muscle": MUSCLE},
        flags=(FLAG,),
        quantities={
            "waist_circumference_cm": Quantity(95.94),
            "skeletal_muscle_index_cm2_m2": Quantity(None, "no height"),
        },
        cut_offs={"high_visceral_fat_area_doyle_2013": CutOffOutcome(met=True, limit=100.0)},
    )


def cases(*levels: LevelResult) -> list[CaseView]:
    scan, models = Scan(VOLUME), {"segmentation": "5bb9d018e6be"}
    result = SeriesResult(ABDOMINAL_TISSUES, levels, models)
    key = SeriesKey("study-1", "series-1")
    return [make_case_view(scan, result, level, key) for level in levels]


def text_of(content: bytes) -> str:
    (page,) = PdfReader(io.BytesIO(content)).pages
    width, height = (float(side) / 72 * 25.4 for side in page.mediabox[2:])
    assert (width, height) == (pytest.approx(210, abs=0.5), pytest.approx(297, abs=0.5))
    return " ".join(page.extract_text().split())


def test_one_page_has_values_flags_change_and_the_limits_of_the_models() -> None:
    text = text_of(report_pdf(cases(not_found(VOLUME), found()), CARDS, ["Muscle fell by 4 cm²."]))
    for words in (
        "Body composition at L3",
        "study-1 / series-1",
        "For research only, not a medical device",
        "92.2",
        "88.1 to 97.3",
        "Waist circumference 95.9 cm",
        "(no height)",
        "High visceral fat area (Doyle 2013): yes",
        "Change since an earlier scan Muscle fell by 4 cm².",
        "scanned at 140 kVp.",
        "T5: absent, the level lies below the lowest slice.",
        "Our model (5bb9d018e6be). Not for: Children. Known failures: It costs $5 and $6.",
    ):
        assert words in text
    without = text_of(report_pdf(cases(found()), {}))
    assert "Change" not in without
    assert "No model: the mask was given." in without


def test_the_picture_is_the_slice_under_its_labels() -> None:
    (page,) = PdfReader(io.BytesIO(report_pdf(cases(found()), CARDS))).pages
    pictures = [np.asarray(image.image.convert("RGB")).astype(int) for image in page.images]
    assert len(pictures) == 3
    (chosen,) = (picture for picture in pictures if np.ptp(picture, axis=2).any())
    red, green, blue = chosen[chosen.shape[0] // 2, chosen.shape[1] // 2]
    assert red > green > blue  # muscle is orange


def test_equal_cases_give_equal_bytes() -> None:
    assert report_pdf(cases(found()), CARDS) == report_pdf(cases(found()), CARDS)


def test_a_level_that_was_not_found_says_why_instead_of_values() -> None:
    text = text_of(report_pdf(cases(not_found(VOLUME)), CARDS))
    assert "Not measured: the level lies below the lowest slice." in text
    assert "cm²" not in text


def test_what_finds_no_room_is_said_to_be_missing() -> None:
    (level,) = cases(found())
    level["flags"] = [{"message": f"number {number} of many"} for number in range(80)]
    text = text_of(report_pdf([level], CARDS))
    assert "no more room: the rest is in results.json and run.json" in text
    assert "Our model" not in text

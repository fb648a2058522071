"""Rules that say what a pixel is, as people write them, and what is wrong with others."""

from pathlib import Path

import numpy as np
import pytest

from bodycomp.annotation.region_masks import read_region_masks
from bodycomp.annotation.tissue_rules import Selection
from bodycomp.errors import InputNotFoundError, SeriesError, UsageError
from bodycomp.imaging.volume import Volume
from bodycomp.nifti import write_nifti_labels
from bodycomp.preparation.rules_file import parse_rules, read_rules
from bodycomp.scan import Scan

GOOD = "masks: {a: region, b: part}\nmuscle: a 1 within -29..150\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- muscle", "expected keys such as masks and muscle"),
        ("a: [", "line 1: expected YAML|expected YAML"),
        ("muscle: a 1", "masks: expected a name for every mask"),
        (GOOD + "fat: a 2", "expected keys among .* found fat"),
        ("masks: {a: region}\nignore: a 2", "found none of any tissue"),
        (GOOD + "ignore: c 2", "expected masks among a, b, found c"),
        (GOOD + "needed: [a, c]", "expected masks among a, b, found c"),
        (GOOD + "visceral_fat: a three", "visceral_fat: expected a mask, its labels"),
        (GOOD + "visceral_fat: a 3 within -30..-190", "expected a range from low to high"),
        (GOOD + "visceral_fat: {a: 3}", "expected text or a list of it"),
        (GOOD + "not_annotated: a 1", "one meaning of each label of a"),
        (GOOD + "not_annotated: a 255 within 0..9", "expected labels of a alone, found HU"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_rules(text)


def test_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    with pytest.raises(InputNotFoundError, match="expected a file of rules"):
        read_rules(path)
    path.write_text("muscle: a 1")
    with pytest.raises(UsageError, match=r"rules\.yaml: masks"):
        read_rules(path)


def test_terms() -> None:
    assert Selection.parse(" Region  1 4..6  within -5..+10 HU ") == Selection(
        "region", ((1, 1), (4, 6)), (-5, 10)
    )


def case(tmp_path: Path, *regions: np.ndarray) -> tuple[Scan, list[Path]]:
    hu = np.full((3, 8, 8), 40, np.float32)
    hu[:, :2] = -1000
    hu[:, 2:4] = -29.6  # fat, as -30 is what a set holds of it
    volume = Volume(hu, (4.0, 4.0), 5.0 * np.arange(3))
    paths = [tmp_path / f"{name}.nii.gz" for name, _ in zip(("Region", "P-art"), regions)]  # noqa: B905
    for path, labels in zip(paths, regions, strict=True):
        write_nifti_labels(path, volume, labels)
    return Scan(volume, "NIfTI"), paths


def test_tissues_of_a_scan(tmp_path: Path) -> None:
    region, part = np.ones((3, 8, 8), np.uint8), np.ones((3, 8, 8), np.uint8)
    region[1] = 255
    region[2, 0, 0], region[2, 7, 7] = 255, 9
    part[:, :, 6:] = 5
    rules = parse_rules(
        GOOD + "subcutaneous_fat: a 1 within -190..-30\nleft_out: b 5\n"
        "not_annotated: a 255\nignore: [a 9, b 1]"
    )
    scan, paths = case(tmp_path, region, part)
    found = read_region_masks(paths[::-1], scan, rules)
    assert found.annotated.tolist() == [True, False, True]
    expected = np.zeros((8, 8), np.uint8)
    expected[2:4, :6], expected[4:, :6] = 2, 1
    np.testing.assert_array_equal(found.labels[0], expected)
    assert (found.labels[1] == 255).all()
    expected[0, 0] = 255
    np.testing.assert_array_equal(found.labels[2], expected)
    assert found.notes == (
        "slices that are marked as not annotated are left out",
        "some pixels are marked as not annotated",
    )


def test_what_rules_cannot_read(tmp_path: Path) -> None:
    region = np.ones((3, 8, 8), np.uint8)
    scan, paths = case(tmp_path, region, region)
    with pytest.raises(SeriesError, match="expected labels among nothing, found 1"):
        read_region_masks(paths, scan, parse_rules(GOOD))
    two = "masks: {a: region}\nmuscle: a 1\nvisceral_fat: a 1 within 0..50"
    with pytest.raises(SeriesError, match="rules give to visceral_fat and to another"):
        read_region_masks(paths, scan, parse_rules(two))
    with pytest.raises(SeriesError, match=r"expected one mask named region, .* found 0 among 1"):
        read_region_masks(paths[1:], scan, parse_rules(two))

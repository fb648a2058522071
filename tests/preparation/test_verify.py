"""A set that differs from its manifest, or shares patients or images between splits, is caught."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bodycomp.annotation.labels import LabelMapping
from bodycomp.data.manifest import MANIFEST_NAME
from bodycomp.data.png import read_gray_png, write_gray_png
from bodycomp.errors import BodycompError, OutputError
from bodycomp.preparation.assemble import verify_set
from bodycomp.preparation.options import LevelTask, MaskTask, PrepareOptions
from bodycomp.preparation.run import prepare
from support.annotated_cases import LABELS, make_cases

pytestmark = pytest.mark.xdist_group("preparation")


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    table = make_cases(folder / "scans", 3)
    for name, task in (
        ("masks", MaskTask(LabelMapping.parse(LABELS))),
        ("levels", LevelTask()),
    ):
        prepare(PrepareOptions(table, folder / name, task, jobs=1), lambda *_: None)
    return folder


def change_rows(folder: Path, change: Callable[[dict[str, dict[str, str]]], None]) -> None:
    """Change rows of the manifest, known by split and index."""
    path = folder / MANIFEST_NAME
    with path.open(newline="") as stream:
        rows = {f"{row['split']} {row['index']}": row for row in csv.DictReader(stream)}
    change(rows)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(next(iter(rows.values()))))
        writer.writeheader()
        writer.writerows(rows.values())


def one_pixel(folder: Path) -> None:
    images = np.load(folder / "val_images.npy", mmap_mode="r+")
    images[2, 100, 100, 0] += 1
    images.flush()


def one_label(folder: Path) -> None:
    masks = np.load(folder / "train_masks.npy", mmap_mode="r+")
    masks[0, 0, 0, 0] = 3
    masks.flush()


def fewer_samples(folder: Path) -> None:
    np.save(folder / "test_images.npy", np.load(folder / "test_images.npy")[:-1])


def shared_patient(folder: Path) -> None:
    change_rows(folder, lambda rows: rows["val 1"].update(patient=rows["train 0"]["patient"]))


def shared_image(folder: Path) -> None:
    shutil.copy(folder / "train_images.npy", folder / "val_images.npy")
    digests = ("image_digest",)
    change_rows(
        folder,
        lambda rows: [
            rows[f"val {i}"].update({d: rows[f"train {i}"][d] for d in digests}) for i in range(5)
        ],
    )


def no_manifest(folder: Path) -> None:
    (folder / MANIFEST_NAME).unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (one_pixel, "sample 2 of val with another image_digest"),
        (one_label, "sample 0 of train with another labels_digest"),
        (fewer_samples, r"test_images.npy of shape \(4, 512, 512, 1\) for 5 samples"),
        (shared_patient, r"a patient in both train \(sample 0\) and val \(1\)"),
        (shared_image, r"an image in both train \(sample 0\) and val \(0\)"),
        (no_manifest, "no manifest"),
    ],
)
def test_masks(spoil: Callable[[Path], None], said: str, sets: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(sets / "masks", tmp_path / "set")
    verify_set(folder, with_masks=True, progress=lambda *_: None)
    spoil(folder)
    with pytest.raises(OutputError, match=said):
        verify_set(folder, with_masks=True, progress=lambda *_: None)


def another_slice(folder: Path) -> None:
    path = folder / "images" / "test" / "000003.png"
    gray = read_gray_png(path)
    path.unlink()  # a link to the part's file
    write_gray_png(path, gray // 2)


def another_table(folder: Path) -> None:
    path = folder / "meta" / "val.csv"
    path.write_text(path.read_text().replace("patient-", "person-"))


def a_row_less(folder: Path) -> None:
    path = folder / "meta" / "val.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))


def no_slice(folder: Path) -> None:
    (folder / "images" / "train" / "000000.png").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (another_slice, "sample 3 of test with another image_digest"),
        (another_table, "other patients in val.csv"),
        (a_row_less, "other patients in val.csv"),
        (no_slice, "000000.png"),
    ],
)
def test_slices(spoil: Callable[[Path], None], said: str, sets: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(sets / "levels", tmp_path / "set")
    verify_set(folder, with_masks=False, progress=lambda *_: None)
    spoil(folder)
    with pytest.raises(BodycompError, match=said):
        verify_set(folder, with_masks=False, progress=lambda *_: None)

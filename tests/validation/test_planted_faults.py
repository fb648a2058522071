"""Faults planted one by one into sets of phantom patients: each is found and named.

docs/validation.md lists these faults; clean sets have no issues at all.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from bodycomp.data.issues import shortened
from bodycomp.data.label_declaration import declare_labels
from bodycomp.data.layout import SPLITS, images_path, masks_path, png_path, table_path
from bodycomp.validation import segmentation, slices
from bodycomp.validation.options import ValidationOptions
from bodycomp.validation.validate import validate_training_set
from support.phantom_sets import (
    LEVEL_SPLITS,
    LEVELS,
    SLICE_OFFSETS_MM,
    write_manifest,
)

PAGE = Path(__file__).parents[2] / "docs/validation.md"
STACK = len(SLICE_OFFSETS_MM)
ALL = ["muscle", "subcutaneous_fat", "visceral_fat"]

pytestmark = pytest.mark.xdist_group("planted faults")  # the sets of phantoms are made once


@dataclass(frozen=True)
class Fault:
    """What is planted, how, and what must be said: code, place and words of the message."""

    name: str
    plant: Callable[[Path], object]
    code: str
    said: str
    severity: str = "warning"


# Segmentation: sample 4 of train is spoiled unless the fault is one of the whole set.


def sample(change, split="train", index=4):
    """Return a fault that changes HU and labels of one sample; ``change`` returns both anew."""

    def plant(folder):
        paths = images_path(folder, split), masks_path(folder, split)
        images, masks = (np.load(path, mmap_mode="r+") for path in paths)
        hu, labels = images[index, ..., 0].copy(), masks[index, ..., 0].copy()
        images[index, ..., 0], masks[index, ..., 0] = change(hu, labels)

    return plant


def labels_of(change, **options):
    return sample(lambda hu, labels: (hu, change(labels)), **options)


def image_of(change, **options):
    return sample(lambda hu, labels: (change(hu), labels), **options)


def arrays(change_images=None, change_masks=None, splits=("train",)):
    """Return a fault that rewrites the arrays of whole splits."""

    def plant(folder):
        for split in splits:
            for path, change in (
                (images_path(folder, split), change_images),
                (masks_path(folder, split), change_masks),
            ):
                if change is not None:
                    np.save(path, change(np.load(path)))

    return plant


def add_table(hu, labels):
    """A couch top below the body, labelled as muscle."""
    body = np.flatnonzero((hu > -300).any(axis=1))
    top = min(body[-1] + 8, 500)
    hu[top - 8 : top] = -1000
    hu[top : top + 6, 150:350] = 40
    labels[top : top + 6, 150:350] = 1
    return hu, labels


def add_arm(hu, labels):
    hu[230:290, 2:12], hu[230:290, 12:30] = 40, -1000
    labels[:, 12:30] = 0
    labels[230:290, 2:12] = 1
    return hu, labels


def interpolated(labels):
    half = ndimage.zoom(labels[::2, ::2].astype(float), 2, order=1)
    return np.rint(half).astype(np.uint8)


def with_specks(labels):
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(8, 500, (2, 6000))
    labels[rows, columns] = np.where(labels[rows, columns] == 2, 1, labels[rows, columns])
    return labels


def noisy(hu):
    return np.rint(hu + np.random.default_rng(1).normal(0, 10, hu.shape)).astype(np.int16)


def copy_sample(change, source=4, split="train", index=20):
    def plant(folder):
        source_images = np.load(images_path(folder, "train"), mmap_mode="r")
        source_masks = np.load(masks_path(folder, "train"), mmap_mode="r")
        hu, labels = source_images[source, ..., 0].copy(), source_masks[source, ..., 0].copy()
        sample(lambda *_: (change(hu), labels), split, index)(folder)

    return plant


def windowed_anew(hu):
    """The same slice scaled from a window of 50/350 back to HU."""
    return np.clip(hu, -125, 225)


def patients_of(train, val):
    def plant(folder):
        names = {"train": train, "val": val}
        z_mm = {split: [0.0] * len(patients) for split, patients in names.items()}
        write_manifest(folder, names, z_mm)

    return plant


def three_each(numbers):
    return [f"p{number}" for number in numbers for _ in range(3)]


def other_pixels(folder):
    patients_of(three_each(range(12)), three_each(range(12, 18)))(folder)
    with (folder / "manifest.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    rows[0] += ["image_digest"]
    rows[1:] = [[*row, "0" * 32] if row[1] == "4" else [*row, ""] for row in rows[1:]]
    with (folder / "manifest.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)


MASK_FAULTS = (
    Fault(
        "a file is missing",
        lambda folder: masks_path(folder, "val").unlink(),
        *("missing-file", "val_masks.npy: expected this file", "error"),
    ),
    Fault(
        "images of unsigned integers",
        arrays(lambda a: (a + 1024).clip(0).astype(np.uint16)),
        *("images-dtype", "train_images.npy: expected signed integers", "error"),
    ),
    Fault(
        "masks of another size than the images",
        arrays(None, lambda a: a[:-1]),
        *("shapes-differ", "train_masks.npy: expected the shape of train_images.npy", "error"),
    ),
    Fault(
        "NaN in an image",
        arrays(lambda a: np.where(np.arange(36)[:, None, None, None] == 4, np.nan, a)),
        *("not-finite", "train_images.npy, sample 4: expected finite HU, found nan", "error"),
    ),
    Fault(
        "a label that is none",
        labels_of(lambda m: m * 85),
        *("mask-value", "train_masks.npy, sample 4: expected labels 0, 1, 2, 3, found 85", "error"),
    ),
    Fault(
        "images scaled to 0..255",
        arrays(lambda a: ((a.clip(-160, 240) + 160) / 400 * 255).astype(np.int16)),
        *("scaled-images", "train_images.npy: expected raw HU", "error"),
    ),
    Fault(
        "images cut off at 300 HU",
        arrays(lambda a: a.clip(None, 300)),
        *("hu-clipped", "train_images.npy: expected bone of various HU, found that all images end"),
    ),
    Fault(
        "stored values instead of HU (1024 too high)",
        arrays(lambda a: a + 1024),
        *(
            "hu-shifted",
            "train_images.npy, sample 0: expected HU, found values that are +1024",
            "error",
        ),
    ),
    Fault(
        "the intercept applied twice in one sample",
        image_of(lambda hu: hu - 1024),
        *(
            "hu-shifted",
            "train_images.npy, sample 4: expected HU, found values that are -1024",
            "error",
        ),
    ),
    Fault(
        "grey levels with the intercept of HU",
        arrays(lambda a: ((a.clip(-160, 240) + 160) * (255 / 400) - 1024).astype(np.int16)),
        *("hu-shifted", "train_images.npy: expected soft tissue and fat, -200 to 200 HU", "error"),
    ),
    Fault(
        "HU wrapped to 8 bits",
        arrays(lambda a: a.astype(np.int8).astype(np.int16)),
        *("scaled-images", "(within -128..127)", "error"),
    ),
    Fault(
        "a constant image",
        image_of(lambda hu: np.full_like(hu, -1000)),
        *("image-constant", "train_images.npy, sample 4: expected a CT slice, found -1000 HU"),
    ),
    Fault(
        "an inverted image",
        image_of(lambda hu: -hu),
        *("tissues-swapped", "sample 4: expected subcutaneous fat darker than muscle", "error"),
    ),
    Fault(
        "muscle and subcutaneous fat swapped",
        labels_of(lambda m: np.array([0, 2, 1, 3], np.uint8)[m]),
        *("tissues-swapped", "sample 4: expected subcutaneous fat darker than muscle", "error"),
    ),
    Fault(
        "subcutaneous and visceral fat swapped",
        labels_of(lambda m: np.array([0, 1, 3, 2], np.uint8)[m]),
        *("fats-swapped", "sample 4: expected subcutaneous fat (2) around visceral fat", "error"),
    ),
    Fault(
        "HU that no muscle has",
        sample(lambda hu, m: (np.where(m == 1, hu + 200, hu), m)),
        *("hu-implausible", "sample 4: expected a mean of -29 to 150 HU in muscle"),
    ),
    Fault(
        "a mask mirrored against its image",
        labels_of(lambda m: m[:, ::-1]),
        *("mask-turned", "if it is mirrored left-right", "error"),
    ),
    Fault(
        "a mask upside down",
        labels_of(lambda m: m[::-1]),
        *("mask-turned", "if it is mirrored up-down", "error"),
    ),
    Fault(
        "pixels marked as not annotated without a declaration",
        labels_of(lambda m: np.where(np.arange(512)[:, None] < 256, 255, m)),
        *("mask-value", 'write {"not_annotated": 255} into labels.json', "error"),
    ),
    Fault(
        "a declaration of another label",
        lambda folder: (folder / "labels.json").write_text('{"not_annotated": 9}'),
        *("labels-file", 'labels.json: expected {"not_annotated": 255}', "error"),
    ),
    Fault(
        "a sample of which nothing is annotated",
        lambda folder: (
            (folder / "labels.json").write_text('{"not_annotated": 255}'),
            labels_of(lambda m: m * 0 + 255)(folder),
        ),
        *("mask-not-annotated", "train_masks.npy, sample 4: expected annotated pixels"),
    ),
    Fault(
        "muscle in a sample that was not labeled for it",
        lambda folder: declare_labels(folder, labeled={"train": ALL[1:], "val": ALL}),
        *("label-undeclared", "train_masks.npy, sample 4: expected no label 1", "error"),
    ),
    Fault(
        "a tissue that no sample was labeled for",
        lambda folder: declare_labels(folder, labeled=dict.fromkeys(SPLITS, ("muscle",))),
        *("tissue-never-labeled", "expected samples labeled for visceral fat, found none", "error"),
    ),
    Fault(
        "tissues of more samples than there are",
        lambda folder: (folder / "labels.json").write_text(
            json.dumps({"labeled": {"train": [["muscle"]] * 3, "val": ALL}})
        ),
        *("labels-file", "labels.json: expected the labeled tissues of", "error"),
    ),
    Fault(
        "a mask moved by 12 rows",
        labels_of(lambda m: np.roll(m, 12, 0)),
        *("mask-shifted", "if it is moved by -12 rows and +0 columns", "error"),
    ),
    Fault(
        "a mask with rows and columns swapped",
        labels_of(lambda m: m.T),
        *("mask-turned", "if it is transposed", "error"),
    ),
    Fault(
        "the mask of another patient",
        lambda folder: labels_of(lambda _: np.load(masks_path(folder, "train"))[30, ..., 0])(
            folder
        ),
        *("mask-misfit", "train_masks.npy, sample 4: expected HU of muscle"),
    ),
    Fault(
        "the same mask for two images",
        lambda folder: labels_of(lambda m: np.load(masks_path(folder, "train"))[5, ..., 0])(folder),
        *("mask-repeated", "train_masks.npy, sample 5: expected a mask of its own, found that of"),
    ),
    Fault(
        "an empty mask",
        labels_of(lambda m: m * 0),
        *("mask-empty", "train_masks.npy, sample 4: expected labelled tissue"),
    ),
    Fault(
        "a mask that was not finished",
        labels_of(lambda m: m * (np.arange(512)[:, None] < 190).astype(np.uint8)),
        *("mask-sparse", "train_masks.npy, sample 4: expected most of the body to be labelled"),
    ),
    Fault(
        "a sample without muscle",
        labels_of(lambda m: m * (m != 1)),
        *("tissue-missing", "train_masks.npy, sample 4: expected muscle as in other samples"),
    ),
    Fault(
        "one label that fills the body",
        sample(lambda hu, m: (hu, ndimage.binary_fill_holes(m > 0).astype(np.uint8) * 2)),
        *("tissue-fills-body", "sample 4: expected several tissues in the body, found label 2"),
    ),
    Fault(
        "a table labelled as muscle",
        sample(add_table),
        *("tissue-outside-body", "train_masks.npy, sample 4: expected labels in the body"),
    ),
    Fault(
        "an arm labelled as muscle",
        sample(add_arm),
        *("tissue-outside-body", "pixels on parts beside it"),
    ),
    Fault(
        "a mask grown beyond the skin",
        labels_of(lambda m: np.where(m == 0, 2 * ndimage.binary_dilation(m > 0, iterations=14), m)),
        *("tissue-in-air", "sample 4: expected tissue where there is matter, found air"),
    ),
    Fault(
        "specks",
        labels_of(with_specks),
        *("mask-specks", "train_masks.npy, sample 4: expected connected tissue"),
    ),
    Fault(
        "an interpolated mask",
        labels_of(interpolated),
        *("mask-interpolated", "sample 4: expected no muscle between skin and fat"),
    ),
    Fault(
        "a body resized to a stamp",
        sample(
            lambda hu, m: (
                np.pad(hu[::4, ::4], 192, constant_values=-1000),
                np.pad(m[::4, ::4], 192),
            )
        ),
        *("body-small", "train_images.npy, sample 4: expected a body that fills the image"),
    ),
    Fault(
        "a body cropped on all sides",
        sample(
            lambda hu, m: tuple(
                np.kron(a[180:308, 180:308], np.ones((4, 4), a.dtype)) for a in (hu, m)
            )
        ),
        *("body-cut", "sample 4: expected air around the body, found it at 4 edges"),
    ),
    Fault(
        "image and mask turned by 90 degrees",
        sample(lambda hu, m: (np.rot90(hu), np.rot90(m))),
        *("image-on-its-side", "sample 4: expected a body wider than high"),
    ),
    Fault(
        "image and mask upside down",
        sample(lambda hu, m: (hu[::-1], m[::-1])),
        *(
            "upside-down",
            "sample 4: expected a body that lies as the others, found one upside down",
        ),
    ),
    Fault(
        "the whole set upside down",
        arrays(lambda a: a[:, ::-1], lambda a: a[:, ::-1], ("train", "val")),
        *("set-upside-down", "all splits: expected the spine in the lower half"),
    ),
    Fault(
        "the same image twice in a split",
        copy_sample(lambda hu: hu),
        *("image-repeated", "sample 20: expected every image once, found that of sample 4"),
    ),
    Fault(
        "the same image in two splits",
        copy_sample(lambda hu: hu, split="val", index=3),
        *("image-in-two-splits", "the first is sample 4 of train and sample 3 of val"),
    ),
    Fault(
        "the same image with other noise",
        copy_sample(noisy, split="val", index=3),
        *("near-duplicate", "val_images.npy, sample 3: expected different images, found nearly"),
    ),
    Fault(
        "the same image moved by a pixel",
        copy_sample(lambda hu: np.roll(hu, (1, 1), (0, 1)), split="val", index=3),
        *("near-duplicate", "nearly that of train_images.npy, sample 4"),
    ),
    Fault(
        "the same image in another window",
        copy_sample(windowed_anew, split="val", index=3),
        *("near-duplicate", "nearly that of train_images.npy, sample 4"),
    ),
    Fault(
        "val of other HU than train",
        arrays(lambda a: a + 40, splits=("val",)),
        *("splits-differ", "val_images.npy: expected muscle as in train, found a median"),
    ),
    Fault(
        "a val split of two samples",
        arrays(lambda a: a[:2], lambda a: a[:2], ("val",)),
        *("split-small", "val: expected 5 samples or more, found 2"),
    ),
    Fault(
        "no visceral fat in val",
        arrays(None, lambda a: a * (a < 3).astype(np.uint8), ("val",)),
        *("class-absent", "val_masks.npy: expected label 3 (visceral fat), found none"),
    ),
    Fault(
        "a patient of the manifest in two splits",
        patients_of(three_each(range(12)), three_each([11, *range(13, 18)])),
        *("patient-in-two-splits", "found 1 in both; the first is sample 33 of train and sample 0"),
    ),
    Fault(
        "a manifest of fewer samples",
        patients_of(three_each(range(11)), three_each(range(12, 18))),
        *("manifest-count", "expected a row for each of the 36 samples of train, found 33"),
    ),
    Fault(
        "a manifest that cannot be read",
        lambda folder: (folder / "manifest.csv").write_text("split,index\ntrain,0\n"),
        *("manifest-damaged", "expected one column patient"),
    ),
    Fault(
        "pixels that are not those of the manifest",
        other_pixels,
        *(
            "manifest-digest",
            "train_images.npy, sample 4: expected what the manifest's image_digest",
        ),
    ),
)


# Slice selection: the third series of train, rows 18 to 26, is spoiled unless it is all of them.

SERIES = slice(2 * STACK, 3 * STACK)
ROW = 2 * STACK + 4


def cells(change, split="train"):
    """Return a fault that changes the (row, level) offsets of a split in place."""

    def plant(folder):
        path = table_path(folder, split)
        with path.open(newline="") as stream:
            header, *rows = list(csv.reader(stream))
        offsets_mm = np.array([[float(cell or "nan") for cell in row[3:]] for row in rows])
        change(offsets_mm)
        with path.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(header)
            for row, values in zip(rows, offsets_mm, strict=True):
                texts = ["" if np.isnan(value) else f"{value:.4f}" for value in values]
                writer.writerow([*row[:3], *texts])

    return plant


def put(rows, columns, value):
    return cells(lambda offsets_mm: offsets_mm.__setitem__((rows, columns), value))


def scale(factor, rows=slice(None)):
    return cells(lambda offsets_mm: offsets_mm.__setitem__(rows, offsets_mm[rows] * factor))


def picture(change, *places, source=None):
    """Return a fault that changes the pixels of slices, or those of a source slice into them."""

    def plant(folder):
        for split, index in places:
            path = png_path(folder, split, index)
            gray = np.asarray(Image.open(png_path(folder, *source) if source else path))
            Image.fromarray(np.ascontiguousarray(change(gray)).astype(np.uint8)).save(path)

    return plant


def every(change):
    return picture(
        change, *(("train", index) for index in range(len(LEVEL_SPLITS["train"]) * STACK))
    )


def column(name, row, value, split="val"):
    def plant(folder):
        path = table_path(folder, split)
        with path.open(newline="") as stream:
            rows = list(csv.reader(stream))
        rows[1 + row][rows[0].index(name)] = value
        with path.open("w", newline="") as stream:
            csv.writer(stream).writerows(rows)

    return plant


def heights(change):
    """Return a fault against a manifest: ``change`` spoils the heights of one split's rows."""

    def plant(folder):
        names = {
            split: [f"p{patient}" for patient in patients for _ in SLICE_OFFSETS_MM]
            for split, patients in LEVEL_SPLITS.items()
        }
        z_mm = {
            split: np.array(list(SLICE_OFFSETS_MM) * len(patients), float)
            for split, patients in LEVEL_SPLITS.items()
        }
        change(z_mm["train"])
        write_manifest(folder, names, {split: values.tolist() for split, values in z_mm.items()})

    return plant


def reverse_slices(folder):
    paths = [png_path(folder, "train", index) for index in range(SERIES.start, SERIES.stop)]
    pictures = [path.read_bytes() for path in paths]
    for path, content in zip(paths, reversed(pictures), strict=True):
        path.write_bytes(content)


def to_full_range(gray):
    """What -1000..1000 HU scaled to 0..255 looks like between the ends of the window."""
    hu = gray / 255 * 400 - 160
    return np.where(gray == 0, 0, (hu + 1000) / 2000 * 255)


LEVEL_FAULTS = (
    Fault(
        "a PNG is missing",
        lambda folder: png_path(folder, "train", 7).unlink(),
        *("png-gap", "images/train: expected IDs 000000 to 000053 without gaps", "error"),
    ),
    Fault(
        "a row too few",
        lambda folder: table_path(folder, "val").write_text(
            "".join(table_path(folder, "val").read_text().splitlines(keepends=True)[:-1])
        ),
        *("row-count", "meta/val.csv: expected a row for each of the 36 slices, found 35", "error"),
    ),
    Fault(
        "a PNG that is cut short",
        lambda folder: png_path(folder, "train", 7).write_bytes(
            png_path(folder, "train", 7).read_bytes()[:900]
        ),
        *(
            "undecodable-png",
            "images/train/000007.png: expected a PNG that can be decoded",
            "error",
        ),
    ),
    Fault(
        "text for an offset",
        column("ZOffset_L3", 3, "L3"),
        *("offset-not-a-number", "meta/val.csv, row 3 (slice 000003), column ZOffset_L3", "error"),
    ),
    Fault(
        "inverted PNGs",
        picture(lambda gray: 255 - gray, ("train", ROW)),
        *("png-inverted", "images/train/000022.png: expected black air", "error"),
    ),
    Fault(
        "PNGs windowed at the whole range of HU",
        every(to_full_range),
        *("png-not-windowed", "images/train: expected bone cut off at 255"),
    ),
    Fault(
        "PNGs of grey air",
        every(lambda gray: gray // 2 + 60),
        *("png-not-windowed", "images/train: expected air cut off at 0"),
    ),
    Fault(
        "PNGs of HU that are 1024 too low",
        every(lambda gray: np.where(gray == 255, 200, 0)),
        *("png-without-tissue", "images/train: expected soft tissue, neither black", "error"),
    ),
    Fault(
        "a blank PNG",
        picture(lambda gray: gray * 0, ("train", ROW)),
        *("blank-png", "images/train/000022.png: expected a CT slice, found one grey level"),
    ),
    Fault(
        "the same slice twice in a split",
        picture(lambda gray: gray, ("train", ROW), source=("train", 3)),
        *("image-repeated", "images/train/000022.png: expected every image once, found that of"),
    ),
    Fault(
        "the same slice moved by a pixel in val",
        picture(lambda gray: np.roll(gray, 1, 1), ("val", 5), source=("train", 3)),
        *(
            "near-duplicate",
            "images/val/000005.png: expected different images, found nearly that of",
        ),
    ),
    Fault(
        "the whole set upside down",
        lambda folder: [
            picture(lambda gray: gray[::-1], *((split, i) for i in range(len(p) * STACK)))(folder)
            for split, p in LEVEL_SPLITS.items()
        ],
        *("set-upside-down", "all splits: expected the spine in the lower half"),
    ),
    Fault(
        "a patient in two splits",
        column("PatientID", 0, "p3"),
        *("patient-in-two-splits", "found 1 in both; the first is row 27 of train and row 0 of"),
    ),
    Fault(
        "a series in two splits",
        column("SeriesInstanceUID", 0, "1.2.3"),
        *("series-in-two-splits", "found 1 in both; the first is row 27 of train and row 0 of"),
    ),
    Fault(
        "an offset of kilometres",
        put(ROW, 1, 56000),
        *("offset-far", "row 22 (slice 000022), column ZOffset_L3: expected at most 2500", "error"),
    ),
    Fault(
        "columns of two levels swapped",
        cells(lambda o: o.__setitem__((slice(None), [0, 2]), o[:, [2, 0]])),
        *("level-order", "row 0 (slice 000000): expected T12 above L3, found it", "error"),
    ),
    Fault(
        "a level marked two vertebrae off",
        cells(lambda o: o.__setitem__((SERIES, 0), o[SERIES, 0] - 130)),
        *("level-distance", "row 18 (slice 000018): expected 27 to 165 mm between T12 and L3"),
    ),
    Fault(
        "one offset mistyped",
        cells(lambda o: o.__setitem__((ROW, 1), o[ROW, 1] + 10)),
        *(
            "offsets-not-parallel",
            "row 22 (slice 000022), column ZOffset_L3: expected L3 at a fixed",
        ),
    ),
    Fault(
        "one row of another height",
        cells(lambda o: o.__setitem__(ROW, o[ROW] + 17)),
        *("offset-step", "expected steps of 42 mm or multiples of it in the series"),
    ),
    Fault(
        "two rows of a series swapped",
        cells(lambda o: o.__setitem__([ROW, ROW + 1], o[[ROW + 1, ROW]])),
        *("offset-jump", "row 23 (slice 000023), column ZOffset_T12: expected offsets that grow"),
    ),
    Fault(
        "a row twice in a series",
        cells(lambda o: o.__setitem__(ROW + 1, o[ROW])),
        *("offset-repeated", "row 23 (slice 000023), column ZOffset_T12: expected a height of its"),
    ),
    Fault(
        "offsets in metres",
        scale(0.001),
        *(
            "offset-unit",
            "row 0 (slice 000000), column ZOffset_T12: expected slices 0.35 mm",
            "error",
        ),
    ),
    Fault(
        "offsets of a series with the wrong sign",
        scale(-1, SERIES),
        *("offset-reversed", "row 18 (slice 000018): expected lungs at larger offsets"),
    ),
    Fault(
        "all offsets with the wrong sign",
        scale(-1),
        *("set-reversed", "meta/train.csv: expected lungs at larger offsets", "error"),
    ),
    Fault(
        "slices of a series in reverse order",
        reverse_slices,
        *("offset-reversed", "row 18 (slice 000018): expected lungs at larger offsets"),
    ),
    Fault(
        "a level in one series only",
        cells(lambda o: o.__setitem__((slice(STACK, None), 0), np.nan)),
        *(
            "level-rare",
            "meta/train.csv, level T12: expected the level in 3 series or more, found 1",
        ),
    ),
    Fault(
        "val of other heights than train",
        cells(lambda o: o.__iadd__(900), split="val"),
        *("offsets-differ", "meta/val.csv, level T12: expected heights that train has"),
    ),
    Fault(
        "a level of one side only",
        cells(lambda o: o.__setitem__((slice(None), 1), np.abs(o[:, 1]) + 1), split="val"),
        *("offsets-one-sided", "meta/val.csv, level L3: expected offsets above and below zero"),
    ),
    Fault(
        "offsets against the manifest's heights",
        heights(lambda z: z.__setitem__(SERIES, -z[SERIES])),
        *(
            "offset-rate",
            "row 18 (slice 000018), column ZOffset_T12: expected offsets that grow",
            "error",
        ),
    ),
    Fault(
        "offsets in cm, by the manifest's heights",
        heights(lambda z: z.__setitem__(SERIES, 10 * z[SERIES])),
        *("offset-rate", "found 0.1 in the series of 9 rows that begins here", "error"),
    ),
    Fault(
        "one offset that leaves the manifest's height",
        heights(lambda z: z.__setitem__(ROW, z[ROW] + 5)),
        *(
            "offset-not-z",
            "row 22 (slice 000022), column ZOffset_T12: expected the offset to follow",
        ),
    ),
)


def once(describe):
    """Let what no fault touched be looked at once for all tests of this file."""
    known = {}

    def remembered(*sample):
        arrays = [np.ascontiguousarray(each) for each in sample]
        key = tuple((a.shape, a.dtype.str, blake2b(a).digest()) for a in arrays)
        if key not in known:
            known[key] = describe(*sample)
        return tuple(facts.copy() for facts in known[key])  # those who look add to them

    return remembered


LOOKED_AT = ((segmentation, "describe_sample"), (slices, "describe_slice"))
REMEMBERED = [once(getattr(*place)) for place in LOOKED_AT]


@pytest.fixture(autouse=True)
def _looked_at_once(monkeypatch):
    for place, remembered in zip(LOOKED_AT, REMEMBERED, strict=True):
        monkeypatch.setattr(*place, remembered)


def validate_spoiled(clean, folder, fault):
    shutil.copytree(clean, folder)
    fault.plant(folder)
    return validate_training_set(folder)


def check_told(issues, fault):
    told = [issue for issue in issues if issue.code == fault.code]
    assert told, [str(issue) for issue in shortened(issues)]
    assert any(fault.said in str(issue) for issue in told), [str(each) for each in told]
    assert {issue.severity for issue in told} == {fault.severity}
    assert all(issue.hint for issue in told)


@pytest.mark.parametrize("fault", MASK_FAULTS, ids=lambda fault: fault.name)
def test_a_fault_of_a_segmentation_set_is_found(fault, mask_set, tmp_path):
    check_told(validate_spoiled(mask_set, tmp_path / "set", fault).issues, fault)


@pytest.mark.parametrize("fault", LEVEL_FAULTS, ids=lambda fault: fault.name)
def test_a_fault_of_a_slice_selection_set_is_found(fault, level_set, tmp_path):
    check_told(validate_spoiled(level_set, tmp_path / "set", fault).issues, fault)


def test_clean_sets_have_no_issues(mask_set, level_set):
    assert validate_training_set(mask_set).issues == ()
    options = ValidationOptions(levels=LEVELS)
    assert validate_training_set(level_set, options).issues == ()


def test_the_page_lists_these_faults():
    section = PAGE.read_text(encoding="utf-8").split("## Planted faults")[1]
    listed = re.findall(r"^\| ([^|]+) \| `([a-z0-9-]+)` \|", section, re.MULTILINE)
    assert listed == [(fault.name, fault.code) for fault in (*MASK_FAULTS, *LEVEL_FAULTS)]

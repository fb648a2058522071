"""Odd studies, each with its right answer: what is read of it, and what is refused and why.

Every study is made from the same sixteen clean slices. The table of docs/studies.md lists them.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import JPEGExtended12Bit, SecondaryCaptureImageStorage

from bodycomp.dicom.header import PixelFormat, SeriesHeader, Storage
from bodycomp.dicom.write import write_ct_series, write_localizer
from bodycomp.imaging.volume import Volume
from support.annotation_files import index_to_lps, save_nifti, save_nrrd
from support.dicom_files import as_big_endian, dicomdir, edit, enhanced, put_raw, store

VOLUME = Volume(
    np.random.default_rng(7).integers(-1024, 1500, (16, 32, 32)).astype(np.int16),
    (0.75, 0.75),
    -200.0 + 5.0 * np.arange(16),
    first_pixel_mm=(-33.25, -120.5, -200.0),
)
PATIENT_ID, PATIENT_NAME = "ID-0815", "Doe^Jane"
HEADER = SeriesHeader(
    seed="s",
    patient_id=PATIENT_ID,
    patient_name=PATIENT_NAME,
    kernel="STANDARD",
    slice_thickness_mm=5.0,
)
Make = Callable[[Path], Path | None]


@dataclass(frozen=True)
class OddStudy:
    """One row of the table.

    Attributes:
        name: As in the documentation.
        make: Writes the study into a folder; returns the input if it is not the folder.
        read: Slices of every series that is measured.
        same: Whether every one of them has the pixels of the clean slices.
        refused: Kinds of the refusals, sorted.
        words: What reasons or notes say.
    """

    name: str
    make: Make
    read: tuple[int, ...] = (16,)
    same: bool = True
    refused: tuple[str, ...] = ()
    words: str = ""


ODD_STUDIES: list[OddStudy] = []


def odd(
    name: str,
    *,
    read: tuple[int, ...] = (16,),
    same: bool = True,
    refused: tuple[str, ...] = (),
    words: str = "",
) -> Callable[[Make], Make]:
    """Add the decorated function to the table."""

    def add(make: Make) -> Make:
        ODD_STUDIES.append(OddStudy(name, make, read, same, refused, words))
        return make

    return add


def write(folder: Path, volume: Volume = VOLUME, **header: object) -> tuple[Path, ...]:
    if volume is not VOLUME:
        return write_ct_series(folder, volume, replace(HEADER, **header))
    folder.mkdir(parents=True, exist_ok=True)
    contents = clean_files(replace(HEADER, **header))
    for name, content in contents:
        (folder / name).write_bytes(content)
    return tuple(folder / name for name, _ in contents)


@cache
def clean_files(header: SeriesHeader) -> tuple[tuple[str, bytes], ...]:
    """Names and bytes of the clean series: most studies begin with the same one."""
    with tempfile.TemporaryDirectory() as folder:
        files = write_ct_series(Path(folder) / "ct", VOLUME, header)
        return tuple((file.name, file.read_bytes()) for file in files)


def every(name: str, answer: dict[str, object], **attributes: object) -> None:
    """A series of which every file has other attributes."""

    @odd(name, **answer)
    def make(folder: Path) -> None:
        for file in write(folder):
            edit(file, **attributes)


def beside(name: str, words: str, header: dict[str, object], **attributes: object) -> None:
    """A clean series as number 2 and a worse one as number 1: the clean one is measured."""

    @odd(name, words=words)
    def make(folder: Path) -> None:
        write(folder / "good", series_number=2)
        for file in write(folder / "worse", replace(VOLUME, hu=VOLUME.hu[::-1]), **header):
            if attributes:
                edit(file, **attributes)


def refused(kind: str, words: str) -> dict[str, object]:
    return {"read": (), "refused": (kind,), "words": words}


# -- Files and folders


@odd("nested folders, names that say nothing of the order")
def nested(folder: Path) -> None:
    for index, file in enumerate(write(folder / "clean")):
        target = folder / f"d{index % 3}" / f"{(index * 7919) % 104729:x}"
        target.parent.mkdir(exist_ok=True)
        shutil.move(file, target)


@odd("every file twice", words="duplicate slices left out, of equal place and pixels: 16")
def copies(folder: Path) -> None:
    write(folder / "a")
    shutil.copytree(folder / "a", folder / "b")


@odd("text, empty files and a picture beside the scan")
def others(folder: Path) -> None:
    write(folder)
    (folder / "README.txt").write_text("x" * 500)
    (folder / "empty").touch()
    (folder / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(300))


@odd("a hidden folder with another scan")
def hidden(folder: Path) -> None:
    write(folder / "a")
    write(folder / ".trash", seed="t")


@odd("a file cut off in its header", read=(15,), same=False)
def short_header(folder: Path) -> None:
    file = write(folder)[0]
    file.write_bytes(file.read_bytes()[:140])


@odd("a file cut off in its pixels", read=(15,), same=False, words="1 of 16 slices cannot be")
def short_pixels(folder: Path) -> None:
    file = write(folder)[0]
    file.write_bytes(file.read_bytes()[:-200])


@odd("half of the files cut off", **refused("not readable", "at least 10 slices that can be"))
def half_short(folder: Path) -> None:
    for file in write(folder)[::2]:
        file.write_bytes(file.read_bytes()[:-200])


@odd("best series cut off, another one whole: the other one", refused=("not readable",))
def spare(folder: Path) -> None:
    write(folder / "b", series_number=2, kernel="BONE")
    for file in write(folder / "a"):
        file.write_bytes(file.read_bytes()[:-200])


@odd("files without the part 10 header")
def bare(folder: Path) -> None:
    for file in write(folder):
        dataset = pydicom.dcmread(file)
        pydicom.dcmwrite(file, pydicom.Dataset(dataset), implicit_vr=True, little_endian=True)


@odd("no transfer syntax in the file's header")
def no_syntax(folder: Path) -> None:
    for file in write(folder):
        head, rest = file.read_bytes().split(b"\x02\x00\x10\x00UI", maxsplit=1)
        (length,) = struct.unpack("<H", rest[:2])
        group, old = 132 + 8, struct.unpack("<I", head[140:144])[0]
        new = struct.pack("<I", old - 8 - length)
        file.write_bytes(head[:group] + new + head[group + 4 :] + rest[2 + length :])


@odd("DICOMDIR given as the input")
def disc(folder: Path) -> Path:
    return dicomdir(write(folder / "raw"), folder / "disc")


@odd("DICOMDIR that lists files that are not there", read=(14,), same=False)
def disc_gaps(folder: Path) -> Path:
    path = dicomdir(write(folder / "raw"), folder / "disc")
    images = sorted(file for file in path.parent.rglob("*") if file.is_file() and file != path)
    for file in images[:1] + images[-1:]:
        file.unlink()
    return path


# -- Zip files


def pack(folder: Path, name: Callable[[Path], str] = lambda file: file.name) -> Path:
    target = folder / "study.zip"
    files = write(folder / "raw")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, name(file))
    shutil.rmtree(folder / "raw")
    return target


@odd("zip file")
def zipped(folder: Path) -> Path:
    return pack(folder)


@odd("zip file found in a folder")
def zip_in_folder(folder: Path) -> None:
    pack(folder)


@odd("zip file whose names climb out of the folder")
def zip_slip(folder: Path) -> Path:
    return pack(folder, lambda file: f"../../../escaped/{file.name}")


@odd("zip file with absolute names")
def zip_absolute(folder: Path) -> Path:
    return pack(folder, lambda file: f"{folder}/escaped/{file.name}")


@odd("zip file cut off", **refused("archive", "expected a zip file"))
def zip_short(folder: Path) -> None:
    path = pack(folder)
    path.write_bytes(path.read_bytes()[:-500])


@odd("zip file with a password", **refused("archive", "without a password"))
def zip_encrypted(folder: Path) -> None:
    path = pack(folder)
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark)
        while place >= 0:
            content[place + offset] |= 1
            place = content.find(mark, place + 4)
    path.write_bytes(content)


@odd("zip bomb", **refused("archive", "over 1000 times its size"))
def zip_bomb(folder: Path) -> None:
    with zipfile.ZipFile(folder / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(17 << 20))
    content = (folder / "b.zip").read_bytes()
    directory = content.rindex(b"PK\x01\x02")
    claimed = struct.pack("<I", 0xF0000000)
    (folder / "b.zip").write_bytes(content[: directory + 24] + claimed + content[directory + 28 :])


@odd(
    "deflated file that inflates without end, beside the scan",
    refused=("inflates too much",),
    words="more than 17 MB",
)
def deflated_bomb(folder: Path) -> None:
    files = write(folder)
    dataset = pydicom.dcmread(files[0])
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.PixelData = bytes(40 << 20)
    dataset.save_as(folder / "bomb.dcm")


@odd("zip file with one damaged member", read=(15,), same=False)
def zip_damage(folder: Path) -> None:
    path = pack(folder)
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(content)


@odd("zip file with a NIfTI volume")
def zip_nifti(folder: Path) -> None:
    nifti(folder)
    with zipfile.ZipFile(folder / "v.zip", "w") as archive:
        archive.write(folder / "ct.nii.gz", "sub/ct.nii.gz")
    (folder / "ct.nii.gz").unlink()


# -- Volume files


@odd("NIfTI found in a folder")
def nifti(folder: Path) -> None:
    save_nifti(folder / "ct.nii.gz", VOLUME.hu.transpose(2, 1, 0), index_to_lps(VOLUME))


@odd("NRRD found in a folder")
def nrrd(folder: Path) -> None:
    save_nrrd(folder / "ct.nrrd", VOLUME.hu.transpose(2, 1, 0), index_to_lps(VOLUME))


@odd("label map beside its scan", refused=("not readable",), words="expected HU with air")
def label_map(folder: Path) -> None:
    write(folder)
    labels = (VOLUME.hu > 0).astype(np.uint8).transpose(2, 1, 0)
    save_nifti(folder / "labels.nii.gz", labels, index_to_lps(VOLUME))


@odd("NIfTI cut off", **refused("not readable", "cannot be read"))
def short_nifti(folder: Path) -> None:
    nifti(folder)
    path = folder / "ct.nii.gz"
    path.write_bytes(path.read_bytes()[:-2000])


@odd("the same NIfTI twice", refused=("copy",), words="same content")
def twice(folder: Path) -> None:
    nifti(folder)
    shutil.copy(folder / "ct.nii.gz", folder / "again.nii.gz")


@odd("nine slices as NIfTI", **refused("not readable", "at least 10 slices, found 9"))
def few_nifti(folder: Path) -> None:
    save_nifti(folder / "ct.nii.gz", VOLUME.hu[:9].transpose(2, 1, 0), index_to_lps(VOLUME))


@odd("one slice as NRRD", **refused("not readable", "at least 10 slices, found 1"))
def one_nrrd(folder: Path) -> None:
    save_nrrd(folder / "ct.nrrd", VOLUME.hu[:1].transpose(2, 1, 0), index_to_lps(VOLUME))


@odd("picture as 2-D NIfTI", **refused("not readable", "at least 10 slices, found 1"))
def picture_nifti(folder: Path) -> None:
    save_nifti(folder / "ct.nii.gz", VOLUME.hu[0].T, index_to_lps(VOLUME))


# -- Which series

beside("soft kernel and bone kernel", "sharp kernel, against soft", {"kernel": "BONE"})
beside("slices of 5 mm and of 1 mm", "slices of 1 mm", {"slice_thickness_mm": 1.0})
beside("original and derived series", "derived from other images",
       {"image_type": ("DERIVED", "SECONDARY", "AXIAL")})  # fmt: skip
beside("lossless and lossy series", "lossy compression", {}, LossyImageCompression="01")
beside("chest and abdomen", "another part of the body", {"body_part": "CHEST"})
beside("without contrast and arterial", "contrast phase arterial",
       {"series_description": "Abdomen arterial"})  # fmt: skip
beside("monoenergetic series beside an ordinary one", "monoenergetic",
       {"series_description": "MonoE 70 keV"})  # fmt: skip
beside("virtual monoenergetic by its ImageType", "monoenergetic",
       {"image_type": ("DERIVED", "PRIMARY", "AXIAL", "VMI")})  # fmt: skip
beside("virtual non-contrast", "modified HU", {}, RescaleType="HU_MOD")
beside("map by its description alone", "names a map", {"series_description": "Iodine overlay"})
every("derived series alone", {"words": "derived from other images"},
      ImageType=["DERIVED", "PRIMARY", "AXIAL"])  # fmt: skip


@odd("long series and short one", words="covers 5 cm, against covers 10 cm")
def coverage(folder: Path) -> None:
    write(folder / "long", replace(VOLUME, slice_z_mm=6.5 * np.arange(16.0)), series_number=2)
    write(folder / "short", replace(VOLUME, hu=VOLUME.hu[:11], slice_z_mm=VOLUME.slice_z_mm[:11]))


@odd("scout in the series", refused=("localizer",), words="scout view")
def scout(folder: Path) -> None:
    write(folder / "ct")
    image = np.zeros((20, 20), np.int16)
    write_localizer(
        folder / "scout", image, replace(HEADER, seed="t", series_uid=HEADER.uid("series")),
        pixel_spacing_mm=(1, 1), first_pixel_mm=(0, 0, 0),
    )  # fmt: skip


@odd("two acquisitions in one series", words="one of 2 overlapping acquisitions")
def acquisitions(folder: Path) -> None:
    join(folder, AcquisitionNumber=2)


@odd("two phases in one acquisition", words="one of 2 overlapping acquisitions")
def phases(folder: Path) -> None:
    join(folder, TemporalPositionIdentifier=2)


def join(folder: Path, **attributes: object) -> None:
    """Put the same slices into one series twice, the second time with other attributes."""
    write(folder / "a")
    for number, file in enumerate(write(folder / "b", seed="other"), start=1):
        first = pydicom.dcmread(folder / "a" / file.name)
        edit(file, SeriesInstanceUID=first.SeriesInstanceUID, SOPInstanceUID=f"1.2.{number}",
             StudyInstanceUID=first.StudyInstanceUID,
             FrameOfReferenceUID=first.FrameOfReferenceUID, **attributes)  # fmt: skip


@odd("two patients under the same UIDs", read=(16, 16))
def same_uids(folder: Path) -> None:
    write(folder / "a")
    for file in write(folder / "b", patient_id="P2"):
        edit(file, SOPInstanceUID=f"1.2.{pydicom.dcmread(file).InstanceNumber}")


@odd("two patients with blank UIDs, in two folders", read=(16, 16))
def blank_uids(folder: Path) -> None:
    for name in "ab":
        for file in write(folder / name):
            edit(file, **dict.fromkeys(("StudyInstanceUID", "SeriesInstanceUID",
                                        "FrameOfReferenceUID", "SOPInstanceUID"), ""))  # fmt: skip


def numbered(name: str, answer: dict[str, object],
             attributes: Callable[[int], dict[str, object]]) -> None:  # fmt: skip
    """A series of which every slice, counted from the feet, has attributes of its own."""

    @odd(name, **answer)
    def make(folder: Path) -> None:
        for index, file in enumerate(write(folder)):
            edit(file, **attributes(index))


def missing_in_half(name: str, attribute: str, value: object = "") -> None:
    words = f"{attribute} is missing in 8 of 16 slices"
    numbered(name, {"words": words}, lambda n: {attribute: value} if n % 2 else {})


missing_in_half("PatientID blank in half of the slices", "PatientID")
missing_in_half("StudyInstanceUID blank in half of the slices", "StudyInstanceUID")
missing_in_half("SeriesInstanceUID blank in half of the slices", "SeriesInstanceUID")
missing_in_half("no FrameOfReferenceUID in half of the slices", "FrameOfReferenceUID", None)
numbered(
    "no series number in half of the slices, no SeriesInstanceUID in any",
    {},
    lambda n: {"SeriesInstanceUID": ""} | ({"SeriesNumber": None} if n % 2 else {}),
)
numbered(
    "no RescaleType in half of the slices", {}, lambda n: {"RescaleType": None} if n % 2 else {}
)


@odd("two patients under the same UIDs, and slices that name neither", read=(16, 11), same=False,
     refused=("too few slices",))  # fmt: skip
def same_uids_and_blank(folder: Path) -> None:
    same_uids(folder)
    for file in sorted((folder / "b").iterdir())[:5]:
        edit(file, PatientID="")


def split_uids(name: str, *attributes: str) -> None:
    answer = refused("identifiers that differ within a series", f"one {attributes[0]}")
    numbered(name, answer, lambda n: dict.fromkeys(attributes, f"1.2.3.{n}"))


split_uids("a SeriesInstanceUID for every slice", "SeriesInstanceUID")
split_uids("a FrameOfReferenceUID for every slice", "FrameOfReferenceUID")
split_uids("a StudyInstanceUID for every slice", "StudyInstanceUID")
split_uids("identifiers of its own for every slice",
           "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")  # fmt: skip
numbered("a SeriesInstanceUID for every second slice",
         refused("identifiers that differ within a series", "one SeriesInstanceUID"),
         lambda n: {"SeriesInstanceUID": f"1.2.3.{n // 2}"})  # fmt: skip


# -- Values that break the standard, which libraries like to quote


def raw(name: str, **values: str) -> None:
    @odd(name)
    def make(folder: Path) -> None:
        for index, file in enumerate(write(folder)):
            for keyword, value in values.items():
                put_raw(file, keyword, value.replace("#", f"{index}").encode())


raw("UIDs with letters", StudyInstanceUID="1.2.840.Doe-Jane.1", SOPInstanceUID="1.2.840.Doe-Jane.#")
raw("UIDs with leading zeros", StudyInstanceUID="1.2.840.0815.055.1",
    SeriesInstanceUID="1.2.840.0815.055.2", SOPInstanceUID="1.2.840.0815.055.2.#")  # fmt: skip
raw("a sex, an age and a date of birth in words", PatientSex="female, Doe Jane",
    PatientAge="Doe Jane, 72", PatientBirthDate="24.12.1947")  # fmt: skip
raw("a Patient ID of several values, too long", PatientID="Doe Jane\\1947" + 60 * "x")


# -- SOPInstanceUID is no identity


numbered("one SOPInstanceUID for all slices", {"words": "SOPInstanceUID repeats in 16 of 16"},
         lambda _: {"SOPInstanceUID": "1.2.3"})  # fmt: skip
numbered("SOPInstanceUIDs that repeat in pairs", {"words": "SOPInstanceUID repeats in 16 of 16"},
         lambda n: {"SOPInstanceUID": f"1.2.3.{n // 2}"})  # fmt: skip
every("no SOPInstanceUID", {}, SOPInstanceUID="")


@odd("two different slices in one place under one SOPInstanceUID",
     **refused("duplicate positions", "and share its SOPInstanceUID"))  # fmt: skip
def clash_of_uids(folder: Path) -> None:
    files = write(folder)
    other = pydicom.dcmread(files[4])
    edit(files[3], ImagePositionPatient=other.ImagePositionPatient,
         SOPInstanceUID=other.SOPInstanceUID)  # fmt: skip


@odd(
    "a slice twice, in two transfer syntaxes",
    words="duplicate slices left out, of equal place and pixels: 1",
)
def compressed_copy(folder: Path) -> None:
    file = write(folder)[4]
    dataset = pydicom.dcmread(file)
    dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    dataset.save_as(folder / "copy")


# -- Acquisitions that follow one another


def rotations(name: str, first: tuple[range, ...], words: str, *, alike: bool = False,
              read: tuple[int, ...] = (16,)) -> None:  # fmt: skip
    """Acquisitions of the slices of each range; those that lie in an earlier one look different."""

    @odd(name, words=words, read=read, same=read == (16,))
    def make(folder: Path) -> None:
        made: set[int] = set()
        for number, slices in enumerate(first, start=1):
            for index, file in enumerate(write(folder / f"{number}")):
                if index not in slices:
                    file.unlink()
                    continue
                edit(file, AcquisitionNumber=number, SOPInstanceUID=f"1.2.{number}.{index}")
                if index in made and not alike:
                    store(file, lambda x: x + 1)
            made |= set(slices)


_SHARED_ENDS = "slices left out where acquisitions share their ends"
rotations(
    "two acquisitions that share an end slice", (range(9), range(8, 16)), f"{_SHARED_ENDS}: 1"
)
rotations("three acquisitions that share two end slices", (range(7), range(5, 12), range(10, 16)),
          f"{_SHARED_ENDS}: 4")  # fmt: skip
rotations("acquisitions that share equal end slices", (range(9), range(8, 16)),
          f"{_SHARED_ENDS}: 1", alike=True)  # fmt: skip
rotations("acquisitions from head to feet that share an end slice", (range(8, 16), range(9)),
          f"{_SHARED_ENDS}: 1")  # fmt: skip
rotations("acquisitions with a slice missing between", (range(8), range(9, 16)), "uneven",
          read=(15,))  # fmt: skip
rotations(
    "two phases, each in two acquisitions",
    (range(8), range(8, 16), range(8), range(8, 16)),
    "one of 2 overlapping acquisitions",
    alike=True,
)
rotations("an acquisition that repeats half of another", (range(16), range(4, 16)),
          "one of 2 overlapping acquisitions")  # fmt: skip


@odd("a few slices", **refused("too few slices", "at least 10 slices, found 3"))
def few(folder: Path) -> None:
    write(folder, replace(VOLUME, hu=VOLUME.hu[:3], slice_z_mm=VOLUME.slice_z_mm[:3]))


every("positron emission", refused("not CT", "found PT"), Modality="PT")
every("secondary captures", refused("secondary capture or rendered image", "secondary captures"),
      SOPClassUID=SecondaryCaptureImageStorage)  # fmt: skip
every("maximum intensity projections", refused("secondary capture or rendered image", "MIP"),
      ImageType=["DERIVED", "SECONDARY", "MIP"])  # fmt: skip
every("colour pictures", refused("colour", "found RGB"),
      PhotometricInterpretation="RGB", SamplesPerPixel=3)  # fmt: skip
every("iodine map", refused("no rescale to HU", "found MGML"), RescaleType="MGML")
every("effective atomic numbers", refused("material map or altered values", "EFF_ATOMIC_NUM"),
      ImageType=["DERIVED", "PRIMARY", "AXIAL", "EFF_ATOMIC_NUM"])  # fmt: skip
every("material map", refused("material map or altered values", "MAT_SPECIFIC"),
      ImageType=["DERIVED", "PRIMARY", "AXIAL", "MAT_SPECIFIC"])  # fmt: skip
every("subtraction", refused("material map or altered values", "SUBTRACTION"),
      ImageType=["DERIVED", "PRIMARY", "AXIAL", "SUBTRACTION"])  # fmt: skip
every("units of activity", refused("no rescale to HU", "found units BQML"), Units="BQML")


# -- Geometry


def oriented(name: str, orientation: tuple[float, ...], **header: object) -> None:
    @odd(name)
    def make(folder: Path) -> None:
        write(folder, replace(VOLUME, orientation=orientation), **header)


oriented("prone", (-1, 0, 0, 0, -1, 0), patient_position="HFP")
oriented("on the left side", (0, 1, 0, -1, 0, 0), patient_position="HFDL")
oriented("on the right side", (0, -1, 0, 1, 0, 0), patient_position="HFDR")
oriented("feet first, numbered from the feet", (1, 0, 0, 0, 1, 0), patient_position="FFS",
         first_instance="feet")  # fmt: skip
oriented("seen from above, so that left and right are swapped", (-1, 0, 0, 0, 1, 0))
oriented("upside down", (1, 0, 0, 0, -1, 0))
oriented("oblique stack, 10 degrees", (1, 0, 0, 0, 0.984808, 0.173648))
every("tilted gantry, 10 degrees", {"words": "gantry tilted by 10.0 degrees"},
      ImageOrientationPatient=[1, 0, 0, 0, 0.984808, 0.173648])  # fmt: skip
every("tilted gantry, 18.5 degrees to the other side", {"words": "gantry tilted by 18.5 degrees"},
      ImageOrientationPatient=[1, 0, 0, 0, 0.948324, -0.317305])  # fmt: skip
every("tilted gantry, 28 degrees", refused("not axial", "found 28 degrees"),
      ImageOrientationPatient=[1, 0, 0, 0, 0.882948, 0.469472])  # fmt: skip
numbered("stack that is shifted sideways", refused("sheared stack", "at 11.3 degrees"),
         lambda n: {"ImagePositionPatient": [n, 0, 5 * n]})  # fmt: skip
every("coronal reformat that claims to be axial", refused("not axial", "found 90 degrees"),
      ImageOrientationPatient=[1, 0, 0, 0, 0, -1])  # fmt: skip
every("one position for all", refused("constant position", "all 16 images claim one"),
      ImagePositionPatient=[1, 2, 3])  # fmt: skip
every("no pixel spacing", refused("missing geometry", "PixelSpacing"), PixelSpacing=None)
every("position that is no number", refused("missing geometry", "ImagePositionPatient"),
      ImagePositionPatient=["0", "0", "1e400"])  # fmt: skip
every("axes that are not perpendicular", refused("missing geometry", "ImageOrientationPatient"),
      ImageOrientationPatient=[1, 0, 0, 0.5, 0.8, 0])  # fmt: skip


@odd("directions that differ in the last digits")
def jitter(folder: Path) -> None:
    for index, file in enumerate(write(folder)):
        edit(file, ImageOrientationPatient=[1, 0, 0, 0, 1, 1e-4 * (index % 3)])


@odd("a slice missing", read=(15,), same=False, words="uneven slice distances: 5.00 to 10.00 mm")
def missing(folder: Path) -> None:
    write(folder)[5].unlink()


@odd("four slices far from the others", read=(12,), same=False, refused=("too few slices",),
     words="apart from other slices")  # fmt: skip
def far(folder: Path) -> None:
    z_mm = np.where(np.arange(16) < 4, VOLUME.slice_z_mm - 100, VOLUME.slice_z_mm)
    write(folder, replace(VOLUME, slice_z_mm=z_mm))


@odd("distances that change from 5 to 3 mm", words="uneven slice distances")
def uneven(folder: Path) -> None:
    write(folder, replace(VOLUME, slice_z_mm=np.cumsum([5.0] * 8 + [3.0] * 8)))


@odd(
    "a slice twice under two UIDs", words="duplicate slices left out, of equal place and pixels: 1"
)
def twin(folder: Path) -> None:
    file = write(folder)[4]
    shutil.copy(file, folder / "twin")
    edit(folder / "twin", SOPInstanceUID="1.2.3")


@odd("two different slices in one place",
     **refused("duplicate positions", "where another one lies"))  # fmt: skip
def clash(folder: Path) -> None:
    files = write(folder)
    edit(files[3], ImagePositionPatient=pydicom.dcmread(files[4]).ImagePositionPatient)


@odd("pixels of 0.5 x 0.75 mm", words="picture of 16 x 24 mm, made a square with air")
def not_square(folder: Path) -> None:
    write(folder, replace(VOLUME, pixel_spacing_mm=(0.75, 0.5)))


@odd("matrix of 20 x 32", same=False, words="picture of 24 x 15 mm")
def matrix(folder: Path) -> None:
    write(folder, replace(VOLUME, hu=VOLUME.hu[:, :20]))


# -- Pixels


def pixels(name: str, same: bool = True, **pixel_format: object) -> None:
    @odd(name, same=same)
    def make(folder: Path) -> None:
        write(folder, pixels=PixelFormat(**pixel_format))


pixels("12 bits unsigned", bits_stored=12, signed=False)
pixels("RLE", storage=Storage.RLE)
pixels("JPEG-LS", storage=Storage.JPEG_LS)
pixels("JPEG 2000", storage=Storage.JPEG_2000)
pixels("implicit VR", storage=Storage.IMPLICIT)
pixels("deflated", storage=Storage.DEFLATED)
pixels("intercept 0", intercept_hu=0.0)
pixels("fractional slope", same=False, slope_hu=0.5, intercept_hu=-1024.25)


def restored(
    name: str, change: Callable[[np.ndarray], np.ndarray], answer: dict[str, object] | None = None,
    pixel_format: PixelFormat | None = None, **attributes: object,
) -> None:  # fmt: skip
    @odd(name, **(answer or {}))
    def make(folder: Path) -> None:
        for file in write(folder, pixels=pixel_format or PixelFormat(bits_stored=13)):
            store(file, change, **attributes)


restored("12 signed bits without the sign above them", lambda x: x & 0x0FFF,
         pixel_format=PixelFormat(bits_stored=12, intercept_hu=0))  # fmt: skip
restored("bits at the top of the word", lambda x: x << 3, HighBit=15)
restored("unused bits that are used", lambda x: x | x.dtype.type(0x2000),
         refused("not readable", "BitsStored 13 contradicts the pixels"),
         PixelFormat(bits_stored=13, signed=False))  # fmt: skip
restored("more bits than BitsStored says", lambda x: x,
         refused("not readable", "BitsStored 12 contradicts the pixels"),
         PixelFormat(intercept_hu=1500), BitsStored=12, HighBit=11)  # fmt: skip


@odd("overlay in the unused bits")
def overlay(folder: Path) -> None:
    for file in write(folder, pixels=PixelFormat(bits_stored=13, signed=False)):
        store(file, lambda x: x | (np.arange(x.size, dtype=x.dtype).reshape(x.shape) % 2 << 14))
        dataset = pydicom.dcmread(file)
        dataset.add_new((0x6000, 0x0100), "US", 16)
        dataset.add_new((0x6000, 0x0102), "US", 14)
        dataset.save_as(file)


@odd("one slice with more bits than BitsStored says", read=(15,), same=False,
     words="BitsStored 12 contradicts the pixels")  # fmt: skip
def metal(folder: Path) -> None:
    files = write(folder, pixels=PixelFormat(bits_stored=12, intercept_hu=0))
    store(files[0], lambda x: np.pad(x[1:], ((1, 0), (0, 0)), constant_values=3071))


@odd("more bits than BitsStored says, compressed",
     **refused("not readable", "BitsStored 12 contradicts"))  # fmt: skip
def metal_compressed(folder: Path) -> None:
    for file in write(folder, pixels=PixelFormat(intercept_hu=1500, storage=Storage.RLE)):
        edit(file, BitsStored=12, HighBit=11)


restored("high bit that contradicts the pixels", lambda x: x,
         refused("not readable", "found 0 of 16"), HighBit=15)  # fmt: skip
restored("swapped bytes", lambda x: x.byteswap(), refused("not readable", "found 0 of 16"),
         PixelFormat())  # fmt: skip
restored("values from 0 to 255", lambda x: (x >> 4).astype(x.dtype),
         refused("not readable", "expected HU with air"), RescaleIntercept="0")  # fmt: skip
restored("slope of 32 HU, an 8-bit export", lambda x: x >> 5,
         refused("grey levels too coarse", "found 32.0 HU"), RescaleSlope="32")  # fmt: skip
every("no rescale", refused("no rescale to HU", "found none"), RescaleSlope=None)
every("intercept of a million", refused("no rescale to HU", "intercept"), RescaleIntercept="1e6")


@odd("big endian")
def big_endian(folder: Path) -> None:
    for file in write(folder):
        as_big_endian(file)


@odd("rescale that changes from slice to slice")
def rescales(folder: Path) -> None:
    for index, file in enumerate(write(folder)):
        store(file, lambda x, n=index: x + n, RescaleIntercept=str(-1024 - index))


@odd("one slice in another unit", read=(15,), same=False, refused=("no rescale to HU",))
def one_unit(folder: Path) -> None:
    edit(write(folder)[0], RescaleType="US", RescaleSlope=None)


@odd("padding of 63536 with 12 bits: air", same=False)
def padding(folder: Path) -> None:
    frame = lambda x: np.pad(x[2:-2, 2:-2], 2, constant_values=63536)  # noqa: E731
    for file in write(folder, pixels=PixelFormat(bits_stored=12, signed=False)):
        store(file, frame)
        dataset = pydicom.dcmread(file)
        dataset.add_new("PixelPaddingValue", "US", 63536)
        dataset.save_as(file)


@odd("padding that would look like tissue: air", same=False)
def loud_padding(folder: Path) -> None:
    for file in write(folder):
        store(file, lambda x: np.pad(x[2:-2, 2:-2], 2, constant_values=1074))
        dataset = pydicom.dcmread(file)
        dataset.add_new("PixelPaddingValue", "SS", 1074)
        dataset.save_as(file)


@odd("lossy JPEG with 12 bits", **refused("compression not supported", "no decoder"))
def lossy_12_bits(folder: Path) -> None:
    for file in write(folder, pixels=PixelFormat(storage=Storage.RLE, bits_stored=12)):
        dataset = pydicom.dcmread(file)
        dataset.file_meta.TransferSyntaxUID = JPEGExtended12Bit
        dataset.save_as(file)


# -- Multi-frame


@odd("enhanced multi-frame CT")
def multi_frame(folder: Path) -> None:
    enhanced(write(folder / "raw"), folder / "one.dcm")
    shutil.rmtree(folder / "raw")


@odd("enhanced multi-frame CT, frames in disorder, compressed")
def shuffled_frames(folder: Path) -> None:
    files = write(folder / "raw")
    enhanced([files[(5 * n) % 16] for n in range(16)], folder / "one.dcm", compressed=True)
    shutil.rmtree(folder / "raw")


@odd("enhanced multi-frame CT with two acquisitions", words="one of 2 overlapping acquisitions")
def two_stacks(folder: Path) -> None:
    files = write(folder / "raw")
    again = write(folder / "again", acquisition_number=2)
    enhanced([*files, *again], folder / "one.dcm")
    shutil.rmtree(folder / "raw")
    shutil.rmtree(folder / "again")


@odd("enhanced multi-frame CT in two files", words="")
def two_files(folder: Path) -> None:
    files = write(folder / "raw")
    for name, part in (("a", files[:8]), ("b", files[8:])):
        enhanced(part, folder / name)
        edit(folder / name, SOPInstanceUID=f"1.2.{ord(name)}")
    shutil.rmtree(folder / "raw")


@odd("enhanced multi-frame CT without functional groups",
     **refused("multi-frame", "a geometry for every frame"))  # fmt: skip
def no_groups(folder: Path) -> None:
    multi_frame(folder)
    edit(folder / "one.dcm", PerFrameFunctionalGroupsSequence=None)


@odd("enhanced multi-frame CT cut off", **refused("not readable", "found 0 of 16"))
def short_frames(folder: Path) -> None:
    multi_frame(folder)
    path = folder / "one.dcm"
    path.write_bytes(path.read_bytes()[:-3000])

"""From a cases table to both training sets, with everything that may be wrong on the way."""

import csv
import stat
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
import pytest

from bodycomp.anatomy import MUSCLE, background_or, tissues_for
from bodycomp.annotation.labels import LabelMapping
from bodycomp.cli import main
from bodycomp.data.layout import SPLITS
from bodycomp.data.manifest import Manifest, pixel_digest, read_manifest
from bodycomp.data.samples import level_sample, mask_sample
from bodycomp.data.sampling_options import LevelSampling, MaskSampling
from bodycomp.data.segmentation_set import open_segmentation_split
from bodycomp.data.slice_set import open_slice_split
from bodycomp.errors import CasesError, OutputError, UsageError
from bodycomp.imaging.resize import resize_labels
from bodycomp.nifti import write_nifti_labels
from bodycomp.preparation.options import (
    LevelTask,
    MaskTask,
    PrepareOptions,
    PrepareTask,
    SplitOptions,
)
from bodycomp.preparation.run import PrepareSummary, prepare
from bodycomp.preparation.shards import work_folder
from bodycomp.validation.segmentation import check_segmentation_set
from bodycomp.validation.slices import survey_slice_set
from support.annotated_cases import (
    ANNOTATED,
    L3_SLICE,
    LABELS,
    SIZE,
    SPACING_MM,
    case_row,
    make_case,
    make_cases,
    make_volume,
    write_table,
)
from support.factories import torso_slice

pytestmark = pytest.mark.xdist_group("preparation")
MASKS = MaskTask(LabelMapping.parse(LABELS))
THIRDS = SplitOptions((0.5, 0.25, 0.25))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cases(tmp_path_factory.mktemp("scans"))


def run(table: Path, out: Path, task: PrepareTask = MASKS, **options: object) -> PrepareSummary:
    options = {"split": THIRDS, "jobs": 1} | options
    return prepare(PrepareOptions(table, out, task, **options), lambda *_: None)


def manifest_of(out: Path) -> Manifest:
    manifest = read_manifest(out)
    assert manifest is not None
    return manifest


def key_of(out: Path) -> dict[str, str]:
    """Pseudonym -> code."""
    with out.with_name(f"{out.name}-key.csv").open(newline="") as stream:
        return {row["pseudonym"]: row["patient"] for row in csv.DictReader(stream)}


def test_masks_and_images_are_those_of_the_scans(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    summary = run(table, out)
    assert dict(summary.counts.slices) == {"train": 10, "val": 5, "test": 5}
    issues = check_segmentation_set(out, tissues=tissues_for(thoracic=False), allow_scaled=False)
    assert not [f for f in issues if f.severity == "error"]
    manifest, key = manifest_of(out), key_of(out)
    for split in SPLITS:
        arrays, rows = open_segmentation_split(out, split), manifest.of(split)
        assert arrays is not None
        for index, (name, place) in enumerate(
            zip(rows.texts("patient"), rows.texts("slice_index"), strict=True)
        ):
            volume, labels = make_volume(int(key[name].removeprefix("case-")))
            expected = mask_sample(volume, labels[int(place)], int(place))
            np.testing.assert_array_equal(arrays.images[index, ..., 0], expected.hu)
            np.testing.assert_array_equal(arrays.masks[index, ..., 0], expected.labels)
            assert rows.texts("image_digest")[index] == pixel_digest(expected.hu)
    assert set(manifest.numbers("slice_index").astype(int)) == set(ANNOTATED)
    assert set(manifest.texts("row_spacing_mm")) == {str(4.0 * 48 / 512)}
    assert not out.with_name("set.parts").exists()


def test_offsets_and_slices_are_those_of_the_scans(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    sampling = LevelSampling(near_mm=10, far_stride=3)
    summary = run(table, out, LevelTask(sampling=sampling))
    assert summary.counts.slices["val"] == summary.counts.slices["test"] == 12
    assert summary.counts.slices["train"] == 2 * 7  # 0, 3, 5, 6, 7, 8, 9
    assert not [f for f in survey_slice_set(out, levels=("L3",)).issues if f.severity == "error"]
    manifest, key = manifest_of(out), key_of(out)
    level_z_mm = {"L3": -200 + SPACING_MM * L3_SLICE + 1}
    for split in SPLITS:
        opened, rows = open_slice_split(out, split, ("L3",)), manifest.of(split)
        assert opened is not None
        np.testing.assert_allclose(
            opened.offsets_mm[:, 0], rows.numbers("z_mm") - level_z_mm["L3"], atol=1e-3
        )
        name, place = rows.texts("patient")[3], int(rows.texts("slice_index")[3])
        volume, _ = make_volume(int(key[name].removeprefix("case-")))
        gray = level_sample(volume, level_z_mm, place).gray
        assert rows.texts("image_digest")[3] == pixel_digest(gray)
    with (out / "meta" / "train.csv").open() as stream:
        columns = next(csv.reader(stream))
    assert columns == ["", "PatientID", "SeriesInstanceUID", "ZOffset_L3"]  # T5 is in no scan


def test_a_level_that_is_asked_for_stays_empty_outside_the_scan(
    table: Path, tmp_path: Path
) -> None:
    run(table, tmp_path / "set", LevelTask(levels=("L3", "T5")))
    with (tmp_path / "set" / "meta" / "val.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["ZOffset_T5"] for row in rows} == {""}
    assert rows[0]["ZOffset_L3"] == "-31.0"


def test_levels_of_any_name_get_a_column_after_the_vertebrae(tmp_path: Path) -> None:
    table = marked(tmp_path / "scans", "umbilicus", "crest", "umbilicus", "L4")
    run(table, tmp_path / "set", LevelTask())
    columns = (tmp_path / "set" / "meta" / "train.csv").read_text().splitlines()[0].split(",")
    assert [c for c in columns if c.startswith("Z")] == [
        *("ZOffset_L3", "ZOffset_L4", "ZOffset_crest", "ZOffset_umbilicus")
    ]


@pytest.mark.parametrize(
    ("names", "levels", "said"),
    [
        (("umbilicus", "Umbilicus"), (), "one spelling of a level, found Umbilicus and umbilicus"),
        (("umbilicus",), ("Umbilicus",), "one spelling of a level, found Umbilicus and umbilicus"),
        (("umbilicus",), ("navel",), "expected navel in at least one scan, found L3, umbilicus"),
    ],
)
def test_one_level_under_two_names_is_refused(
    tmp_path: Path, names: tuple[str, ...], levels: tuple[str, ...], said: str
) -> None:
    table = marked(tmp_path / "scans", *names)
    with pytest.raises(CasesError, match=said):
        run(table, tmp_path / "set", LevelTask(levels=levels))
    assert not (tmp_path / "set").exists()


def marked(folder: Path, *names: str) -> Path:
    """Write cases of which the first ones have a further level each."""
    folder.mkdir()
    table = make_cases(folder)
    with (table.parent / "levels.csv").open("a", newline="") as stream:
        rows = ((f"case-{n}", name, "-190.0") for n, name in enumerate(names))
        csv.writer(stream).writerows(rows)
    return table


def test_both_sets_have_a_patient_in_the_same_split(table: Path, tmp_path: Path) -> None:
    found = []
    for name, task in (("masks", MASKS), ("levels", LevelTask())):
        run(table, tmp_path / name, task)
        manifest = manifest_of(tmp_path / name)
        found.append(set(zip(manifest.texts("patient"), manifest.texts("split"), strict=True)))
    assert found[0] == found[1]
    assert len(found[0]) == 4


def test_nothing_in_the_set_tells_who_it_is(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    run(table, out)
    told = "".join(path.read_text() for path in out.iterdir() if path.suffix != ".npy")
    assert "case-" not in told
    assert str(table.parent) not in told
    key = tmp_path / "set-key.csv"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert set(key_of(out).values()) == {f"case-{i}" for i in range(4)}


def test_identifiers_are_there_when_asked_for(table: Path, tmp_path: Path) -> None:
    run(table, tmp_path / "set", identifiers=True)
    manifest = manifest_of(tmp_path / "set")
    assert set(manifest.texts("patient")) == {f"case-{i}" for i in range(4)}
    assert all(Path(name).is_file() for name in manifest.texts("source_file"))


def test_processes_and_the_order_of_rows_change_no_sample(table: Path, tmp_path: Path) -> None:
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    turned = write_table(table.with_name("turned.csv"), rows[::-1])
    run(table, tmp_path / "one")
    run(table, tmp_path / "two", jobs=2)
    run(turned, tmp_path / "turned")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()

    def samples(out: Path) -> set[tuple[str, ...]]:
        manifest = manifest_of(out)
        names = ("split", "patient", "image_digest", "labels_digest")
        return set(zip(*(manifest.texts(name) for name in names), strict=True))

    assert samples(tmp_path / "one") == samples(tmp_path / "turned")


def test_given_splits_are_kept(table: Path, tmp_path: Path) -> None:
    rows = [case_row(f"case-{i}", split=s) for i, s in enumerate(("val", "train", "train", "test"))]
    run(write_table(table.with_name("given.csv"), rows), tmp_path / "set", identifiers=True)
    manifest = manifest_of(tmp_path / "set")
    found = dict(zip(manifest.texts("patient"), manifest.texts("split"), strict=True))
    assert found == {row["patient"]: row["split"] for row in rows}


@pytest.mark.parametrize("name", ["site", "sex"])
def test_strata_from_the_table_and_from_the_scans(name: str, table: Path, tmp_path: Path) -> None:
    """Cases with even numbers are women of site a."""
    split = SplitOptions((0.5, 0.5, 0.0), stratify=(name,))
    run(table, tmp_path / "set", split=split, identifiers=True)
    manifest = manifest_of(tmp_path / "set")
    found = set(zip(manifest.texts("patient"), manifest.texts("split"), strict=True))
    for group in ("02", "13"):
        assert {s for p, s in found if p[-1] in group} == {"train", "val"}


def test_one_bad_case_is_told_and_does_not_stop_the_rest(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = table.parent
    make_case(folder, "Miller-1970", 9)
    for path in list((folder / "Miller-1970" / "ct").iterdir())[::2]:
        path.write_bytes(path.read_bytes()[:2000])
    rows = [*(case_row(f"case-{i}") for i in range(3)), case_row("Miller-1970")]
    broken = write_table(folder / "broken.csv", rows)
    command = ["--quiet", "prepare", "segmentation", str(broken), str(tmp_path / "set")]
    command += ["--labels", *LABELS, "--jobs", "1"]
    assert main(command) == 1
    told = capsys.readouterr()
    assert "INCOMPLETE: 1 case left out" in told.out
    assert "refused: row 5" in told.out
    assert "Miller" not in told.out + told.err
    with (tmp_path / "set" / "refused.csv").open(newline="") as stream:
        (refused,) = csv.DictReader(stream)
    assert refused["row"] == "row 5"
    assert refused["patient"].startswith("patient-")
    assert "Miller" not in str(refused)
    assert set(key_of(tmp_path / "set").values()) == {"case-0", "case-1", "case-2"}

    make_again = tmp_path / "mended"
    make_case(make_again, "Miller-1970", 9)
    for path in (make_again / "Miller-1970" / "ct").iterdir():
        (folder / "Miller-1970" / "ct" / path.name).write_bytes(path.read_bytes())
    assert main([*command, "--overwrite"]) == 0
    told = capsys.readouterr()
    assert "3 cases finished by an earlier run" in told.out
    assert "INCOMPLETE" not in told.out
    assert not (tmp_path / "set.parts").exists()


def test_cases_left_out_on_purpose(table: Path, tmp_path: Path) -> None:
    rows = [*(case_row(f"case-{i}") for i in range(3)), case_row("case-3", patient="nobody")]
    write_table(table.with_name("few.csv"), rows)
    command = ["prepare", "slice-selection", str(table.with_name("few.csv")), str(tmp_path / "s")]
    assert main([*command, "--jobs", "1", "--allow-refused"]) == 0


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["case-0", "copy-of-0"], "row 3: the scan of row 2"),
        (["case-0", "same-id"], "row 3: another code for the patient of row 2"),
    ],
)
def test_one_patient_under_two_codes_and_one_scan_twice_are_refused(
    rows: Sequence[str], said: str, table: Path, tmp_path: Path
) -> None:
    folder = table.parent
    if not (folder / "same-id").exists():
        make_case(folder, "same-id", 21, patient_id="case-0")
        (folder / "copy-of-0").mkdir()
        for name in ("ct", "mask.nii.gz"):
            (folder / "copy-of-0" / name).symlink_to(folder / "case-0" / name)
        (folder / "copy-of-0" / "ct").unlink()
        (folder / "copy-of-0" / "ct").mkdir()
        for path in (folder / "case-0" / "ct").iterdir():
            (folder / "copy-of-0" / "ct" / path.name).write_bytes(path.read_bytes())
    conflicting = write_table(folder / "conflict.csv", [case_row(name) for name in rows])
    with pytest.raises(CasesError, match=said):
        run(conflicting, tmp_path / "set")
    assert not (tmp_path / "set").exists()
    if "same-id" in rows:
        run(conflicting, tmp_path / "set", shared_patient_id=True)


def test_two_runs_do_not_make_the_same_set_at_once(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    parts = PrepareOptions(table, out, MASKS).parts
    with work_folder(parts), pytest.raises(OutputError, match="another run is writing to"):
        run(table, out)
    assert not out.exists()
    run(table, out)
    assert out.is_dir()
    assert not parts.exists()


def test_volume_files_and_an_image_of_two_patients(tmp_path: Path) -> None:
    volume, labels = make_volume(1)
    other, _ = make_volume(2)
    other.hu[5] = volume.hu[5]  # one slice of another patient's
    for name, made in (("one", volume), ("two", other)):
        affine = np.diag([-4.0, -4.0, SPACING_MM, 1.0])
        affine[2, 3] = -200
        nibabel.save(
            nibabel.Nifti1Image(made.hu.transpose(2, 1, 0), affine), tmp_path / f"{name}.nii"
        )
        write_nifti_labels(tmp_path / f"{name}-mask.nii", made, labels)
    rows = [
        {"patient": name, "scan": f"{name}.nii", "masks": f"{name}-mask.nii", "split": "train"}
        for name in ("one", "two")
    ]
    both = write_table(tmp_path / "both.csv", rows)
    with pytest.raises(CasesError, match="row 3: slice 5 is an image of row 2"):
        run(both, tmp_path / "set")
    run(write_table(tmp_path / "one.csv", rows[:1]), tmp_path / "set", overwrite=True)
    manifest = manifest_of(tmp_path / "set")
    assert {uid[:5] for uid in manifest.texts("series_instance_uid")} == {"2.25."}
    assert set(manifest.texts("sop_instance_uid")) == {""}


def test_an_earlier_set_and_its_key_are_not_lost(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    run(table, out)
    with pytest.raises(OutputError, match="not empty"):
        run(table, out)
    out.rename(tmp_path / "moved")
    run(table, out)  # the same key
    out.rename(tmp_path / "moved-too")
    with pytest.raises(OutputError, match="key of another set"):
        run(table, out, split=SplitOptions(THIRDS.fractions, seed=5))
    run(table, out, split=SplitOptions(THIRDS.fractions, seed=5), overwrite=True)


@pytest.mark.parametrize("place", ["", "case-1", "case-1/ct", "case-1/ct/set"])
def test_a_set_is_not_made_over_its_scans(place: str, tmp_path: Path) -> None:
    table = make_cases(tmp_path / "study", 2)
    # The folder of scans may even look like a set.
    (tmp_path / "study" / place).mkdir(exist_ok=True)
    (tmp_path / "study" / place / "prepared.json").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match="apart from what it is made from"):
        run(table, tmp_path / "study" / place, overwrite=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_only_a_prepared_set_is_replaced(table: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").touch()
    with pytest.raises(OutputError, match="expected a prepared training set to replace"):
        run(table, tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter.txt").exists()


@pytest.mark.parametrize("name", [".", "..", "/"])
def test_a_set_needs_a_name_of_its_own(name: str) -> None:
    with pytest.raises(UsageError, match="a name of its own"):
        PrepareOptions(Path("cases.csv"), Path(name), MASKS)


def test_a_full_disk_is_told_before_anything_is_written(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 10_000

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    with pytest.raises(OutputError, match="GB of free disk"):
        run(table, tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("columns", "task", "said"),
    [
        ({"masks": ""}, MASKS, "expected masks in at least one row"),
        ({"levels": ""}, LevelTask(), "expected levels in at least one row"),
        ({}, MaskTask(None), "expected what the labels mean"),
    ],
)
def test_tables_without_what_is_needed(
    columns: dict[str, str], task: PrepareTask, said: str, table: Path, tmp_path: Path
) -> None:
    lacking = write_table(table.with_name("lacking.csv"), [case_row("case-0") | columns])
    with pytest.raises((CasesError, UsageError), match=said):
        run(lacking, tmp_path / "set", task)
    assert not list(tmp_path.iterdir())


def test_an_unknown_stratum_is_refused(table: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found no hospital"):
        run(table, tmp_path / "set", split=SplitOptions(stratify=("hospital",)))


def test_every_case_refused_leaves_no_set(table: Path, tmp_path: Path) -> None:
    task = MaskTask(LabelMapping.parse(["1=muscle"]))
    with pytest.raises(CasesError, match="every case is refused"):
        run(table, tmp_path / "set", task)
    assert not (tmp_path / "set").exists()


def test_slices_that_are_not_annotated_are_no_samples_and_declared(
    tmp_path: Path,
) -> None:
    """Every fifth slice is annotated, as in SAROS; in slice 5 a part is not."""
    table = make_cases(tmp_path)
    expected = {}
    for seed in range(4):
        volume, _ = make_volume(seed)
        drawn = np.stack([torso_slice(rng, SIZE)[1] for rng in [np.random.default_rng(seed)] * 12])
        labels = np.full_like(drawn, 255)
        labels[::5] = drawn[::5]
        labels[5, :10] = 255
        write_nifti_labels(tmp_path / f"case-{seed}" / "mask.nii.gz", volume, labels)
        expected[seed] = labels
    out, meanings = tmp_path / "set", LabelMapping.parse([*LABELS, "255=not_annotated"])
    run(table, out, MaskTask(meanings, MaskSampling(annotated_only=False)))
    assert (out / "labels.json").read_text() == '{"not_annotated": 255}\n'
    issues = check_segmentation_set(out, tissues=tissues_for(thoracic=False))
    assert not [f for f in issues if f.severity == "error"]
    manifest, key = manifest_of(out), key_of(out)
    assert set(manifest.numbers("slice_index").astype(int)) == {0, 5, 10}
    rows, arrays = manifest.of("train"), open_segmentation_split(out, "train")
    assert arrays is not None
    for index, (name, place) in enumerate(
        zip(rows.texts("patient"), rows.texts("slice_index"), strict=True)
    ):
        labels = expected[int(key[name].removeprefix("case-"))][int(place)]
        np.testing.assert_array_equal(
            arrays.masks[index, ..., 0], resize_labels(labels, (512, 512))
        )


def test_a_set_without_such_a_label_declares_nothing(table: Path, tmp_path: Path) -> None:
    run(table, tmp_path / "set")
    assert not (tmp_path / "set" / "labels.json").exists()


def test_the_set_keeps_which_tissues_were_labeled(tmp_path: Path) -> None:
    """Two cases were labeled for fats alone, one of them with muscle that the table denies."""
    make_cases(tmp_path)
    fats = "visceral_fat; subcutaneous_fat"
    labeled = {"case-0": fats, "case-1": fats}
    scan, labels = make_volume(0)
    write_nifti_labels(tmp_path / "case-0/mask.nii.gz", scan, np.where(labels == 1, 0, labels))
    rows = [case_row(f"case-{i}", labeled=labeled.get(f"case-{i}", "")) for i in range(4)]
    table, out = write_table(tmp_path / "cases.csv", rows), tmp_path / "set"
    summary = run(table, out)
    (refused,) = summary.refused
    assert "expected the tissues of the column labeled" in refused.reason
    manifest, key = manifest_of(out), key_of(out)
    for split in SPLITS:
        opened = open_segmentation_split(out, split)
        for index, name in enumerate(manifest.of(split).texts("patient")):
            background = background_or([MUSCLE]) if key[name] == "case-0" else 0
            assert (opened.backgrounds[index] if opened.backgrounds else 0) == background


def test_tissues_that_are_none_are_refused_with_the_table(tmp_path: Path) -> None:
    make_cases(tmp_path)
    rows = [case_row("case-0", labeled="muscle;bone"), case_row("case-1", labeled="")]
    with pytest.raises(CasesError, match=r"row 2, column labeled: .* found 'bone'"):
        run(write_table(tmp_path / "cases.csv", rows), tmp_path / "set")

"""The examples of docs/python.md, run as they stand, one after the other in one folder."""

import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import bodycomp
import bodycomp.analysis.loading
import bodycomp.study.run
import bodycomp.suggestion.run
import bodycomp.training.folds
from bodycomp.analysis.pipeline import Analyzer
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.write import write_ct_series
from bodycomp.networks.checkpoint import build_network, save_model
from bodycomp.nifti import write_nifti_labels
from bodycomp.suggestion.candidates import Networks
from support.annotated_cases import make_cases
from support.annotation_files import save_nifti, small_phantom
from support.model_cards import SMALL
from support.stand_ins import KnownLabels, LevelAt

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the page has at hand: a scan in two formats, cases, masks; stand-ins for networks."""
    volume, labels = small_phantom()
    middle = float(volume.slice_z_mm[len(volume) // 2])
    analyzer = Analyzer(LevelAt(middle), KnownLabels(labels))
    networks = Networks(analyzer.scorer, (analyzer.segmenter,))
    monkeypatch.setattr(bodycomp.suggestion.run, "load_networks", lambda _options: networks)
    for module in (bodycomp.analysis.loading, bodycomp.study.run):
        monkeypatch.setattr(module, "load_analyzer", lambda *_args, **_options: analyzer)

    def train(options, progress):
        if callable(progress):
            progress("epoch 0/49", 1, 2)
        return Path(options.output_dir) / options.name

    monkeypatch.setattr(bodycomp.training.folds, "train", train)
    monkeypatch.chdir(tmp_path)
    write_ct_series(Path("ct"), volume, SeriesHeader(seed="page", kernel="B30f"))
    other = volume.hu.transpose(2, 1, 0) + np.int16(1)  # other content, so that it counts as well
    affine = np.diag([*volume.pixel_spacing_mm[::-1], volume.slice_spacing_mm, 1.0])
    save_nifti(Path("ct.nii.gz"), other, affine)
    for name in ("found.nii.gz", "truth.nii.gz"):
        write_nifti_labels(Path(name), volume, labels)
    fixed = labels.copy()
    fixed[:, ::2] = 0
    write_nifti_labels(Path("fixed.nii.gz"), volume, fixed)
    for name, card in SMALL.items():
        save_model(Path("models") / name, build_network(card), card)
    make_cases(Path())
    return tmp_path


def export_review(row):
    """What the page exports when its reader accepts a case."""
    cells = {name: row[name] for name in ("study", "series", "level", "slice_index")}
    cells |= {"verdict": "accept", "comment": "", "moved_to_slice": "", "reviewer": "CD"}
    models = f"{row['slice_selection_model']}+{row['segmentation_model']}"
    later = datetime.now(UTC) + timedelta(minutes=1)  # than the correction of the same example
    cells |= {"reviewed_at": later.isoformat(), "models": models}
    table = "\n".join([",".join(cells), ",".join(map(str, cells.values()))])
    Path("review.csv").write_text(table, encoding="utf-8")


def test_training_reports_to_a_function_and_prepares_nothing_else(folder):
    seen = []
    bodycomp.train_segmentation("masks", "runs", progress=lambda *stage: seen.append(stage))
    assert seen == [("epoch 0/49", 1, 2)]


def test_examples_run_in_their_order(folder, capsys):
    names: dict[str, object] = {}
    for example in EXAMPLES:
        if "apply_review" in example:
            export_review(names["report"].analyzed[0].rows[0])
        exec(compile(example, str(PAGE), "exec"), names)
    assert names["l3"].areas_cm2["muscle"] > 10
    assert names["l3"].quantities["skeletal_muscle_index_cm2_m2"].value > 0
    assert len(names["report"].analyzed) == 2
    assert names["level"].after["corrected"] == "mask"
    assert names["outcome"].verdicts["accept"] == 1
    assert len(names["wanted"].suggestions) == 1
    assert names["run"] == Path("runs/first")
    assert "segment: " in capsys.readouterr().out


def test_results_show_themselves_in_a_notebook(folder):
    models = bodycomp.load_models("models")
    result = models.analyze("ct")
    html = result._repr_html_()
    assert "data:image/png;base64," in html
    assert "<td>Muscle</td>" in html
    assert repr(result).startswith("L3: slice ")
    with pytest.raises(KeyError, match="T5"):
        result["T5"]
    report = bodycomp.analyze("ct", folder / "out", models="models")
    assert f"<td>{report.analyzed[0].study}</td>" in report._repr_html_()
    assert "data:image/png;base64," in report._repr_html_()


def test_scans_say_what_they_are_without_whose(folder):
    scan = bodycomp.read_scan(Path("ct"))
    assert str(scan).startswith("DICOM, 12 slices of 128 x 128")
    assert scan.series_uid not in f"{scan!r}{scan}"


def test_zip_files_stay_unpacked_as_long_as_their_scan(folder):
    shutil.make_archive("ct", "zip", "ct")
    scan = bodycomp.read_scan("ct.zip")
    files = scan.files
    np.testing.assert_array_equal(scan.volume.hu, bodycomp.read_scan("ct").volume.hu)
    assert all(file.is_file() for file in files)
    del scan
    assert not any(file.exists() for file in files)


def test_a_zip_file_of_one_volume_is_read(folder):
    Path("packed").mkdir()
    shutil.copy("ct.nii.gz", "packed")
    shutil.make_archive("packed", "zip", "packed")
    for name in ("packed.zip", "packed"):
        assert bodycomp.read_scan(name).source == "NIfTI"


def test_unknown_keywords_are_refused_by_name(folder):
    with pytest.raises(TypeError, match=r"analyze\(\).*'widgets'"):
        bodycomp.analyze("ct", "out", models="models", widgets=3)
    with pytest.raises(TypeError, match=r"train_segmentation\(\).*'levels'"):
        bodycomp.train_segmentation("masks", "runs", levels=["L3"])
    with pytest.raises(TypeError, match=r"prepare_segmentation\(\).*'near_mm'"):
        bodycomp.prepare_segmentation("cases.csv", "masks", near_mm=3)


def test_models_default_to_the_folder_of_the_environment(monkeypatch):
    monkeypatch.setenv("BODYCOMP_MODELS", "nowhere")
    with pytest.raises(bodycomp.BodycompError, match="nowhere"):
        bodycomp.load_models()
    assert "BODYCOMP_MODELS" in os.environ

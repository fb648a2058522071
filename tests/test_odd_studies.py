"""Every odd study has its right answer, identifies nobody in a log, and is documented."""

from __future__ import annotations

import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pydicom
import pytest

from bodycomp.analysis.pipeline import AnalysisOptions, Analyzer
from bodycomp.errors import InputNotFoundError, SeriesError
from bodycomp.imaging.volume import Volume
from bodycomp.progress import no_progress
from bodycomp.reading.read_scan import read_scan
from bodycomp.study.options import AnalyzeOptions
from bodycomp.study.run import analyze_inputs
from bodycomp.study.search import opened_work
from support.odd_studies import ODD_STUDIES, PATIENT_ID, PATIENT_NAME, VOLUME, OddStudy
from support.stand_ins import BodyIsMuscle, LevelAt

IDENTIFYING = (
    "PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "SeriesInstanceUID",
    "SOPInstanceUID", "FrameOfReferenceUID", "AccessionNumber",
)  # fmt: skip
DOCUMENT = Path(__file__).parents[1] / "docs/studies.md"


def read_all(given: Path, folder: Path) -> tuple[list[Volume], list[str], str]:
    """Volumes, kinds of refusals, and everything that is said of them, as a run does it."""
    options = AnalyzeOptions(inputs=(given,), models_dir=folder, out_dir=folder / "out", workers=0)
    with opened_work(options, no_progress) as work:
        kinds = [row.kind for row in work.refused]
        said = [row.reason for row in (*work.refused, *work.series)]
        volumes = []
        for source in work.sources:
            for one in (source, *work.fallbacks.get(source.study, ())):
                try:
                    loaded = one.load()
                except SeriesError as error:
                    kinds.append("not readable")
                    said.append(error.message)
                    continue
                volumes.append(loaded.volume)
                said.append("; ".join(loaded.notes))
                break
    return volumes, sorted(kinds), "\n".join(said)


@pytest.mark.parametrize("study", ODD_STUDIES, ids=lambda study: study.name)
def test_odd_study_has_its_answer(
    tmp_path: Path,
    study: OddStudy,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    given = study.make(folder) or folder
    secrets = identifying_values(folder)
    caplog.clear()
    caplog.set_level("DEBUG")
    before = files_of(tmp_path)

    volumes, kinds, said = read_all(given, tmp_path)

    assert sorted(len(volume) for volume in volumes) == sorted(study.read), said
    assert tuple(kinds) == study.refused, said
    assert study.words in said
    for volume in volumes if study.same else ():
        np.testing.assert_array_equal(volume.hu, VOLUME.hu)
    assert files_of(tmp_path) == before

    analyze(given, tmp_path)
    with suppress(SeriesError, InputNotFoundError):
        read_scan(given, min_slices=1)
    logged = f"{caplog.text}{said}{''.join(capfd.readouterr())}"
    assert [secret for secret in secrets if secret in logged] == []


def files_of(folder: Path) -> set[Path]:
    """Return every file beside and within the studies."""
    return {path for path in folder.rglob("*") if path.is_file()}


def identifying_values(folder: Path) -> set[str]:
    """What the headers in a folder say of patient, study and series, and the folder's path."""
    values = {str(folder), PATIENT_ID, *PATIENT_NAME.split("^"), "Doe", "24.12.1947"}
    for path in folder.rglob("*"):
        with warnings.catch_warnings(), suppress(Exception):
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
            for keyword in IDENTIFYING:
                values.add(str(dataset.get(keyword, "")))
    return {value for value in values if len(value) > 2}


def analyze(given: Path, folder: Path) -> None:
    """Run the analysis with stand-ins of the networks."""
    options = AnalyzeOptions(
        inputs=(given,),
        models_dir=folder,
        out_dir=folder / "out",
        previews=False,
        report=False,
        workers=0,
    )
    analyzer = Analyzer(LevelAt(-160.0), BodyIsMuscle(), AnalysisOptions())
    analyze_inputs(options, analyzer=analyzer)


def test_table_of_the_documentation_lists_every_odd_study() -> None:
    assert len(ODD_STUDIES) >= 50
    names = [study.name for study in ODD_STUDIES]
    assert len(set(names)) == len(names)
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [name for name in names if f"| {name} |" not in text] == []

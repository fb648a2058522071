"""What is logged: the tool's own words by default, tracebacks and other libraries with --debug."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from bodycomp.analysis.pipeline import Analyzer
from bodycomp.dicom.header import SeriesHeader
from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.dicom.write import write_ct_series
from bodycomp.imaging.volume import Volume
from bodycomp.preparation.cases import Case
from bodycomp.preparation.refusals import refusal
from bodycomp.processes import helper_processes
from bodycomp.study.options import AnalyzeOptions
from bodycomp.study.run import analyze_inputs
from support.stand_ins import BodyIsMuscle, LevelAt

COMMAND = """
import logging, sys
from argparse import Namespace
import bodycomp.cli

def run(arguments):
    logging.getLogger("pydicom").warning("Invalid value for VR UI: '1.2.840.SECRET'")
    logging.getLogger("bodycomp.study").info("own words")
    logging.getLogger("bodycomp.study").debug("own details")
    return 0

parser = bodycomp.cli.build_parser()
parser.parse_args = lambda _: Namespace(run=run, debug="--debug" in sys.argv, quiet=False)
bodycomp.cli.build_parser = lambda *_: parser
sys.exit(bodycomp.cli.main([]))
"""


@pytest.mark.parametrize(
    ("option", "said"), [("", [False, True, False]), ("--debug", [True, True, True])]
)
def test_command_prints_what_other_libraries_log_with_debug_alone(
    option: str, said: list[bool]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, option], capture_output=True, text=True, check=True
    )
    assert [text in done.stderr for text in ("SECRET", "own words", "own details")] == said


class Broken(LevelAt):
    """A network that fails."""

    def __call__(self, *_: object, **__: object) -> np.ndarray:
        raise ValueError("out of range")


def test_fault_of_one_series_is_logged_with_its_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hu = np.full((12, 8, 8), -1000, np.int16)
    hu[:, 2:6, 2:6] = 40
    volume = Volume(hu, (1.0, 1.0), 5.0 * np.arange(12))
    write_ct_series(tmp_path / "in", volume, SeriesHeader(seed="s"))
    options = AnalyzeOptions(
        inputs=(tmp_path / "in",),
        models_dir=tmp_path,
        out_dir=tmp_path / "out",
        report=False,
        workers=0,
    )
    with caplog.at_level(logging.DEBUG, logger="bodycomp"):
        report = analyze_inputs(options, analyzer=Analyzer(Broken(), BodyIsMuscle()))
    assert [refused.kind for refused in report.refused] == ["fault"]
    assert "Traceback" in caplog.text
    assert "ValueError: out of range" in caplog.text


@pytest.mark.parametrize("debug", [True, False])
def test_helper_processes_print_tracebacks_with_debug_alone(
    capfd: pytest.CaptureFixture[str], debug: bool
) -> None:
    logger = logging.getLogger("bodycomp")
    level = logger.level
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    try:
        with helper_processes(1) as pool:
            fault = pool.submit(refusal, Case("row 2", "A", Path("a")), ValueError("out of range"))
            assert fault.result().kind == "ValueError"
    finally:
        logger.setLevel(level)
    assert ("ValueError: out of range" in capfd.readouterr().err) is debug


def test_silence_ends_with_the_last_one_that_asked_for_it(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    dataset = pydicom.Dataset()
    with quiet_pydicom():
        with quiet_pydicom():
            dataset.StudyInstanceUID = "1.2.Doe"
        dataset.SeriesInstanceUID = "1.2.Doe"
    assert caplog.text == ""
    assert not recwarn.list
    with pytest.warns(UserWarning, match=r"1\.2\.Doe"):
        dataset.SOPInstanceUID = "1.2.Doe"
    assert "1.2.Doe" in caplog.text

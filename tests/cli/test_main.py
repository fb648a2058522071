"""The command as a whole: help without heavy imports, errors without tracebacks."""

import signal
import subprocess
import sys
from argparse import Namespace

import pytest

import bodycomp.cli
from bodycomp.cli import COMMANDS, main
from bodycomp.errors import RunInterruptedError, TrainingSetError, UsageError

HEAVY = ("torch", "lightning", "matplotlib", "numpy", "pydicom", "scipy")
LINES = (
    [],
    ["train", "segmentation"],
    ["train", "slice-selection"],
    ["prepare", "segmentation"],
    ["prepare", "slice-selection"],
    ["review", "apply"],
    *([name] for name in COMMANDS),
)


def test_help_imports_nothing_heavy() -> None:
    """All commands in one process: what one of them imports shows after it."""
    code = (
        "import sys\n"
        "from bodycomp.cli import main\n"
        f"for command in {LINES!r}:\n"
        "    try:\n"
        "        main([*command, '--help'])\n"
        "    except SystemExit as end:\n"
        "        assert end.code == 0\n"
        f"    heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "    assert not heavy, (command, heavy)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: bodycomp") == len(LINES)


def _run_that_raises(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def fail(_: Namespace) -> int:
        raise error

    parser = bodycomp.cli.build_parser()
    monkeypatch.setattr(
        parser, "parse_args", lambda _: Namespace(run=fail, debug=False, quiet=True)
    )
    monkeypatch.setattr(bodycomp.cli, "build_parser", lambda _: parser)
    return main([])


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("expected A, found B", hint="Do C."), 2, "expected A, found B\nDo C."),
        (TrainingSetError("train_masks.npy: broken"), 1, "train_masks.npy: broken"),
        (RunInterruptedError("stopped", signal_number=signal.SIGTERM), 143, "stopped"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (FileNotFoundError(2, "No such file or directory", "scan.dcm"), 1, "scan.dcm"),
        (ZeroDivisionError("division by zero"), 70, "--debug"),
    ],
)
def test_every_failure_is_a_message_and_an_exit_code(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _run_that_raises(monkeypatch, error) == code
    printed = capsys.readouterr()
    assert said in printed.err
    assert "Traceback" not in printed.err


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["measure"])
    assert end.value.code == 2
    assert "measure" in capsys.readouterr().err


def test_what_libraries_tell_is_not_passed_on(tmp_path) -> None:
    code = (
        "import logging\n"
        "from bodycomp.cli import main\n"
        f"main(['validate', {str(tmp_path)!r}])\n"
        "logging.getLogger('library').info('identifier')\n"
        "logging.getLogger('bodycomp.part').info('progress')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "progress" in done.stderr
    assert "identifier" not in done.stderr

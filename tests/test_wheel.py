"""A built wheel, in a folder of its own, runs the command and makes a patient."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.xdist_group("wheel")  # built once


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack a fresh wheel; the libraries it needs come from the environment of the tests."""
    folder, sources = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("sources")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    # A build folder in the checkout would bring modules along that are no more.
    shutil.copytree(ROOT / "src", sources / "src", ignore=shutil.ignore_patterns("*.egg-info"))
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(folder)]
    subprocess.run([*build, str(sources)], check=True, capture_output=True)
    (wheel,) = folder.glob("bodycomp-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.mark.slow
def test_the_wheel_runs_help_and_phantom(installed: Path, tmp_path: Path) -> None:
    def bodycomp(*arguments: str) -> str:
        code = f"import sys; sys.path.insert(0, {str(installed)!r}); import bodycomp.cli as c; "
        code += f"assert c.__file__.startswith({str(installed)!r}), c.__file__; "
        code += f"sys.exit(c.main({list(arguments)!r}))"
        command = [sys.executable, "-I", "-c", code]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, cwd=tmp_path
        ).stdout

    assert "usage: bodycomp" in bodycomp("--help")
    bodycomp("phantom", "out", "--patients", "1", "--seed", "113", "--no-dicom", "--jobs", "1")
    assert (tmp_path / "out" / "cohort.csv").exists()


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_no_test(installed: Path) -> None:
    source = {path.relative_to(ROOT / "src") for path in (ROOT / "src").rglob("*.py")}
    packed = {path.relative_to(installed) for path in installed.rglob("*.py")}
    assert packed == source
    kernels = {path.name for path in (ROOT / "src").rglob("*.[ch]")}
    assert {path.name for path in installed.rglob("*.[ch]")} == kernels
    assert (installed / "bodycomp" / "py.typed").exists()

"""Commands, links and names in the documentation and in benchmarks are those of the code."""

import ast
import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from bodycomp.cli import build_parser

ROOT = Path(__file__).parents[1]
SCRIPTS = (*sorted((ROOT / "benchmarks").rglob("*.py")), *sorted((ROOT / "docs").rglob("*.py")))
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def _shell_lines(page: Path) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split("#")[0].strip() for line in lines if line.strip()]


COMMANDS = [(page.name, line) for page in PAGES for line in _shell_lines(page)]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_every_command_is_one_that_the_program_accepts(page: str, line: str) -> None:
    program, *arguments = shlex.split(line)
    if program == "make":
        assert set(arguments) <= TARGETS
    elif program.endswith("bodycomp"):
        build_parser().parse_args(arguments)
    elif program.endswith("train_segmentation.py"):
        build_parser().parse_args(["train", "segmentation", *arguments])
    elif program.endswith("train_slice_selection.py"):
        build_parser().parse_args(["train", "slice-selection", *arguments])
    else:
        assert program in {"git", "cd", "tensorboard"}, f"{page}: nothing checks {line!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_architecture_page_names_every_room() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    for entry in (ROOT / "src" / "bodycomp").iterdir():
        if entry.suffix == ".py" and not entry.name.startswith("__"):
            assert f"`{entry.name}`" in text or f"`{entry.stem}`" in text, entry.name
        elif entry.is_dir() and entry.name != "__pycache__":
            assert f"`{entry.name}/`" in text or f"`{entry.name}`" in text, entry.name


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_what_a_script_takes_from_the_package_is_there(script: Path) -> None:
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bodycomp"):
            module = importlib.import_module(str(node.module))
            for name in node.names:
                full_name = f"{node.module}.{name.name}"
                assert hasattr(module, name.name) or importlib.util.find_spec(full_name), full_name

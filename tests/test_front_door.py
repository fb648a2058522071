"""What ``import bodycomp`` offers, and what it costs."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bodycomp
from bodycomp.cli import COMMANDS
from bodycomp.study.options import AnalyzeOptions

NAMES = [
    "BodycompError", "Models", "Scan", "SeriesResult", "analyze", "apply_review",
    "benchmark_saros", "benchmark_verse", "card", "compare",
    "discover_cases", "ensemble", "evaluate", "fit_reference",
    "import_keras", "list_models", "load_models",
    "measure", "prepare_from_review", "prepare_nnunet", "prepare_saros", "prepare_segmentation",
    "prepare_slice_selection", "prepare_tag", "prepare_totalsegmentator", "prepare_verse",
    "pull", "read_scan", "reader_agreement", "remeasure", "show", "suggest", "train_segmentation",
    "train_slice_selection", "validate", "write_phantom", "write_redcap", "write_report",
]  # fmt: skip
PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
STUB = Path(bodycomp.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
IMPORT = """
import sys, time
began = time.process_time()
import bodycomp
print(time.process_time() - began)
assert not {"numpy", "torch", "pydicom", "typing"} & (set(sys.modules) - before)
"""


def test_the_names_are_these():
    assert sorted(bodycomp.__all__) == NAMES
    assert set(NAMES) <= set(dir(bodycomp))
    with pytest.raises(AttributeError, match="nothing"):
        _ = bodycomp.nothing


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there_documented_and_on_the_page(name):
    found = getattr(bodycomp, name)
    assert inspect.getdoc(found)
    assert f"`{name}`" in PAGE
    assert re.search(rf"^from (\S+) import {name} as {name}$", STUB, re.MULTILINE)


def test_commands_call_the_interface_and_nothing_behind_it():
    for name in COMMANDS:
        code = (Path(bodycomp.__file__).parent / "cli" / f"{name.replace('-', '_')}.py").read_text()
        called = re.findall(r"^    from bodycomp\.(\w+)", code, re.MULTILINE)
        assert "interface" in called
        assert not {"analysis", "cohort", "demo", "networks", "reading", "training"} & set(called)


def test_import_is_fast_and_loads_nothing_heavy():
    code = "import sys\nbefore = set(sys.modules)\n" + IMPORT
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 0.05


def test_names_are_looked_up_without_torch():
    code = f"import bodycomp, sys\nfor name in {NAMES}: getattr(bodycomp, name)\n"
    code += "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_signatures_name_every_option_with_its_default():
    parameters = inspect.signature(bodycomp.analyze).parameters
    assert parameters["range_mm"].default == 0.0
    own = {"inputs", "out", "models", "workers", "progress"}
    fields = set(AnalyzeOptions.__dataclass_fields__) - {"inputs", "out_dir", "models_dir"}
    assert set(parameters) == own | fields
    assert inspect.signature(bodycomp.train_segmentation).parameters["batch_size"].default == 4
    nested = inspect.signature(bodycomp.prepare_segmentation).parameters
    assert {"labels", "split", "levels_first_slice", "max_per_scan"} <= set(nested)
    assert inspect.signature(bodycomp.evaluate).parameters["bootstrap"].default == 2000
    loading = inspect.signature(bodycomp.load_models).parameters
    assert set(loading) == {
        *("folder", "range_mm", "between", "full", "intervals", "device", "engine", "references"),
    }


def test_help_explains_every_option():
    words = inspect.getdoc(bodycomp.analyze)
    assert "identifiers: write patient ID" in words
    assert "previews: if False, write no pictures" in words

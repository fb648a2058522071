"""The kernels are compiled once, and nothing fails where they cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch  # noqa: F401 - the kernels share its threads

import bodycomp.kernels
from bodycomp.kernels import library
from bodycomp.kernels.build import build, find_compiler, load

COMPILER = find_compiler()
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no gcc here")

STEP = """
import torch
from bodycomp.kernels import build, library
from bodycomp.networks.densenet import DenseNet, DenseNetConfig
from bodycomp.networks.fast import speed_up
build._processor = lambda: "flags: avx512bw"
speed_up(DenseNet(DenseNetConfig(nb_blocks=1)))(torch.rand(1, 1, 32, 32)).sum().backward()
print("kernels" if library() else "operators")
"""


@needs_compiler
def test_compiled_once_and_again_if_damaged(tmp_path):
    first = build(COMPILER, tmp_path)
    written = first.stat().st_mtime_ns
    assert build(COMPILER, tmp_path) == first
    assert first.stat().st_mtime_ns == written
    assert [path.name for path in tmp_path.iterdir()] == [first.name]
    first.write_bytes(b"cut short")
    assert load(COMPILER, tmp_path).norm_backward_f32


@pytest.mark.parametrize("processor", ["flags: fma avx2", "flags: avx2 avx512f avx512bw avx512vl"])
@needs_compiler
def test_kernels_are_for_processors_with_avx512(processor, monkeypatch):
    monkeypatch.setattr(bodycomp.kernels.build, "_processor", lambda: processor)
    library.cache_clear()
    assert (library() is not None) == ("avx512bw" in processor)
    library.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["compiler", "switch", "cache"])
def test_without_kernels_the_operators_train(missing, tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    if missing == "compiler":
        environment["PATH"] = str(tmp_path)
    elif missing == "switch":
        environment["BODYCOMP_NATIVE"] = "0"
    else:
        (tmp_path / "bodycomp").write_text("a file where the folder should be")
    done = subprocess.run(
        [sys.executable, "-c", STEP], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "operators\n"
    assert "Traceback" not in done.stderr


def test_the_sources_are_part_of_the_package():
    folder = Path(bodycomp.kernels.__file__).parent
    assert {path.name for path in folder.glob("*.c")} >= {"norm.c", "bottleneck.c"}

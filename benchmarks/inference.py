"""Running trained networks: engines side by side, and a study from files on disk to its results.

``python -m benchmarks.inference [MODELS]`` runs it alone. Without MODELS, a folder as
``bodycomp analyze --models`` takes it, or ``default`` for those that ship, both default networks of
trainings have random weights: engines take the same time, but no level is found in the study and
nothing segmented there. An engine that a network does not have is said to be missing.
OpenVINO takes part where it is installed; ``bodycomp`` does not use it.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bodycomp.analysis.loading import load_analyzer, model_path
from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.cohort.study import study_header
from bodycomp.dicom.write import write_ct_series
from bodycomp.errors import UsageError
from bodycomp.imaging.preprocessing import SEGMENTATION_PREPROCESSING, SLICE_SELECTION_PREPROCESSING
from bodycomp.imaging.projection import bone_share, project
from bodycomp.imaging.volume import Volume
from bodycomp.networks.checkpoint import ModelCard, build_network, load_model, save_model
from bodycomp.networks.engine import make_engine
from bodycomp.networks.ensemble import sees_series
from bodycomp.networks.folded import FoldedUNet
from bodycomp.networks.shipped import SEGMENTATION_FOLDER, SLICE_SELECTION_FOLDER
from bodycomp.networks.unet import UNet
from bodycomp.phantom import Torso, sample_patient, sample_scan
from bodycomp.study.options import AnalyzeOptions
from bodycomp.study.run import analyze_inputs

SLICES = 300
SPACING_MM = 1.5
ROUNDS = 5
ENGINES = ("reference", "folded", "bf16")


def write_study(folder: Path, index: int = 0) -> Volume:
    """Write a phantom series of 300 slices of 512 x 512 around L3."""
    patient = sample_patient(3, index)
    torso, scan = Torso(patient), sample_scan(patient)
    z_mm = torso.level_z_mm["L3"] - 180 + SPACING_MM * np.arange(SLICES, dtype=np.float64)
    hu = np.stack([torso.render_slice(scan, float(z))[0] for z in z_mm]).astype(np.int16)
    volume = Volume(hu, (scan.pixel_spacing_mm, scan.pixel_spacing_mm), z_mm)
    write_ct_series(folder, volume, study_header("bench", patient, scan))
    return volume


def write_random_models(folder: Path) -> Path:
    """Write both default networks with random weights."""
    cards = {
        "slice-selection": ModelCard(
            *("slice_selection", "densenet", {}, SLICE_SELECTION_PREPROCESSING),
            levels=("L3",),
            target_scale_mm=10.0,
        ),
        "segmentation": ModelCard(
            *("segmentation", "unet", {}, SEGMENTATION_PREPROCESSING), tissues=ABDOMINAL_TISSUES
        ),
    }
    for name, card in cards.items():
        save_model(folder / name, build_network(card), card)
    return folder


def engine_rows(models: Path, volume: Volume) -> list[tuple[str, str]]:
    """Time engines in turns, in wall and processor time, and compare what they give."""
    rows = []
    for name in (SLICE_SELECTION_FOLDER, SEGMENTATION_FOLDER):
        model = load_model(model_path(models, name))
        batch = _input_of(model.card, volume)
        network = model.network.requires_grad_(False)
        runs: dict[str, Callable[[Tensor], Tensor]] = {}
        for engine in ENGINES:
            try:
                runs[engine] = make_engine(network, torch.device("cpu"), engine).run
            except UsageError as error:
                rows.append((f"{name}, {engine}", f"not measured: {error.message}"))
        for kind in ("f32", "bf16") if importlib.util.find_spec("openvino") else ():
            runs[f"OpenVINO {kind}"], seconds = _openvino(network, batch, kind)
            rows.append((f"{name}, OpenVINO {kind}, compiling", f"{seconds:.1f} s"))
        rows += _compare(name, runs, batch)
    return rows


def _input_of(card: ModelCard, volume: Volume) -> Tensor:
    """Return some slices, or the projections of the series, as the network takes them."""

    def image(index: int) -> NDArray[np.float32]:
        return card.preprocessing.from_hu(volume.hu[index])

    if sees_series(card):
        white, window = np.float32(card.preprocessing.input_max), card.preprocessing.window
        z_mm = np.asarray(volume.slice_z_mm, np.float64)
        views = project(lambda index: bone_share(image(index) / white, window), z_mm)
        return torch.from_numpy(views[None])
    slices = [SLICES // 2] if card.task == "segmentation" else range(4, SLICES, 20)
    return torch.from_numpy(np.stack([image(index) for index in slices])[:, None])


def _compare(
    name: str, runs: dict[str, Callable[[Tensor], Tensor]], batch: Tensor
) -> list[tuple[str, str]]:
    rows = []
    with torch.inference_mode():
        given = {how: run(batch) for how, run in runs.items()}
        times: dict[str, list[tuple[float, float]]] = {how: [] for how in runs}
        for _ in range(ROUNDS):
            for how, run in runs.items():
                wall, cpu = time.perf_counter(), time.process_time()
                run(batch)
                times[how].append((time.perf_counter() - wall, time.process_time() - cpu))
    for how, taken in times.items():
        wall, cpu = (1000 * median(column) / len(batch) for column in zip(*taken, strict=True))
        what = "slice" if batch.shape[1] == 1 else "series"
        said = f"{wall:.0f} ms a {what}, {cpu:.0f} ms of processor time; "
        said += _agreement(given[how], given["reference"])
        rows.append((f"{name}, {how}", said))
    return rows


def _agreement(found: Tensor, reference: Tensor) -> str:
    if found.ndim < 4:
        return f"scores within {(found.sigmoid() - reference.sigmoid()).abs().max():.1e}"
    labels, expected = found.argmax(1), reference.argmax(1)
    areas = [(int((labels == k).sum()), int((expected == k).sum())) for k in range(1, 4)]
    worst = max(abs(a - b) / max(b, 1) for a, b in areas)
    return f"{(labels == expected).float().mean():.3%} of pixels, areas within {worst:.2%}"


def _openvino(
    network: nn.Module, batch: Tensor, kind: str
) -> tuple[Callable[[Tensor], Tensor], float]:
    import openvino  # noqa: PLC0415 - only where it is installed

    work = FoldedUNet(network, torch.float32) if isinstance(network, UNet) else network

    class Folded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = work(x)
            return found

    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = openvino.convert_model(
            Folded().eval(),
            example_input=batch,
            input=[openvino.PartialShape(list(batch.shape))],
        )
    compiled = openvino.Core().compile_model(
        model,
        "CPU",
        {"INFERENCE_PRECISION_HINT": kind, "INFERENCE_NUM_THREADS": torch.get_num_threads()},
    )
    return (
        lambda x: torch.from_numpy(compiled(x.numpy())[0]),
        time.perf_counter() - began,
    )


def study_rows(study: Path, models: Path, rounds: int = 3) -> list[tuple[str, str]]:
    """Time whole commands, each a process of its own: cold, and with models loaded."""
    rows = []
    for how, worker in (("as a cold command", "cold"), ("with models loaded", "warm")):
        said = [_study_process(worker, study, models) for _ in range(rounds)]
        wall, cpu, peak = (median(column) for column in zip(*said, strict=True))
        rows.append(
            (
                f"{SLICES} slices to results {how}",
                f"{wall:.1f} s, {cpu:.1f} s of processor time, peak {peak:.0f} MB",
            )
        )
        if worker == "warm":
            rows.append(("studies a minute, one after another", f"{60 / wall:.1f}"))
    return rows


LAUNCH = """
import resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True)
taken = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(taken, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3)
"""
"""Runs a command from a small process: Linux counts memory of who starts it as the command's."""


def _study_process(worker: str, study: Path, models: Path) -> tuple[float, float, float]:
    """Return wall and processor seconds and the peak in MB."""
    with tempfile.TemporaryDirectory() as name:
        arguments = [str(study), "--models", str(models), "--out", f"{name}/out"]
        command = [sys.executable, "-m", "bodycomp", "--quiet", "analyze", *arguments]
        if worker == "warm":
            command = [sys.executable, "-m", "benchmarks.inference", "--warm", *arguments]
        done = subprocess.run(
            [sys.executable, "-c", LAUNCH, *command],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
        )
        *others, last = done.stdout.splitlines()
        wall, cpu, peak = map(float, last.split())
        if worker == "warm":
            wall, cpu = map(float, others[-1].split())
        return wall, cpu, peak


def _warm(study: Path, models: Path, out: Path) -> None:
    """Analyse a study twice with the models loaded once; print what the second time took."""
    analyzer = load_analyzer(models, device="cpu")
    for name in ("first", "second"):
        wall, cpu = time.perf_counter(), time.process_time()
        options = AnalyzeOptions(inputs=(study,), models_dir=models, out_dir=out / name)
        analyze_inputs(options, analyzer=analyzer)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(wall, cpu)


def run(models: Path | None = None) -> list[tuple[str, str]]:
    """Return rows of (what, result)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        volume = write_study(folder / "study")
        models = models or write_random_models(folder / "models")
        load = ("load of the machine (one minute)", f"{os.getloadavg()[0]:.1f}")
        return [load, *engine_rows(models, volume), *study_rows(folder / "study", models)]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--warm"]:
        _warm(Path(sys.argv[2]), Path(sys.argv[4]), Path(sys.argv[6]))
    else:
        for what, result in run(Path(sys.argv[1]) if sys.argv[1:] else None):
            print(f"{what:50} {result}", flush=True)

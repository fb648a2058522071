"""Real faults in real trainings: each leaves a whole checkpoint and says what to do.

The faults are made in forked processes by ``fault_harness.py``. Trainings that are resumed after
one must end with the same weights as one that nothing happened to.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from bodycomp.training.fit import train_slice_selection
from bodycomp.training.steps.checkpoints import read_step
from support.factories import make_segmentation_set, make_slice_set

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("faults"),  # the trainings of all tests run once
    pytest.mark.skipif(sys.platform != "linux", reason="needs fork and /proc"),
]

HERE = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
KILLS_APART = 10
"""Of a training's writes this one and its multiples are forestalled by SIGKILL, from another first
one in every run; all of them take too long here."""


INTERRUPTIONS = {"ctrl-c": (signal.SIGINT, 130, 4), "sigterm": (signal.SIGTERM, 143, 5)}
"""Signal, exit code, and step: 4 lies within an epoch, 5 is the last of one, whose evaluation is
put off as well."""


@dataclass
class Plans:
    """Trainings to be run one after another, and what became of them."""

    runs: Path
    plans: list[dict] = field(default_factory=list)
    results: dict[str, dict] = field(default_factory=dict)

    def add(self, name: str, arguments: list, **fault: object) -> None:
        """Add a training that a fault ends."""
        repair = fault.pop("repair", [])
        values = [str(value) for value in arguments]
        self.plans.append({"name": name, "arguments": values, "fault": fault, "repair": repair})

    def run(self) -> None:
        """Run what was added since."""
        file = self.runs / "plan.json"
        file.write_text(json.dumps(self.plans, default=str), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "support.fault_harness", file],
            env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": HERE},
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == 0, done.stderr
        self.results |= {result["name"]: result for result in json.loads(done.stdout)}
        self.plans.clear()

    def folder(self, name: str) -> Path:
        """Return the folder of a run."""
        return self.runs / name

    def check(self, name: str, *words: str) -> None:
        """Assert that a run failed with a message for people, which the manifest keeps."""
        result = self.results[name]
        assert result["code"] == 1, result["said"]
        assert "Traceback" not in result["said"]
        assert result["manifest"]["exit_state"] == "failed"
        for word in words:
            assert word in result["said"]
            assert word in result["manifest"]["reason"]

    def check_resumed(self, name: str, other: Path) -> None:
        """Assert that a run went on after its fault, and ended as another one."""
        result = self.results[f"{name} resumed"]
        assert result["code"] == 0, result["said"]
        output_dir = Path(self.results[name]["output_dir"])
        assert not list(output_dir.rglob(".*.part"))
        assert_same(output_dir / name, other)


def densenet(data: Path, runs: Path, name: str, *more: object) -> list:
    return [
        *("train", "slice-selection", data, runs, "-a", name, "-e", 2, "-b", 4, "-L", "L3", "T8"),
        *("--nb_blocks", 2, "--nb_layers_per_block", 1),
        *("--nb_initial_filters", 4, "--growth_rate", 4, "--image_size", 64, *more),
    ]


def unet(data: Path, runs: Path, name: str, *more: object) -> list:
    return [
        *("train", "segmentation", data, runs, "-a", name),
        *("-e", 2, "-b", 2, "-C", 2, 4, "-M", 2, *more),
    ]


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes = {"train": 12, "val": 5}
    folder = tmp_path_factory.mktemp("slices")
    return make_slice_set(folder, sizes, levels=("L3", "T8"), sizes=((64, 64),))


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """A file system of 2 MB in memory; None where we may not mount one."""
    place = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "bodycomp-test", place]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        yield None
        return
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, slices: Path, small_disk: Path | None) -> Plans:
    """All trainings of this file but the killed ones, run in one go."""
    plans = Plans(tmp_path_factory.mktemp("runs"))
    runs = plans.runs
    plans.add("whole", densenet(slices, runs, "whole"))
    plans.add("worker", densenet(slices, runs, "worker", "--num_workers", 2), kind="worker")
    plans.add("worker resumed", densenet(slices, runs, "worker", "--resume"))
    both = ("--gpus", 0, "--processes", 2)
    plans.add("helper", densenet(slices, runs, "helper", *both), kind="helper")
    plans.add("helper resumed", densenet(slices, runs, "helper", "--resume", *both))
    plans.add("parent", densenet(slices, runs, "parent", *both), kind="kill")
    plans.add("parent resumed", densenet(slices, runs, "parent", "--resume", *both))
    plans.add("nan", densenet(slices, runs, "nan"), kind="poison")
    paths = sorted((slices / "images" / "val").iterdir())
    kept = [[shutil.copy(path, runs / f"copy-{path.name}"), path] for path in paths]
    plain = ("--cache_gb", 0)  # decoded slices in the cache would do without the files
    faults = {"kind": "remove", "step": 0, "paths": paths}
    plans.add("png", densenet(slices, runs, "png", "--num_workers", 1, *plain), **faults)
    plans.add("png resumed", densenet(slices, runs, "png", "--resume", *plain), repair=kept)
    data = make_segmentation_set(tmp_path_factory.mktemp("masks"), {"train": 5, "val": 2})
    images = data / "train_images.npy"
    copy = shutil.copy(images, runs / "copy.npy")
    plans.add("cut", unet(data, runs, "cut"), kind="truncate", path=images)
    repair = [[copy, images]]
    plans.add("cut resumed", unet(data, runs, "cut", "--resume"), repair=repair)
    plans.add("unet", unet(data, runs, "unet"))
    plans.add("killed unet", unet(data, runs, "killed unet"), kind="kill")
    plans.add("killed unet resumed", unet(data, runs, "killed unet", "--resume"))
    three = ("-e", 3)
    plans.add("three", densenet(slices, runs, "three", *three))
    for name, (number, _, step) in INTERRUPTIONS.items():
        interrupted = densenet(slices, runs, name, *three)
        plans.add(name, interrupted, kind="signal", number=int(number), step=step)
        last = runs / name / "checkpoints" / "last.ckpt"
        keep = [[last, runs / f"{name}.ckpt"]]
        plans.add(f"{name} resumed", [*interrupted, "--resume"], repair=keep)
    plans.add(
        "cut2",
        unet(data, runs, "cut2", "--num_workers", 1),
        kind="truncate",
        step=1,
        path=images,
    )
    large = ("-b", 5, "-C", 32, 32, "-M", 32)
    plans.add(
        "memory", unet(data, runs, "memory", *large), kind="memory", megabytes=100, repair=repair
    )
    if small_disk is not None:
        full = {"kind": "fill", "path": small_disk}
        plans.add("disk", densenet(slices, small_disk, "disk"), **full)
        again = densenet(slices, small_disk, "disk", "--resume")
        plans.add("disk resumed", again, repair=[[small_disk / "ballast"]])
    plans.run()
    return plans


def assert_same(run: Path, other: Path) -> None:
    weights = [path / "model" / "weights.safetensors" for path in (run, other)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    states = [
        torch.load(path / "checkpoints" / "last.ckpt", weights_only=True) for path in (run, other)
    ]
    assert states[0]["bodycomp"]["step"] == states[1]["bodycomp"]["step"]
    for name, weight in states[0]["state_dict"].items():
        assert torch.equal(weight, states[1]["state_dict"][name]), name


def read_rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [
        {k: v for k, v in row.items() if k not in {"images_per_s", "elapsed_s"}} for row in rows
    ]


def assert_same_run(run: Path, other: Path) -> None:
    """The same average, optimiser and metrics, too, bit for bit."""
    assert_same(run, other)
    states = [
        torch.load(path / "checkpoints" / "last.ckpt", weights_only=True) for path in (run, other)
    ]
    for name, average in states[0]["bodycomp_average"].items():
        assert torch.equal(average, states[1]["bodycomp_average"][name]), name
    moments = [state["optimizer_states"][0]["state"] for state in states]
    assert moments[0].keys() == moments[1].keys()
    for key, values in moments[0].items():
        for name, value in values.items():
            assert torch.equal(value, moments[1][key][name]), (key, name)
    assert read_rows(run) == read_rows(other)


def test_segmentation_killed_in_an_epoch_ends_as_if_it_never_was(done: Plans) -> None:
    killed, resumed = done.results["killed unet"], done.results["killed unet resumed"]
    assert killed["code"] == -signal.SIGKILL
    assert killed["manifest"]["exit_state"] == "running"
    assert resumed["manifest"]["exit_state"] == "finished"
    assert "epoch 0/1" not in resumed["said"]  # killed in the second of two epochs
    assert_same_run(done.folder("killed unet"), done.folder("unet"))


@pytest.mark.parametrize("name", INTERRUPTIONS)
def test_slice_selection_interrupted_in_good_order(done: Plans, name: str) -> None:
    _, code, step = INTERRUPTIONS[name]
    assert done.results[name]["code"] == code
    assert "--resume" in done.results[name]["said"]
    assert done.results[name]["manifest"]["exit_state"] == "interrupted"
    checkpoint = torch.load(done.runs / f"{name}.ckpt", weights_only=True)
    assert checkpoint["bodycomp"]["step"] == step + 1  # the running step was finished
    assert_same_run(done.folder(name), done.folder("three"))


def test_killed_at_any_moment(done: Plans, slices: Path) -> None:
    """SIGKILL before a file is made, renamed or removed: checkpoint, model, table, manifest."""
    never = 10**6
    plans = Plans(done.runs)
    arguments = densenet(slices, plans.runs, "counted")
    plans.add("counted", arguments, kind="moment", moment=never, run=plans.folder("counted"))
    plans.run()
    first = random.randrange(20, 20 + KILLS_APART)
    moments = [4, *range(first, plans.results["counted"]["moments"], KILLS_APART)]
    assert len(moments) > 4
    for moment in moments:
        name = f"killed{moment}"
        run = plans.folder(name)
        arguments = densenet(slices, plans.runs, name)
        plans.add(name, arguments, kind="moment", moment=moment, run=run)
        plans.add(f"{name} resumed", [*arguments, "--resume"])
    plans.run()
    assert plans.results[f"killed{moments[-1]} resumed"]["code"] == 0
    for moment in moments:
        name = f"killed{moment}"
        assert plans.results[name]["code"] == -signal.SIGKILL
        resumed = plans.results[f"{name} resumed"]
        if resumed["code"] == 0:
            assert_same(plans.folder(name), done.folder("whole"))
            assert not list(plans.folder(name).rglob(".*.part"))
        else:  # killed before there was anything to go on from
            assert "expected a run to continue" in resumed["said"]
            assert not list(plans.folder(name).glob("checkpoints/*.ckpt"))


def test_the_same_training_in_another_process_has_the_same_weights(done, slices, tiny_densenet):
    run = train_slice_selection(tiny_densenet(data_dir=slices, epochs=2, batch_size=4))
    assert_same(run, done.folder("whole"))


def test_a_lost_loading_process(done: Plans) -> None:
    done.check("worker", "a process that loads data was lost", "--num_workers", "--resume")
    done.check_resumed("worker", done.folder("whole"))


def test_a_lost_process_of_a_distributed_training(done: Plans) -> None:
    """The first process is lost in one of the trainings: the others then end by themselves."""
    done.check("helper", "another process of this training was ended by SIGKILL", "--resume")
    assert done.results["parent"]["code"] == -signal.SIGKILL
    assert done.results["parent"]["manifest"]["exit_state"] == "running"
    assert done.results["parent resumed"]["code"] == 0
    done.check_resumed("helper", done.folder("parent"))


def test_a_loss_that_is_not_a_number(done: Plans) -> None:
    done.check("nan", "no longer finite in step 5", "ten times smaller", "also after 3 returns")
    assert read_step(done.folder("nan") / "checkpoints" / "last.ckpt") == 3


def test_slices_that_disappear(done: Plans) -> None:
    """They are missed in a loading process, whose traceback is not for users."""
    done.check("png", "000000.png: expected this file, found none", "--resume")
    done.check_resumed("png", done.folder("whole"))


def test_an_array_that_is_cut_short(done: Plans) -> None:
    """In the second training the process that loads may be ended by SIGBUS before it is seen."""
    for name in ("cut", "cut2"):
        done.check(name, "train_images.npy to keep its", "found 1000", "--resume")
    done.check_resumed("cut", done.folder("unet"))


def test_memory_that_runs_out(done: Plans) -> None:
    """The advice is a batch size that was tried under the same limit."""
    done.check("memory", "memory does not hold a batch of 5 slices", "start a new run with")


def test_a_full_disk(done: Plans, small_disk: Path | None) -> None:
    if small_disk is None:
        pytest.skip("no right to mount a small file system")
    done.check("disk", "the disk is full", "Make room", "--resume")
    done.check_resumed("disk", done.folder("whole"))

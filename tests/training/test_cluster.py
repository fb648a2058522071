"""Trainings whose processes torchrun or Slurm started, each with the same command.

torchrun is the real one; Slurm's tasks are imitated by the variables that it sets.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bodycomp.cli import main
from bodycomp.training.machine.ranks import Ranks, outer_ranks
from support.ports import free_port

pytestmark = [
    pytest.mark.skipif(
        not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
        reason="this PyTorch has no gloo",
    ),
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX processes"),
]

SIGNAL_IN_ONE_TASK = """
plain_begin = training.Training.begin_step

def begin(self):
    if self.state.step == 4 and os.environ["SLURM_PROCID"] == "1" and "--resume" not in sys.argv:
        os.kill(os.getpid(), signal.SIGTERM)
    plain_begin(self)

training.Training.begin_step = begin
"""

SRUN = """
import json, os, signal, sys, tempfile
import torch._dynamo  # two seconds, which every task's optimizer would take
from bodycomp.cli import main
from bodycomp.training import fit
from bodycomp.training.steps import training

steps, change = map(json.loads, sys.argv[1:])
exec(change)

def start(arguments, environment):
    said = tempfile.TemporaryFile("w+")
    task = os.fork()
    if task == 0:
        os.environ.clear()
        os.environ.update(environment)
        os.dup2(said.fileno(), 2)
        sys.argv[1:] = arguments
        sys.exit(main(arguments))
    return task, said

def result(task, said):
    _, status = os.waitpid(task, 0)
    said.seek(0)
    return os.waitstatus_to_exitcode(status), said.read()

print(json.dumps([
    [result(*task) for task in [start(arguments, each) for each in environments]]
    for arguments, environments in steps
]))
"""
"""Runs the tasks of one step after another's; PyTorch is imported once, and every task begins
from there."""


def command(data: Path, output: Path, *more: str) -> list[str]:
    return [
        *("train", "slice-selection", str(data), str(output), "-L", "L3", "T8", "-b", "4"),
        *("--nb_blocks", "2", "--nb_layers_per_block", "1", "--nb_initial_filters", "4"),
        *("--growth_rate", "4", "-g", "0", "--precision", "32", "--omit_batch_norm"),
        *("--image_size", "64", *more),
    ]


def slurm_task(rank: int, port: int) -> dict[str, str]:
    return os.environ | {
        "OMP_NUM_THREADS": "1",
        "SLURM_JOB_ID": "4711",
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_TASKS_PER_NODE": "2",
        "SLURM_STEP_NODELIST": "127.0.0.1",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
        "SLURM_NODEID": "0",
        "MASTER_PORT": str(port),
    }


def srun(*steps: list[str], change: str = "") -> list[list[tuple[int, str]]]:
    """Run two tasks as srun does, for each command; return their exit codes and messages."""
    tasks = []
    for arguments in steps:
        port = free_port()
        tasks.append((arguments, [slurm_task(rank, port) for rank in range(2)]))
    done = subprocess.run(
        [sys.executable, "-c", SRUN, json.dumps(tasks), json.dumps(change)],
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    return [[(code, said) for code, said in step] for step in json.loads(done.stdout)]


def last_weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return state["state_dict"]


@pytest.mark.slow
def test_torchrun_trains_as_one_process_and_names_the_run_once(slice_set, tmp_path):
    arguments = command(slice_set, tmp_path, "-e", "2", "--no_augmentation")
    assert main([*arguments, "-a", "alone"]) == 0
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master-port"]
    done = subprocess.run(
        [sys.executable, *torchrun, str(free_port()), "-m", "bodycomp", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 1/1") == 1  # one process speaks
    (other,) = set(tmp_path.iterdir()) - {tmp_path / "alone"}
    for name, weight in last_weights(tmp_path / "alone").items():
        torch.testing.assert_close(last_weights(other)[name], weight, rtol=1e-3, atol=1e-6)
    manifest = json.loads((other / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["device"] == "2 processes on 1 machine (torchrun), CPU"


@pytest.mark.slow
def test_slurm_tasks_end_resumably_when_one_gets_sigterm_and_refuse_once(slice_set, tmp_path):
    (tmp_path / "there").mkdir()
    arguments = command(slice_set, tmp_path, "-e", "3", "-a", "run")
    interrupted, resumed, refused, bad = srun(
        arguments,
        [*arguments, "--resume"],
        command(slice_set, tmp_path, "-a", "there"),
        command(tmp_path, tmp_path / "out", "-a", "run"),  # found by the first task alone
        change=SIGNAL_IN_ONE_TASK,
    )
    assert [code for code, _ in interrupted] == [128 + signal.SIGTERM] * 2, interrupted
    assert [code for code, _ in resumed] == [0, 0], resumed
    with (tmp_path / "run" / "metrics.csv").open(encoding="utf-8") as stream:
        assert [row["epoch"] for row in csv.DictReader(stream)] == ["0", "1", "2"]
    assert [code for code, _ in refused] == [1, 1], refused
    assert "a run of this name exists" in refused[0][1]
    assert "process 1 ends because process 0 failed" in refused[1][1]
    assert [code for code, _ in bad] == [1, 1], bad
    assert not (tmp_path / "out").exists()


def test_a_batch_script_and_a_single_task_stand_alone():
    assert outer_ranks({"SLURM_JOB_ID": "1", "SLURM_NTASKS": "8", "SLURM_PROCID": "0"}) == Ranks()
    assert outer_ranks({"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}) == Ranks()


def test_a_rank_is_read_from_the_variables_of_slurm():
    variables = {
        "SLURM_JOB_ID": "123456",
        "SLURM_STEP_ID": "1",
        "SLURM_STEP_NUM_TASKS": "7",
        "SLURM_STEP_TASKS_PER_NODE": "3(x2),1",
        "SLURM_STEP_NODELIST": "node[07-09]",
        "SLURM_PROCID": "4",
        "SLURM_LOCALID": "1",
        "SLURM_NODEID": "1",
    }
    assert outer_ranks(variables) == Ranks(
        rank=4,
        world=7,
        address="node07",
        port=15000 + 3456 + 97,
        local_rank=1,
        local_world=3,
        node=1,
        nodes=3,
        starter="Slurm",
    )

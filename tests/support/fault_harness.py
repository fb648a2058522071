"""Runs trainings in forked children, each ended by a real fault; prints what became of them.

``python -m support.fault_harness PLAN.json``: the plan is a list of {"name", "fault", "arguments",
"repair"}; the last lists [from, to] to copy, or [file] to remove, before the training begins. The
answer, one JSON line, has for each the exit code, what was said, the manifest that was left, and
the number of moments seen.
PyTorch is imported once and every child begins from there, which saves seconds for each. The faults
are those of the operating system; only where they strike is arranged here.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import torch._dynamo  # two seconds, which every child's optimizer would take

import bodycomp.training.fit  # noqa: F401 - once, for all children
from bodycomp.cli import main
from bodycomp.training.steps.training import Training
from support.no_pictures import leave_pictures_out

WRITING = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir"}
WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def kill_at_moment(run: str, moment: int) -> Callable[[], int]:
    """SIGKILL before the n-th time that a file in the run's folder is made, renamed or removed."""
    seen = 0

    def watch(event: str, arguments: tuple) -> None:
        nonlocal seen
        writes = event in WRITING or (event == "open" and (arguments[2] or 0) & WRITE_FLAGS)
        if writes and run in str(arguments[0]):
            if seen == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

    sys.addaudithook(watch)
    return lambda: seen


def at_step(number: int, act: Callable[[Training], None]) -> None:
    """Do something within a step, between the way forward and the way back."""
    plain_observe = Training.observe

    def observe(self, loss):
        plain_observe(self, loss)
        if self.state.step == number:
            act(self)

    Training.observe = observe


def limit_memory(megabytes: int) -> None:
    """Set ulimit -v to what the process takes by now and a little more."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    now = int(status.split("VmSize:")[1].split()[0]) * 1024
    limit = now + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def kill_worker(_: Training) -> None:
    """SIGKILL a process that loads data."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    os.kill(int(children[0]), signal.SIGKILL)
    signal.pause()  # PyTorch's handler of SIGCHLD raises


def kill_helper(_: Training) -> None:
    """SIGKILL another process of the training."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    for child in children:
        if b"training.helper" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(int(child), signal.SIGKILL)


def poison(training: Training) -> None:
    """Make a weight NaN; every loss after it is."""
    next(training.network.parameters()).data.view(-1)[0] = torch.nan


def arrange(fault: dict) -> Callable[[], int]:
    """Arrange for a fault to strike; returns how many moments there were."""
    kind, step = fault.get("kind"), fault.get("step", 4)
    if kind == "moment":
        return kill_at_moment(fault["run"], fault["moment"])
    if kind == "memory":
        at_step(0, lambda _: limit_memory(fault["megabytes"]))
    acts = {
        "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
        "signal": lambda _: os.kill(os.getpid(), fault["number"]),
        "worker": kill_worker,
        "helper": kill_helper,
        "poison": poison,
        "truncate": lambda _: os.truncate(fault["path"], 1000),
        "remove": lambda _: [Path(path).unlink() for path in fault["paths"]],
        "fill": lambda _: fill(fault["path"]),
    }
    if kind in acts:
        at_step(step, acts[kind])
    return lambda: 0


def fill(path: str) -> None:
    """Fill a disk to the last kilobyte but a few."""
    disk = os.statvfs(path)
    room = disk.f_bavail * disk.f_frsize
    Path(path, "ballast").write_bytes(bytes(max(0, room - 8 * 1024)))


def run(plan: dict) -> dict:
    """Run one training in a child."""
    for source, *target in plan.get("repair", []):
        if target:
            shutil.copyfile(source, target[0])
        else:
            Path(source).unlink()
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as moments:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            code = 99
            try:
                count = arrange(plan["fault"])
                code = main(plan["arguments"])
                moments.write(str(count()))
                moments.flush()
            except SystemExit as end:
                code = end.code
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        _, _, _, output_dir, _, name, *_ = plan["arguments"]
        manifest = Path(output_dir, name, "manifest.json")
        said.seek(0)
        moments.seek(0)
        return {
            "name": plan["name"],
            "output_dir": output_dir,
            "code": os.waitstatus_to_exitcode(status),
            "said": said.read(),
            "moments": int(moments.read() or 0),
            "manifest": json.loads(manifest.read_text("utf-8")) if manifest.is_file() else {},
        }


if __name__ == "__main__":
    torch.set_num_threads(1)
    leave_pictures_out()
    plans = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write(json.dumps([run(plan) for plan in plans]) + "\n")

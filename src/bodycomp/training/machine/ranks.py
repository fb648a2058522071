"""This process among those of one training, whoever started them; one alone has rank 0 of 1."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

import torch
from torch import Tensor

from bodycomp.errors import BodycompError, TrainingError

FIRST_SLURM_PORT: Final = 15000
SLURM_PORTS: Final = 10000

Starter = Literal["bodycomp", "torchrun", "Slurm"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ranks:
    """A process's place among those of one training, and how it acts together with the others.

    Attributes:
        rank: Among all processes; the one of rank 0 writes.
        address: Machine of the rendezvous: that of rank 0.
        starter: Who started the processes; ``bodycomp`` itself starts them on one machine.
    """

    rank: int = 0
    world: int = 1
    address: str = "127.0.0.1"
    port: int = 0
    local_rank: int = 0
    local_world: int = 1
    node: int = 0
    nodes: int = 1
    starter: Starter = "bodycomp"

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    @property
    def gpu_index(self) -> int:
        """This process's GPU among those that it sees; Slurm may show each task its own alone.

        It is out of range if there are fewer GPUs than processes.
        """
        return 0 if torch.cuda.device_count() == 1 else self.local_rank

    def with_helpers(self, count: int) -> Ranks:
        """Return the ranks once this process, alone so far, has started others to be ``count``."""
        if self.starter != "bodycomp" or count == 1:
            return self
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return on_one_machine(0, count, int(probe.getsockname()[1]))

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes in the order of their ranks."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(values, value)
        return values

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, on the same device."""
        return self._reduced(values, torch.distributed.ReduceOp.SUM)

    def largest(self, values: Tensor) -> Tensor:
        """Return the largest values of all processes, on the same device."""
        return self._reduced(values, torch.distributed.ReduceOp.MAX)

    def sum_values(self, *values: float) -> list[float]:
        """Return the sums of plain numbers over all processes."""
        return list(self.sum(torch.tensor(values, dtype=torch.float64)).tolist())

    def _reduced(self, values: Tensor, operation: Any) -> Tensor:
        if self.world == 1:
            return values
        reduced = values.clone()
        torch.distributed.all_reduce(reduced, operation)
        return reduced

    @contextmanager
    def barrier(self) -> Iterator[None]:
        """Wait for each other after something that may fail: if it does in one, it fails in all.

        Within it processes must not wait for each other.

        Raises:
            TrainingError: Another process failed. Whatever failed in this one is raised as it is,
                unless a process before it failed too and has reported it.
        """
        own: Exception | None = None
        try:
            yield
        except (BodycompError, OSError) as error:
            own = error
        reported = self.gather(None if own is None else str(own).splitlines()[0])
        failed = [(rank, line) for rank, line in enumerate(reported) if line is not None]
        if not failed:
            return
        leave_group()
        rank, line = failed[0]
        if own is not None and rank == self.rank:
            raise own
        raise TrainingError(f"process {self.rank} ends because process {rank} failed: {line}")


def leave_group() -> None:
    """Leave the group of processes, in good order once they have agreed on that.

    A process that ends with the group's threads running is now and then aborted by them.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def on_one_machine(rank: int, world: int, port: int) -> Ranks:
    """Return a rank among the processes that this program starts itself."""
    return Ranks(rank, world, port=port, local_rank=rank, local_world=world)


def outer_ranks(environment: Mapping[str, str] = os.environ) -> Ranks:
    """Return the rank that torchrun or Slurm gave this process; rank 0 of 1 if it stands alone.

    A batch script's own process, and a single task, stand alone: ``srun`` alone makes several.
    """
    if "TORCHELASTIC_RUN_ID" in environment and int(environment["WORLD_SIZE"]) > 1:
        return _torchrun_ranks(environment)
    if int(environment.get("SLURM_STEP_NUM_TASKS", 1)) > 1 and "SLURM_PROCID" in environment:
        return _slurm_ranks(environment)
    return Ranks()


def _torchrun_ranks(environment: Mapping[str, str]) -> Ranks:
    return Ranks(
        rank=int(environment["RANK"]),
        world=int(environment["WORLD_SIZE"]),
        address=environment["MASTER_ADDR"],
        port=int(environment["MASTER_PORT"]),
        local_rank=int(environment["LOCAL_RANK"]),
        local_world=int(environment["LOCAL_WORLD_SIZE"]),
        node=int(environment["GROUP_RANK"]),
        nodes=int(environment["GROUP_WORLD_SIZE"]),
        starter="torchrun",
    )


def _slurm_ranks(environment: Mapping[str, str]) -> Ranks:
    world = int(environment["SLURM_STEP_NUM_TASKS"])
    node = int(environment["SLURM_NODEID"])
    nodes = environment.get("SLURM_STEP_NODELIST", environment.get("SLURM_JOB_NODELIST", ""))
    per_node = slurm_tasks_per_node(environment.get("SLURM_STEP_TASKS_PER_NODE", str(world)))
    # Two steps of one job must not meet at the same port.
    step = 97 * int(environment.get("SLURM_STEP_ID", 0))
    port = FIRST_SLURM_PORT + (int(environment.get("SLURM_JOB_ID", 0)) + step) % SLURM_PORTS
    return Ranks(
        rank=int(environment["SLURM_PROCID"]),
        world=world,
        address=environment.get("MASTER_ADDR") or first_slurm_node(nodes or "127.0.0.1"),
        port=int(environment.get("MASTER_PORT", port)),
        local_rank=int(environment["SLURM_LOCALID"]),
        local_world=per_node[node],
        node=node,
        nodes=len(per_node),
        starter="Slurm",
    )


def first_slurm_node(nodes: str) -> str:
    """Return the first of the machines in Slurm's short form of their names.

    >>> [first_slurm_node(text) for text in ("gpu[07-09,12],cpu1", "a1,a2", "r[3]n[1-2]x")]
    ['gpu07', 'a1', 'r3n1x']
    """
    first = re.sub(r"\[(\w+)[^]]*\]", r"\1", nodes)
    return re.split(r"[, ]", first)[0]


def slurm_tasks_per_node(text: str) -> list[int]:
    """Read Slurm's short form of the tasks on each node.

    >>> slurm_tasks_per_node("2(x3),1")
    [2, 2, 2, 1]
    """
    counts: list[int] = []
    for part in text.split(","):
        count, _, repeated = part.partition("(x")
        counts += [int(count)] * int(repeated.rstrip(")") or 1)
    return counts

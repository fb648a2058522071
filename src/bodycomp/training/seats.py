"""The place of a process among those of one training, whoever started them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

FIRST_SLURM_PORT: Final = 15000
SLURM_PORTS: Final = 10000

Starter = Literal["bodycomp", "torchrun", "Slurm"]


@dataclass(frozen=True, slots=True)
class Seat:
    """A process's place among those of one training.

    Attributes:
        rank: Among all processes; the one of rank 0 writes.
        world: Number of processes.
        address: Machine at which they meet: that of rank 0.
        port: Where they meet on it.
        local_rank: Among the processes of this machine.
        local_world: Processes of this machine.
        node: Number of this machine.
        nodes: Number of machines.
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
    def is_started_elsewhere(self) -> bool:
        """Whether torchrun or Slurm started all processes, each with the same command."""
        return self.starter != "bodycomp"


def seat_on_one_machine(rank: int, world: int, port: int) -> Seat:
    """Return a seat among the processes that this program starts itself."""
    return Seat(rank, world, port=port, local_rank=rank, local_world=world)


def outer_seat(environment: Mapping[str, str] = os.environ) -> Seat | None:
    """Return the seat that torchrun or Slurm gave this process; None if it stands alone.

    A batch script's own process, and a single task, stand alone: ``srun`` alone makes several.
    """
    if TorchElasticEnvironment.detect() and int(environment["WORLD_SIZE"]) > 1:
        return _torchrun_seat(environment)
    if int(environment.get("SLURM_STEP_NUM_TASKS", 1)) > 1 and "SLURM_PROCID" in environment:
        return _slurm_seat(environment)
    return None


def _torchrun_seat(environment: Mapping[str, str]) -> Seat:
    return Seat(
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


def _slurm_seat(environment: Mapping[str, str]) -> Seat:
    world = int(environment["SLURM_STEP_NUM_TASKS"])
    node = int(environment["SLURM_NODEID"])
    nodes = environment.get("SLURM_STEP_NODELIST", environment.get("SLURM_JOB_NODELIST", ""))
    per_node = slurm_tasks_per_node(environment.get("SLURM_STEP_TASKS_PER_NODE", str(world)))
    # Two steps of one job must not meet at the same port.
    step = 97 * int(environment.get("SLURM_STEP_ID", 0))
    port = FIRST_SLURM_PORT + (int(environment.get("SLURM_JOB_ID", 0)) + step) % SLURM_PORTS
    return Seat(
        rank=int(environment["SLURM_PROCID"]),
        world=world,
        address=environment.get("MASTER_ADDR")
        or SLURMEnvironment.resolve_root_node_address(nodes or "127.0.0.1"),
        port=int(environment.get("MASTER_PORT", port)),
        local_rank=int(environment["SLURM_LOCALID"]),
        local_world=per_node[node],
        node=node,
        nodes=len(per_node),
        starter="Slurm",
    )


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


def gpu_index(seat: Seat) -> int:
    """Return this process's GPU among those that it sees; Slurm may show each task its own alone.

    It is out of range if there are fewer GPUs than processes.
    """
    return 0 if torch.cuda.device_count() == 1 else seat.local_rank


class SeatEnvironment(ClusterEnvironment):
    """Tells Lightning a process's seat, and that all processes are started elsewhere.

    Lightning's own environments of torchrun and Slurm would do for a plain training. They refuse
    machines with different numbers of processes, and that of Slurm queues a job again on its own.
    """

    def __init__(self, seat: Seat) -> None:
        super().__init__()
        self._seat = seat

    @property
    def creates_processes_externally(self) -> bool:
        """Yes: ``launch.helpers``, torchrun or Slurm does."""
        return True

    @property
    def main_address(self) -> str:
        """Address of the seat."""
        return self._seat.address

    @property
    def main_port(self) -> int:
        """Port of the seat."""
        return self._seat.port

    @staticmethod
    def detect() -> bool:
        """Never by itself; it is always named."""
        return False

    def world_size(self) -> int:
        """Processes of the seat."""
        return self._seat.world

    def set_world_size(self, size: int) -> None:
        """Nothing: the seat is fixed."""

    def global_rank(self) -> int:
        """Rank of the seat."""
        return self._seat.rank

    def set_global_rank(self, rank: int) -> None:
        """Nothing: the seat is fixed."""

    def local_rank(self) -> int:
        """Rank of the seat on its machine."""
        return self._seat.local_rank

    def node_rank(self) -> int:
        """Machine of the seat."""
        return self._seat.node

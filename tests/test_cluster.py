"""The same results from a cluster as from one process, whatever becomes of its machines."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from functools import partial

import distributed
import pytest

from bodycomp import cluster as spreading
from bodycomp.analysis.loading import AnalyzerLoader
from bodycomp.analysis.pipeline import Analyzer
from bodycomp.cluster import ClusterWorkers, opened_workers
from bodycomp.errors import ClusterError, UsageError
from bodycomp.evaluation.case_run import CaseEvaluator, CaseTask, evaluate_all
from bodycomp.evaluation.level_rows import name_series
from bodycomp.preparation.cases import read_cases
from bodycomp.preparation.run import prepare
from bodycomp.processes import Work
from support import cluster_work
from support.annotated_cases import make_cases, options_of
from support.cluster_harness import DaskCluster, killed_run
from support.kill_harness import analyze, make_cohort
from support.stand_ins import BodyIsMuscle, LevelAt

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with DaskCluster(tmp_path_factory.mktemp("dask")) as started:
        yield started


def test_tables_are_those_of_one_process_though_a_worker_is_killed(cluster, tmp_path) -> None:
    (tmp_path / "key").write_text("ab" * 32)
    make_cohort(tmp_path / "cohort", 6)  # one of them cannot be decoded
    analyze(tmp_path / "cohort", tmp_path / "one", tmp_path / "key")
    assert killed_run(tmp_path, cluster, "spread", seed=0) == []
    assert not list((tmp_path / "spread").glob(".*.part"))
    assert not [name for name in ("P0", str(tmp_path)) if name in cluster.logs()]


def test_a_training_set_is_that_of_one_process(cluster, tmp_path) -> None:
    table = make_cases(tmp_path / "scans", 2)
    for name, address in (("here", ""), ("there", cluster.address)):
        options = options_of(table, tmp_path / name, "masks", jobs=1)
        prepare(replace(options, cluster=address), lambda *_: None)
    here, there = (
        {p.name: p.read_bytes() for p in (tmp_path / name).rglob("*.*") if p.suffix != ".json"}
        for name in ("here", "there")
    )
    assert here == there


@pytest.mark.parametrize(
    "do", [cluster_work.square_on_another_disk, cluster_work.square_without_haste]
)
def test_work_of_a_full_or_hanging_machine_is_done_by_another_one(
    cluster, tmp_path, monkeypatch, do
) -> None:
    monkeypatch.setattr(spreading, "_STRAGGLER_S", 0.5)
    monkeypatch.setattr(spreading, "_TICK_S", 0.2)
    work = Work(do, cluster_work.folder_of)
    cluster.start_worker()
    with opened_workers(cluster.address, 1) as workers:
        found = list(workers.results(work, [(tmp_path, n) for n in range(6)]))
    assert sorted((item[1], result) for item, result in found) == [(n, n * n) for n in range(6)]


def test_an_evaluation_is_that_of_one_process(cluster, tmp_path) -> None:
    table = read_cases(make_cases(tmp_path / "scans", 2))
    names = name_series([case.patient for case in table.cases], identifiers=False)
    found = []
    for name, address in (("here", ""), ("there", cluster.address)):
        (tmp_path / name).mkdir()
        loader = AnalyzerLoader(partial(Analyzer, LevelAt(-170.0), BodyIsMuscle()))
        evaluator = CaseEvaluator((loader,), views=tmp_path / name)
        tasks = [CaseTask(n, *each) for n, each in enumerate(zip(table.cases, names, strict=True))]
        with opened_workers(address, 1) as workers:
            cases = evaluate_all(evaluator, tasks, workers, lambda _: None).cases
        pages = [page for case in cases for page in case.pages]
        rows = [row.cells() for case in cases for row in case.tissues[0]]
        found.append((rows, [(page.cells, page.path.read_bytes()) for page in pages]))
    assert found[0] == found[1]
    assert found[0][1]


def test_workers_with_other_code_are_reported_and_live(cluster, tmp_path) -> None:
    with opened_workers(cluster.address, 1) as workers:
        work = Work(cluster_work.Unreadable(), cluster_work.folder_of)
        with pytest.raises(ClusterError, match=r"cannot read its work .*\n.*the same Python"):
            list(workers.results(work, [(tmp_path, 1)]))
        work = Work(cluster_work.square, cluster_work.folder_of)
        assert list(workers.results(work, [(tmp_path, 2)])) == [((tmp_path, 2), 4)]


@dataclass
class FakeFuture:
    """A future of a cluster of which nothing is left."""

    key: str
    error: Exception
    status: str

    def result(self) -> None:
        raise self.error

    def add_done_callback(self, call) -> None:
        call(self)

    def cancel(self) -> None:
        pass


@dataclass
class FakeClient:
    """A client whose tasks all end alike."""

    error: Exception
    status: str = "running"

    def submit(self, *_, key, **__) -> FakeFuture:
        return FakeFuture(key, self.error, "error" if self.status == "running" else "cancelled")

    def scheduler_info(self, **_) -> dict[str, int]:
        return {"total_threads": 2, "n_workers": 2}

    def cancel(self, _) -> None:
        pass


def test_an_item_that_ends_its_workers_is_done_alone(tmp_path) -> None:
    client = FakeClient(distributed.KilledWorker("task", None, 4))
    work = Work(cluster_work.square, cluster_work.folder_of, alone=lambda item: -item[1])
    assert list(ClusterWorkers(client).results(work, [(tmp_path, 3)])) == [((tmp_path, 3), -3)]


def test_a_lost_scheduler_and_strange_workers_are_reported(tmp_path) -> None:
    work = Work(cluster_work.square, cluster_work.folder_of)
    lost = ClusterWorkers(FakeClient(CancelledError("gone"), "closed"))
    with pytest.raises(ClusterError, match=r"scheduler was lost\n.*continues from there"):
        list(lost.results(work, [(tmp_path, 3)]))
    strange = ClusterWorkers(FakeClient(ModuleNotFoundError("No module named 'bodycomp'")))
    with pytest.raises(ClusterError, match=r"cannot do the work .*No module named 'bodycomp'"):
        list(strange.results(work, [(tmp_path, 3)]))


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("local:none", UsageError, "expected local:N for N processes"),
        ("slurm:jobs", UsageError, "expected NAME=VALUE after slurm:, found 'jobs'"),
        ("nowhere", ClusterError, "expected a cluster at nowhere, found none"),
        ("missing.json", ClusterError, "expected a cluster at missing.json"),
    ],
)
def test_clusters_that_cannot_be(name, error, message, monkeypatch) -> None:
    monkeypatch.setattr(spreading, "_CONNECT_S", 0.2)
    with pytest.raises(error, match=message), opened_workers(name, 1):
        pass


SLURM = """
import time
from pathlib import Path
from bodycomp.cluster import opened_workers

with opened_workers("slurm:jobs=1,cores=2,memory=4GB,queue=long", 1):
    until = time.monotonic() + 60
    while not Path("job").exists() and time.monotonic() < until:
        time.sleep(0.05)
"""


def test_slurm_jobs_have_a_process_per_core_and_encrypt(tmp_path) -> None:
    sbatch = tmp_path / "sbatch"
    sbatch.write_text('#!/bin/sh\ncp "$1" job.part; mv job.part job; echo Submitted batch job 1\n')
    sbatch.chmod(0o755)
    (tmp_path / "scancel").symlink_to("/bin/true")
    path = f"{tmp_path}:{os.environ['PATH']}"
    environment = {"PATH": path, "PYTHONPATH": ":".join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", SLURM], cwd=tmp_path, env=environment, check=True)
    job = (tmp_path / "job").read_text()
    for words in ("#SBATCH -p long", "--nthreads 1", "--nworkers 2", "--protocol tls", " tls://"):
        assert words in job
    assert not list(tmp_path.glob(".dask*"))

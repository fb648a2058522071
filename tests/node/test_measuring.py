"""What a study that cannot be measured costs: itself alone."""

import errno
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from bodycomp.cli import main
from bodycomp.errors import ModelError
from bodycomp.node import measuring
from bodycomp.node.config import Measure
from bodycomp.node.ledger import Sent, State, Study
from bodycomp.node.measuring import Job, Measured, Measurer, analyze_options, measure
from bodycomp.node.run import Node
from support.nodes import wait_for, write_config, write_study
from support.spools import config_of, only, receive, settle

pytestmark = [
    # pynetdicom leaves the socket of a connection that was refused to the garbage collector
    pytest.mark.filterwarnings("ignore:.*<socket:pytest.PytestUnraisableExceptionWarning"),
]


def deadly(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def job(folder: Path) -> Job:
    return Job(Study("study-a", "1"), (folder,), b"", folder)


def test_a_process_that_falls_or_hangs_is_noticed_and_replaced(tmp_path: Path) -> None:
    measurer = Measurer(deadly, Measure(), tmp_path / "key")
    measurer.begin(job(tmp_path))
    found = wait_for(measurer.poll)
    assert found == Measured(reason="it ended the process: a damaged file, or memory", broken=True)
    slow = Measurer(wait_for, Measure(max_minutes=1e-9), tmp_path / "key")
    slow.begin(job(tmp_path))
    assert slow.poll() == Measured(reason="it took too long", broken=True)


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (OSError(errno.ENOSPC, "full"), Measured(reason="the disk is full", wait=True)),
        (OSError(errno.EIO, "bad"), Measured(reason="OSError: bad", broken=True)),
        (ModelError("damaged"), Measured(reason="the models fail: damaged", wait=True)),
        (KeyError("P1"), Measured(reason="unexpected KeyError; see --debug", broken=True)),
    ],
)
def test_faults_say_whose_they_are_and_name_nobody(tmp_path, monkeypatch, error, found) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(measuring, "_measure", fail)
    options = analyze_options(Measure(), (tmp_path,), tmp_path / "out", tmp_path / "key", None)
    assert measure(fail, job(tmp_path), options) == found


def test_a_study_is_set_aside_after_two_falls_and_waits_without_a_fault(spool, tmp_path) -> None:
    receive(spool, *write_study(tmp_path / "a", 1))
    node, study = Node(config_of(spool), spool), settle(spool)

    def happens(**found: object) -> Study:
        node._measured(replace(job(tmp_path), study=only(spool)), Measured(**found))
        return only(spool)

    waits = happens(reason="the disk is full", wait=True)
    assert (waits.state, waits.reason) == (State.QUEUED, "waits: the disk is full")
    assert waits.due > study.since
    assert happens(reason="it fell", broken=True).state == State.QUEUED
    aside = happens(reason="it fell", broken=True)
    assert (aside.state, aside.reason) == (
        State.SET_ASIDE, "measuring it failed 2 times: it fell",
    )  # fmt: skip


def test_deliveries_to_places_that_are_gone_are_not_waited_for(spool, tmp_path) -> None:
    receive(spool, *write_study(tmp_path / "a", 1))
    settle(spool)
    study = replace(only(spool), destinations="gone")
    spool.ledger.put(study)
    node = Node(config_of(spool), spool)
    node._measured(Job(study, (), b"k" * 14, tmp_path), Measured(objects=("a.dcm",)))
    node._finish()
    node._finish()
    assert only(spool).reason == "not delivered to gone: it is no longer configured"
    assert [each.state for each in spool.ledger.deliveries(study.name)] == [Sent.FAILED]


def test_check_says_what_would_not_work(tmp_path: Path, capsys) -> None:
    config = write_config(tmp_path, 1, "[measure]", 'models = "nowhere"')
    config.write_text(config.read_text().replace("[node]", '[node]\naddress = "0.0.0.0"'))
    assert main(["serve", "check", str(config)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["ok", "warning", "error", "error"]
    assert "other machines can reach it, and there is no [tls]" in said[1]
    assert said[3].endswith("destination 'pacs': it cannot be reached")

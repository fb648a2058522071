"""What the spool does with images: each once, the last of two, none on a full disk."""

import time
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from bodycomp.node.ledger import Ledger, State, Study
from bodycomp.node.run import Node
from bodycomp.node.spool import Spool, Status, moved, split_keys
from support.nodes import write_study
from support.spools import config_of, measure, only, receive, settle


def test_duplicates_count_once_and_the_last_of_two_wins(spool: Spool, tmp_path: Path) -> None:
    files = write_study(tmp_path / "a", 1)
    assert receive(spool, *files, *files) == {Status.SUCCESS}
    name = only(spool).name
    before = spool.images(name)
    assert len(before) == 12
    dataset = pydicom.dcmread(files[0])
    dataset.PatientName = "Corrected^Jane"
    dataset.save_as(files[0])
    assert receive(spool, files[0]) == {Status.SUCCESS}
    after = spool.images(name)
    assert len(after) == 12
    assert len({each.path for each in before} & {each.path for each in after}) == 11
    assert any(pydicom.dcmread(e.path).PatientName == "Corrected^Jane" for e in after)


def test_what_is_no_image_or_has_no_room_is_turned_away(spool: Spool, tmp_path: Path) -> None:
    files = write_study(tmp_path / "a", 1)
    broken = tmp_path / "broken"
    broken.write_bytes(files[0].read_bytes()[:300])
    assert receive(spool, broken) == {Status.UNREADABLE}
    spool.limits = replace(spool.limits, min_free_gb=1e9)
    assert receive(spool, files[0]) == {Status.NO_RESOURCES}
    assert spool.ledger.studies() == []
    assert not list(spool.incoming.iterdir())


def test_two_studies_of_one_pseudonym_are_never_mixed(spool: Spool, tmp_path: Path) -> None:
    receive(spool, *write_study(tmp_path / "a", 1))
    spool.ledger.put(replace(only(spool), uid="1.2.3"))
    assert receive(spool, write_study(tmp_path / "b", 1)[0]) == {Status.OTHER_STUDY}


def test_a_study_that_is_sent_again_is_not_measured_again(spool: Spool, tmp_path: Path) -> None:
    files = write_study(tmp_path / "a", 1)
    receive(spool, *files)
    measure(spool)
    done = only(spool)
    assert receive(spool, *files) == {Status.SUCCESS}
    assert only(spool) == done
    spool.remove_images(done)
    receive(spool, *files[:3])
    assert only(spool).state == State.RECEIVING
    study = settle(spool)
    assert (study.state, study.measured_times) == (State.DONE, 1)
    assert study.reason == "sent again without a new image; not measured again"


def test_late_images_of_a_study_whose_images_are_gone_wait_for_all(
    spool: Spool, tmp_path: Path
) -> None:
    files = write_study(tmp_path / "a", 1, slices=14)
    receive(spool, *files[:12])
    measure(spool)
    spool.remove_images(only(spool))
    receive(spool, *files[12:])
    study = settle(spool)
    assert study.state == State.SET_ASIDE
    assert study.reason == (
        "2 images came late, and of 12 its images were removed; the whole study has to be sent "
        "again"
    )
    receive(spool, *files)
    study = settle(spool)
    assert (study.state, study.reason) == (State.QUEUED, "2 images came late; measured again")


def test_an_image_that_comes_while_a_study_is_measured_makes_it_wait(
    spool: Spool, tmp_path: Path
) -> None:
    files = write_study(tmp_path / "a", 1)
    receive(spool, *files[:11])
    queued = settle(spool)
    assert queued.state == State.QUEUED
    receive(spool, files[11])
    assert (only(spool).state, only(spool).generation) == (State.RECEIVING, 2)
    assert not Node(config_of(spool), spool)._replace(queued, moved(queued, State.DELIVERING))


def test_images_and_studies_are_removed_by_the_stated_rules(spool: Spool, tmp_path: Path) -> None:
    receive(spool, *write_study(tmp_path / "a", 1))
    measure(spool)
    study = only(spool)
    assert settle(spool, images_hours=1.0) == study
    assert len(spool.images(study.name)) == 12
    assert settle(spool, images_hours=0.0) == study
    assert spool.images(study.name) == []
    spool.ledger.put(replace(study, since=time.time() - 31 * 86400))
    with pytest.raises(ValueError, match="not enough values"):
        settle(spool, images_hours=0.0, results_days=30.0)
    assert not list((spool.folder / "studies").iterdir())
    assert spool.ledger.deliveries(study.name) == []


def test_images_outlive_a_lost_ledger(spool: Spool, tmp_path: Path) -> None:
    receive(spool, *write_study(tmp_path / "a", 1))
    study = only(spool)
    spool.ledger.forget(study.name)
    spool.adopt()
    assert (only(spool).uid, only(spool).state) == (study.uid, State.RECEIVING)


def test_a_change_that_fails_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.put(Study("a", "1"))
    with pytest.raises(OSError, match="half"), ledger.transaction():
        ledger.put(Study("b", "2"))
        ledger.forget("a")
        raise OSError("half")
    ledger.close()
    again = Ledger(tmp_path)
    assert [each.name for each in again.studies()] == ["a"]
    again.close()
    assert split_keys(b"") == set()

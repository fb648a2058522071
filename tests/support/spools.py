"""What a node does with its spool, step by step and without a network."""

import shutil
from dataclasses import replace
from pathlib import Path

from bodycomp.node.config import Keep, NodeConfig, Peer, Rule
from bodycomp.node.ledger import Delivery, Sent, State, Study
from bodycomp.node.run import Node
from bodycomp.node.spool import Spool, Status, image_keys, moved


def receive(spool: Spool, *files: Path) -> set[Status]:
    found = set()
    for path in files:
        copy = spool.incoming / path.name
        shutil.copyfile(path, copy)
        found.add(spool.receive(copy, "PACS"))
        copy.unlink(missing_ok=True)
    return found


def only(spool: Spool) -> Study:
    (study,) = spool.ledger.studies()
    return study


def config_of(spool: Spool, **keep: float) -> NodeConfig:
    return NodeConfig(
        node=replace(spool.limits, quiet_seconds=0.0),
        peers=(Peer(ae_title="PACS"),),
        rules=(Rule(name="all"),),
        keep=Keep(**keep),
    )


def settle(spool: Spool, **keep: float) -> Study:
    """Let the study be complete, as a node does."""
    node = Node(config_of(spool, **keep), spool)
    node._settle()
    node._finish()
    node._sweep()
    return only(spool)


def measure(spool: Spool) -> None:
    """Note the study as measured and delivered."""
    study = only(spool)
    keys = image_keys(spool.images(study.name))
    done = moved(replace(study, measured=keys, measured_times=1), State.DONE)
    spool.ledger.put(done, Delivery(study.name, "pacs", Sent.DELIVERED))

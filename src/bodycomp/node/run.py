"""The running node: studies from their last image to their last delivery.

Every step ends with a row in the ledger, so that a node that was killed begins where it stopped.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from bodycomp.dicom.quiet import quiet_pydicom
from bodycomp.dicom.received import series_facts
from bodycomp.errors import OutputError, RunInterruptedError
from bodycomp.node.config import Destination, NodeConfig
from bodycomp.node.ledger import Delivery, Sent, State, Study
from bodycomp.node.measuring import Job, Loader, Measured, Measurer, default_loader
from bodycomp.node.page import serving_page
from bodycomp.node.receiver import receiving
from bodycomp.node.routing import decide
from bodycomp.node.sending import send
from bodycomp.node.spool import INSTANCE_BYTES, Spool, image_keys, moved, split_keys
from bodycomp.signals import SignalWatch
from bodycomp.storage import locked_folder

_LOG: Final = logging.getLogger(__name__)
_TICK_SECONDS: Final = 0.2
_SWEEP_SECONDS: Final = 60.0
_WAIT_SECONDS: Final = 60.0
"""Before measuring is tried again that failed through no fault of the study."""
_MOST_ATTEMPTS: Final = 2
"""How often measuring a study may end its process."""


def run_node(config: NodeConfig, load: Loader = default_loader) -> None:
    """Receive, measure and send until a signal ends it.

    Raises:
        InputNotFoundError, ModelError, UsageError: The models cannot be used.
        OutputError: Another node uses the spool.
        OSError: The spool cannot be written, or a port is taken.
        RunInterruptedError: SIGINT or SIGTERM ended it; the next node continues.
    """
    with SignalWatch(_ended):
        spool = Spool(config.node)
        with ExitStack() as stack:
            stack.enter_context(quiet_pydicom())  # until the last thread of a peer has ended
            stack.callback(spool.ledger.close)
            stack.enter_context(locked_folder(spool.folder))
            node = Node(config, spool, load)
            stack.callback(node.stop)
            node.start()
            stack.enter_context(receiving(config, spool))
            stack.enter_context(serving_page(config, spool))
            while True:
                node.tick()
                time.sleep(_TICK_SECONDS)


def _ended(number: int) -> RunInterruptedError:
    return RunInterruptedError(
        "the node was ended; the spool holds what is not done", signal_number=number
    )


class Node:
    """What is to be done with the studies of a spool."""

    def __init__(self, config: NodeConfig, spool: Spool, load: Loader = default_loader) -> None:
        self.config = config
        self.spool = spool
        self.ledger = spool.ledger
        measure = config.measure
        self._measurers = [
            Measurer(load, measure, spool.key_path) for _ in range(measure.processes)
        ]
        self._stopped = threading.Event()
        self._senders = [
            threading.Thread(target=self._deliver, args=(each,), daemon=True)
            for each in config.destinations
        ]
        self._swept = -_SWEEP_SECONDS

    def start(self) -> None:
        """Load the models, take up what is in the spool, and begin to deliver.

        Raises:
            InputNotFoundError, ModelError, UsageError: The models cannot be used.
        """
        self.spool.remove_abandoned(0)
        self.spool.adopt()
        for each in self._measurers:
            each.start()
        for each in self._measurers:
            each.wait()
        for thread in self._senders:
            thread.start()

    def stop(self) -> None:
        """End measuring and delivering; what was not finished is done again."""
        self._stopped.set()
        for each in self._measurers:
            each.stop()
        for thread in self._senders:
            if thread.is_alive():
                thread.join(2 * self.config.node.timeout_seconds)

    def tick(self) -> None:
        """Do what is due, and wait for nothing."""
        for step in (self._settle, self._collect, self._feed, self._finish, self._sweep):
            try:
                step()
            except (OSError, sqlite3.Error) as error:
                _LOG.error("the spool cannot be used (%s); trying again", type(error).__name__)
                return

    def _settle(self) -> None:
        """Let the studies go on of which no image came for long enough."""
        now = time.time()
        for study in self.ledger.studies(State.RECEIVING):
            last = max(self.spool.last_received(study.name), study.since)
            if now - last >= self.config.node.quiet_seconds:
                with self.spool.lock:  # no image comes while it is decided that none is new
                    self._complete(study)

    def _complete(self, study: Study) -> None:
        keys = {each.key for each in self.spool.images(study.name)}
        measured = split_keys(study.measured)
        if measured and keys <= measured:
            reason = "sent again without a new image; not measured again"
            self._replace(study, moved(study, State.DELIVERING, reason))
            return
        gone = {key[:INSTANCE_BYTES] for key in measured} - {key[:INSTANCE_BYTES] for key in keys}
        if gone or not keys:
            reason = "its images were removed; the whole study has to be sent again"
            if keys:
                reason = f"{len(keys - measured)} images came late, and of {len(gone)} {reason}"
            self._replace(study, moved(study, State.SET_ASIDE, reason))
            return
        late = f"{len(keys - measured)} images came late; measured again" if measured else ""
        self._replace(study, moved(study, State.QUEUED, late))

    def _replace(
        self, before: Study, after: Study, deliveries: list[Delivery] | None = None
    ) -> bool:
        """Write a study, with new deliveries, unless images arrived for it in the meantime."""
        with self.ledger.transaction():
            now = self.ledger.study(before.name)
            if now is None or (now.generation, now.state) != (before.generation, before.state):
                return False
            if deliveries is not None:
                self.ledger.forget_deliveries(before.name)
            self.ledger.put(after, *(deliveries or ()))
        self.spool.settle(before)
        if after.state in (State.REFUSED, State.SET_ASIDE):
            _LOG.warning("%s is %s: %s", after.name, after.state, after.reason)
        return True

    def _feed(self) -> None:
        """Give studies to processes that have nothing to do."""
        idle = [each for each in self._measurers if each.job is None]
        running = {each.job.study.name for each in self._measurers if each.job is not None}
        now = time.time()
        waiting = [
            each
            for each in self.ledger.studies(State.QUEUED)
            if each.due <= now and each.name not in running
        ]
        for measurer, study in zip(idle, waiting, strict=False):
            self._begin(measurer, study)

    def _begin(self, measurer: Measurer, study: Study) -> None:
        """Have a study measured if the rules say so."""
        images = self.spool.images(study.name)
        one_of_each = {each.series: each.path for each in reversed(images)}
        facts = {series: series_facts(path) for series, path in one_of_each.items()}
        decision = decide(self.config.rules, study.peer, facts)
        decided = replace(study, decision=decision.words)
        if decision.rule is None or not decision.rule.measure:
            why = "no rule matches" if decision.rule is None else "a rule leaves it out"
            self._replace(study, moved(decided, State.REFUSED, f"{why}: {decision.words}"))
            return
        _LOG.info("%s is complete: %d images; %s", study.name, len(images), decision.words)
        measurer.begin(
            Job(
                replace(decided, destinations="\n".join(decision.rule.destinations)),
                tuple(each.path for each in images if each.series in decision.series),
                image_keys(images),
                self.spool.place(study.name),
                decision.rule.models,
            )
        )

    def _collect(self) -> None:
        """Take what was measured."""
        for measurer in self._measurers:
            found = measurer.poll()
            if found is not None and measurer.job is not None:
                job, measurer.job = measurer.job, None
                self._measured(job, found)

    def _measured(self, job: Job, found: Measured) -> None:
        study, now = job.study, time.time()
        if found.wait:
            reason = f"waits: {found.reason}"
            self._replace(study, replace(study, due=now + _WAIT_SECONDS, reason=reason))
        elif found.broken and study.attempts + 1 < _MOST_ATTEMPTS:
            attempts = study.attempts + 1
            self._replace(study, replace(study, attempts=attempts, reason=found.reason))
        elif found.broken:
            reason = f"measuring it failed {_MOST_ATTEMPTS} times: {found.reason}"
            self._replace(study, moved(study, State.SET_ASIDE, reason))
        elif not found.objects:
            self._replace(study, moved(study, State.REFUSED, found.reason))
        else:
            new = replace(
                moved(study, State.DELIVERING, study.reason),
                measured=job.keys,
                objects="\n".join(found.objects),
                took_seconds=found.seconds,
                measured_times=study.measured_times + 1,
            )
            rows = [
                Delivery(study.name, each, since=now) for each in study.destinations.split("\n")
            ]
            if self._replace(study, new, rows):
                _LOG.info("%s is measured in %.1f s", study.name, found.seconds)

    def _deliver(self, destination: Destination) -> None:
        """Send to one destination what is due, until the node ends."""
        while not self._stopped.is_set():
            try:
                due = self.ledger.due_delivery(destination.name, time.time())
                if due is not None:
                    self._send(destination, *due)
                    continue
            except (OSError, sqlite3.Error) as error:
                _LOG.error(
                    "%s: the spool cannot be used (%s)", destination.name, type(error).__name__
                )
            self._stopped.wait(_TICK_SECONDS)

    def _send(self, destination: Destination, study: Study, delivery: Delivery) -> None:
        results = self.spool.results(study)
        try:
            send(self.config, destination, [results / each for each in study.objects.splitlines()])
        except OutputError as error:
            done = self._failed(delivery, error.message)
        except Exception as error:
            _LOG.debug("unexpected fault", exc_info=True)
            done = self._failed(delivery, f"unexpected {type(error).__name__}")
        else:
            done = replace(delivery, state=Sent.DELIVERED, since=time.time(), reason="")
            _LOG.info("%s is delivered to %s", study.name, destination.name)
        with self.ledger.transaction():
            now = self.ledger.study(study.name)
            if now is not None and now.measured_times == study.measured_times:
                self.ledger.put(done)

    def _failed(self, delivery: Delivery, reason: str) -> Delivery:
        rules, now = self.config.deliver, time.time()
        wait = min(rules.first_wait_seconds * 2**delivery.attempts, 60 * rules.longest_wait_minutes)
        again = replace(delivery, attempts=delivery.attempts + 1, due=now + wait, reason=reason)
        _LOG.warning("%s is not delivered to %s: %s", delivery.study, delivery.destination, reason)
        if now - delivery.since >= 3600 * rules.give_up_hours:
            return replace(again, state=Sent.FAILED, since=now)
        return again

    def _finish(self) -> None:
        """Settle the studies of which every delivery ended."""
        for study in self.ledger.studies(State.DELIVERING):
            rows = self.ledger.deliveries(study.name)
            names = {each.name for each in self.config.destinations}
            lost = [
                each
                for each in rows
                if each.state == Sent.PENDING and each.destination not in names
            ]
            if lost:  # an empty write takes the ledger's lock, too, five times a second
                reason = "it is no longer configured"
                self.ledger.put(*(replace(each, state=Sent.FAILED, reason=reason) for each in lost))
            failed = [each for each in rows if each.state == Sent.FAILED]
            if lost or any(each.state == Sent.PENDING for each in rows):
                continue
            if failed:
                words = "; ".join(f"{each.destination}: {each.reason}" for each in failed)
                self._replace(study, moved(study, State.SET_ASIDE, f"not delivered to {words}"))
            else:
                self._replace(study, moved(study, State.DONE, study.reason))

    def _sweep(self) -> None:
        """Remove what the rules of keeping give up."""
        if time.monotonic() - self._swept < _SWEEP_SECONDS:
            return
        self._swept, now, keep = time.monotonic(), time.time(), self.config.keep
        self.spool.remove_abandoned(10 * self.config.node.timeout_seconds)
        for study in self.ledger.studies(State.DONE, State.REFUSED):
            age = now - study.since
            if age >= 3600 * keep.images_hours + 86400 * keep.results_days:
                self.spool.remove(study)
            elif age >= 3600 * keep.images_hours:
                self.spool.remove_images(study)
        for study in self.ledger.studies(State.SET_ASIDE):
            if now - study.since >= 86400 * keep.set_aside_days:
                self.spool.remove(study)

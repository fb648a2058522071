"""What a node bears: kills, a lost archive, a full disk, garbage, crowds and huge studies.

``PYTHONPATH=src:tests python -m support.node_trials [kills|fuzz|crowd|huge] ...`` does each at full
size and prints what happened; tests do a little of the same.
"""

from __future__ import annotations

import io
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGKILL

import pydicom

from bodycomp.node.config_file import read_config
from bodycomp.node.ledger import SETTLED, State
from bodycomp.node.spool import Spool
from support.nodes import (
    Archive,
    Node,
    archive,
    send,
    settled,
    studies,
    wait_for,
    write_config,
    write_study,
)
from support.ports import free_port

SLICES = 12


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[bool]:
    """A file system in memory at a place; False where we may not mount one."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "bodycomp-test", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


class Sender(threading.Thread):
    """Sends studies as an archive does: each again until every image is acknowledged."""

    def __init__(self, port: int, files: list[list[Path]]) -> None:
        super().__init__(daemon=True)
        self._port, self._files = port, files
        self.statuses: Counter[int] = Counter()

    def run(self) -> None:
        for files in self._files:
            while True:
                with suppress(OSError):
                    found = send(self._port, files)
                    self.statuses.update(found)
                    if found == [0] * len(files):
                        break
                time.sleep(0.2)


def flicker(pacs: Archive, stop: threading.Event, rng: random.Random) -> None:
    """Let an archive come and go, and up in the end."""
    while not stop.is_set():
        with archive(into=pacs):
            stop.wait(rng.uniform(1, 4))
        if not stop.is_set():
            stop.wait(rng.uniform(0.5, 3))


def kill_trial(
    place: Path, count: int, kills: int, longest: float = 6.0, seed: int = 0, say: Callable = print
) -> list[str]:
    """Kill a node under load, with an archive that comes and goes and a disk that is full once.

    Returns what is wrong: every study has to be delivered once by content, or be set aside.
    """
    rng, pacs, stop = random.Random(seed), Archive(free_port()), threading.Event()
    files = [write_study(place / "ct" / str(n), n, slices=SLICES) for n in range(count)]
    with small_disk(place / "spool", 16):
        config = write_config(place, pacs.port, "give_up_hours = 1")
        coming = threading.Thread(target=flicker, args=(pacs, stop, rng), daemon=True)
        coming.start()
        node = Node(config)
        sender = Sender(node.port, files)
        sender.start()
        for number in range(kills):
            time.sleep(rng.uniform(0.2, longest))
            if number == 1:
                _fill(place / "spool")
            node.end(SIGKILL)
            wait_for(lambda: not (place / "spool" / "ballast").exists())  # no ledger opens before
            states = Counter(each.state for each in studies(config))
            say(f"kill {number + 1}: {dict(states)}, {len(pacs.got)} objects delivered")
            node = Node(config)
        sender.join(600)
        stop.set()
        coming.join()
        with archive(into=pacs):
            wait_for(lambda: all(s.state in SETTLED for s in studies(config)), 300)
        node.end()
        return _wrong(config, pacs, files, sender, say)


def _fill(place: Path) -> None:
    """Leave no room on a disk for a few seconds."""
    ballast = place / "ballast"
    with suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    threading.Timer(4, ballast.unlink, [True]).start()


def _wrong(config: Path, pacs: Archive, files: list, sender: Sender, say: Callable) -> list[str]:
    found = studies(config)
    wrong = [
        f"{each.name} is {each.state}: {each.reason}"
        for each in found
        if each.state != State.DONE and not each.reason
    ]
    if len(found) != len(files) or sender.is_alive():
        wrong.append(f"{len(found)} of {len(files)} studies received")
    spool = Spool(read_config(config).node)
    lost = [each.name for each in found if len(spool.images(each.name)) != SLICES]
    spool.ledger.close()
    wrong += [f"{name} lacks images" for name in lost]
    kinds: dict[str, Counter[str]] = {}
    for versions in pacs.got.values():
        if len(set(versions)) > 1:
            wrong.append("an object came with two contents")
        seen = pydicom.dcmread(io.BytesIO(versions[0]), stop_before_pixels=True)
        kinds.setdefault(seen.StudyInstanceUID, Counter())[seen.SeriesDescription] += 1
    done = {each.uid for each in found if each.state == State.DONE}
    wrong += [f"a study was delivered as {dict(k)}" for k in kinds.values() if max(k.values()) > 1]
    wrong += [f"{len(done - kinds.keys())} studies are done and not there"] * bool(
        done - kinds.keys()
    )
    again = sum(each.measured_times > 1 for each in found)
    say(
        f"{len(found)} studies: {dict(Counter(each.state for each in found))}, {again} measured "
        f"again as they grew; {len(pacs.got)} objects there, "
        f"{sum(map(len, pacs.got.values()))} sent; answers to the sender {dict(sender.statuses)}"
    )
    return wrong


def recorded(port: int, files: list[Path]) -> bytes:
    """The bytes by which a study is sent."""
    heard, listener = bytearray(), socket.create_server(("127.0.0.1", 0))

    def relay() -> None:
        caller, _ = listener.accept()
        with caller, socket.create_connection(("127.0.0.1", port)) as node:

            def back() -> None:
                with suppress(OSError):
                    while data := node.recv(1 << 16):
                        caller.sendall(data)
                    caller.shutdown(socket.SHUT_WR)

            answers = threading.Thread(target=back)
            answers.start()
            with suppress(OSError):
                while data := caller.recv(1 << 16):
                    heard.extend(data)
                    node.sendall(data)
            answers.join()

    thread = threading.Thread(target=relay)
    thread.start()
    send(listener.getsockname()[1], files)
    thread.join()
    listener.close()
    return bytes(heard)


def fuzzed(data: bytes, rng: random.Random) -> bytes:
    """What a broken or hostile peer might send: bytes changed, lost, repeated, lengths huge."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        at = rng.randrange(min(len(found), rng.choice((12, 400, len(found)))) or 1)
        match rng.randrange(5):
            case 0:
                found[at] = rng.randrange(256)
            case 1:
                del found[at : at + rng.choice((1, 7, 1000))]
            case 2:
                found[at:at] = rng.randbytes(rng.choice((1, 6, 500)))
            case 3:
                found[at : at + 4] = rng.choice(
                    (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4))
                )
            case _:
                del found[rng.randrange(len(found) or 1) :]
        if not found:
            break
    return bytes(found)


def fuzz_trial(place: Path, count: int, seed: int = 0, say: Callable = print) -> list[str]:
    """Send garbage; the node must go on, in bounded memory."""
    rng, wrong = random.Random(seed), []
    files = write_study(place / "ct", 1)
    with archive() as pacs:
        config = write_config(place, pacs.port, timeout_seconds=20)
        with Node(config) as node:
            data = recorded(node.port, files[:2])
            before = resident_mb(node.pid)

            def attack(sent: bytes) -> None:
                with (
                    suppress(OSError),
                    socket.create_connection(("127.0.0.1", node.port), 30) as peer,
                ):
                    peer.settimeout(0.5)
                    peer.sendall(sent)
                    while peer.recv(1 << 16):
                        pass

            with ThreadPoolExecutor(4) as pool:
                list(pool.map(attack, [fuzzed(data, rng) for _ in range(count)]))
            wait_for(lambda: threads(node.pid) < 20 or not node.is_alive())
            after = resident_mb(node.pid)
            say(f"{count} fuzzed associations: {before:.0f} MB before, {after:.0f} MB after")
            wrong += [f"memory grew by {after - before:.0f} MB"] * (after - before > 60)
            if send(node.port, files) != [0] * len(files):
                wrong.append("the node takes no study any more")
            settled(config, 1)
    log = (place / "node.log").read_text()
    quoted = [word for word in ("Traceback", "1.2.840") if word in log]
    return wrong + [f"the log quotes what peers sent: {word}" for word in quoted]


def crowd_trial(place: Path, count: int, say: Callable = print) -> list[str]:
    """Send studies at the same time, each by an association of its own."""
    files = [write_study(place / "ct" / str(n), n) for n in range(count)]
    with archive() as pacs:
        config = write_config(place, pacs.port, max_associations=count)
        with Node(config) as node:
            before, began = resident_mb(node.pid), time.monotonic()
            with ThreadPoolExecutor(count) as pool:
                found = list(pool.map(lambda each: send(node.port, each), files))
            took, after = time.monotonic() - began, resident_mb(node.pid)
            done = settled(config, count, *SETTLED, seconds=900)
            say(
                f"{count} associations at once, {count * SLICES} images in {took:.1f} s: "
                f"{before:.0f} MB before, {after:.0f} MB after"
            )
    wrong = [f"answers {each}" for each in found if each != [0] * SLICES]
    return wrong + [f"{len(done)} done"] * (len(done) != count)


def huge_trial(place: Path, count: int, say: Callable = print) -> list[str]:
    """Send one study of many images."""
    files = write_study(place / "ct", 1, slices=count, spacing_mm=2.0)
    with archive() as pacs:
        config = write_config(place, pacs.port, quiet_seconds=3)
        with Node(config) as node:
            before, began = resident_mb(node.pid), time.monotonic()
            found = send(node.port, files)
            took, received = time.monotonic() - began, resident_mb(node.pid)
            (study,) = settled(config, 1, *SETTLED, seconds=900)
            say(
                f"a study of {count} images in {took:.0f} s ({count / took:.0f} a second): "
                f"{before:.0f} MB before, {received:.0f} MB after reception, "
                f"{resident_mb(node.pid):.0f} MB in the end; {study.state} {study.reason}"
            )
    return ["not every image was taken"] * (found != [0] * count) + [study.reason] * (
        study.state != State.DONE
    )


def resident_mb(pid: int) -> float:
    """Memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def threads(pid: int) -> int:
    """Threads of a process."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


TRIALS = {
    "kills": lambda place: kill_trial(place, 8, 20, 25.0),
    "fuzz": lambda place: fuzz_trial(place, 1000),
    "crowd": lambda place: crowd_trial(place, 20),
    "huge": lambda place: huge_trial(place, 10_000),
}


def main() -> None:
    """Run trials at full size."""
    failed = False
    for name in sys.argv[1:] or TRIALS:
        with tempfile.TemporaryDirectory() as folder:
            wrong = TRIALS[name](Path(folder))
        print(f"{name}: {'; '.join(wrong) or 'nothing wrong'}", flush=True)  # noqa: T201
        failed |= bool(wrong)
    sys.exit(failed)


if __name__ == "__main__":
    main()

"""A pull that is killed at random moments and repeated, against one that is left alone.

``PYTHONPATH=tests python -m support.pull_harness STUDIES KILLS`` does it at any size, over C-GET,
C-MOVE and DICOMweb, and prints what happened.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pydicom

from bodycomp.dicom.header import PixelFormat, SeriesHeader, Storage
from bodycomp.dicom.write import write_ct_series
from bodycomp.imaging.volume import Volume
from support.orthanc import Orthanc, running_orthanc
from support.ports import free_port

SYNTAXES = (Storage.EXPLICIT, Storage.JPEG_2000, Storage.IMPLICIT, Storage.RLE)


def fill(archive: Orthanc, folder: Path, studies: int, slices: int = 6, side: int = 32) -> None:
    """Write small studies in several transfer syntaxes, and store them in the archive.

    Study n is of patient ``SECRET-n`` with the accession number ``ACC-n``; every third has a
    second series.
    """
    hu = np.random.default_rng(5).integers(-1000, 1000, (slices, side, side)).astype(np.int16)
    volume = Volume(hu, (2.0, 2.0), 5.0 * np.arange(slices))
    for number in range(studies):
        pixels = PixelFormat(storage=SYNTAXES[number % len(SYNTAXES)])
        for series in (1, 2) if number % 3 == 0 else (1,):
            header = SeriesHeader(
                seed=f"pulled {number}",
                patient_id=f"SECRET-{number}",
                patient_name=f"Secret^Name{number}",
                date=f"2026013{number % 2}",
                series_number=series,
                series_description=("CT abdomen", "CT lung")[series - 1],
                pixels=pixels,
            )
            for path in write_ct_series(folder / f"{number:03}-{series}", volume, header):
                image = pydicom.dcmread(path)
                image.AccessionNumber = f"ACC-{number}"
                image.save_as(path)
                archive("/instances", path.read_bytes())


def write_list(path: Path, studies: int) -> Path:
    """Write the table of all accession numbers, and of one that nobody has."""
    numbers = [f"ACC-{number}" for number in range(studies)] + ["ACC-NONE"]
    path.write_text("\n".join(["accession_number", *numbers]) + "\n")
    return path


def pull_arguments(archive: Orthanc, way: str, port: int) -> list[str]:
    """Return how to reach the archive by C-GET ("get"), C-MOVE ("move") or DICOMweb ("web")."""
    place = archive.dicom_web if way == "web" else archive.peer
    return ["--from", place, *(["--receive-at", str(port)] if way == "move" else [])]


def environment(archive: Orthanc, folder: Path) -> dict[str, str]:
    """Return the environment of a pull, with the archive's password in a file as curl reads it."""
    netrc = folder / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login test password {archive.password}\n")
    netrc.chmod(0o600)
    path = os.pathsep.join(filter(None, sys.path))
    return dict(os.environ, NETRC=str(netrc), PYTHONPATH=path)


def landed(out: Path) -> dict[str, int]:
    """Return the time stamp of every image in a study that has its name."""
    return {str(path): path.stat().st_mtime_ns for path in out.glob("study-*/*/*.dcm")}


def kill_and_repeat(
    command: list[str], out: Path, variables: Mapping[str, str], images: int, kills: int, seed: int
) -> tuple[list[int], list[str]]:
    """Kill a pull of so many images at random moments and repeat it.

    Returns how many images had landed at each kill, and those that came twice or were lost.
    """
    rng = random.Random(seed)
    known: dict[str, int] = {}
    counts, wrong = [], []
    # Moments spread over the work rather than over time, most of which is starting.
    for aim in [*sorted(rng.sample(range(images), kills)), None]:
        process = subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL)
        if aim is not None:
            while process.poll() is None and len(list(out.glob("*study-*/*/*"))) < aim:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.05))
            process.kill()
        assert process.wait() == 0 or aim is not None
        now = landed(out)
        wrong += [path for path, at in known.items() if now.get(path) != at]
        known = now
        counts.append(len(now))
    return counts, wrong


def content(out: Path) -> dict[str, bytes]:
    """Return everything that a pull leaves, with its name; the ledger has what failed, too."""
    paths = (path for path in out.rglob("*") if path.is_file() and path.suffix != ".jsonl")
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


def main() -> None:
    """Kill pulls over every protocol, and say how it went."""
    studies, kills = map(int, sys.argv[1:3])
    failed = False
    with tempfile.TemporaryDirectory() as place:
        folder, port = Path(place), free_port()
        with running_orthanc(folder, DicomModalities={"us": ["BODYCOMP", "127.0.0.1", port]}) as it:
            fill(it, folder / "ct", studies)
            listed = write_list(folder / "list.csv", studies)
            variables = environment(it, folder)
            whole = folder / "whole"
            for way in ("get", "move", "web"):
                common = [sys.executable, "-m", "bodycomp", "--quiet", "pull", "-a", str(listed)]
                common += pull_arguments(it, way, port)
                if not whole.exists():
                    subprocess.run([*common, "-o", str(whole)], env=variables, check=True)
                common += ["--pseudonym-key", f"{whole}.pseudonym-key", "-o", str(folder / way)]
                images = len(landed(whole))
                seen, wrong = kill_and_repeat(common, folder / way, variables, images, kills, 1)
                same = content(whole).keys() == content(folder / way).keys()
                failed |= bool(wrong) or not same
                sys.stdout.write(f"{way}: images at each kill {seen}; twice or lost: {wrong}; ")
                sys.stdout.write(f"as one without kills: {same}\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()

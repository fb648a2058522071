"""Shared fixtures; keep tests to one thread each."""

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

# Trainings in tests leave nothing in the user's cache.
_cache = tempfile.TemporaryDirectory(prefix="bodycomp-cache-")
os.environ["BODYCOMP_CACHE"] = _cache.name

# Tensors in tests are small, and threads that wait for each other on a busy machine cost most.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples in every run of continuous integration; new ones at every run elsewhere, so that
# few at a time do. A busy machine breaks any deadline of an example, which says nothing of what is
# tested.
settings.register_profile("here", deadline=None, max_examples=40)
settings.register_profile("ci", settings.get_profile("here"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


MANY_TESTS = 60


@pytest.fixture(autouse=True)
def _seeded_torch():
    """Seed PyTorch's generator for every test; pytest-randomly does so for the others."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def pytest_collection_modifyitems(items):
    """Run a file's tests in one process, as those of the browser; what takes long comes first.

    A process that ends with a long file would keep the other one waiting.
    """
    files = Counter(item.path for item in items)
    long = {path for path, count in files.items() if count >= MANY_TESTS}
    long |= {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            file = item.nodeid.partition("::")[0]
            group = "browser" if "chromium" in getattr(item, "fixturenames", ()) else file
            item.add_marker(pytest.mark.xdist_group(group))


def pytest_terminal_summary(terminalreporter):
    """Say in the last lines what was not tested; the reasons say how to get it."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    if reasons:
        terminalreporter.section("not tested here")
    for reason, count in sorted(reasons.items()):
        terminalreporter.line(f"{count:4} tests: {reason}")


@pytest.fixture(scope="session")
def mask_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A segmentation set of phantom patients; tests with it are of the group "planted faults"."""
    from support.phantom_sets import write_mask_set  # noqa: PLC0415 - few tests need it

    return write_mask_set(tmp_path_factory.mktemp("masks"))


@pytest.fixture(scope="session")
def level_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slice-selection set of phantom patients, as ``mask_set``."""
    from support.phantom_sets import write_level_set  # noqa: PLC0415

    return write_level_set(tmp_path_factory.mktemp("levels"))


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three phantom patients, made by two processes; tests with it are of the group "cohort"."""
    from bodycomp.cohort.write import write_cohort  # noqa: PLC0415
    from support.phantom_sets import few_patients  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("cohort") / "phantoms"
    write_cohort(few_patients(folder, jobs=2))
    return folder

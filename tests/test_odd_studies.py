"""Every odd study has its right answer, and the documentation lists it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bodycomp.errors import SeriesError
from bodycomp.imaging.volume import Volume
from bodycomp.study.options import AnalyzeOptions
from bodycomp.study.run import no_progress
from bodycomp.study.search import find_work
from odd_studies import ODD_STUDIES, VOLUME, OddStudy

DOCUMENT = Path(__file__).parents[1] / "docs/studies.md"


def read_all(given: Path, folder: Path) -> tuple[list[Volume], list[str], str]:
    """Volumes, kinds of refusals, and everything that is said of them, as a run does it."""
    options = AnalyzeOptions(inputs=(given,), models_dir=folder, out_dir=folder / "out")
    work = find_work(options, no_progress)
    kinds = [row.kind for row in work.refused]
    said = [row.reason for row in (*work.refused, *work.series)]
    volumes = []
    for source in work.sources:
        for one in (source, *work.spares.get(source.study, ())):
            try:
                loaded = one.load(identifiers=False)
            except SeriesError as error:
                kinds.append("not readable")
                said.append(error.message)
                continue
            volumes.append(loaded.volume)
            said.append(loaded.facts.notes)
            break
    return volumes, sorted(kinds), "\n".join(said)


@pytest.mark.parametrize("study", ODD_STUDIES, ids=lambda study: study.name)
def test_odd_study_has_its_answer(tmp_path: Path, study: OddStudy) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    given = study.make(folder) or folder
    before = {path for path in tmp_path.parent.rglob("*") if path.is_file()}

    volumes, kinds, said = read_all(given, tmp_path)

    assert sorted(len(volume) for volume in volumes) == sorted(study.read), said
    assert tuple(kinds) == study.refused, said
    assert study.words in said
    for volume in volumes if study.same else ():
        np.testing.assert_array_equal(volume.hu, VOLUME.hu)
    assert {path for path in tmp_path.parent.rglob("*") if path.is_file()} == before
    assert "P1" not in said


def test_table_of_the_documentation_lists_every_odd_study() -> None:
    assert len(ODD_STUDIES) >= 50
    names = [study.name for study in ODD_STUDIES]
    assert len(set(names)) == len(names)
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [name for name in names if f"| {name} |" not in text] == []

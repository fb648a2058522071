"""Inputs -> the series to analyse and those that are not, each with its reason."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bodycomp.dicom.candidate import CandidateSeries, Refusal
from bodycomp.dicom.rank import preferred
from bodycomp.dicom.series import SeriesSearch, find_series
from bodycomp.errors import InputNotFoundError
from bodycomp.study.options import (
    NOT_CHOSEN,
    STUDY_PREFIX,
    AnalyzeOptions,
    RefusedSeries,
    StudyProgress,
)
from bodycomp.study.sources import DicomSource, NiftiSource, Source, is_nifti


@dataclass(frozen=True, eq=False)
class Worklist:
    """What a run has before it.

    Attributes:
        sources: Series to analyse; those of one study stand together.
        refused, not_chosen: See ``StudyReport``.
        file_count, unreadable_count: Files opened, and those that cannot be read.
    """

    sources: tuple[Source, ...]
    refused: tuple[RefusedSeries, ...]
    not_chosen: tuple[RefusedSeries, ...]
    file_count: int
    unreadable_count: int


def find_work(options: AnalyzeOptions, progress: StudyProgress) -> Worklist:
    """Search the inputs.

    Raises:
        InputNotFoundError: An input is not there, or the inputs hold no image at all.
    """
    nifti_paths = {path.resolve(): path for path in options.inputs if is_nifti(path)}
    others = [path for path in options.inputs if not is_nifti(path)]
    search = SeriesSearch((), (), 0, 0, 0)
    if others:
        search = find_series(others, progress=lambda done, total: progress("search", done, total))
    chosen = search.candidates if options.all_series else preferred(search.candidates)
    volumes, copies = _nifti_sources(list(nifti_paths.values()))
    work = Worklist(
        sources=(*(DicomSource(candidate) for candidate in _by_study(chosen)), *volumes),
        refused=(*(_refused(refusal, search.candidates) for refusal in search.refusals), *copies),
        not_chosen=_not_chosen(search.candidates, chosen),
        file_count=search.file_count + len(nifti_paths),
        unreadable_count=search.unreadable_count,
    )
    if not (work.sources or work.refused):
        raise InputNotFoundError(
            f"expected CT images, found none in {work.file_count} files "
            f"({work.unreadable_count} of them damaged DICOM)",
            hint="Give DICOM files or folders of them; NIfTI volumes are given by file name.",
        )
    return work


def _by_study(candidates: Sequence[CandidateSeries]) -> list[CandidateSeries]:
    """Return candidates with the series of each study together, studies in order of appearance."""
    order = {key: place for place, key in enumerate(dict.fromkeys(c.study_key for c in candidates))}
    return sorted(candidates, key=lambda candidate: order[candidate.study_key])


def _nifti_sources(paths: Sequence[Path]) -> tuple[list[NiftiSource], list[RefusedSeries]]:
    """Return volumes of different content, and the copies among them as refused."""
    first: dict[str, NiftiSource] = {}
    copies: list[RefusedSeries] = []
    for number, path in enumerate(paths, start=1):
        source = NiftiSource(path, f"NIfTI volume {number} of {len(paths)}")
        if first.setdefault(source.series, source) is not source:
            words = (source.what, "copy", "another input has the same content")
            copies.append(RefusedSeries(source.study, source.series, *words, files=1))
    return list(first.values()), copies


def _not_chosen(
    candidates: Sequence[CandidateSeries], chosen: Sequence[CandidateSeries]
) -> tuple[RefusedSeries, ...]:
    best = {candidate.study_key: DicomSource(candidate) for candidate in chosen}
    kept = {candidate.key for candidate in chosen}
    left_out = [
        (DicomSource(candidate), best[candidate.study_key])
        for candidate in candidates
        if candidate.key not in kept
    ]
    return tuple(
        RefusedSeries(
            source.study,
            source.series,
            source.what,
            NOT_CHOSEN,
            f"{preferred_one.what} of the same study suits better; --all-series analyses both",
            source.file_count,
        )
        for source, preferred_one in left_out
    )


def _refused(refusal: Refusal, candidates: Sequence[CandidateSeries]) -> RefusedSeries:
    """Name a refusal's study like the candidates of the same study, if there are any."""
    keys = {c.study_key for c in candidates if c.study_uid and c.study_uid == refusal.study_uid}
    key = keys.pop() if len(keys) == 1 else _digest(refusal.study_uid)
    return RefusedSeries(
        study=STUDY_PREFIX + key,
        series="",
        what=refusal.what,
        kind=str(refusal.kind),
        reason=refusal.reason,
        files=refusal.file_count,
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]

"""Inputs -> the series to analyze and those that are not, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bodycomp.dicom.candidate import CandidateSeries, Refusal
from bodycomp.dicom.rank import by_study, preferred, why_behind
from bodycomp.dicom.series import SeriesSearch, find_series
from bodycomp.digests import key_of
from bodycomp.errors import InputNotFoundError
from bodycomp.progress import Progress
from bodycomp.study.inputs import Inputs, sort_inputs
from bodycomp.study.options import NOT_CHOSEN, STUDY_PREFIX, AnalyzeOptions, RefusedSeries
from bodycomp.study.series_table import SeriesRow, refusal_row, study_rows
from bodycomp.study.sources import Source, dicom_source, volume_source


@dataclass(frozen=True, eq=False)
class Worklist:
    """What a run has before it.

    Attributes:
        sources: Series to analyze; those of one study stand together.
        fallbacks: Study -> series to try, best first, where none of its sources can be read.
        series: The rows of ``series.csv``.
    """

    sources: tuple[Source, ...]
    fallbacks: Mapping[str, tuple[Source, ...]]
    series: tuple[SeriesRow, ...]
    refused: tuple[RefusedSeries, ...]
    not_chosen: tuple[RefusedSeries, ...]
    file_count: int
    unreadable_count: int


@contextmanager
def opened_work(options: AnalyzeOptions, progress: Progress) -> Iterator[Worklist]:
    """Search the inputs; zip files stay unpacked in the output folder until the end.

    Raises:
        InputNotFoundError: An input is not there, or the inputs hold no image at all.
    """
    inputs = sort_inputs(options.inputs, options.out_dir)
    try:
        yield _find_work(inputs, options, progress)
    finally:
        inputs.close()


def _find_work(inputs: Inputs, options: AnalyzeOptions, progress: Progress) -> Worklist:
    search = SeriesSearch((), (), 0, 0)
    if inputs.places:
        search = find_series(
            inputs.places,
            progress=lambda done, total: progress("search", done, total),
            folder_of=inputs.folder_of,
        )
    chosen = search.candidates if options.all_series else preferred(search.candidates)
    volumes, copies = _volume_sources(inputs)
    studies = by_study(search.candidates)
    every = options.all_series
    work = Worklist(
        sources=(*(_source(candidate, inputs) for candidate in _by_study(chosen)), *volumes),
        fallbacks={} if every else _fallbacks(studies, inputs),
        series=(
            *(row for members in studies for row in study_rows(members, all_chosen=every)),
            *(refusal_row(found, _study_of(found, search.candidates)) for found in search.refusals),
            *(_volume_row(source) for source in volumes),
        ),
        refused=(
            *(_refused(refusal, search.candidates) for refusal in search.refusals),
            *copies,
            *inputs.refused,
        ),
        not_chosen=_not_chosen(search.candidates, chosen),
        file_count=search.file_count + inputs.named_volumes + len(inputs.refused),
        unreadable_count=search.unreadable_count + sum(a.broken for a in inputs.archives),
    )
    if not (work.sources or work.refused):
        raise InputNotFoundError(
            f"expected CT images, found none in {work.file_count} "
            f"file{'s' * (work.file_count != 1)}"
            + (
                f" ({work.unreadable_count} of them damaged DICOM)" if work.unreadable_count else ""
            ),
            hint="Give folders, zip files or single files of DICOM, NIfTI or NRRD.",
        )
    return work


def _by_study(candidates: Sequence[CandidateSeries]) -> list[CandidateSeries]:
    """Return candidates with the series of each study together, studies in order of appearance."""
    order = {key: place for place, key in enumerate(dict.fromkeys(c.study_key for c in candidates))}
    return sorted(candidates, key=lambda candidate: order[candidate.study_key])


def _source(candidate: CandidateSeries, inputs: Inputs) -> Source:
    return dicom_source(candidate, inputs.origin_of(candidate.files[0]))


def _fallbacks(
    studies: Sequence[Sequence[CandidateSeries]], inputs: Inputs
) -> dict[str, tuple[Source, ...]]:
    sources = ([_source(candidate, inputs) for candidate in members] for members in studies)
    return {first.study: tuple(others) for first, *others in sources if others}


def _volume_row(source: Source) -> SeriesRow:
    words = "a volume file is a study of its own"
    return SeriesRow(study=source.study, series=source.series, rank=1, chosen="yes", reason=words)


def _volume_sources(inputs: Inputs) -> tuple[list[Source], list[RefusedSeries]]:
    """Return volumes of different content, and the copies among them as refused."""
    first: dict[str, Source] = {}
    copies: list[RefusedSeries] = []
    for number, path in enumerate(inputs.volumes, start=1):
        origin = inputs.origin_of(path)
        place = path if origin == path.parent else origin
        source = volume_source(path, number, len(inputs.volumes), place)
        if first.setdefault(source.series, source) is not source:
            copies.append(source.refused("copy", "another input has the same content"))
    return list(first.values()), copies


def _not_chosen(
    candidates: Sequence[CandidateSeries], chosen: Sequence[CandidateSeries]
) -> tuple[RefusedSeries, ...]:
    best = {candidate.study_key: candidate for candidate in chosen}
    kept = {candidate.key for candidate in chosen}
    return tuple(
        dicom_source(candidate).refused(
            NOT_CHOSEN,
            f"{dicom_source(better).what} of the same study suits better "
            f"({why_behind(candidate, better)}); --all-series analyses both",
        )
        for candidate in candidates
        if candidate.key not in kept
        for better in [best[candidate.study_key]]
    )


def _refused(refusal: Refusal, candidates: Sequence[CandidateSeries]) -> RefusedSeries:
    return RefusedSeries(
        study=_study_of(refusal, candidates),
        series="",
        what=refusal.what,
        kind=str(refusal.kind),
        reason=refusal.reason,
        files=refusal.file_count,
    )


def _study_of(refusal: Refusal, candidates: Sequence[CandidateSeries]) -> str:
    """Name a refusal's study like the candidates of the same study, if there are any."""
    keys = {c.study_key for c in candidates if c.study_uid and c.study_uid == refusal.study_uid}
    return STUDY_PREFIX + (keys.pop() if len(keys) == 1 else key_of(refusal.study_uid))

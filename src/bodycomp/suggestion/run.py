"""From a folder of scans to the slices to annotate next."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field, fields
from typing import Final

import numpy as np

from bodycomp.dicom.candidate import CandidateSeries
from bodycomp.dicom.derived.identity import PseudonymKey
from bodycomp.errors import BodycompError, ImageError, ModelError, OutputError
from bodycomp.imaging.volume import Volume
from bodycomp.progress import Progress, no_progress
from bodycomp.report.suggestion_sheet import SuggestedSlice, write_suggestion_sheet
from bodycomp.results import LevelStatus
from bodycomp.storage import refuse_other, remove_leftovers
from bodycomp.study.options import REFUSED_NAME, AnalyzeOptions, RefusedSeries
from bodycomp.study.out_folder import held_folder
from bodycomp.study.pseudonyms import read_or_make_key, with_pseudonyms
from bodycomp.study.search import Worklist, opened_work
from bodycomp.study.sources import Source
from bodycomp.suggestion.candidates import (
    Candidate,
    Networks,
    SliceLevels,
    choose,
    found_levels,
    is_done,
    load_networks,
    look_at,
    slices_to_look_at,
    wanted_levels,
)
from bodycomp.suggestion.disagreement import disagreement
from bodycomp.suggestion.files import SuggestionFolder, slices_of
from bodycomp.suggestion.options import (
    TABLE_NAME,
    Suggestion,
    SuggestionReport,
    SuggestOptions,
)
from bodycomp.tables import write_table

_LOG: Final = logging.getLogger(__name__)
_NOT_FOUND: Final = "level"
"""Kind of a refusal: a level near which slices were to be looked at is not found."""


def suggest_slices(
    options: SuggestOptions, progress: Progress = no_progress, *, networks: Networks | None = None
) -> SuggestionReport:
    """Look at the slices of all scans and write those on which segmentations disagree most.

    A scan that cannot be read, or a level that is not found, is among the refused. ``networks``
    take the place of the models that the options name.

    Raises:
        InputNotFoundError: Scans or models are not there, or the scans hold no image.
        ModelError: A model is missing, cannot be used, or gives no numbers.
        OutputError: The folder has content, lies in that of the scans, or cannot be written.
        UsageError: A level is unknown, or the models label different tissues.
    """
    _check_place(options)
    networks = networks or load_networks(options)
    levels = wanted_levels(options, networks.scorer)
    with held_folder(options.out):
        remove_leftovers(options.out)
        folder = SuggestionFolder(options.out)
        analysis = AnalyzeOptions(inputs=(options.scans,), out_dir=options.out)
        with opened_work(analysis, progress) as found:
            key = read_or_make_key(options.out, None)
            search = _Search(options, networks, levels, key, folder)
            search.look(with_pseudonyms(found, key), progress)
            return search.write(progress)


def _check_place(options: SuggestOptions) -> None:
    out, scans = options.out.resolve(), options.scans.resolve()
    if out.is_relative_to(scans) or scans.is_relative_to(out):
        raise OutputError(
            f"expected OUT apart from the scans, found {options.out} and {options.scans} in one "
            "another",
            hint="What is suggested would be taken for scans the next time; name another folder.",
        )
    is_there = (options.out / TABLE_NAME).is_file()
    if is_there and SuggestionFolder(options.out).rows and not options.add:
        raise OutputError(
            f"there are suggestions already in {options.out}",
            hint="Add to them with --add, or name another folder.",
        )
    overwrite = options.add or is_there  # one without any
    refuse_other(options.out, "a folder of suggestions", TABLE_NAME, overwrite=overwrite)


@dataclass(eq=False)
class _Search:
    """One pass over the scans, and a second one over those that were chosen."""

    options: SuggestOptions
    networks: Networks
    levels: tuple[str, ...]
    key: PseudonymKey
    folder: SuggestionFolder
    candidates: list[Candidate] = field(default_factory=list)
    refused: list[RefusedSeries] = field(default_factory=list)
    scans: int = 0

    def look(self, work: Worklist, progress: Progress) -> None:
        """Look at every scan, at others of its study where it cannot be read."""
        self.refused += work.refused
        for number, source in enumerate(work.sources, start=1):
            patient = self._patient(source)
            if not is_done(patient, self.options, self.folder.taken):
                for each in (source, *work.fallbacks.get(source.study, ())):
                    if self._look_at(each, patient):
                        break
            progress("series", number, len(work.sources))

    def _patient(self, source: Source) -> str:
        """Return a pseudonym that is the same for all studies of a patient, where files tell."""
        origin = source.origin
        known = origin.patient_id.strip() if isinstance(origin, CandidateSeries) else ""
        return f"patient-{self.key.code('patient', known or source.study)}"

    def _look_at(self, source: Source, patient: str) -> bool:
        """Look at one scan; a refusal, and False, if it cannot be read."""
        try:
            scan = source.load()
            indices = self._indices(source, scan.volume)
            found = look_at(scan.volume, indices, (source, patient), self.networks)
        except ModelError:
            raise  # not the fault of this scan
        except ImageError as error:
            self.refused.append(source.refused("not readable", error.message))
        except (BodycompError, OSError) as error:
            reason = f"{type(error).__name__}: reading failed"
            self.refused.append(source.refused("not readable", reason))
        except Exception as error:
            # Whatever a strange file provokes must not cost the other scans their suggestions.
            _LOG.debug("unexpected fault", exc_info=True)
            reason = f"unexpected {type(error).__name__}; see --debug"
            self.refused.append(source.refused("fault", reason))
        else:
            self.candidates += found
            self.scans += bool(indices)
            return True
        return False

    def _indices(self, source: Source, volume: Volume) -> SliceLevels:
        """Return the slices to look at; a level that is not found is refused with its reason."""
        scorer = self.networks.scorer
        choices = [] if scorer is None else found_levels(volume, scorer, self.levels)
        for choice in choices:
            if choice.status is not LevelStatus.FOUND:
                reason = f"{choice.level} is {choice.status.value}: {choice.reason}"
                self.refused.append(source.refused(_NOT_FOUND, reason))
        return slices_to_look_at(volume, choices, self.options)

    def write(self, progress: Progress) -> SuggestionReport:
        """Write what was chosen, most disagreement first."""
        chosen = choose(self.candidates, self.options, self.folder.taken)
        first, tissues = self.folder.next_number, self.networks.segmenters[0].tissues
        suggestions, shown = [], []
        for number, candidate in enumerate(chosen, start=first):
            suggestion = _suggestion(candidate, number, self.networks)
            shown.append(self._write_slice(suggestion, candidate))
            suggestions.append(suggestion)
            progress("write", number - first + 1, len(chosen))
        self.folder.write_tables(suggestions, tissues)
        columns = [each.name for each in fields(RefusedSeries)]
        write_table(self.options.out / REFUSED_NAME, columns, map(asdict, self.refused))
        picture = None
        if shown:
            name = f"suggestions-{first:03d}-{first + len(shown) - 1:03d}.png"
            picture = self.options.out / name
            write_suggestion_sheet(picture, shown, tissues)
        return SuggestionReport(
            suggestions=tuple(suggestions),
            refused=tuple(self.refused),
            looked_at=len(self.candidates),
            scans=self.scans,
            out=self.options.out,
            picture=picture,
        )

    def _write_slice(self, suggestion: Suggestion, candidate: Candidate) -> SuggestedSlice:
        """Write one slice; its scan is read again, so that no more than one is in memory."""
        volume, index = candidate.source.load().volume, candidate.slice_index
        found = disagreement(self.networks.segmenters, volume, index)
        self.folder.write_slice(suggestion, volume, found.labels, self.options.context_mm)
        alone = slices_of(volume, np.array([index]))
        where = f"{suggestion.level} {suggestion.offset_mm:+.0f} mm, " if suggestion.level else ""
        title = f"{suggestion.number:03d}  {where}agreement {1 - suggestion.disagreement:.2f}"
        return SuggestedSlice(title, alone, found.labels, found.doubt)


def _suggestion(candidate: Candidate, number: int, networks: Networks) -> Suggestion:
    return Suggestion(
        number=number,
        patient=candidate.patient,
        series=candidate.source.series,
        level=candidate.level,
        offset_mm=candidate.offset_mm,
        slice_index=candidate.slice_index,
        slices=candidate.slices,
        z_mm=candidate.z_mm,
        disagreement=candidate.disagreement,
        tissues=candidate.tissues,
        reason=candidate.reason(networks),
    )

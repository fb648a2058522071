"""Which slices of a scan are looked at, and which of all that were are suggested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bodycomp.analysis.loading import load_segmenter, load_slice_scorer
from bodycomp.analysis.pipeline import AnalysisOptions, Segmenter, SliceScorer, find_levels
from bodycomp.anatomy import DEFAULT_LEVEL, tissue_by_key
from bodycomp.errors import UsageError
from bodycomp.imaging.volume import Volume
from bodycomp.networks.model_folder import find_in_pair
from bodycomp.networks.shipped import DEFAULT_MODELS, SLICE_SELECTION_FOLDER, models_dir
from bodycomp.results import LevelStatus, SliceChoice
from bodycomp.study.sources import Source
from bodycomp.suggestion.disagreement import disagreement
from bodycomp.suggestion.options import SuggestOptions

APART_MM: Final = 20.0
"""Slices of one patient that are nearer to one another teach much the same."""


@dataclass(frozen=True)
class Networks:
    """What looks at the scans.

    Attributes:
        scorer: Finds the levels; None where all slices are looked at.
        segmenters: The first gives the outlines.
    """

    scorer: SliceScorer | None
    segmenters: tuple[Segmenter, ...]

    def __post_init__(self) -> None:
        tissues = {tuple(t.key for t in each.tissues) for each in self.segmenters}
        if len(tissues) > 1:
            found = "; ".join(sorted(", ".join(keys) for keys in tissues))
            raise UsageError(f"expected models that label the same tissues, found {found}")


def load_networks(options: SuggestOptions) -> Networks:
    """Load the models that the options name.

    Raises:
        InputNotFoundError, ModelError: A model is not there, or cannot be used.
        UsageError: The device is not there, or the models label different tissues.
    """
    how = {"device": options.device, "engine": options.engine}
    folders: tuple[Path | None, ...] = options.models or (None,)
    finders = [each for each in folders if find_in_pair(models_dir(each), SLICE_SELECTION_FOLDER)]
    finder = (*finders, Path(DEFAULT_MODELS))[0]
    scorer = None if options.all_slices else load_slice_scorer(finder, **how)
    return Networks(scorer, tuple(load_segmenter(folder, **how) for folder in folders))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A slice that was looked at; attributes are those of ``Suggestion``."""

    source: Source = field(repr=False)
    patient: str
    level: str
    offset_mm: float | None
    slice_index: int
    slices: int
    z_mm: float
    tissues: dict[str, float]
    disagreement: float

    def reason(self, networks: Networks) -> str:
        """Return why the slice is of use."""
        key = max(self.tissues, key=lambda each: self.tissues[each])
        title, count = tissue_by_key(key).title.lower(), len(networks.segmenters)
        who = "moved copies" if count == 1 else f"{count} models and moved copies"
        return (
            f"{who} agree least on {title} (Dice {1 - self.tissues[key]:.2f}), over all tissues "
            f"{1 - self.disagreement:.2f}"
        )


def wanted_levels(options: SuggestOptions, scorer: SliceScorer | None) -> tuple[str, ...]:
    """Return the levels near which slices are looked at; none where all slices are.

    Raises:
        UsageError: A level was asked for that the model does not find.
    """
    if scorer is None:
        return ()
    unknown = [level for level in options.levels if level not in scorer.levels]
    if unknown:
        raise UsageError(
            f"expected levels that the models find ({', '.join(scorer.levels)}), "
            f"found {', '.join(unknown)}",
            hint="--all-slices looks at the whole scan.",
        )
    usual = (DEFAULT_LEVEL,) if DEFAULT_LEVEL in scorer.levels else scorer.levels
    return options.levels or usual


def found_levels(volume: Volume, scorer: SliceScorer, levels: Sequence[str]) -> list[SliceChoice]:
    """Return where the levels lie, or why not, as an analysis has it."""
    every = find_levels(
        scorer, volume, lambda indices: scorer(volume, slice_indices=indices), AnalysisOptions()
    )
    return [choice for choice in every if choice.level in levels]


SliceLevels = Mapping[int, tuple[str, float | None]]
"""Slice index -> the level that it is looked at for, and how far above it lies."""


def slices_to_look_at(
    volume: Volume, choices: Sequence[SliceChoice], options: SuggestOptions
) -> SliceLevels:
    """Return the slices near the levels that were found, or of the whole scan."""
    z_mm = volume.slice_z_mm
    if options.all_slices:
        step = max(1, round(options.spacing_mm / (volume.slice_spacing_mm or options.spacing_mm)))
        return dict.fromkeys(range(0, len(volume), step), ("", None))
    found: dict[int, tuple[str, float | None]] = {}
    steps = int(options.reach_mm // options.spacing_mm)
    for choice in choices:
        if choice.status is not LevelStatus.FOUND or choice.z_mm is None:
            continue
        for step in range(-steps, steps + 1):
            height_mm = choice.z_mm + step * options.spacing_mm
            if z_mm[0] <= height_mm <= z_mm[-1] or step == 0:
                index = volume.nearest_slice(height_mm)
                found.setdefault(index, (choice.level, float(z_mm[index] - choice.z_mm)))
    return found


def look_at(
    volume: Volume,
    indices: SliceLevels,
    of: tuple[Source, str],
    networks: Networks,
) -> list[Candidate]:
    """Return slices with how much models and copies disagree; those without tissue are left out."""
    source, patient = of
    candidates = []
    for index, (level, offset_mm) in indices.items():
        found = disagreement(networks.segmenters, volume, index)
        if found.tissues:
            candidates.append(
                Candidate(
                    source=source,
                    patient=patient,
                    level=level,
                    offset_mm=offset_mm,
                    slice_index=index,
                    slices=len(volume),
                    z_mm=float(volume.slice_z_mm[index]),
                    tissues=found.tissues,
                    disagreement=found.mean,
                )
            )
    return candidates


Taken = tuple[str, str, float]
"""Patient, series and z of a slice that is suggested already."""


def choose(
    candidates: Iterable[Candidate], options: SuggestOptions, before: Sequence[Taken] = ()
) -> list[Candidate]:
    """Return the slices with most disagreement, few of each patient and none near another."""
    chosen: list[Candidate] = []
    taken = list(before)
    for candidate in sorted(candidates, key=lambda each: -each.disagreement):
        own = [z_mm for _, series, z_mm in taken if series == candidate.source.series]
        near = any(abs(z_mm - candidate.z_mm) < APART_MM for z_mm in own)
        if near or is_done(candidate.patient, options, taken):
            continue
        chosen.append(candidate)
        taken.append((candidate.patient, candidate.source.series, candidate.z_mm))
        if len(chosen) == options.count:
            break
    return chosen


def is_done(patient: str, options: SuggestOptions, taken: Sequence[Taken]) -> bool:
    """Return whether a patient has as many suggestions as are wanted."""
    return sum(each[0] == patient for each in taken) >= options.per_patient

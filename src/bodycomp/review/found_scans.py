"""The scans and the models of a run, found again to correct its levels."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from bodycomp.analysis.pipeline import Segmenter
from bodycomp.dicom.derived.identity import KeptIdentity, PseudonymIdentity, PseudonymKey
from bodycomp.errors import BodycompError, ModelError, ReviewError
from bodycomp.networks.names import AUTO_ENGINE
from bodycomp.progress import Progress
from bodycomp.report.result_rows import SeriesKey
from bodycomp.review.options import CorrectionOptions
from bodycomp.scan import Scan
from bodycomp.study.measured_run import CaseKey, MeasuredRun
from bodycomp.study.options import AnalyzeOptions, DicomObject
from bodycomp.study.outputs import OutputChoice
from bodycomp.study.pseudonyms import key_path, read_key, with_pseudonyms
from bodycomp.study.search import opened_work
from bodycomp.study.sources import Source

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class FoundScans:
    """The series of a run among some inputs, by study and series under the run's pseudonyms."""

    run: MeasuredRun
    sources: Mapping[tuple[str, str], Source] = field(repr=False)
    outputs: OutputChoice

    def check_there(self, cases: Iterable[CaseKey]) -> None:
        """Check that the series of all cases are among the inputs.

        Raises:
            ReviewError: Some are not; all of them are named.
        """
        missing = sorted({case.series for case in cases if case[:2] not in self.sources})
        if missing:
            raise ReviewError(
                f"expected the scans of {', '.join(missing)} among the inputs, found "
                f"{len(self.sources)} other series",
                hint="Give the files that were measured. A NIfTI or NRRD file is known by its "
                "content, a DICOM series by its images.",
            )

    def load(self, case: CaseKey) -> tuple[SeriesKey, Scan]:
        """Read the series of a case; return what tables call it, and the scan.

        Raises:
            ReviewError: It is not among the inputs, cannot be read, or has other slices than when
                it was measured.
        """
        self.check_there([case])
        source = self.sources[case[:2]]
        try:
            scan = source.load()
        except (BodycompError, OSError) as error:
            reason = error.message if isinstance(error, BodycompError) else type(error).__name__
            raise ReviewError(f"{source.series} cannot be read: {reason}") from error
        expected, found = self.run.rows[case]["slices"], len(scan.volume)
        if expected != found:
            raise ReviewError(
                f"{case}: expected {expected} slices as when it was measured, found {found}",
                hint="Give the files that were measured.",
            )
        return source.key(identifiers=self.outputs.identifiers), scan


@contextmanager
def found_scans(
    run: MeasuredRun, options: CorrectionOptions, progress: Progress
) -> Iterator[FoundScans]:
    """Search the inputs for the series of a run; zip files are unpacked until the end.

    Raises:
        InputNotFoundError: An input or the key is not there, or no image was found.
        ReviewError: The key is not that of the run.
        UsageError: No input is given, or the file holds no key.
    """
    key = read_key(options.pseudonym_key or key_path(options.out_dir))
    if key.code("key", "") != run.settings["pseudonym_key"]:
        raise ReviewError(
            "expected the pseudonym key of the run, found another one",
            hint="Name the key that the run was made with by --pseudonym-key.",
        )
    search = AnalyzeOptions(
        inputs=options.inputs, models_dir=run.out_dir, out_dir=run.out_dir, all_series=True
    )
    with opened_work(search, progress) as found:
        work = with_pseudonyms(found, key)
        sources = {(source.study, source.series): source for source in work.sources}
        yield FoundScans(run, sources, _outputs(run, options, key))


def _outputs(run: MeasuredRun, options: CorrectionOptions, key: PseudonymKey) -> OutputChoice:
    settings = run.settings
    dicom = options.dicom
    if dicom is None:
        dicom = frozenset(DicomObject(name) for name in settings["dicom"])
    identity = KeptIdentity() if settings["identifiers"] else PseudonymIdentity(key)
    previews = options.previews if options.previews is not None else bool(settings["previews"])
    pdf = bool(settings.get("pdf"))
    return OutputChoice(dicom, identity, previews, pdf=pdf, cards=run.cards)


def segmenter_of(
    run: MeasuredRun, options: CorrectionOptions, given: Segmenter | None = None
) -> Segmenter:
    """Return the segmentation model of a run, or the given one, to be run as it was then.

    Raises:
        ReviewError: No models are named.
        ModelError: They are not those of the run, or cannot be used.
    """
    runs_as, expected = str(run.settings["engines"]["segmentation"]), run.models[1]
    segmenter = given or _load_segmenter(options, runs_as.partition(" on ")[0] or AUTO_ENGINE)
    if segmenter.digest != expected:
        raise ModelError(
            f"expected the segmentation model {expected} that the run was made with, found "
            f"{segmenter.digest}",
            hint="Name the folder of the models that were used.",
        )
    if segmenter.runs_as != runs_as:
        words = "the run's network ran as %s, now as %s; last digits may differ"
        _LOG.warning(words, runs_as, segmenter.runs_as)
    return segmenter


def _load_segmenter(options: CorrectionOptions, engine: str) -> Segmenter:
    if options.models_dir is None:
        raise ReviewError(
            "expected the models of the run, to segment slices that levels were moved to; found "
            "none",
            hint="Name their folder with --models.",
        )
    from bodycomp.analysis.loading import load_segmenter  # noqa: PLC0415 - torch takes seconds

    return load_segmenter(options.models_dir, device=options.device, engine=engine)

"""``bodycomp prepare``: from annotated scans to the two training sets."""

from __future__ import annotations

from bodycomp.anatomy import ABDOMINAL_TISSUES
from bodycomp.cli.option_parser import Command, CommandGroup
from bodycomp.cli.prepare_sources import SOURCES, RefusalOptions, quiet_searches
from bodycomp.interface.options import DiscoverOptions
from bodycomp.preparation.options import LevelTask, MaskTask, PrepareOptions
from bodycomp.review.options import FromReviewOptions

DESCRIPTION = """\
Make a training set from annotated scans: 'segmentation' from annotated tissues, 'slice-selection'
from marked levels. Both read the same cases table; 'discover' drafts it from a folder. The others
read data sets that are published, as they are downloaded."""

EPILOG = """\
in this order:
  bodycomp prepare discover FOLDER cases.csv       draft the table, then look through it
  bodycomp prepare segmentation cases.csv OUT --labels 1=muscle 2=subcutaneous_fat 3=visceral_fat
  bodycomp validate OUT                            find what is wrong with the set
  bodycomp show OUT                                look at it
  bodycomp train segmentation OUT MODELS

of a published data set:
  bodycomp prepare saros DIR OUT                   then validate, show and train as above
  bodycomp prepare verse DIR OUT                   the same for levels"""

TABLE = """\
CASES is a table, CSV or YAML, one row per scan; paths start at the table's folder:

  patient   code that identifies the patient; all rows of a patient go into one split
  scan      DICOM folder, NIfTI (.nii, .nii.gz) or NRRD file
  masks     annotated tissues: NIfTI, NRRD, DICOM SEG, RTSTRUCT, folder of PNG; several with ';'
  levels    marked levels: CSV, Slicer markups (.mrk.json), or a label map of vertebrae
  series    SeriesInstanceUID or series number, if the folder holds several series
  split     train, val or test; empty to let it be assigned
  ...       columns of your own, such as sex or site, for --stratify"""

AFTER = """\
OUT appears when all is written and was read again. Beside it: OUT-key.csv, the way from pseudonyms
back to patients (keep it apart from the set); while working, OUT.parts with every finished case.
After Ctrl-C, a crash or a bad case the same command resumes and repeats no finished case.

A case that cannot be used is reported with its reason, in OUT/refused.csv too, and the others are
prepared; the set is then incomplete and the exit code 1, unless --allow-refused accepts this."""

SEGMENTATION_DESCRIPTION = f"""\
Make the training set of 'bodycomp train segmentation': slices of 512 x 512 in raw HU, and masks.

{TABLE}

Image and mask must lie on the same pixels; otherwise the case is refused and both frames are
reported.
Every label of an annotation needs a meaning: a tissue, 'ignore', or 'not_annotated'."""

SLICE_SELECTION_DESCRIPTION = f"""\
Make the training set of 'bodycomp train slice-selection': grey slices, and offsets from levels.

{TABLE}

An offset is positive above its level (towards the head). Levels outside the scan stay empty."""

DISCOVER_DESCRIPTION = """\
Search a folder for scans and annotations and draft a cases table. Annotations are paired by the
series that a SEG or RTSTRUCT names, by the grid of a label map, and by folders and names. What is
not certain is not guessed: it stays empty, and the column 'note' says why. Look through the draft
before you use it, above all at the patients' codes: they are taken from the DICOM Patient ID, else
from folders and file names."""


FROM_REVIEW_DESCRIPTION = """\
Write a cases table of a run that people reviewed: masks that they corrected or accepted, and levels
that they moved or accepted. What they rejected, and what nobody looked at, is left out.

The scans are those that were measured, in folders or files. The table holds patient IDs and paths:
keep it where the scans may be kept. Sets that are made of it have pseudonyms."""


def run(options: PrepareOptions, after: RefusalOptions) -> int:
    """Prepare a set, report what came of it, and fail if cases are missing."""
    from bodycomp.cli.prepare_summary import print_summary
    from bodycomp.interface.sets import prepare_segmentation, prepare_slice_selection

    quiet_searches()
    is_masks = isinstance(options.task, MaskTask)
    prepare = prepare_segmentation if is_masks else prepare_slice_selection
    summary = prepare.run(options, progress=True)
    return print_summary(summary, allow_refused=after.allow_refused)


def run_discover(options: DiscoverOptions) -> int:
    """Draft a cases table and say what was found."""
    from bodycomp.cli.terminal import say
    from bodycomp.interface.sets import discover_cases

    quiet_searches()
    draft = discover_cases.run(options, progress=True)
    say(
        f"{draft.scans} scans, {draft.with_masks} with masks, {draft.with_levels} with levels, "
        f"{draft.noted} rows with a note: {options.cases}",
        "Look through the table, then type",
        f"  bodycomp prepare segmentation {options.cases} OUT --labels ...",
        f"  bodycomp prepare slice-selection {options.cases} OUT",
    )
    return 0


def run_from_review(options: FromReviewOptions) -> int:
    """Write the cases of a reviewed run and say what to do with them."""
    from bodycomp.cli.terminal import say
    from bodycomp.interface.sets import prepare_from_review

    made = prepare_from_review.run(options, progress=True)
    labels = " ".join(f"{tissue.label}={tissue.key}" for tissue in ABDOMINAL_TISSUES)
    say(f"series with masks: {made.masks}, with levels: {made.levels}; {made.table}")
    say("Then type")
    if made.masks:
        say(f"  bodycomp prepare segmentation {made.table} SET --labels {labels}")
    if made.levels:
        say(f"  bodycomp prepare slice-selection {made.table} SET")
    return 0


def _preparing(task: type[MaskTask | LevelTask], description: str) -> tuple[str, Command]:
    return description.split("\n\n", maxsplit=1)[0], Command(
        options=(PrepareOptions, RefusalOptions),
        run=run,
        description=description,
        epilog=AFTER,
        chosen={"task": task},
    )


COMMAND = CommandGroup(
    commands={
        "segmentation": _preparing(MaskTask, SEGMENTATION_DESCRIPTION),
        "slice-selection": _preparing(LevelTask, SLICE_SELECTION_DESCRIPTION),
        "discover": (
            "draft a cases table from a folder of scans and annotations",
            Command(options=(DiscoverOptions,), run=run_discover, description=DISCOVER_DESCRIPTION),
        ),
        "from-review": (
            "write a cases table of what people corrected and accepted in a review",
            Command(
                options=(FromReviewOptions,),
                run=run_from_review,
                description=FROM_REVIEW_DESCRIPTION,
            ),
        ),
        **SOURCES,
    },
    title="what to make, or of what",
    metavar="SET",
    description=DESCRIPTION,
    epilog=EPILOG,
)

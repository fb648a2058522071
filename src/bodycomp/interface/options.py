"""Options of commands that more than one room takes part in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bodycomp.anatomy import Tissue, tissue_by_key, tissues_for
from bodycomp.errors import UsageError
from bodycomp.networks.keras.options import KerasOptions
from bodycomp.options import declare, nested, option
from bodycomp.report.page_options import PageOptions
from bodycomp.validation.options import ValidationOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateOptions:
    """A training set, and how it is to be validated."""

    data_dir: Path = field(metadata=declare("DATA_DIR", help="the training set"))
    rules: ValidationOptions = field(
        default_factory=ValidationOptions, metadata=nested(ValidationOptions)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowOptions(ValidateOptions):
    """A training set that is validated, and what its page shows."""

    out: Path | None = option(
        None,
        "--out -o",
        metavar="PAGE",
        help="the page to write (default DATA_DIR-show.html, beside the set); replaced if there",
    )
    page: PageOptions = field(default_factory=PageOptions, metadata=nested(PageOptions))


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoverOptions:
    """Where to search for scans and annotations, and where to draft the table."""

    folder: Path = field(metadata=declare("FOLDER", help="folder to search"))
    cases: Path = field(metadata=declare("CASES", help="cases table to write, .csv"))
    overwrite: bool = option(False, "--overwrite", help="replace a table that is there")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """A Keras file, and the model folder to make of it.

    Raises:
        UsageError: The classes are named twice, or unknown.
    """

    weights: Path = field(metadata=declare("WEIGHTS", help="HDF5 file of Keras 2"))
    out: Path = field(metadata=declare("--out -o", metavar="MODEL", help="model folder to make"))
    keras: KerasOptions = field(default_factory=KerasOptions, metadata=nested(KerasOptions))
    tissues: tuple[str, ...] = option(
        (),
        "--tissues",
        metavar="TISSUE",
        help="U-Net: classes after background, in order, to check that the file has them: "
        "muscle subcutaneous_fat visceral_fat, or the first two",
    )
    thoracic: bool = option(
        False, "--thoracic -t", help="U-Net: the same as --tissues muscle subcutaneous_fat"
    )
    overwrite: bool = option(False, "--overwrite", help="replace a model folder that is there")

    def __post_init__(self) -> None:
        if self.thoracic and self.tissues:
            raise UsageError("expected --thoracic or --tissues, found both")

    @property
    def expected_tissues(self) -> tuple[Tissue, ...] | None:
        """The classes that the file shall have; None if nothing is said.

        Raises:
            UsageError: One is unknown.
        """
        if self.thoracic:
            return tissues_for(thoracic=True)
        return tuple(tissue_by_key(key) for key in self.tissues) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleOptions:
    """Models that become one, and the folder to write."""

    models: tuple[Path, ...] = field(
        metadata=declare(
            "MODEL", help="models or runs; a training with --folds stands for all of its folds"
        )
    )
    out: Path = field(metadata=declare("--out -o", metavar="MODEL", help="model folder to make"))
    overwrite: bool = option(False, "--overwrite", help="replace a model folder that is there")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardOptions:
    """Whose card is shown, and what is added to it first."""

    model: Path = field(metadata=declare("MODEL", help="model, run, or folder of both models"))
    page: Path | None = option(
        None, "--page", metavar="PAGE", help="write the card as an HTML page, too"
    )
    describe: Path | None = option(
        None, "--describe", metavar="WORDS", help="YAML file of words to put into the card"
    )
    evaluation: Path | None = option(
        None,
        "--evaluation",
        metavar="FILE",
        help="evaluation.json, or its folder, whose metrics to put into the card",
    )
    intervals: Path | None = option(
        None,
        "--intervals",
        metavar="FILE",
        help="evaluation.json, or its folder, on whose cases to calibrate 90 % intervals of areas",
    )
    calibrate: str = option(
        "",
        "--calibrate",
        metavar="SET[:SPLIT]",
        help="slice-selection set on whose series to calibrate the confidence (default split val)",
    )
    device: str = option(
        "auto", "--device", help="where to score slices: auto, cpu, cuda (default auto)"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """The folder of a run, and the page of it."""

    run_dir: Path = field(metadata=declare("OUT", help="folder of the run"))
    out: Path | None = option(
        None,
        "--out -o",
        metavar="PAGE",
        help="the page to write (default OUT/report.html); replaced if there",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RedcapOptions:
    """The folder of an analysis whose results REDCap shall have."""

    run_dir: Path = field(metadata=declare("OUT", help="folder of the analysis"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOptions:
    """Which cache, and whether it is emptied."""

    clear: bool = option(False, "--clear", help="remove everything in it")
    cache_dir: Path | None = option(
        None,
        "--cache_dir",
        metavar="FOLDER",
        help="the cache's folder (default: $BODYCOMP_CACHE, else bodycomp/slices in the user's "
        "cache folder)",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """Which node."""

    config: Path = field(
        metadata=declare("CONFIG", help="configuration of the node, TOML (docs/serve.md)")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryOptions(NodeOptions):
    """Which studies of a node."""

    studies: tuple[str, ...] = field(
        default=(), metadata=declare("STUDY", help="names of studies; none for all set aside")
    )

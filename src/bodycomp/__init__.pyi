# What type checkers see of the names that are looked up when they are first used.

from bodycomp.errors import BodycompError as BodycompError
from bodycomp.interface.cards import card as card
from bodycomp.interface.cards import list_models as list_models
from bodycomp.interface.models import Models as Models
from bodycomp.interface.models import load_models as load_models
from bodycomp.interface.runs import analyze as analyze
from bodycomp.interface.runs import apply_review as apply_review
from bodycomp.interface.runs import benchmark_saros as benchmark_saros
from bodycomp.interface.runs import benchmark_verse as benchmark_verse
from bodycomp.interface.runs import compare as compare
from bodycomp.interface.runs import evaluate as evaluate
from bodycomp.interface.runs import fit_reference as fit_reference
from bodycomp.interface.runs import measure as measure
from bodycomp.interface.runs import pull as pull
from bodycomp.interface.runs import reader_agreement as reader_agreement
from bodycomp.interface.runs import remeasure as remeasure
from bodycomp.interface.runs import suggest as suggest
from bodycomp.interface.runs import write_redcap as write_redcap
from bodycomp.interface.runs import write_report as write_report
from bodycomp.interface.sets import discover_cases as discover_cases
from bodycomp.interface.sets import ensemble as ensemble
from bodycomp.interface.sets import import_keras as import_keras
from bodycomp.interface.sets import prepare_from_review as prepare_from_review
from bodycomp.interface.sets import prepare_nnunet as prepare_nnunet
from bodycomp.interface.sets import prepare_saros as prepare_saros
from bodycomp.interface.sets import prepare_segmentation as prepare_segmentation
from bodycomp.interface.sets import prepare_slice_selection as prepare_slice_selection
from bodycomp.interface.sets import prepare_tag as prepare_tag
from bodycomp.interface.sets import prepare_totalsegmentator as prepare_totalsegmentator
from bodycomp.interface.sets import prepare_verse as prepare_verse
from bodycomp.interface.sets import show as show
from bodycomp.interface.sets import train_segmentation as train_segmentation
from bodycomp.interface.sets import train_slice_selection as train_slice_selection
from bodycomp.interface.sets import validate as validate
from bodycomp.interface.sets import write_phantom as write_phantom
from bodycomp.reading.read_scan import read_scan as read_scan
from bodycomp.results import SeriesResult as SeriesResult
from bodycomp.scan import Scan as Scan

__version__: str

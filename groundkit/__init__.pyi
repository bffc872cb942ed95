"""The public names, each with its home; the package looks them up when they are first used."""

from . import errors as errors
from .cli.starters import write_starter as write_starter
from .data.sources import load_data as load_data
from .data.sources import load_ood as load_ood
from .data.sources import register_source as register_source
from .deepproblog.tensors import TensorProgram as TensorProgram
from .demo.page import demo as demo
from .estimators.grounder import Grounder as Grounder
from .estimators.symbol_perception import SymbolPerception as SymbolPerception
from .layer.collate import collate as collate
from .layer.neural_program import NeuralProgram as NeuralProgram
from .layer.program_layer import ProgramLayer as ProgramLayer
from .runs.check import check_program as check_program
from .runs.commands import compare as compare
from .runs.commands import evaluate as evaluate
from .runs.commands import explain as explain
from .runs.commands import identify as identify
from .runs.commands import query as query
from .runs.commands import sample as sample
from .runs.plan import plan_program as plan_program
from .runs.run import run as run
from .runs.session import open_run as open_run
from .training.callbacks import Callback as Callback
from .training.loggers import MLflowLogger as MLflowLogger
from .training.loggers import TensorBoardLogger as TensorBoardLogger
from .training.loggers import WandbLogger as WandbLogger

"""groundkit: images become the symbols of a ProbLog program, without labels.

The commands are functions that return what the command line prints::

    import groundkit

    result = groundkit.run("programs/addition.pl")
    answers = groundkit.query(result.folder, "addition('a.png', 'b.png', Z)")
    print(answers.best.text, answers.best.probability)

Before training:
    :func:`write_starter` writes a program and its spec, as ``groundkit new`` does;
    :func:`check_program` checks that program, spec and data are consistent (``groundkit check``);
    :func:`plan_program` says what training will cost (``groundkit plan``);
    :func:`identify` counts the groundings that the program admits;
    :func:`load_data` gives the images of a data set that ``groundkit datasets`` lists, and
    :func:`load_ood` images that lie outside of one; :func:`register_source` adds a data set of
    your own.

A run and questions to it:
    :func:`run` trains, evaluates and writes the run's folder;
    :func:`open_run` opens such a folder once, to read many images and ask many questions;
    :func:`query` answers a goal on image files, and :func:`explain` says why;
    :func:`evaluate` measures a run again, and :func:`sample` generates images of each symbol;
    :func:`suggest` names the images whose labels settle what the symbols mean, and :func:`label`
    takes labels up;
    :func:`demo` serves a page to draw on; :func:`compare` puts runs side by side.

In your own torch code:
    :class:`NeuralProgram` is a goal with your own networks: a loss, and answers;
    :class:`ProgramLayer` is a goal over log-probabilities: answers, evidence, posteriors;
    :func:`collate` makes their batches in a ``DataLoader``;
    :class:`TensorProgram` is a program whose networks return tensors, in DeepProbLog's engine.

On arrays, in the manner of scikit-learn:
    :class:`Grounder` trains on images and observed symbols, and predicts symbols;
    :class:`SymbolPerception` clusters, scores and generates images without a program.

A :class:`Callback` watches training; :class:`TensorBoardLogger`, :class:`MLflowLogger` and
:class:`WandbLogger` are such callbacks.

Results print, display themselves in notebooks, and most turn into JSON by ``to_dict()``. Every
error that groundkit raises on purpose is a :class:`groundkit.errors.GroundkitError` that says what
was found, what was expected and what to do.

Importing the package does not load torch: names are looked up when they are first used.
"""

import copyreg
import sys
from importlib import import_module as _import_module

import lazy_loader

# The verbs `demo` and `evaluate` are also packages. Imported here, before the verbs are looked up,
# these leave the names alone when their modules are imported later.
from groundkit import demo, evaluate

del demo, evaluate

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

# The module is of a class of lazy_loader's, which cloudpickle cannot copy. Named in its place, it
# may be used in what joblib, Ray, Dask or submitit send to other processes.
copyreg.pickle(type(sys.modules[__name__]), lambda one: (_import_module, (one.__name__,)))
del copyreg, sys

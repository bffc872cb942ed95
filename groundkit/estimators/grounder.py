"""``Grounder``: the whole method on arrays, in the manner of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from groundkit.circuit.cache import cache_folder
from groundkit.device import choose_device
from groundkit.errors import Location, SpecError, choose_from
from groundkit.estimators.arrays import Seed, draw_seed
from groundkit.estimators.asking import ProgramReader
from groundkit.estimators.examples import (
    Given,
    as_columns,
    as_table,
    only_query,
)
from groundkit.files import make_folder, write_atomically
from groundkit.perception.ascent import Factories, OptimiserFactory, SchedulerFactory
from groundkit.perception.backbones import READS
from groundkit.perception.history import Row
from groundkit.perception.own_modules import Module
from groundkit.program.source import load_program
from groundkit.runs.assess import assess_queries, symbol_starts
from groundkit.runs.folder import new_path
from groundkit.runs.keep import save_networks
from groundkit.runs.session import open_run
from groundkit.task.anchor import anchored
from groundkit.task.binding import HANDED_OVER, Binding, Sources
from groundkit.task.load import read_task
from groundkit.task.overrides import as_overrides
from groundkit.task.roles import own_settings
from groundkit.task.spec import Spec, parse_spec
from groundkit.task.task import Task
from groundkit.training.callbacks import Callback, check_callbacks, ending, tell
from groundkit.training.trainer import Trainer


class Grounder(ProgramReader):
    """Grounds the symbols of a program, as an estimator of scikit-learn.

    Settings go into the constructor; attributes that are learnt end in ``_``. Images are bytes or
    floats in [0, 1], as they are for :class:`SymbolPerception`.

    Args:
        program: The ``.pl`` file.
        spec: The ``.toml`` file; a mapping such as ``{"query": {"goal": "sum(X, Y, Z)"}, ...}``;
            by default the file beside the program.
        networks: Network -> your own module, or a class or function that makes it, in place of the
            backbone that the spec names. Every fit trains a copy.
        seed: Seed of training: a whole number, or whatever scikit-learn's ``random_state`` takes.
        device: ``auto``, ``cpu`` or ``cuda``.
        engine: ``circuit``, or ``deepproblog`` to train by DeepProbLog's own engine.
        trust: Allow the program and the backbones to run Python code.
        optimiser: A function from parameters to an optimiser, in place of AdamW at the spec's
            rates.
        scheduler: A function from an optimiser and a phase's number of steps to a scheduler;
            without one, your own optimiser keeps its rate.
        settings: Keys of the spec, with ``__`` for the dots: ``train__epochs=5``.

    Attributes:
        task_: Program, spec and examples, checked against each other.
        history_: A row for everything that training reports; ``row.to_dict()`` is a line of
            ``history.jsonl``.
        relabellings_: What the searches for names found, with their steps.
        networks_: Network -> its trained :class:`SymbolModel`.
        symbols_: Network -> its symbols, the columns of :meth:`predict_proba`.
        classes_: The symbols ``(K,)`` of the only network; a list of these if there are several.

    A grounder that :meth:`load` has opened has no ``task_``, ``history_`` or ``relabellings_``.

    Example:
        >>> import groundkit
        >>> short = {"train__epochs": 1, "train__min_steps": 20, "train__cluster_steps": 20}
        >>> grounder = groundkit.Grounder("tiny.pl", **short)
        >>> images = groundkit.load_data("mnist5k").test.pixels[:100]
        >>> grounder.fit().predict(images).shape
        (100,)
    """

    def __init__(
        self,
        program: Path | str,
        spec: Path | str | Mapping[str, Any] | None = None,
        *,
        networks: Mapping[str, Module] | None = None,
        seed: Seed = 0,
        device: str = "auto",
        engine: str = "circuit",
        trust: bool = False,
        optimiser: OptimiserFactory | None = None,
        scheduler: SchedulerFactory | None = None,
        **settings: Any,
    ) -> None:
        self.program = program
        self.spec = spec
        self.networks = networks
        self.seed = seed
        self.device = device
        self.engine = engine
        self.trust = trust
        self.optimiser = optimiser
        self.scheduler = scheduler
        self.settings = settings

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Returns all settings, keys of the spec among them.

        Args:
            deep: There for scikit-learn's searches.
        """
        own: dict[str, Any] = super().get_params(deep=deep)
        return own | self.settings

    def set_params(self, **params: Any) -> Grounder:
        """Changes settings; keys of the spec are checked when it is fitted.

        Args:
            params: As in the constructor, such as ``train__epochs=5``.

        Raises:
            SpecError: There is no such setting.
        """
        own = self._get_param_names()
        for name, value in params.items():
            if name in own:
                setattr(self, name, value)
            else:
                self._check_key(name)
                self.settings = self.settings | {name: value}
        return self

    def _check_key(self, name: str) -> None:
        """Refuses what is neither a setting of its own nor a key of the spec."""
        if "__" in name or name in Spec.model_fields:
            return
        raise SpecError(
            f"Grounder has no setting '{name}'",
            expected="one of its own, or a key of the spec such as train__epochs",
            remedy=choose_from(name, self._get_param_names()),
        )

    def fit(
        self,
        examples: Given | None = None,
        y: object = None,
        *,
        held_out: Given | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> Grounder:
        """Trains the networks; no label of an image is used.

        Args:
            examples: A mapping from the goal's variables to images, as bytes or floats in [0, 1],
                to rows of numbers ``(n, D)``, or to observed symbols; a DataFrame with a column per
                variable; a torch data set, or any sequence, of such examples; or a ``DataLoader``
                of batches, which is read once. Arrays with three axes are images, or sequences
                ``(n, T, D)`` if the backbone is ``gru`` or ``transformer``. If absent,
                examples are drawn or read as the spec says.
            y: Ignored; there for scikit-learn's searches.
            held_out: Examples in any of these forms, whose scores callbacks are told.
            callbacks: Told about training as it goes. Inside them, :meth:`predict`,
                :meth:`predict_proba` and :meth:`score_samples` read images with the networks as
                they are at that moment.

        Returns:
            Itself.

        Raises:
            InputError: Program, spec and examples do not fit each other.
            RunError: Training failed.
        """
        del y
        check_callbacks(callbacks)
        task = self._task()
        if examples is not None:
            query = only_query(task.binding)
            backbones = {task.spec.network(name).backbone for name in task.neural}
            sequences = any(READS.get(name) == "sequence" for name in backbones)
            table = as_table(query, as_columns(examples, query), sequences=sequences)
            task.give(query, table)
        self.history_: list[Row] = []

        def keep(row: Row) -> None:
            self.history_.append(row)
            tell(callbacks, row)

        self.seed_ = draw_seed(self.seed)
        trainer = Trainer(
            task,
            choose_device(self.device),
            self.seed_,
            on_row=keep,
            trust=self.trust,
            factories=Factories(self.optimiser, self.scheduler),
        )
        self.task_ = task
        self.relabellings_ = trainer.relabellings
        self._learners = trainer.learners
        models = {name: learner.model for name, learner in trainer.learners.items()}
        shapes = {name: tuple(task.pool(name).shape[1:]) for name in trainer.learners}
        self._note(task.binding, models, shapes)
        with ending(callbacks):
            trainer.train()
            self._evaluate(held_out, callbacks)
        return self

    def _evaluate(self, held_out: Given | None, callbacks: Sequence[Callback]) -> None:
        """Tells callbacks how good the answers to held-out examples are, where there are any."""
        if not callbacks:
            return
        if held_out is not None:
            found = self._scores(held_out)
        elif self.task_.held_out:
            found = assess_queries(self.task_, self._learners, self.task_.held_out)
        else:
            return
        for one in callbacks:
            one.on_evaluate({"query": found})

    def save(self, folder: Path | str) -> Path:
        """Writes what was learnt as the folder of a run.

        :meth:`load` and :func:`groundkit.open_run` open it, and ``groundkit query`` and ``explain``
        answer from it.

        Args:
            folder: The folder; made when absent.

        Returns:
            The folder.

        Raises:
            SpecError: It holds a run already, or the grounder has not been fitted here.
            RunError: A file cannot be written.
        """
        self._check_fitted()
        if not hasattr(self, "task_"):
            raise SpecError(
                f"this Grounder was loaded from '{Path(self.program).parent}'",
                remedy="copy that folder",
            )
        path, task = Path(folder), self.task_
        if (path / "checkpoint").exists():
            raise SpecError(f"'{path}' holds a run already", remedy="name another folder")
        new_path(path, "", 0)
        spec = anchored(task.spec, task.sources.spec.parent, task.sources.program.parent)
        make_folder(path)
        for name, text in {"spec.toml": spec.to_toml(), "program.pl": task.program.text}.items():
            write_atomically(path / name, text.encode())
        save_networks(path, task, self._learners, symbol_starts(self._learners), self.seed_)
        return path

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        networks: Mapping[str, Module] | None = None,
        device: str = "auto",
        trust: bool = False,
    ) -> Grounder:
        """Opens the folder of a finished run, or of :meth:`save`, as a fitted grounder.

        Args:
            folder: The folder.
            networks: The modules that were handed over for training, if any were.
            device: ``auto``, ``cpu`` or ``cuda``.
            trust: Allow the run's program and backbones to run Python code.

        Raises:
            CheckpointError: It is not a run's folder, or it is damaged.
        """
        session = open_run(folder, trust=trust, device=device, networks=networks)
        files = (session.folder / "program.pl", session.folder / "spec.toml")
        seed = session.facts().get("seed", 0)
        found = cls(*files, networks=networks, seed=seed, device=device, trust=trust)
        models = {name: session.model(name) for name in session.networks}
        shapes = {name: session.in_distribution[name].shape for name in session.networks}
        found._note(session.binding, models, shapes)
        return found

    def __repr__(self) -> str:
        name = f"Grounder of {str(self.program)!r}"
        if not hasattr(self, "symbols_"):
            return f"{name}, not fitted"
        symbols = ", ".join(f"{n}: {' '.join(s)}" for n, s in self.symbols_.items())
        fitted = f"fitted on {self.task_.count} examples" if hasattr(self, "task_") else "loaded"
        return f"{name}, {fitted}; symbols of {symbols}"

    def _task(self) -> Task:
        """Reads program and spec."""
        for name in self.settings:
            self._check_key(name)
        given = {k.replace("__", "."): v for k, v in self.settings.items()}
        overrides, networks = as_overrides(given), self.networks or {}
        program = Path(self.program)
        if not isinstance(self.spec, Mapping):
            return read_task(
                program,
                self.spec,
                settings=overrides,
                trust=self.trust,
                engine=self.engine,
                modules=networks,
            )
        import tomli_w

        try:
            spec = parse_spec(tomli_w.dumps(self.spec), None, [*overrides, *own_settings(networks)])
        except SpecError as error:
            error.at = Location(HANDED_OVER)
            raise
        parsed = load_program(program, trust=self.trust)
        sources = Sources(program, program.with_suffix(".toml"), handed_over=True)
        binding = Binding(
            parsed,
            spec,
            sources,
            cache=cache_folder(),
            limits=spec.reasoning.limits,
            engine=self.engine,
            modules=networks,
        )
        return Task(binding)

"""``Grounder``: the whole method on arrays, in the manner of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from groundkit.circuit.cache import cache_folder
from groundkit.data.examples import Examples
from groundkit.data.levels import take_images
from groundkit.data.tables import RawExample, Value
from groundkit.device import choose_device
from groundkit.errors import DataError, Location, NetworkError, SpecError, choose_from
from groundkit.perception.history import Row
from groundkit.perception.learner import Learner
from groundkit.perception.model import energy, log_probs
from groundkit.program.source import load_program
from groundkit.task.binding import Binding, BoundGoal, BoundQuery, Sources, of_lengths
from groundkit.task.contents import Contents
from groundkit.task.gather import Table
from groundkit.task.load import read_task
from groundkit.task.shaped import ShapedExamples
from groundkit.task.spec import as_overrides, parse_spec
from groundkit.task.task import Task
from groundkit.training.trainer import Trainer

Columns: TypeAlias = Mapping[str, Any]
"""Variable of the goal -> images ``(n, C, H, W)`` or ``(n, H, W)``, or ``n`` observed symbols; for
a variable that is a list, ``n`` lists of these."""

NO_IMAGES = torch.zeros((0, 1, 1, 1), dtype=torch.uint8)
"""The images of an empty list."""


class Grounder:
    """Grounds the symbols of a program; settings in the constructor, what is learnt ends in ``_``.

    Args:
        program: The ``.pl`` file.
        spec: The ``.toml`` file; a mapping such as ``{"query": {"goal": "sum(X, Y, Z)"}, ...}``;
            by default the file beside the program.
        seed: Seed of training.
        device: ``auto``, ``cpu`` or ``cuda``.
        engine: ``circuit``, or ``deepproblog`` to train by DeepProbLog's own engine.
        trust: Allow the program and the backbones to run Python code.
        settings: Keys of the spec, with ``__`` for the dots: ``train__epochs=5``.

    Attributes:
        task_: Program, spec and examples, checked against each other.
        history_: A row for each thing that is told of training; ``row.to_dict()`` is a line of
            ``history.jsonl``.
        relabellings_: What the searches for names have found, with their steps.
        symbols_: Network -> its symbols, the columns of :meth:`predict_proba`.

    Example:
        >>> grounder = Grounder("programs/sum.pl", train__epochs=5)  # doctest: +SKIP
        >>> grounder.fit().predict(images)  # doctest: +SKIP
        array(['7', '2', ...])
    """

    def __init__(
        self,
        program: Path | str,
        spec: Path | str | Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        device: str = "auto",
        engine: str = "circuit",
        trust: bool = False,
        **settings: Any,
    ) -> None:
        self.program = program
        self.spec = spec
        self.seed = seed
        self.device = device
        self.engine = engine
        self.trust = trust
        self.settings = settings

    def fit(
        self, examples: Columns | None = None, *, watch: Callable[[Row], None] | None = None
    ) -> Grounder:
        """Trains the networks; no label of an image is used.

        Args:
            examples: Variable -> images, as bytes or floats in [0, 1], or observed symbols. When
                absent, examples are drawn or read as the spec says.
            watch: Called with every row of :attr:`history_` as it comes. Inside it,
                :meth:`predict`, :meth:`predict_proba` and :meth:`score_samples` read images with
                the networks as they are at that moment.

        Returns:
            Itself.

        Raises:
            InputError: Program, spec and examples do not fit each other.
            RunError: Training failed.
        """
        task = self._task()
        if examples is not None:
            query = _only_query(task)
            task.give(query, as_table(query, examples))
        self.history_: list[Row] = []

        def keep(row: Row) -> None:
            self.history_.append(row)
            if watch is not None:
                watch(row)

        trainer = Trainer(
            task, choose_device(self.device), self.seed, on_row=keep, trust=self.trust
        )
        self.task_ = task
        self.relabellings_ = trainer.relabellings
        self.symbols_ = {name: task.domains[name] for name in task.neural}
        self._learners = trainer.learners
        trainer.train()
        return self

    def predict(self, images: ArrayLike, network: str | None = None) -> NDArray[np.str_]:
        """Returns the most probable symbol ``(N,)`` of each image.

        Args:
            images: ``(N, C, H, W)`` or ``(N, H, W)``, bytes or floats in [0, 1].
            network: The network; not needed when the program has one.
        """
        name = self._name(network)
        symbols = np.array(self.symbols_[name])
        best: NDArray[np.str_] = symbols[self.predict_proba(images, network).argmax(1)]
        return best

    def predict_proba(self, images: ArrayLike, network: str | None = None) -> NDArray[np.float64]:
        """Returns p(y|x) ``(N, K)``, a column for each of :attr:`symbols_`."""
        probabilities: NDArray[np.float64] = log_probs(self._logits(images, network)).exp().numpy()
        return probabilities

    def score_samples(self, images: ArrayLike, network: str | None = None) -> NDArray[np.float64]:
        """Returns ``-E(x)`` ``(N,)``, the log-density up to a constant; high is likely."""
        scores: NDArray[np.float64] = (-energy(self._logits(images, network))).numpy()
        return scores

    def query_proba(self, examples: Columns) -> NDArray[np.float64]:
        """Returns ``(n, R)`` P(answer) of every example, a column for each of :meth:`answers`.

        Args:
            examples: As in :meth:`fit`, lists being of one length; logical observed variables may
                be left out.
        """
        goal, count = self._goal(examples), len(next(iter(examples.values())))
        roles = goal.roles
        rows: dict[str, Tensor] = {}
        for network, calls in goal.reasoner.slots.items():
            if network in self._learners and calls:
                read = [
                    log_probs(self._logits(_stacked(goal, call, examples), network))
                    for call in calls
                ]
                rows[network] = torch.stack(read, dim=1)
        if roles.given:
            symbols = {name: _symbols(goal, name, examples) for name in roles.given}
            table = ShapedExamples(goal, Examples(roles, {}, {}, symbols, {}))
            rows |= {n: t.double() for n, t in table.observed_log_probs().items()}
        with torch.no_grad():
            found: NDArray[np.float64] = goal.reasoner.cpu()(rows).exp().numpy()
        assert len(found) == count
        return found

    def answers(self, examples: Columns | None = None) -> tuple[tuple[str, ...], ...]:
        """Returns the printed values of the goal's observed variables, one tuple an answer.

        Args:
            examples: Examples whose lists have the lengths that are meant, where there are lists.
        """
        return self._goal(examples or {}).reasoner.answers

    def score(self, examples: Columns) -> float:
        """Returns the mean log-likelihood of examples, observed symbols included."""
        goal = self._goal(examples)
        columns = [_symbols(goal, name, examples) for name in goal.reasoner.observed]
        likelihood = self.query_proba(examples)
        rows = np.arange(len(likelihood))
        values = zip(*columns, strict=True) if columns else [()] * len(rows)
        places = [goal.reasoner.answer_index(row) for row in values]
        return float(np.log(likelihood[rows, places]).mean())

    def _goal(self, examples: Columns) -> BoundGoal:
        """Returns the query's goal in the shape of some examples."""
        task = self._fitted()
        query = _only_query(task)
        for name in query.given:
            if name not in examples and examples:
                raise DataError(f"the observed variable '{name}' is missing")
        lengths = {
            name: len(values[0])
            for name, values in examples.items()
            if name in (*query.inputs, *query.given) and _is_list(values)
        }
        return task.binding.compiled(of_lengths(query, lengths))

    def __repr__(self) -> str:
        name = f"Grounder of {str(self.program)!r}"
        if not hasattr(self, "task_"):
            return f"{name}, not fitted"
        symbols = ", ".join(f"{n}: {' '.join(s)}" for n, s in self.symbols_.items())
        return f"{name}, fitted on {self.task_.count} examples; symbols of {symbols}"

    def _task(self) -> Task:
        """Reads program and spec."""
        overrides = as_overrides({k.replace("__", "."): v for k, v in self.settings.items()})
        program = Path(self.program)
        if not isinstance(self.spec, Mapping):
            return read_task(
                program, self.spec, settings=overrides, trust=self.trust, engine=self.engine
            )
        import tomli_w

        spec = parse_spec(tomli_w.dumps(self.spec), None, overrides)
        parsed = load_program(program, trust=self.trust)
        sources = Sources(program, program.with_suffix(".toml"))
        binding = Binding(
            parsed,
            spec,
            sources,
            cache=cache_folder(),
            limits=spec.reasoning.limits,
            engine=self.engine,
        )
        return Task(binding)

    def _fitted(self) -> Task:
        if not hasattr(self, "task_"):
            raise SpecError("this Grounder is not fitted", remedy="call fit first")
        return self.task_

    def _name(self, network: str | None) -> str:
        self._fitted()
        names = list(self._learners)
        if network is None and len(names) == 1:
            return names[0]
        if network not in names:
            raise NetworkError(
                f"there is no network '{network}'"
                if network
                else "the program has several networks",
                remedy=choose_from(network or "", names),
            )
        return network

    def _logits(self, images: ArrayLike, network: str | None) -> Tensor:
        """Reads images: logits ``(N, K)`` float64 on the CPU."""
        learner: Learner = self._learners[self._name(network)]
        pixels = _as_bytes("images", images)
        if pixels.shape[1:] != learner.pool.shape[1:]:
            raise DataError(
                f"the images have shape {tuple(pixels.shape[1:])}",
                expected=f"{tuple(learner.pool.shape[1:])}, as in training",
            )
        return learner.read(pixels).double().cpu()


def _only_query(task: Task) -> BoundQuery:
    """Returns the query that arrays are examples of."""
    if len(task.queries) != 1:
        raise SpecError(
            f"the spec has {len(task.queries)} queries, and arrays are examples of one",
            remedy="leave the others out, or give examples in files",
        )
    return task.queries[0]


def as_table(query: BoundQuery, columns: Columns) -> Table:
    """Makes examples of the user's arrays; nothing is known of the images' symbols.

    Args:
        query: The query.
        columns: Variable -> images ``(n, C, H, W)`` or ``(n, H, W)``; ``n`` lists of images; or
            ``n`` observed symbols.

    Raises:
        DataError: A variable is missing or unknown, or lengths differ.
    """
    wanted = query.goal.variables
    for name in columns:
        if name not in wanted:
            raise DataError(f"the goal has no variable '{name}'", remedy=choose_from(name, wanted))
    for name in wanted:
        if name not in columns:
            raise DataError(f"the variable '{name}' is missing", expected=", ".join(wanted))
    counts = {name: len(columns[name]) for name in wanted}
    if len(set(counts.values())) != 1 or not next(iter(counts.values())):
        raise DataError(
            f"the variables have {', '.join(f'{n} {c}' for n, c in counts.items())} examples",
            expected="one number, above 0",
        )
    table = Table(query, Contents("examples"))
    pixels = {name: _pixels(name, columns[name]) for name in query.inputs}
    _check_one_shape(pixels)
    for row in range(next(iter(counts.values()))):
        values: dict[str, Value] = {}
        keys: dict[str, list[str]] = {}
        for name in wanted:
            if name in pixels:
                images = pixels[name][row]
                keys[name] = [table.contents.add_array(image) for image in images]
                values[name] = tuple(keys[name]) if _is_list(columns[name]) else keys[name][0]
            else:
                values[name] = _as_value(columns[name][row])
        table.add(RawExample(values, {}, (), 1.0, Location(None, row + 1)), keys)
    return table


def _pixels(name: str, column: Any) -> list[Tensor]:
    """Brings a column to bytes: for every example, the images ``(m, C, H, W)`` of its list."""
    if _is_list(column):
        return [
            _as_bytes(name, np.stack(list(images))) if len(images) else NO_IMAGES
            for images in column
        ]
    return list(_as_bytes(name, column).unsqueeze(1))


def _check_one_shape(pixels: Mapping[str, Sequence[Tensor]]) -> None:
    shapes = {n: tuple(i.shape[1:]) for n, images in pixels.items() for i in images if len(i)}
    if len(set(shapes.values())) > 1:
        words = ", ".join(f"{name}: {shape}" for name, shape in shapes.items())
        raise DataError(f"the images have several shapes ({words})", expected="one shape")


def _is_list(column: Any) -> bool:
    """Whether a column holds a list of images, or of symbols, for every example."""
    if isinstance(column, np.ndarray):
        return column.ndim == 5
    return isinstance(column[0], list | tuple)


def _as_value(value: Any) -> Value:
    if isinstance(value, list | tuple):
        return tuple(str(one) for one in value)
    return str(value)


def _symbols(goal: BoundGoal, name: str, columns: Columns) -> tuple[str, ...]:
    """Returns an observed symbol of every example, by its flat variable."""
    variable, place = next((v, n.index(name)) for v, n in goal.names.items() if name in n)
    column = columns[variable]
    if variable in goal.query.given and _is_list(column):
        return tuple(str(row[place]) for row in column)
    printed = (_as_value(value) for value in column)
    return tuple(v if isinstance(v, str) else f"[{','.join(v)}]" for v in printed)


def _stacked(goal: BoundGoal, call: Sequence[str], columns: Columns) -> NDArray[np.uint8]:
    """Stacks the images that one call reads along channels: bytes ``(n, C, H, W)``."""
    parts = []
    for flat in call:
        variable, place = next((v, n.index(flat)) for v, n in goal.names.items() if flat in n)
        images = _pixels(variable, columns[variable])
        parts.append(torch.stack([one[place] for one in images]))
    return torch.cat(parts, dim=1).numpy()


def _as_bytes(name: str, images: ArrayLike) -> Tensor:
    """Brings images to bytes ``(N, C, H, W)``."""
    return take_images(images, name).pixels()

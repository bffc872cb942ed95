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
from groundkit.data.examples import UNKNOWN, Examples, parts_of
from groundkit.data.images import ImageSet
from groundkit.device import choose_device
from groundkit.errors import DataError, NetworkError, SpecError, choose_from
from groundkit.perception.history import Row
from groundkit.perception.learner import Learner
from groundkit.perception.model import energy, log_probs
from groundkit.program.limits import Limits
from groundkit.program.source import load_program
from groundkit.task.spec import as_overrides, parse_spec
from groundkit.task.task import Sources, Task, read_task
from groundkit.training.trainer import Trainer

Columns: TypeAlias = Mapping[str, Any]
"""Variable of the goal -> images ``(n, C, H, W)`` or ``(n, H, W)``, or ``n`` observed symbols."""


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
            task.examples = _as_examples(task, examples)
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
        self.symbols_ = {name: task.roles.domains[name] for name in task.neural}
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
            examples: As in :meth:`fit`; logical observed variables may be left out.
        """
        task, count = self._fitted(), len(next(iter(examples.values())))
        given = task.roles.given
        for name in given:
            if name not in examples:
                raise DataError(f"the observed variable '{name}' is missing")
        rows: dict[str, Tensor] = {}
        for network, calls in task.reasoner.slots.items():
            if network in task.neural and calls:
                inputs = [_stacked(call, examples) for call in calls]
                read = [log_probs(self._logits(images, network)) for images in inputs]
                rows[network] = torch.stack(read, dim=1)
        if given:
            symbols = {name: tuple(map(str, examples[name])) for name in given}
            table = Examples(task.roles, {}, {}, symbols, {})
            rows |= {n: t.double() for n, t in task.observed_log_probs(table).items()}
        with torch.no_grad():
            found: NDArray[np.float64] = task.reasoner.cpu()(rows).exp().numpy()
        assert len(found) == count
        return found

    def answers(self) -> tuple[tuple[str, ...], ...]:
        """Returns the printed values of the goal's observed variables, one tuple an answer."""
        return self._fitted().reasoner.answers

    def score(self, examples: Columns) -> float:
        """Returns the mean log-likelihood of examples, observed symbols included."""
        task = self._fitted()
        columns = [list(map(str, examples[name])) for name in task.reasoner.observed]
        likelihood = self.query_proba(examples)
        rows = np.arange(len(likelihood))
        values = zip(*columns, strict=True) if columns else [()] * len(rows)
        places = [task.reasoner.answer_index(row) for row in values]
        return float(np.log(likelihood[rows, places]).mean())

    def __repr__(self) -> str:
        name = f"Grounder of {str(self.program)!r}"
        if not hasattr(self, "task_"):
            return f"{name}, not fitted"
        symbols = ", ".join(f"{n}: {' '.join(s)}" for n, s in self.symbols_.items())
        return f"{name}, fitted on {len(self.task_.examples)} examples; symbols of {symbols}"

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
        return Task(
            parsed, spec, sources, cache=cache_folder(), limits=Limits(), engine=self.engine
        )

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


def _as_examples(task: Task, columns: Columns) -> Examples:
    """Makes examples of the user's arrays; nothing is known of the images' symbols."""
    roles = task.roles
    wanted = [*roles.image_variables, *roles.observed]
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
    banks: dict[str, list[Tensor]] = {}
    images: dict[str, NDArray[np.int64]] = {}
    for name, network in roles.images.items():
        pixels = _stacked(parts_of(name), columns)
        bank = banks.setdefault(network, [])
        start = sum(len(part) for part in bank)
        if bank and bank[0].shape[1:] != pixels.shape[1:]:
            raise DataError(f"the images of '{name}' have another shape than those before")
        images[name] = np.arange(start, start + len(pixels))
        bank.append(pixels)
    return Examples(
        roles,
        {network: ImageSet("examples", torch.cat(parts)) for network, parts in banks.items()},
        images,
        {name: _as_symbols(columns[name]) for name in roles.observed},
        {name: np.full(len(rows), UNKNOWN) for name, rows in images.items()},
    )


def _stacked(names: Sequence[str], columns: Columns) -> Tensor:
    """Stacks the images that one call reads along channels: bytes ``(N, C, H, W)``."""
    parts = [_as_bytes(name, columns[name]) for name in names]
    if len({part.shape for part in parts}) > 1:
        raise DataError(
            f"the images of {', '.join(names)} have shapes "
            f"{', '.join(str(tuple(part.shape)) for part in parts)}",
            expected="one shape, for one network reads them together",
        )
    return torch.cat(parts, dim=1)


def _as_symbols(values: Sequence[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


def _as_bytes(name: str, images: ArrayLike) -> Tensor:
    """Brings images to bytes ``(N, C, H, W)``."""
    array = np.asarray(images)
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4:
        raise DataError(
            f"{name} has shape {array.shape}", expected="(N, C, H, W) or (N, H, W) images"
        )
    if array.dtype == np.uint8:
        return torch.from_numpy(np.ascontiguousarray(array))
    if (
        array.dtype.kind != "f"
        or not np.isfinite(array).all()
        or array.min() < 0
        or array.max() > 1
    ):
        raise DataError(
            f"{name} holds {array.dtype} from {array.min()} to {array.max()}",
            expected="bytes 0..255, or finite floats in [0, 1]",
        )
    return torch.from_numpy(np.round(array * 255).astype(np.uint8))

"""What fitted networks and their program say of arrays, in the manner of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from torch import Tensor

from groundkit.data.examples import Examples
from groundkit.errors import DataError, NetworkError, SpecError, choose_from
from groundkit.estimators.examples import (
    Columns,
    Given,
    as_columns,
    as_inputs,
    check_columns,
    is_list,
    lists_inputs,
    only_query,
    stacked,
    symbols_of,
)
from groundkit.perception.inputs import kind_of
from groundkit.perception.model import SymbolModel, energy, log_probs
from groundkit.perception.parts import in_parts
from groundkit.task.binding import Binding, BoundGoal, of_lengths
from groundkit.task.shaped import ShapedExamples

Shape: TypeAlias = tuple[int, ...]


class ProgramReader(BaseEstimator):  # type: ignore[misc]
    """Symbols of images and answers of a goal; a subclass trains or loads the networks.

    Attributes:
        networks_: Network -> its trained :class:`SymbolModel`.
        symbols_: Network -> its symbols, the columns of :meth:`predict_proba`.
        classes_: The symbols ``(K,)`` of the only network; a list of these where there are several.
    """

    networks_: dict[str, SymbolModel]
    symbols_: dict[str, tuple[str, ...]]
    classes_: NDArray[np.str_] | list[NDArray[np.str_]]
    _binding: Binding
    _shapes: dict[str, Shape]

    def _note(
        self, binding: Binding, models: Mapping[str, SymbolModel], shapes: Mapping[str, Shape]
    ) -> None:
        """Takes networks as those that answer."""
        self._binding = binding
        self._shapes = dict(shapes)
        self.networks_ = dict(models)
        self.symbols_ = {name: binding.domains[name] for name in binding.neural}
        classes = [np.array(symbols) for symbols in self.symbols_.values()]
        self.classes_ = classes[0] if len(classes) == 1 else classes

    def predict(self, images: ArrayLike, network: str | None = None) -> NDArray[np.str_]:
        """Returns the most probable symbol ``(N,)`` of each image.

        Args:
            images: ``(N, C, H, W)`` or ``(N, H, W)``, bytes or floats in [0, 1]; rows ``(N, D)`` or
                sequences ``(N, T, D)`` for a network that was trained on such.
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

    def query_proba(self, examples: Given) -> NDArray[np.float64]:
        """Returns ``(n, R)`` P(answer) of every example, a column for each of :meth:`answers`.

        Args:
            examples: As in :meth:`fit`, lists being of one length; logical observed variables may
                be left out.
        """
        self._check_fitted()
        return self._likelihood(as_columns(examples, only_query(self._binding)))

    def _likelihood(self, examples: Columns) -> NDArray[np.float64]:
        query = only_query(self._binding)
        count = check_columns(examples, (*query.inputs, *query.given), query)
        goal = self._goal(examples)
        roles = goal.roles
        rows: dict[str, Tensor] = {}
        for network, calls in goal.reasoner.slots.items():
            if network in self.networks_ and calls:
                kind = kind_of(self._shapes[network])
                read = [
                    log_probs(self._logits(stacked(goal, call, examples, kind), network))
                    for call in calls
                ]
                rows[network] = torch.stack(read, dim=1)
        if roles.given:
            symbols = {name: symbols_of(goal, name, examples) for name in roles.given}
            table = ShapedExamples(goal, Examples(roles, {}, {}, symbols, {}))
            rows |= {n: t.double() for n, t in table.observed_log_probs().items()}
        with torch.no_grad():
            found: NDArray[np.float64] = goal.reasoner.cpu()(rows).exp().numpy()
        assert len(found) == count
        return found

    def answers(self, examples: Given | None = None) -> tuple[tuple[str, ...], ...]:
        """Returns the printed values of the goal's observed variables, one tuple an answer.

        Args:
            examples: Examples whose lists have the lengths that are meant, where there are lists.
        """
        self._check_fitted()
        query = only_query(self._binding)
        return self._goal({} if examples is None else as_columns(examples, query)).reasoner.answers

    def score(self, examples: Given, y: object = None) -> float:
        """Returns the mean log-likelihood of examples, observed symbols included.

        Args:
            examples: As in :meth:`fit`.
            y: Ignored; there for scikit-learn's searches.
        """
        del y
        self._check_fitted()
        likelihood, places = self._answered(as_columns(examples, only_query(self._binding)))
        return float(np.log(likelihood[np.arange(len(places)), places]).mean())

    def _answered(self, examples: Columns) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Returns P(answer) ``(n, R)`` of examples, and which answer ``(n,)`` is theirs."""
        query = only_query(self._binding)
        check_columns(examples, query.goal.variables, query)
        goal = self._goal(examples)
        columns = [symbols_of(goal, name, examples) for name in goal.reasoner.observed]
        likelihood = self._likelihood(examples)
        values = zip(*columns, strict=True) if columns else [()] * len(likelihood)
        return likelihood, np.array([goal.reasoner.answer_index(row) for row in values])

    def _goal(self, examples: Columns) -> BoundGoal:
        """Returns the query's goal in the shape of some examples."""
        query = only_query(self._binding)
        for name in query.given:
            if name not in examples and examples:
                raise DataError(f"the observed variable '{name}' is missing")
        lengths = {
            name: len(values[0])
            for name, values in examples.items()
            if (name in query.inputs and lists_inputs(values))
            or (name in query.given and is_list(values))
        }
        return self._binding.compiled(of_lengths(query, lengths))

    def _scores(self, examples: Given) -> dict[str, Any]:
        """Accuracy and negative log-likelihood of answers, as a run measures them."""
        likelihood, places = self._answered(as_columns(examples, only_query(self._binding)))
        right = likelihood.argmax(1) == places
        chosen = likelihood[np.arange(len(places)), places]
        nll = -np.log(chosen).mean()
        return {"accuracy": float(right.mean()), "nll": float(nll), "n": len(places)}

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "symbols_")

    def _check_fitted(self) -> None:
        """Refuses a grounder that is not fitted."""
        if not hasattr(self, "symbols_"):
            raise SpecError("this Grounder is not fitted", remedy="call fit first")

    def _name(self, network: str | None) -> str:
        self._check_fitted()
        names = list(self.networks_)
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

    @torch.no_grad()
    def _logits(self, images: ArrayLike, network: str | None) -> Tensor:
        """Reads images: logits ``(N, K)`` float64 on the CPU."""
        name = self._name(network)
        model, kind = self.networks_[name], kind_of(self._shapes[name])
        pixels = as_inputs(f"{kind}s", images, kind)
        if tuple(pixels.shape[1:]) != self._shapes[name]:
            raise DataError(
                f"the {kind}s have shape {tuple(pixels.shape[1:])}",
                expected=f"{self._shapes[name]}, as in training",
            )
        device = model.prototypes.weight.device
        return in_parts(lambda part: model(model.take(part)), pixels, device).double().cpu()

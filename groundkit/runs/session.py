"""A finished run opened again: its networks read images, its program answers questions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groundkit.circuit.cache import cache_folder
from groundkit.circuit.reasoner import Reasoner, build_reasoner
from groundkit.data.examples import input_of, parts_of
from groundkit.data.files import SUFFIXES
from groundkit.data.photos import prepare_image
from groundkit.device import choose_device
from groundkit.errors import (
    CheckpointError,
    DataError,
    InputError,
    LimitError,
    NetworkError,
    choose_from,
)
from groundkit.perception.foreign import ForeignScore
from groundkit.perception.generate import sample_images
from groundkit.perception.in_distribution import Familiar, measure
from groundkit.perception.langevin import Langevin
from groundkit.perception.learner import Learner
from groundkit.perception.model import SymbolModel, energy, log_probs
from groundkit.perception.pixels import to_model
from groundkit.perception.symbol_start import SymbolStart
from groundkit.program.limits import Limits
from groundkit.program.query import Question, pose
from groundkit.program.source import load_program
from groundkit.runs.answers import Answer, Answers, ImageReading
from groundkit.task.networks import build_model
from groundkit.task.roles import OBSERVED
from groundkit.task.spec import load_spec
from groundkit.task.task import EXCLUDED, Sources, Task
from groundkit.training.weights import load_weights, read_manifest, read_tensors

_LEARNABLE = "learnable."
_MOST_COMBINATIONS = 10_000


def open_run(
    folder: Path | str,
    *,
    trust: bool = False,
    device: str = "auto",
    settings: Sequence[str] = (),
) -> Session:
    """Opens the folder of a finished run.

    Args:
        folder: What ``groundkit run`` wrote.
        trust: Allow the run's program and backbones to run Python code. Programs and weights of
            strangers are safe to open without.
        device: ``auto``, ``cpu`` or ``cuda``.
        settings: ``--set`` texts that change the run's spec, for what is measured anew.

    Raises:
        CheckpointError: It is no run's folder, or is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(
            f"there is no run '{folder}'",
            expected="the folder that `groundkit run` wrote",
            remedy=_runs_beside(folder),
        )
    return Session(folder, trust=trust, device=choose_device(device), settings=settings)


def _runs_beside(folder: Path) -> str:
    """Names runs that could have been meant."""
    found = sorted(
        str(p.parent)
        for base in {folder.parent, Path("runs")}
        for p in base.glob("**/metrics.json")
    )
    return f"runs here: {', '.join(found[-5:])}" if found else "groundkit run PROGRAM makes one"


@dataclass(frozen=True)
class Case:
    """A question made ready: its circuit and the log-probabilities of its networks.

    Attributes:
        question: The question.
        reasoner: Its circuit, with the run's learnt probabilities.
        readings: Image variable, or several that one call reads, joined by commas -> how the
            network reads it.
        unseen: Variables that stand for an image or symbol that was not given.
        combinations: ``C`` assignments of symbols to ``unseen``.
        rows: Network -> ``(C, S, K)`` log-probabilities.
    """

    question: Question
    reasoner: Reasoner
    readings: dict[str, ImageReading]
    unseen: tuple[str, ...]
    combinations: list[tuple[str, ...]]
    rows: dict[str, Tensor]


class Session:
    """A finished run, ready to read images and answer questions; :func:`open_run` makes it.

    Attributes:
        folder: The run's folder.
        program: Its program.
        spec: Its spec.
    """

    def __init__(
        self, folder: Path, *, trust: bool, device: torch.device, settings: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self.device = device
        self._trust = trust
        self._facts = read_manifest(folder / "checkpoint")["facts"]
        self.program = load_program(folder / "program.pl", trust=trust)
        self.spec = load_spec(folder / "spec.toml", settings)
        program = read_tensors(folder / "checkpoint", "program") if self.spec.query else {}
        self._learnt = {
            name.removeprefix(_LEARNABLE): tensor
            for name, tensor in program.items()
            if name.startswith(_LEARNABLE)
        }
        self._models: dict[str, SymbolModel] = {}
        self._foreign: dict[str, ForeignScore] = {}

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks that read images."""
        names = self.program.networks
        return tuple(name for name in names if self.spec.network(name).backbone != OBSERVED)

    @cached_property
    def task(self) -> Task:
        """The run's task, for what needs its data again.

        Raises:
            InputError: Data that the run used is no longer there.
        """
        sources = Sources(self.folder / "program.pl", self.folder / "spec.toml")
        task = Task(self.program, self.spec, sources, cache=cache_folder(), limits=Limits())
        if task.asks:
            self._teach(task.reasoner)
        return task

    @cached_property
    def familiar(self) -> dict[str, Familiar]:
        """What every network's training images look like."""
        known = self._facts.get("networks", {})
        found = {}
        for name in self.networks:
            if name in known:
                found[name] = Familiar.from_dict(known[name])
                continue
            pool = self.task.pool(name).to(self.device)
            channels, height, width = pool.shape[1:]
            model = self._load(name, (channels, height, width))
            found[name], self._foreign[name] = measure(model, pool)
        return found

    def model(self, network: str) -> SymbolModel:
        """Returns a trained network.

        Raises:
            NetworkError: The program has no such network.
        """
        if network not in self.networks:
            raise NetworkError(
                f"the run has no network '{network}'", remedy=choose_from(network, self.networks)
            )
        return self._load(network, self.familiar[network].shape)

    def _load(self, network: str, shape: tuple[int, int, int]) -> SymbolModel:
        """Builds a network and loads its weights, once."""
        if network not in self._models:
            symbols = len(self.program.networks[network].domain)
            settings = self.spec.network(network)
            model = build_model(settings, shape, symbols, trust=self._trust)
            load_weights(self.folder / "checkpoint", {network: model})
            self._models[network] = model.to(self.device).eval()
        return self._models[network]

    def read(
        self,
        paths: Sequence[Path | str],
        network: str | None = None,
        contents: Mapping[str, bytes] | None = None,
    ) -> list[ImageReading]:
        """Reads image files: symbols, energy, and whether they are out of distribution.

        Args:
            paths: Image files, of any size, grey or colour.
            network: The network; not needed when the program has one.
            contents: Path -> the file, for images that are not on disk.

        Raises:
            DataError: A file is missing or is no image.
            NetworkError: The network is unknown, or has to be named.
        """
        name = self._network(network)
        return [self._read([path], name, contents or {}) for path in paths]

    def _read(
        self, paths: Sequence[Path | str], network: str, contents: Mapping[str, bytes]
    ) -> ImageReading:
        """Reads the images of one neural call, stacked along channels when there are several."""
        known = self.familiar[network]
        channels, height, width = known.shape
        shape = (channels // len(paths), height, width)
        images = [
            prepare_image(Path(path), shape, known.dark_border, contents.get(str(path)))
            for path in paths
        ]
        pixels = torch.cat([one.pixels for one in images])[None]
        logits = self.logits(pixels, network)
        return ImageReading(
            path=", ".join(map(str, paths)),
            network=network,
            symbols=self.program.networks[network].domain,
            probabilities=log_probs(logits)[0].exp().numpy(),
            energy=float(energy(logits)[0]),
            energy_limit=known.energy_limit,
            foreign=self._foreignness(pixels, network),
            foreign_limit=known.foreign_limit,
            done=tuple(words for one in images for words in one.done),
            pixels=torch.cat([one.pixels for one in images], dim=2).numpy(),
        )

    def _foreignness(self, pixels: Tensor, network: str) -> float | None:
        """How foreign one image ``(1, C, H, W)`` is; ``None`` for a run of an earlier version."""
        known, model = self.familiar[network], self.model(network)
        if known.foreign_limit is None:
            return None
        if network not in self._foreign:
            features = model.prototypes.in_features
            score = ForeignScore(features, known.shape, known.references)
            load_weights(self.folder / "checkpoint", {f"{network}.foreign": score})
            self._foreign[network] = score.to(self.device)
        return float(self._foreign[network](model, pixels.to(self.device))[0])

    @torch.no_grad()
    def logits(self, pixels: Tensor, network: str) -> Tensor:
        """Returns logits ``(N, K)`` float64 on the CPU for images ``(N, C, H, W)``.

        Args:
            pixels: Bytes, or floats in [-1, 1].
            network: The network.
        """
        model = self.model(network)
        parts = [model(to_model(part.to(self.device))) for part in torch.split(pixels, 1000)]
        return torch.cat(parts).double().cpu()

    def _network(self, network: str | None) -> str:
        if network is not None or len(self.networks) == 1:
            return network or self.networks[0]
        raise NetworkError(
            "the program has several networks", expected=f"one of {', '.join(self.networks)}"
        )

    def query(self, question: str) -> Answers:
        """Answers a question such as ``addition('a.png', 'b.png', Z)``.

        A variable that the program hands to a network stands for an image nobody has seen: its
        answers are the symbols that image could show, and the probability of each is that of the
        goal if it does.

        Raises:
            InputError: The question cannot be read, has no solution, or an image is missing.
        """
        return self.answer(self.case(question))

    def answer(self, case: Case) -> Answers:
        """Answers a question that :meth:`case` made ready."""
        with torch.no_grad():
            likelihood = case.reasoner(case.rows).exp().numpy()
        answers = []
        for row, symbols in enumerate(case.combinations):
            for column, values in enumerate(case.reasoner.answers):
                bound = {
                    **dict(zip(case.unseen, symbols, strict=True)),
                    **dict(zip(case.reasoner.observed, values, strict=True)),
                }
                text = case.question.with_values(bound)
                answers.append(Answer(text, bound, float(likelihood[row, column]), (row, column)))
        answers.sort(key=lambda answer: -answer.probability)
        possible = [answer for answer in answers if answer.probability > 0]
        return Answers(
            question=case.question.text,
            answers=tuple(possible or answers),
            images={r.path: r for r in case.readings.values()},
            unseen=case.unseen,
        )

    def case(self, question: str | Question) -> Case:
        """Grounds a question, reads its images and arranges what the circuit needs."""
        posed = pose(question, SUFFIXES)
        reasoner, networks = self.compile(posed)
        readings = self._readings(posed, networks)
        unseen = tuple(n for n in posed.goal.variables if n in networks and n not in readings)
        domains = [self.program.networks[networks[name]].domain for name in unseen]
        count = int(np.prod([len(domain) for domain in domains]))
        if count > _MOST_COMBINATIONS:
            raise LimitError(
                f"{', '.join(unseen)} could show {count} combinations of symbols",
                expected=f"at most {_MOST_COMBINATIONS}",
                remedy="give some of them: an image file, or a symbol",
            )
        combinations = list(itertools.product(*domains))
        rows = {
            network: self._rows(network, calls, readings, unseen, combinations)
            for network, calls in reasoner.slots.items()
            if calls
        }
        return Case(posed, reasoner, readings, unseen, combinations, rows)

    def _readings(self, posed: Question, networks: Mapping[str, str]) -> dict[str, ImageReading]:
        """Reads the question's images, those of one neural call together."""
        readings = {}
        read: set[str] = set()
        for name, network in networks.items():
            parts = parts_of(name)
            given = [part for part in parts if part in posed.images]
            read.update(given)
            if given and given != parts:
                raise DataError(
                    f"network '{network}' reads {len(parts)} images at once, and only "
                    f"'{posed.images[given[0]]}' is given",
                    remedy="give an image file for each of them",
                )
            if given:
                paths = [posed.images[part] for part in parts]
                readings[name] = self._read(paths, network, posed.contents)
        for variable, path in posed.images.items():
            if variable not in read:
                raise NetworkError(f"no network reads '{path}' in {posed.text}")
        return readings

    def compile(self, posed: Question) -> tuple[Reasoner, dict[str, str]]:
        """Compiles a question's goal and gives it the learnt probabilities.

        Returns:
            The circuit, and the network that reads each of its inputs: image variables (several
            joined by commas where one call reads them), other variables and printed constants.
        """
        try:
            reasoner = build_reasoner(
                self.program,
                posed.goal,
                list(posed.images),
                observed_values=self._listed(posed),
                cache=cache_folder(),
                limits=Limits(),
            )
        except InputError as error:
            error.found = posed.as_asked(error.found)
            raise
        self._teach(reasoner)
        return reasoner, self._inputs(reasoner)

    @torch.no_grad()
    def _teach(self, reasoner: Reasoner) -> None:
        """Gives a circuit the probabilities that the run has learnt."""
        for name, parameter in reasoner.learnable.items():
            if name in self._learnt:
                parameter.copy_(self._learnt[name])

    def _listed(self, posed: Question) -> dict[str, list[str]]:
        """Carries ``query.answers`` of the spec over to the question's variables, by place."""
        if self.spec.query is None or not self.spec.query.answers:
            return {}
        from groundkit.program.goal import parse_goal

        known = parse_goal(self.spec.query.goal)
        if known.predicates != posed.goal.predicates:
            return {}
        listed = self.spec.query.answers
        return {
            str(theirs): [str(value) for value in listed[str(ours)]]
            for ours, theirs in zip(known.term.args, posed.goal.term.args, strict=True)
            if str(ours) in listed and str(theirs) in posed.goal.variables
        }

    def _inputs(self, reasoner: Reasoner) -> dict[str, str]:
        """Returns which network reads each input, named by :func:`input_of`."""
        found: dict[str, str] = {}
        for network, calls in reasoner.slots.items():
            for call in calls:
                name = input_of(call)
                other = found.setdefault(name, network)
                if other != network:
                    raise NetworkError(
                        f"'{name}' is read by two networks, '{other}' and '{network}'",
                        expected="one network an image",
                        at=self.program.networks[network].location,
                    )
        return found

    def _rows(
        self,
        network: str,
        calls: Sequence[tuple[str, ...]],
        readings: Mapping[str, ImageReading],
        unseen: Sequence[str],
        combinations: Sequence[tuple[str, ...]],
    ) -> Tensor:
        """Arranges one network's log-probabilities: ``(C, S, K)``."""
        domain = self.program.networks[network].domain
        place = {symbol.strip("'"): k for k, symbol in enumerate(domain)}
        rows = torch.full((len(combinations), len(calls), len(domain)), EXCLUDED).double()
        for slot, name in enumerate(map(input_of, calls)):
            if name in readings:
                with np.errstate(divide="ignore"):
                    seen = np.log(readings[name].probabilities).clip(EXCLUDED)
                rows[:, slot] = torch.from_numpy(seen)
            elif name in unseen:
                column = list(unseen).index(name)
                shown = [domain.index(symbols[column]) for symbols in combinations]
                rows[range(len(shown)), slot, shown] = 0.0
            elif name in place:
                rows[:, slot, place[name]] = 0.0
            else:
                raise DataError(
                    f"'{name}' is neither an image file nor a symbol of network '{network}'",
                    expected="a file in quotes, such as 'a.png'; a symbol; or a variable",
                    remedy=choose_from(name, place),
                )
        return rows

    def generate(
        self, per_symbol: int = 10, *, steps: int = 20, seed: int = 0
    ) -> dict[str, NDArray[np.float32]]:
        """Generates images of every symbol.

        Args:
            per_symbol: Images a symbol.
            steps: Largest number of Langevin steps of a chain.
            seed: Of start and noise.

        Returns:
            Network -> ``(K, per_symbol, C, H, W)`` in [0, 1].

        Raises:
            CheckpointError: No network was trained with the generative term.
        """
        found = {}
        for name in self.networks:
            if self.spec.network(name).perception.generative > 0:
                found[name] = self._generate(name, per_symbol, steps, seed)
        if not found:
            raise CheckpointError(
                "the run was trained without the generative term, so its energy has no samples",
                remedy="train with networks.NAME.perception.generative above 0",
            )
        return found

    def _generate(self, name: str, per_symbol: int, steps: int, seed: int) -> NDArray[np.float32]:
        model, shape = self.model(name), self.familiar[name].shape
        start = SymbolStart(shape, model.symbols)
        load_weights(self.folder / "checkpoint", {f"{name}.start": start})
        generator = torch.Generator(self.device).manual_seed(seed)
        wanted = torch.arange(model.symbols, device=self.device).repeat_interleave(per_symbol)
        images = sample_images(
            model,
            start.to(self.device),
            wanted,
            sampler=Langevin(self.spec.network(name).perception.sampler),
            generator=generator,
            steps=steps,
        )
        scaled = (images.clamp(-1, 1) + 1) / 2
        return scaled.reshape(model.symbols, per_symbol, *shape).cpu().numpy()

    def learner(self, name: str, seed: int = 0) -> Learner:
        """Returns a network as training left it, with its pool, for evaluation."""
        pool = self.task.pool(name).to(self.device)
        settings = self.spec.network(name).perception
        return Learner(self.model(name), settings, pool, seed=seed)

    def _repr_html_(self) -> str:
        return f"<p>Run <code>{escape(str(self.folder))}</code>, networks {self.networks}</p>"

    def facts(self) -> dict[str, Any]:
        """Returns where the run came from: program and seed."""
        return {key: self._facts.get(key) for key in ("program", "seed")}

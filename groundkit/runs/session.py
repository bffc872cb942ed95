"""A finished run opened again: its networks read images, its program answers questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from groundkit.circuit.cache import cache_folder
from groundkit.device import choose_device
from groundkit.errors import CheckpointError, DataError, NetworkError, choose_from
from groundkit.files import shown
from groundkit.identifiability.factored import FactoredPosterior
from groundkit.identifiability.images import joint_domain, members
from groundkit.perception.foreign import ForeignScore
from groundkit.perception.generate import sample_images
from groundkit.perception.in_distribution import InDistribution, measure
from groundkit.perception.inputs import Shape
from groundkit.perception.langevin import Langevin
from groundkit.perception.learner import Learner
from groundkit.perception.model import SymbolModel, energy, log_probs
from groundkit.perception.own_modules import Module
from groundkit.perception.parts import in_parts
from groundkit.perception.symbol_start import SymbolStart
from groundkit.program.source import load_program
from groundkit.runs.answers import Answers, ImageReading
from groundkit.runs.cases import Questions
from groundkit.runs.doubt import Doubt
from groundkit.runs.facts import read_facts
from groundkit.runs.folder import check_ended
from groundkit.runs.inputs import picture, prepare
from groundkit.runs.what_if import WhatIf
from groundkit.task.binding import Binding, Learnt, Sources
from groundkit.task.networks import build_model, encoder_of
from groundkit.task.spec import load_spec
from groundkit.task.task import Task
from groundkit.training.weights import load_weights, read_tensors

_LEARNABLE = "learnable."


def open_run(
    folder: Path | str,
    *,
    trust: bool = False,
    device: str = "auto",
    settings: Sequence[str] = (),
    networks: Mapping[str, Module] | None = None,
) -> Session:
    """Opens the folder of a finished run.

    Args:
        folder: What ``groundkit run`` wrote.
        trust: Allow the run's program and backbones to run Python code. Programs and weights of
            strangers are safe to open without.
        device: ``auto``, ``cpu`` or ``cuda``.
        settings: ``--set`` texts that change the run's spec, for what is measured anew.
        networks: Network -> the module, or what makes it, that :func:`run` was given for it.

    Raises:
        CheckpointError: It is no run's folder, or is damaged.

    Example:
        >>> import groundkit
        >>> session = groundkit.open_run("runs/tiny")
        >>> session.read(["tiny-images/000.png"])[0].symbol in ("0", "1", "2", "3", "4")
        True
    """
    folder = Path(folder)
    check_ended(folder)
    return Session(
        folder,
        trust=trust,
        device=choose_device(device),
        settings=settings,
        networks=networks or {},
    )


class Session:
    """A finished run, ready to read images and answer questions; :func:`open_run` makes it.

    Attributes:
        folder: The run's folder.
        program: Its program.
        spec: Its spec.
    """

    def __init__(
        self,
        folder: Path,
        *,
        trust: bool,
        device: torch.device,
        settings: Sequence[str] = (),
        networks: Mapping[str, Module] | None = None,
    ) -> None:
        self.folder = folder
        self.device = device
        self._trust, self._settings = trust, settings
        self._facts = read_facts(folder / "checkpoint")
        self.program = load_program(folder / "program.pl", trust=trust, within=folder)
        self.spec = load_spec(folder / "spec.toml", settings, within=folder)
        sources = Sources(folder / "program.pl", folder / "spec.toml", tuple(settings))
        self.binding = Binding(
            self.program,
            self.spec,
            sources,
            cache=cache_folder(),
            limits=self.spec.reasoning.limits,
            learnt=self._learnt(),
            modules=networks or {},
        )
        self.binding.declare(map(str, self._facts.get("declared", ())))
        self._models: dict[str, SymbolModel] = {}
        self._foreign: dict[str, ForeignScore] = {}

    def again(self) -> Session:
        """Opens the folder once more, as labels have changed it."""
        return Session(
            self.folder,
            trust=self._trust,
            device=self.device,
            settings=self._settings,
            networks=self.binding.modules,
        )

    def check_network(self, network: str) -> None:
        """Refuses a name that no network of the run has, by a :class:`NetworkError`."""
        if network not in self.networks:
            raise NetworkError(
                f"the run has no network '{network}'", remedy=choose_from(network, self.networks)
            )

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks that read images."""
        return self.binding.neural

    @cached_property
    def task(self) -> Task:
        """The run's task, for what needs its data again.

        Raises:
            InputError: Data that the run used is no longer there.
        """
        if self._facts.get("handed_over"):
            raise CheckpointError(
                f"'{self.folder}' was trained on examples that were handed over in Python, which "
                "are not in it",
                expected="a run that `groundkit run` made",
                remedy=f"groundkit.Grounder.load('{self.folder}').score(examples) scores it",
            )
        return Task(self.binding)

    def _learnt(self) -> Learnt:
        """Reads the probabilities that the run has learnt."""
        learnt = Learnt()
        if self.spec.query:
            for name, tensor in read_tensors(self.folder / "checkpoint", "program").items():
                if name.startswith(_LEARNABLE):
                    parameter = nn.Parameter(tensor)
                    learnt.learnable[name.removeprefix(_LEARNABLE)] = parameter
        return learnt

    @cached_property
    def in_distribution(self) -> dict[str, InDistribution]:
        """What every network's training images look like."""
        known = self._facts.get("networks")
        found = {}
        for name in self.networks:
            if known is not None:
                found[name] = InDistribution.from_dict(known.get(name) or {})
                continue
            pool = self.task.pool(name).to(self.device)
            model = self._load(name, tuple(pool.shape[1:]))
            found[name], self._foreign[name] = measure(model, model.encode(pool), pool)
        return found

    def model(self, network: str) -> SymbolModel:
        """Returns a trained network.

        Raises:
            NetworkError: The program has no such network.
        """
        self.check_network(network)
        known = self.in_distribution[network]
        model = self._load(network, known.shape)
        if model.encoder is not None and known.encoder not in ("", model.encoder.key):
            raise CheckpointError(
                f"the encoder of network '{network}' is another one than in training",
                expected=f"the same {model.encoder.name}, of the same version and weights",
                remedy="put the file of training back, or train anew",
            )
        return model

    def _load(self, network: str, shape: Shape) -> SymbolModel:
        """Builds a network and loads its weights, once."""
        if network not in self._models:
            symbols = len(self.program.networks[network].domain)
            settings = self.spec.network(network)
            shared = self.binding.trunk_of(network)
            trunk = None if shared is None else self._load(shared, shape).backbone
            own = self.binding.own(network)
            own["encoder"] = encoder_of(self.binding, network, shape, trust=self._trust)
            model = build_model(settings, shape, symbols, trust=self._trust, trunk=trunk, **own)
            load_weights(self.folder / "checkpoint", {network: model})
            if (names := self._names(network, symbols)) is not None:
                model.permute_symbols(names)
            self._models[network] = model.to(self.device).eval()
        return self._models[network]

    def _names(self, network: str, symbols: int) -> list[int] | None:
        """Returns which symbol of the saved weights each one is, where labels came later.

        Raises:
            CheckpointError: The manifest says something else.
        """
        names = self._facts.get("names", {}).get(network)
        if names is None:
            return None
        if not isinstance(names, list) or sorted(map(str, names)) != sorted(
            map(str, range(symbols))
        ):
            raise CheckpointError(
                f"'{self.folder / 'checkpoint' / 'manifest.json'}' is damaged: the names of "
                f"network '{network}' are no order of its {symbols} symbols",
                remedy="copy the run folder again from where it was made",
            )
        return [int(name) for name in names]

    @cached_property
    def doubt(self) -> Doubt | None:
        """What the symbols may mean; ``None`` where that was not found out.

        Raises:
            CheckpointError: The manifest says something that is none.
        """
        known = self._facts.get("ambiguity")
        if known is None:
            return None
        try:
            readings = FactoredPosterior.from_dict(known)
            domains = self.binding.domains
            for group, domain in readings.domains.items():
                if joint_domain(members(group), domains) != domain:
                    raise ValueError(f"{group} has other symbols in the program")
            if not {n for one in readings.domains for n in members(one)} <= set(self.networks):
                raise ValueError("it is of other networks")
        except (ValueError, KeyError) as error:
            raise CheckpointError(
                f"'{self.folder / 'checkpoint' / 'manifest.json'}' is damaged: {error}",
                remedy="copy the run folder again from where it was made",
            ) from None
        averaging = self.spec.evaluate.ambiguity == "average"
        return Doubt(readings, averaging, labelled=bool(self._facts.get("labelled")))

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
        if isinstance(paths, str | Path):
            raise DataError(
                f"the images are '{shown(paths)}'",
                expected="a list of image files",
                remedy=f'read(["{shown(paths)}"])',
            )
        name = self._network(network)
        return [self._read([path], name, contents or {}) for path in paths]

    def _read(
        self, paths: Sequence[Path | str], network: str, contents: Mapping[str, bytes]
    ) -> ImageReading:
        """Reads the inputs of one neural call, stacked along their first axis if several."""
        known = self.in_distribution[network]
        images = prepare(paths, known, contents)
        pixels = torch.cat([one.pixels for one in images])[None]
        logits = self.logits(pixels, network)
        predicted = log_probs(logits)
        probabilities, doubt = predicted.exp(), ""
        if self.doubt is not None:
            group = members(self.doubt.group_of(network))
            others = {n: log_probs(self.logits(pixels, n)) for n in group if n != network}
            seen = {network: predicted, **others}
            probabilities = self.doubt.symbols(network, seen)
            doubt = self.doubt.words(network, seen)
        return ImageReading(
            path=", ".join(map(str, paths)),
            network=network,
            symbols=self.program.networks[network].domain,
            probabilities=probabilities[0].numpy(),
            energy=float(energy(logits)[0]),
            energy_limit=known.energy_limit,
            foreign=self._foreignness(pixels, network),
            foreign_limit=known.foreign_limit,
            done=tuple(words for one in images for words in one.done),
            pixels=picture(self.model(network), images),
            predicted=predicted[0].exp().numpy(),
            doubt=doubt,
        )

    def _foreignness(self, pixels: Tensor, network: str) -> float | None:
        """How foreign one image ``(1, C, H, W)`` is; ``None`` for a run of an earlier version."""
        known, model = self.in_distribution[network], self.model(network)
        if known.foreign_limit is None:
            return None
        if network not in self._foreign:
            features = model.prototypes.in_features
            score = ForeignScore(features, model.encoded(known.shape), known.references)
            load_weights(self.folder / "checkpoint", {f"{network}.foreign": score})
            self._foreign[network] = score.to(self.device)
        return float(self._foreign[network](model, pixels.to(self.device))[0])

    @torch.no_grad()
    def logits(self, pixels: Tensor, network: str) -> Tensor:
        """Returns logits ``(N, K)`` float64 on the CPU for images ``(N, C, H, W)``.

        Args:
            pixels: Bytes, or floats in [-1, 1]; rows and sequences in units of their own.
            network: The network.
        """
        model = self.model(network)
        found = in_parts(lambda part: model(model.take(part)), pixels, self.device)
        return found.double().cpu()

    def _network(self, network: str | None) -> str:
        if network is None and len(self.networks) != 1:
            raise NetworkError(
                "the program has several networks", expected=f"one of {', '.join(self.networks)}"
            )
        name = self.networks[0] if network is None else network
        self.check_network(name)
        return name

    def query(
        self,
        question: str,
        *,
        fixed: Sequence[str] = (),
        facts: Sequence[str] = (),
        evidence: Sequence[str] = (),
    ) -> Answers:
        r"""Answers a question such as ``addition('a.png', 'b.png', Z)``.

        A variable that the program hands to a network stands for an image nobody has seen: its
        answers are the symbols that image could show, and the probability of each is that of the
        goal if it does.

        Args:
            question: The question.
            fixed: Symbols that are set for this question, such as ``digit('a.png') = 3``.
            facts: Facts that hold for this question, such as ``edge(a, b)``.
            evidence: What is known to hold, or not to: ``lucky``, ``\+lucky``.

        Raises:
            InputError: The question cannot be read, has no solution, or an image is missing.
        """
        what_if = WhatIf(fixed, facts, evidence)
        return self.questions.answer(self.questions.case(question, what_if))

    @cached_property
    def questions(self) -> Questions:
        """What one may ask of the run."""
        return Questions(self.binding, self._read, self.doubt)

    def generate(
        self, per_symbol: int = 10, *, steps: int = 20, seed: int = 0
    ) -> dict[str, NDArray[np.float32]]:
        """Generates images of every symbol.

        Args:
            per_symbol: Images a symbol.
            steps: Largest number of Langevin steps of a chain.
            seed: Of start and noise.

        Returns:
            Network -> images ``(K, per_symbol, C, H, W)`` in [0, 1]; rows and sequences
            ``(K, per_symbol, ...)`` in units of their own.

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
        model = self.model(name)
        shape = model.encoded(self.in_distribution[name].shape)
        start = SymbolStart(shape, model.symbols)
        load_weights(self.folder / "checkpoint", {f"{name}.start": start})
        if (names := self._names(name, model.symbols)) is not None:
            start.permute_symbols(names)
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
        scaled = (images.clamp(-1, 1) + 1) / 2 if model.scale is None else model.scale.back(images)
        return scaled.reshape(model.symbols, per_symbol, *shape).cpu().numpy()

    def learner(self, name: str, seed: int = 0) -> Learner:
        """Returns a network as training left it, with its pool, for evaluation."""
        pool = self.task.pool(name).to(self.device)
        settings = self.spec.network(name).perception
        model = self.model(name)
        return Learner(model, settings, model.encode(pool), seed=seed)

    def _repr_html_(self) -> str:
        return f"<p>Run <code>{escape(str(self.folder))}</code>, networks {self.networks}</p>"

    def predict(self, network: str, pixels: Tensor) -> Tensor:
        """Returns log p(y|x) ``(N, K)`` of images as they are, by a network alone."""
        return log_probs(self.logits(pixels, network))

    def facts(self) -> dict[str, Any]:
        """Returns what the run's manifest says: program, seed, readings of the symbols."""
        return dict(self._facts)

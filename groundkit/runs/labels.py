"""Few labels that settle what a run's symbols stand for: suggesting them, and taking them up."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from groundkit.errors import CheckpointError, DataError, InputError, NetworkError
from groundkit.evaluate.calibration import reliability
from groundkit.evaluate.symbols import GroundingScores, score_grounding
from groundkit.files import read_text, write_atomically
from groundkit.identifiability.factored import FactoredPosterior
from groundkit.identifiability.images import factored, members
from groundkit.identifiability.posterior import FloatArray
from groundkit.runs.ambiguity import Predict, meanings_of
from groundkit.runs.asked import Asked, ask_for, digest
from groundkit.runs.assess import assess_queries, held_out_images
from groundkit.runs.noted import Labels, Names, Noted
from groundkit.runs.readings import average, joint_symbols
from groundkit.runs.results import mean_grounding
from groundkit.runs.session import Session, open_run
from groundkit.runs.settled import Settled
from groundkit.symbols import Values
from groundkit.task.task import Task
from groundkit.training.weights import rewrite_facts

_DIGITS = 6
_TIE = 0.05


def settled_scores(
    task: Task,
    found: FactoredPosterior | str | None,
    predict: Predict,
    folder: Path,
    labelled: Collection[str] = (),
) -> dict[str, Any] | None:
    """Returns ``ambiguity`` of ``metrics.json``; writes the images to label into a folder.

    Args:
        task: The run's task.
        found: The readings that are left, or why they are not known.
        predict: The trained networks.
        folder: The run's folder.
        labelled: Digests of images that have a label already.
    """
    if found is None:
        return None
    if isinstance(found, str):
        return {"maps": None, "concept_ece": None, "suggested": [], "reason": found}
    errors, plain = {}, {}
    for group in found.domains:
        for network in members(group):
            images = held_out_images(task, network)
            truth = images.labels
            if truth is None or (truth < 0).all():
                continue
            logs = {n: predict(n, images.pixels).double().cpu() for n in members(group)}
            mixed = average(logs, group, found.meanings()[group])[network].exp().numpy()
            known = truth >= 0
            errors[network] = reliability(truth[known], _without_ties(mixed[known])).ece
            plain[network] = reliability(truth[known], logs[network].exp().numpy()[known]).ece
    return {
        "maps": found.count,
        "admitted": found.total,
        "weighed": found.weighed,
        "concept_ece": float(np.mean(list(errors.values()))) if errors else None,
        "concept_ece_pick": float(np.mean(list(plain.values()))) if plain else None,
        "meanings": _meanings(found),
        "suggested": [one.to_dict() for one in ask_for(task, found, predict, folder, labelled)],
    }


def _without_ties(probs: FloatArray) -> FloatArray:
    """Keeps the first of every image's likeliest symbols ``(N, K)``, the nearly equal ones too.

    Which of two symbols is ahead by next to nothing says which map was learnt, not which symbol
    is shown: all images would be right, or all wrong, where each is in doubt.
    """
    close = probs >= probs.max(axis=1, keepdims=True) - _TIE
    first = close.argmax(axis=1)[:, None]
    kept = np.zeros_like(probs)
    np.put_along_axis(kept, first, np.take_along_axis(probs, first, axis=1), axis=1)
    return kept


def _meanings(found: FactoredPosterior) -> dict[str, dict[str, dict[str, float]]]:
    """Returns network -> predicted symbol -> the symbols that it may stand for."""
    return {
        group: {
            domain[k]: {
                domain[s]: round(float(share), _DIGITS)
                for s, share in enumerate(row)
                if share >= 10**-_DIGITS
            }
            for k, row in enumerate(found.meanings()[group])
        }
        for group, domain in found.domains.items()
    }


def suggest(run: Path | str, *, trust: bool = False, device: str = "auto") -> Settled:
    """Names the fewest images of a run whose labels leave one reading of its symbols.

    Args:
        run: The run's folder.
        trust: Allow the program to run Python code.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InputError: It is no finished run.

    Example:
        >>> import groundkit
        >>> found = groundkit.suggest("runs/tiny")
    """
    return suggested(open_run(run, trust=trust, device=device))


def suggested(session: Session) -> Settled:
    """Does what :func:`suggest` does, for a run that is open."""
    if session.doubt is None:
        reason = (_metrics(session.folder).get("ambiguity") or {}).get("reason")
        if not reason and session.spec.query:
            reason = "what the symbols may mean was not worked out when it was trained"
        return Settled(session.folder, None, reason=reason or "the run has no program")
    readings = session.doubt.readings
    if readings.count == 1:
        return Settled(session.folder, 1)
    asked = ask_for(session.task, readings, session.predict, session.folder, _contents(session))
    identify = _metrics(session.folder).get("identify") or {}
    return Settled(
        session.folder,
        readings.count,
        asked,
        observe=_observations(identify),
        several=len(readings.domains) > 1,
    )


def _observations(identify: Mapping[str, Any]) -> tuple[str, ...]:
    """Lists what `identify` found that leaves one grounding, labels aside."""
    return tuple(
        "; ".join(one["items"]) + (" as well" if one["kind"] == "goals" else "")
        for part in (identify, identify.get("examples") or {})
        for one in part.get("suggestions") or ()
        if one["kind"] in {"observations", "goals"} and one["items"] and one["left"] == 1
    )


def _contents(session: Session) -> set[str]:
    """Returns the digests of the images that have a label."""
    return {one["content"] for one in session.facts().get("labelled", []) if "content" in one}


def label(
    run: Path | str,
    labels: Sequence[tuple[Path | str, str]],
    *,
    network: str | None = None,
    trust: bool = False,
    device: str = "auto",
) -> Settled:
    """Takes up labels of a few images by renaming the networks' symbols; nothing is trained.

    If an image has a label already, the new one replaces it.

    Args:
        run: The run's folder.
        labels: Image files with their symbols, as texts or numbers.
        network: The network whose symbols they are; several networks that read one image have
            joint symbols, such as ``"red, no obstacle"``.
        trust: Allow the program to run Python code.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        DataError: An image or a symbol is wrong, or the labels contradict the program.
        CheckpointError: It is no finished run, or its readings are not known.

    Example:
        >>> import groundkit
        >>> groundkit.label("runs/tiny", [("tiny-images/000.png", "3")])  # doctest: +SKIP
    """
    return labelled(open_run(run, trust=trust, device=device), labels, network=network)[1]


def labelled(
    session: Session, labels: Sequence[tuple[Path | str, str]], *, network: str | None = None
) -> tuple[Session, Settled]:
    """Does what :func:`label` does, for a run that is open.

    Returns:
        The run opened again, by its new names, and what the labels came to.
    """
    if session.doubt is None:
        raise CheckpointError(
            f"the meanings of the symbols of '{session.folder}' are not known",
            expected="a run of a program whose readings could be listed",
            remedy="train with labels: [networks.NAME.labels] file",
        )
    facts, readings = session.facts(), session.doubt.readings
    noted, foreign = Labels.of(facts, readings), []
    if isinstance(labels, str | Path) or not isinstance(labels, Iterable):
        raise DataError(
            f"the labels are {labels!r}",
            expected="a list of images with their symbols",
            remedy='for instance [("a.png", "3")]',
        )
    for pair in labels:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise DataError(
                f"a label is {pair!r}",
                expected="an image and its symbol",
                remedy='for instance [("a.png", "3")]',
            )
        image, symbol = pair[0], str(pair[1])
        group, known = _known(session, readings, network, symbol)
        content, predicted, known_kind = _predicted(session, noted.names, group, image)
        foreign += [] if known_kind else [str(image)]
        noted = noted.with_label(Noted(str(image), group, symbol, content, predicted, tuple(known)))
    agreed = noted.left()
    names, left = _renamed(session, noted.names, agreed)
    facts |= {**noted.to_facts(), "ambiguity": left.to_dict(), "names": names}
    rewrite_facts(session.folder / "checkpoint", facts)
    renamed = session.again()
    settled = _measured(renamed)
    mistaken = _mistaken(noted, agreed)
    return renamed, replace(settled, mistaken=mistaken, foreign=tuple(dict.fromkeys(foreign)))


def _mistaken(labels: Labels, left: FactoredPosterior) -> tuple[Asked, ...]:
    """Lists the labelled images whose symbol the other labels contradict."""
    best = left.best()
    return tuple(
        Asked(one.image, one.network, left.domains[one.network][best[one.network][one.predicted]])
        for one in labels.unexplained(left)
    )


def _known(
    session: Session, readings: FactoredPosterior, network: str | None, symbol: str
) -> tuple[str, list[int]]:
    """Finds the networks of a label, and the (joint) symbols that it may mean."""
    groups = list(readings.domains)
    if network is None and len(groups) > 1:
        raise NetworkError(
            "the program has several networks",
            expected=f"--network, one of {', '.join(groups)}",
        )
    name = network or groups[0]
    if name in readings.domains:
        domain = readings.domains[name]
        return name, [Values(domain).position(symbol, f"symbol of network '{name}'")]
    session.check_network(name)
    domains = session.binding.domains
    place = Values(domains[name]).position(symbol, f"symbol of network '{name}'")
    group = next((group for group in groups if name in members(group)), None)
    if group is None:
        raise NetworkError(
            f"no goal of the run asks about network '{name}'",
            expected=f"a network whose symbols the goals are about: {', '.join(groups)}",
        )
    return group, meanings_of(domains, group, {name: place})


def _predicted(
    session: Session, before: Names, group: str, image: Path | str
) -> tuple[str, int, bool]:
    """Reads an image as training left the networks.

    Returns:
        Its digest, the (joint) symbol that it is given, and whether it is in distribution.
    """
    logs, content, known = {}, "", True
    now: Names = session.facts().get("names") or {}
    for name in members(group):
        (reading,) = session.read([image], name)
        assert reading.predicted is not None  # what a session reads has it
        size = len(reading.predicted)
        # Labels have renamed the symbols since: each is looked up by its place in the weights.
        place = {saved: k for k, saved in enumerate(now.get(name, range(size)))}
        order = [place[saved] for saved in before.get(name, range(size))]
        logs[name] = torch.from_numpy(np.log(reading.predicted[order].clip(1e-300)))[None]
        content = digest(reading.pixels)
        known &= not reading.out_of_distribution
    return content, int(joint_symbols(logs, group)[0]), known


def _renamed(
    session: Session, before: Names, readings: FactoredPosterior
) -> tuple[dict[str, list[int]], FactoredPosterior]:
    """Renames symbols by the heaviest reading, where it is one of each network by itself."""
    names = {name: list(order) for name, order in before.items()}
    best = readings.best()
    moved = factored(best, session.binding.domains)
    if moved is None:
        return names, readings
    for network, own in moved.items():
        earlier = names.get(network, list(range(len(own))))
        names[network] = [earlier[old] for old in np.argsort(own).tolist()]
    return names, readings.renamed(best)


def scored(session: Session, network: str) -> GroundingScores:
    """Scores held-out images by the reading that labels leave, or else by the learnt one.

    Where several networks read an image, that reading may be none of each by itself.
    """
    images, doubt = held_out_images(session.task, network), session.doubt
    group = [network] if doubt is None else members(doubt.group_of(network))
    seen = {name: session.predict(name, images.pixels).double().cpu() for name in group}
    if doubt is None:
        probs = seen[network].exp()
    else:
        probs = replace(doubt, averaging=False).symbols(network, seen)
    return score_grounding(images.labels, probs.numpy(), session.task.domains[network])


def _measured(session: Session) -> Settled:
    """Measures a run's symbols and queries anew, where its data is there, and notes them."""
    assert session.doubt is not None  # label has looked
    readings, folder = session.doubt.readings, session.folder
    metrics = _metrics(folder)
    accuracy: dict[str, float | None] = {}
    asked: tuple[Asked, ...] = ()
    try:
        task = session.task
        found = settled_scores(task, readings, session.predict, folder, _contents(session))
        for name in session.networks:
            scores = scored(session, name)
            accuracy[name] = scores.accuracy
            metrics.setdefault("networks", {}).setdefault(name, {})["grounding"] = scores.to_dict()
        learners = {name: session.learner(name) for name in session.networks}
        metrics["query"] = assess_queries(task, learners, task.held_out)
        assert found is not None  # there are readings
        asked = tuple(Asked(**one) for one in found["suggested"])
    except InputError:  # the data is gone: the labels stand, and nothing is measured
        found = {
            "maps": readings.count,
            "admitted": readings.total,
            "weighed": readings.weighed,
            "suggested": [],
        }
    shown = ("image", "network", "symbol")
    labels = [{key: one[key] for key in shown} for one in session.facts().get("labelled", [])]
    metrics["ambiguity"] = {**found, "labelled": labels}
    if accuracy:
        metrics["grounding"] = mean_grounding(metrics["networks"])
    write_atomically(folder / "metrics.json", json.dumps(metrics, indent=2).encode())
    several = len(readings.domains) > 1
    return Settled(folder, readings.count, asked, accuracy, several=several)


def _metrics(folder: Path) -> dict[str, Any]:
    """Reads a run's metrics; what cannot be read counts as empty."""
    try:
        found = json.loads(read_text(folder / "metrics.json", error=CheckpointError, within=folder))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def predict_with(learners: Mapping[str, Any]) -> Predict:
    """Returns what trained networks make of images."""
    return lambda name, pixels: learners[name].log_probs(pixels)

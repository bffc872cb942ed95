"""What a run answers: plain results that print, turn into JSON and show in notebooks."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from groundkit.report.words import chance, counted

_SHOWN = 10
_LEAST = 1e-6
"""Answers of a smaller probability are counted, not printed, unless there is no other."""
_SYMBOLS_SHOWN = 3


@dataclass(frozen=True)
class ImageReading:
    """How a network reads one image.

    Attributes:
        path: The image's file.
        network: The network.
        symbols: The network's symbols.
        probabilities: p(y|x) ``(K,)``.
        energy: E(x) in nats; low is likely.
        energy_limit: The energy that nearly all training images stay below.
        foreign: How foreign it is, by energy and by distance to training images; ``None`` where
            the run does not know.
        foreign_limit: What nearly all training images stay below in that.
        done: What was done to the image before it was read.
        pixels: What was read, ``(C, H, W)`` bytes.
        predicted: The network's own p(y|x) ``(K,)``, before it was averaged over what its symbols
            may stand for; the same where there is one meaning.
        doubt: What the program cannot tell about the image, in words; empty when nothing.
    """

    path: str
    network: str
    symbols: tuple[str, ...]
    probabilities: NDArray[np.float64]
    energy: float
    energy_limit: float
    done: tuple[str, ...]
    pixels: NDArray[np.uint8] = field(repr=False)
    foreign: float | None = None
    foreign_limit: float | None = None
    predicted: NDArray[np.float64] | None = field(default=None, repr=False)
    doubt: str = ""

    @property
    def symbol(self) -> str:
        """The most probable symbol."""
        return self.symbols[int(self.probabilities.argmax())]

    @property
    def out_of_distribution(self) -> bool:
        """Whether it is more foreign, or of higher energy, than nearly all training images.

        A number that is no number counts as foreign.
        """
        if self.foreign is None or self.foreign_limit is None:
            return not self.energy <= self.energy_limit
        return not self.foreign <= self.foreign_limit

    def ranked(self) -> list[tuple[str, float]]:
        """Returns symbols with their probabilities, the most probable first."""
        order = np.argsort(-self.probabilities, kind="stable")
        return [(self.symbols[k], float(self.probabilities[k])) for k in order]

    def to_dict(self) -> dict[str, Any]:
        """Returns everything but the pixels as JSON-able values."""
        return {
            "symbol": self.symbol,
            "probabilities": dict(self.ranked()),
            "energy": self.energy,
            "energy_limit": self.energy_limit,
            "foreign": self.foreign,
            "foreign_limit": self.foreign_limit,
            "out_of_distribution": self.out_of_distribution,
            "network": self.network,
            "done": list(self.done),
            "doubt": self.doubt,
        }

    def __str__(self) -> str:
        return self.words()

    def words(self, *, by_network: bool = False) -> str:
        """Words what was read, on request with the network that read it."""
        best = ", ".join(f"{s} {p:.1%}" for s, p in self.ranked()[:_SYMBOLS_SHOWN])
        read = f"{self.path} by {self.network}" if by_network else self.path
        lines = [f"{read}: {self.doubt or best}", f"  energy {self.energy:.2f}"]
        if self.out_of_distribution:
            if self.foreign is None or self.foreign_limit is None:
                value, limit = "", self.energy_limit
            else:
                value, limit = f", foreign {self.foreign:.2f}", self.foreign_limit
            lines[1] += (
                f"{value}, above the limit {limit:.2f}, below which nearly all training images "
                "stay: OUT OF DISTRIBUTION, do not trust its symbol"
            )
        lines += [f"  {what}" for what in self.done]
        return "\n".join(lines)

    def thumbnail(self) -> str:
        """Returns what was read as a PNG inside a URI."""
        array = self.pixels[0] if len(self.pixels) == 1 else np.moveaxis(self.pixels, 0, -1)
        buffer = io.BytesIO()
        Image.fromarray(array).resize((56, 56), Image.Resampling.NEAREST).save(buffer, "PNG")
        return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()

    def _repr_html_(self) -> str:
        words = "<br>".join(escape(line.strip()) for line in str(self).splitlines())
        alt = escape(f"{self.path}, read as {self.symbol}")
        return f'<p><img src="{self.thumbnail()}" alt="{alt}"> {words}</p>'


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        text: The question with its variables replaced.
        values: Variable -> printed value.
        probability: Its probability.
        place: Combination and root it comes from.
    """

    text: str
    values: dict[str, str]
    probability: float
    place: tuple[int, int] = field(default=(0, 0), repr=False)


def words_of(images: Mapping[str, ImageReading]) -> list[str]:
    """Words how images were read, with the network of each where there are several."""
    several = len({reading.network for reading in images.values()}) > 1
    return [reading.words(by_network=several) for reading in images.values()]


@dataclass(frozen=True)
class Answers:
    """The answers of a question, the most probable first.

    Attributes:
        question: The question.
        answers: All answers.
        images: Path -> how it was read.
        unseen: Variables that stand for an image that was not given.
        note: What the probabilities are an average over; empty when there is one meaning.
    """

    question: str
    answers: tuple[Answer, ...]
    images: dict[str, ImageReading] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()
    note: str = ""

    @property
    def best(self) -> Answer:
        """The most probable answer."""
        return self.answers[0]

    @property
    def _shown(self) -> tuple[Answer, ...]:
        """The first answers that are worth a line; always the best one."""
        likely = sum(answer.probability >= _LEAST for answer in self.answers)
        return self.answers[: max(1, min(likely, _SHOWN))]

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as JSON-able values."""
        return {
            "query": self.question,
            "answers": {answer.text: answer.probability for answer in self.answers},
            "images": {path: reading.to_dict() for path, reading in self.images.items()},
            "note": self.note,
        }

    def __str__(self) -> str:
        lines = [f"{a.text}: {chance(a.probability)}" for a in self._shown]
        rest = self.answers[len(self._shown) :]
        if rest:
            total = sum(answer.probability for answer in rest)
            lines.append(f"and {counted(len(rest), 'more answer')}, {chance(total)} in all")
        if self.unseen:
            names = ", ".join(self.unseen)
            lines.append(
                f"no image was given for {names}: a probability is that of the goal if {names} "
                "showed these symbols"
            )
        if self.note:
            lines.append(self.note)
        return "\n".join([*lines, *words_of(self.images)])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><code>{escape(a.text)}</code></td><td>{chance(a.probability)}</td></tr>"
            for a in self._shown
        )
        images = "".join(reading._repr_html_() for reading in self.images.values())
        return f"<table><tr><th>answer</th><th>probability</th></tr>{rows}</table>{images}"


@dataclass(frozen=True)
class ProgramAnswers:
    """The answers of a program without networks: printed query -> probability.

    Attributes:
        probabilities: Printed query -> probability, its lower bound, or its estimate.
        mode: ``exact``, ``bounds`` or ``sample``.
        gaps: Printed query -> upper less lower bound, or standard error; empty where exact.
    """

    probabilities: dict[str, float]
    mode: str = "exact"
    gaps: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Returns the mapping itself where it is exact; otherwise with mode and gaps beside it."""
        if self.mode == "exact":
            return self.probabilities
        return {"mode": self.mode, "probabilities": self.probabilities, "gap": self.gaps}

    def __str__(self) -> str:
        return "\n".join(f"{text}: {self._shown(text)}" for text in self.probabilities)

    def _shown(self, text: str) -> str:
        """Words one answer."""
        p = self.probabilities[text]
        if self.mode == "bounds":
            return f"between {chance(p)} and {chance(p + self.gaps[text])}"
        if self.mode == "sample":
            return f"about {chance(p)}, standard error {self.gaps[text]:.2g}"
        return chance(p)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><code>{escape(text)}</code></td><td>{self._shown(text)}</td></tr>"
            for text in self.probabilities
        )
        return f"<table><tr><th>query</th><th>probability</th></tr>{rows}</table>"

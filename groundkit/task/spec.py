"""The ``.toml`` spec beside a program, as pydantic models, and how it is read and written.

Every key has a default that is written out into the ``spec.toml`` of a run. A wrong spec ends in
one :class:`~groundkit.errors.SpecError` that names the line of the file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import Field, ValidationError, model_validator

from groundkit.errors import Location, SpecError
from groundkit.perception.settings import PerceptionSpec
from groundkit.presets.section import MOST, Section, complained_of, refusal, with_preset


class QuerySpec(Section):
    """What is asked of the program, once per example."""

    goal: str
    """The goal, for instance ``addition(X, Y, Z)``; its variables are bound per example."""
    answers: dict[str, list[str | int]] = Field(default_factory=dict)
    """Values of an observed variable, for a program that cannot enumerate them by itself."""


class ExamplesSpec(Section):
    """Where examples come from: drawn from a labelled data set, or read from the user's file."""

    data: str | None = "mnist5k"
    """Labelled data set to draw from (see ``groundkit datasets``), or a folder, ``.npz`` file."""
    file: Path | None = None
    """CSV with a column per variable: an image path or a symbol; ``NAME.truth`` is optional."""
    images: list[str] = Field(default_factory=list)
    """Variables of the goal that are images; the others are observed symbols."""
    goal: str | None = None
    """Goal that examples are drawn from, over the same variables, where fewer combinations occur
    than the query allows; training does not see it."""
    count: int = Field(default=1000, ge=1, le=MOST)
    """Number of examples drawn for training."""
    held_out: int = Field(default=500, ge=1, le=MOST)
    """Number of examples drawn from test images, for query accuracy."""
    seed: int = 0
    """Seed of the draw; independent of the training seed."""
    pool: bool = True
    """Whether the data set's other training images join the unsupervised terms, unlabelled."""


class LabelsSpec(Section):
    """The few labels that training may use; without them it uses none."""

    per_symbol: int = Field(default=0, ge=0)
    """Images of each symbol whose label is used, drawn from the data set's training images."""
    symbols: list[str] = Field(default_factory=list)
    """The symbols that are drawn, all of them when empty."""
    file: Path | None = None
    """CSV with a column ``image`` and either a column ``symbol`` or one of probabilities for each
    symbol; in place of ``per_symbol``."""
    weight: float = Field(default=1.0, ge=0)
    """Weight of the labels' term, mean log p(label)."""


class NetworkSpec(Section):
    """One network of the program: the name inside ``nn(NAME, ...)``."""

    preset: str | None = None
    """Settings for a known data set, such as ``mnist5k``, for the keys that are not given here."""
    backbone: str = "convnet"
    """``mlp``, ``convnet``, ``resnet8``, ``resnet18``, ``module:package.module:Class``, or
    ``observed`` for a predicate whose input is an observed symbol rather than an image."""
    options: dict[str, int] = Field(default_factory=dict)
    """The backbone's own options, such as ``width``."""
    normalise: bool = False
    """Whether embeddings have unit length, which bounds logits and energy by 1/temperature."""
    temperature: float = Field(default=1.0, gt=0)
    """Divides the logits."""
    bfloat16: bool = False
    """Whether the backbone computes with bfloat16, in training, sampling and use: about twice as
    fast where the hardware has it."""
    data: str | None = None
    """Data set of this network's images, when not that of ``[examples]``."""
    image_shape: tuple[int, int, int] | None = None
    """Channels, height and width that the user's own images are brought to; by default those of
    the data set's images, 1 x 28 x 28 for ``mnist5k``."""
    labels: LabelsSpec = LabelsSpec()
    """Weak supervision."""
    perception: PerceptionSpec = PerceptionSpec()
    """The bound's terms."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        return with_preset(given, "network")


class TrainSpec(Section):
    """The training schedule."""

    preset: str | None = None
    """Schedule for a known data set, such as ``mnist5k``, for the keys that are not given here."""
    epochs: int = Field(default=25, ge=1)
    """Passes over the examples in joint training; at least ``min_steps`` steps are made."""
    min_steps: int = Field(default=600, ge=0)
    """Least number of joint steps, for small numbers of examples."""
    batch: int = Field(default=64, ge=1)
    """Examples per step."""
    pool_batch: int = Field(default=64, ge=0)
    """Unlabelled images per step in the bound's terms, beside the examples' images."""
    cluster_steps: int = Field(default=300, ge=0)
    """Steps of the clustering phase (contrastive embedding) before symbols are named."""
    clusters_per_symbol: int = Field(default=1, ge=1)
    """Clusters that a symbol may consist of at the start; above 1 the program names each of the
    many clusters, several by one symbol, unless symbols would be left without any."""
    cluster_batch: int = Field(default=256, ge=2)
    """Images per step of the clustering phase."""
    cluster_learning_rate: float = Field(default=2e-3, gt=0)
    """Peak learning rate of AdamW in the clustering phase; it rises, then falls to zero."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """The same in joint training."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Weight decay of AdamW."""
    symbolic: float = Field(default=1.0, ge=0)
    """Weight of the symbolic term, mean log P(query)."""
    schedule: Literal["constant", "annealed", "clusters-first", "tempered"] = "constant"
    """How the symbolic term comes in: at its full weight from the start; rising from nothing;
    absent, then at its full weight; or reading softened symbols, which harden."""
    schedule_steps: int = Field(default=200, ge=1)
    """Joint steps after which every schedule is at the full weight."""
    reground: bool = True
    """Whether the relabelling search runs."""
    reground_every: int = Field(default=100, ge=1)
    """Joint steps between relabelling searches; one more comes half-way to the first."""
    checkpoint_every: int = Field(default=100, ge=1)
    """Steps between saved states, from which ``--resume`` goes on."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        return with_preset(given, "train")

    def epoch_steps(self, examples: int, images: int) -> int:
        """Number of joint steps of an epoch.

        Args:
            examples: Examples of the queries; 0 where nothing is asked, so that an epoch is one
                over the images.
            images: The largest number of training images of a network.
        """
        count, batch = (examples, self.batch) if examples else (images, self.pool_batch)
        return -(-count // max(batch, 1))

    def joint_steps(self, examples: int, images: int) -> int:
        """Number of steps of joint training, see :meth:`epoch_steps`."""
        return max(self.min_steps, self.epochs * self.epoch_steps(examples, images))


class EvaluateSpec(Section):
    """What is measured after training."""

    ood: list[str] = Field(default_factory=lambda: ["fashion-mnist", "letters", "noise"])
    """Out-of-distribution sets: data sets, or ``letters``, ``noise``, ``inverted``, ``rotated``."""
    ood_count: int = Field(default=1000, ge=10, le=MOST)
    """Images of every out-of-distribution set."""
    samples: int = Field(default=10, ge=0)
    """Generated images per symbol; 0 leaves generation out."""
    sample_steps: int = Field(default=20, ge=1)
    """Largest number of SGLD steps of a generated image; it stops at an energy of real images."""


class Spec(Section):
    """The whole spec of one program."""

    query: QuerySpec | None = None
    """Absent: the networks are trained and evaluated as clusterers only."""
    examples: ExamplesSpec = ExamplesSpec()
    """Examples."""
    networks: dict[str, NetworkSpec] = Field(default_factory=dict)
    """A table per network of the program; a network without one has the defaults."""
    train: TrainSpec = TrainSpec()
    """Schedule."""
    evaluate: EvaluateSpec = EvaluateSpec()
    """Evaluation."""

    def network(self, name: str) -> NetworkSpec:
        """Returns the settings of network ``name``, the defaults when the spec has no table."""
        return self.networks.get(name, NetworkSpec())

    def to_toml(self) -> str:
        """Writes every key, defaults included, as TOML (which has no null: those are left out)."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def load_spec(path: Path, overrides: Sequence[str] = ()) -> Spec:
    """Reads a spec file and applies ``--set`` overrides.

    Args:
        path: The ``.toml`` file.
        overrides: Texts ``a.b=value``; the value is read as TOML, otherwise as a string.

    Raises:
        SpecError: The file is missing, is not TOML, or does not fit the models.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(
            f"there is no spec '{path}'",
            remedy=f"write it, or copy a start from `groundkit new {path.stem}`, or name another "
            "with --spec",
            at=Location(path),
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"the spec cannot be read: {error}", at=Location(path)) from error
    return parse_spec(text, path, overrides)


def parse_spec(text: str, file: Path | None = None, overrides: Sequence[str] = ()) -> Spec:
    """Reads a spec from text; see :func:`load_spec`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+), column (\d+)", str(error))
        line, column = (int(place[1]), int(place[2])) if place else (None, None)
        message = str(error).split(" (at ")[0]
        raise SpecError(
            f"not valid TOML: {message}",
            remedy="texts stand in quotes, lists in [..], true and false are lower case",
            at=Location(file, line, column),
        ) from None
    except (ValueError, RecursionError) as error:  # an endless number, or endless nesting
        raise SpecError(f"the spec cannot be read: {error}", at=Location(file)) from None
    for override in overrides:
        _override(data, override)
    try:
        return Spec.model_validate(data)
    except ValidationError as error:
        at = Location(file, line_of(text, complained_of(error)))
        raise refusal(error, Spec, at) from None


def _override(data: dict[str, Any], override: str) -> None:
    """Sets one dotted key of the spec's nested tables in place."""
    key, sign, value = override.partition("=")
    if not sign or not key.strip():
        raise SpecError(
            f"'--set {override}' is not an assignment",
            expected="--set table.key=value",
            remedy="for instance --set train.epochs=5",
        )
    *tables, last = (part.strip() for part in key.split("."))
    for table in tables:
        data = data.setdefault(table, {})
        if not isinstance(data, dict):
            raise SpecError(f"'--set {override}': '{table}' is a value, not a table")
    try:
        data[last] = tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        data[last] = value


_TABLE = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"^\s*([A-Za-z0-9_.\"'-]+?)\s*=")


def line_of(text: str, path: Sequence[str]) -> int | None:
    """Finds the line (from 1) of a dotted key in TOML text, or of the nearest table above it.

    tomllib keeps no positions; tables and keys at the start of a line are what specs are made of.
    """
    wanted = [part.strip("\"'") for part in path]
    table: list[str] = []
    best: tuple[int, int] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _TABLE.match(line):
            table = [part.strip().strip("\"'") for part in match[1].split(".")]
            here = table
        elif match := _KEY.match(line):
            here = table + [part.strip("\"'") for part in match[1].split(".")]
        else:
            continue
        if here == wanted[: len(here)] and (best is None or len(here) > best[0]):
            best = (len(here), number)
    return best[1] if best else None


def as_overrides(values: Mapping[str, Any]) -> list[str]:
    """Words a mapping of dotted keys as ``--set`` texts, for callers in Python."""
    return [
        f"{key}={tomli_w.dumps({'v': value}).partition('=')[2].strip()}"
        for key, value in values.items()
    ]

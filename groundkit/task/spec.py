"""The ``.toml`` spec beside a program, as pydantic models, and how it is read and written.

Every key has a default that is written out into the ``spec.toml`` of a run. A wrong spec ends in
one :class:`~groundkit.errors.SpecError` that names the line of the file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import (
    AliasChoices,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from groundkit.errors import Location, SpecError
from groundkit.files import read_text
from groundkit.perception.own_names import is_own
from groundkit.perception.settings import PerceptionSpec
from groundkit.presets.bounds import (
    Batch,
    BatchOrNone,
    Channels,
    Count,
    CountOrNone,
    Rate,
    Seed,
    Side,
    Steps,
    Temperature,
    Weight,
    check_option,
)
from groundkit.presets.section import Section, path_of, refusal, with_preset
from groundkit.program.limits import Limits, Mode, memory_bytes
from groundkit.task.overrides import check_settings, names_of, set_key
from groundkit.task.place import place_of, setting_of

_LONGEST = 1000
"""Longest list of images in an example."""


class ExamplesSpec(Section):
    """Where examples come from: drawn from a labelled data set, or read from the user's file."""

    data: str | None = "mnist5k"
    """Data set to draw examples from (see ``groundkit datasets``), or the path of a folder of
    images or of an ``.npz``, ``.npy``, ``.csv`` or ``.parquet`` file."""
    file: Path | None = None
    """CSV with one column per variable, or JSON Lines with one object per example: an image path,
    a symbol, or a list of these; ``NAME.truth`` is optional."""
    held_out_file: Path | None = None
    """The same for examples that training does not see; absent, a fifth of ``file``."""
    inputs: list[str] = Field(
        default_factory=list, validation_alias=AliasChoices("inputs", "images")
    )
    """Variables of the goal that are images or other inputs, or lists of these; the others are
    observed symbols. ``images`` is another name of this key."""
    lengths: dict[str, list[int]] = Field(default_factory=dict)
    """Lengths of the variables that are lists, where examples are drawn."""
    held_out_lengths: dict[str, list[int]] = Field(default_factory=dict)
    """The same for held-out examples, where they differ from those of training."""
    goal: str | None = None
    """Another goal over the same variables, which examples are drawn from if fewer combinations
    occur than the query allows; training does not see it."""
    count: int = Field(default=1000, ge=1, le=1_000_000)
    """Number of examples drawn for training."""
    held_out: int = Field(default=500, ge=1, le=100_000)
    """Number of examples drawn from test images, for query accuracy."""
    seed: Seed = 0
    """Seed of the draw; independent of the training seed."""
    pool: bool = True
    """Whether the data set's other training images join the unsupervised terms, without labels."""

    @model_validator(mode="before")
    @classmethod
    def _has_one_name(cls, given: Any) -> Any:
        if isinstance(given, dict) and {"inputs", "images"} <= given.keys():
            raise ValueError("images is another name of inputs: leave one of the two out")
        return given

    @field_validator("lengths", "held_out_lengths")
    @classmethod
    def _are_lengths(cls, lengths: dict[str, list[int]]) -> dict[str, list[int]]:
        for name, values in lengths.items():
            if not values:
                raise ValueError(f"{name} has no length: give some, such as {name} = [1, 2]")
            if min(values) < 0 or max(values) > _LONGEST:
                raise ValueError(f"the lengths of {name} must be from 0 to {_LONGEST}")
        return lengths


class QuerySpec(Section):
    """What is asked of the program, once per example."""

    name: Annotated[str, Field(max_length=100)] = ""
    """The query's name; needed if there are several."""
    goal: Annotated[str, Field(max_length=100_000)]
    """The goal, for instance ``addition(X, Y, Z)``; its variables are bound per example."""
    answers: dict[str, list[str | int]] = Field(default_factory=dict)
    """Values of an observed variable, for a program that cannot enumerate them by itself."""
    weight: Weight = 1.0
    """Weight of this query's mean log P(query) beside those of other queries."""
    examples: ExamplesSpec | None = None
    """The query's own examples; if absent, those of ``[examples]``."""


class LabelsSpec(Section):
    """The few labels that training may use; without them it uses none."""

    per_symbol: CountOrNone = 0
    """Images of each symbol whose label is used; drawn from the data set's training images."""
    symbols: list[str] = Field(default_factory=list)
    """The symbols that labels are drawn of; all of them if empty."""
    file: Path | None = None
    """CSV with a column ``image`` and either a column ``symbol`` or a column of probabilities for
    each symbol; used in place of ``per_symbol``."""
    weight: Weight = 1.0
    """Weight of the labels' term, mean log p(label)."""

    @field_validator("symbols", mode="before")
    @classmethod
    def _may_be_numbers(cls, symbols: Any) -> Any:
        if not isinstance(symbols, list):
            return symbols
        return [str(one) if type(one) is int else one for one in symbols]

    @model_validator(mode="after")
    def _draws_some(self) -> LabelsSpec:
        if self.symbols and not self.per_symbol:
            raise ValueError(
                "symbols says of which symbols labels are drawn, and per_symbol is 0: give "
                "per_symbol = 1, or leave symbols out"
            )
        return self


class NetworkSpec(Section):
    """One network of the program: the name inside ``nn(NAME, ...)``."""

    preset: str | None = None
    """Settings for a known data set, such as ``mnist5k``, for the keys that are not given here."""
    backbone: str = "convnet"
    """For images ``mlp``, ``convnet``, ``resnet8`` or ``resnet18``; for rows ``mlp`` or
    ``identity``; for sequences these two, ``gru`` or ``transformer``. ``shared:NAME``: another
    network's layers; ``module:NAME:Class``: your own class, in NAME.py beside the program or where
    Python finds it; ``own``: a module handed over in Python; ``observed``: no network, the input is
    an observed symbol."""
    encoder: Annotated[str, Field(max_length=1000)] | None = None
    """A frozen encoder of images that comes before the backbone, which then reads its features:
    ``torchvision:NAME``, ``timm:NAME``, ``onnx:FILE``, ``onnx:FILE#TENSOR`` for an inner tensor,
    ``module:package.module:Class``."""
    encoder_weights: Path | None = None
    """The encoder's weights, a local safetensors file; an ONNX file holds its own."""
    options: dict[str, Any] = Field(default_factory=dict)
    """The backbone's own options, such as ``width``: whole numbers for the built-in backbones, and
    keyword arguments of any type for a module of your own."""
    normalise: bool = False
    """Whether embeddings have unit length, which bounds logits and energy by 1/temperature."""
    temperature: Temperature = 1.0
    """Divides the logits."""
    bfloat16: bool = False
    """Whether the backbone computes with bfloat16, in training, sampling and use: faster
    where the hardware has it."""
    data: str | None = None
    """Data set of this network's images, if it is not that of ``[examples]``."""
    attribute: str | None = None
    """Which of the images' labels are this network's symbols, such as ``shape``, if the data set
    has several for each image. By default the labels that include all of its symbols."""
    image_shape: tuple[Channels, Side, Side] | None = None
    """Channels (1 for grey, 3 for colour; 2 and 4 with opacity), height and width that all images
    are brought to, those of the data set and your own; by default those of the data set."""
    labels: LabelsSpec = LabelsSpec()
    """Weak supervision: the few labels that training may use. Without this table it uses none."""
    perception: PerceptionSpec = PerceptionSpec()
    """The terms of the bound, and the augmentation."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        return with_preset(given, "network")

    @field_validator("image_shape", mode="before")
    @classmethod
    def _has_three_sides(cls, shape: Any) -> Any:
        if shape is not None and (not isinstance(shape, list | tuple) or len(shape) != 3):
            raise ValueError("it has channels, height and width, such as [1, 28, 28]")
        return shape

    @field_validator("options")
    @classmethod
    def _fit_the_backbone(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if not is_own(info.data.get("backbone", "")):
            for name, value in options.items():
                check_option(name, value)
        return options


class TrainSpec(Section):
    """The training schedule."""

    preset: str | None = None
    """Schedule for a known data set, such as ``mnist5k``, for the keys that are not given here."""
    epochs: Steps = 25
    """Passes over the examples in joint training; at least ``min_steps`` steps are made."""
    min_steps: CountOrNone = 600
    """Smallest number of joint steps, for small numbers of examples."""
    batch: Batch = 64
    """Examples per step."""
    pool_batch: BatchOrNone = 64
    """Unlabelled images per step in the bound's terms, beside the examples' images."""
    cluster_steps: CountOrNone = 300
    """Steps of the clustering phase (contrastive embedding) before symbols are named."""
    clusters_per_symbol: Annotated[int, Field(ge=1, le=1000)] | Literal["auto"] = "auto"
    """Clusters that a symbol may consist of at the start. Above 1, several may get the same symbol.
    ``auto`` takes 2 or 3 where held-out queries become clearly likelier, against chance."""
    cluster_batch: int = Field(default=256, ge=2, le=100_000)
    """Images per step of the clustering phase."""
    cluster_learning_rate: Rate = 2e-3
    """Peak learning rate of AdamW in the clustering phase; it rises, then falls to zero."""
    learning_rate: Rate = 2e-3
    """The same in joint training."""
    weight_decay: float = Field(default=1e-4, ge=0, le=100)
    """Weight decay of AdamW."""
    symbolic: Weight = 1.0
    """Weight of the symbolic term, mean log P(query)."""
    schedule: Literal["constant", "annealed", "clusters-first", "tempered"] = "constant"
    """How the symbolic term comes in: ``constant``, at full weight from the start; ``annealed``,
    rising from 0; ``clusters-first``, absent at first; ``tempered``, reading softened symbols."""
    schedule_steps: Count = 200
    """Joint steps after which every schedule has reached the full weight."""
    reground: bool = True
    """Whether the search for relabellings runs."""
    reground_every: Count = 100
    """Joint steps between searches for relabellings; an extra one comes half-way to the first."""
    checkpoint_every: Count = 100
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


class ReasoningSpec(Section):
    """What grounding and compiling a goal may take, and what happens where that is not enough."""

    mode: Mode = "exact"
    """``exact``: beyond the limits nothing is answered; ``bounds``: lower and upper bounds of the
    probabilities; ``sample``: estimates with their standard error; ``auto``: the first of these
    that fits the limits. The last three say what was not exact."""
    limit_seconds: float = Field(default=600.0, ge=0.01, le=1e7)
    """Time to ground and compile each shape of the goal; also ``--limit-seconds``."""
    limit_memory: str = "4GB"
    """Memory to ground and compile each shape of the goal; also ``--limit-memory``."""

    @field_validator("limit_memory")
    @classmethod
    def _is_memory(cls, text: str) -> str:
        memory_bytes(text)
        return text

    @property
    def limits(self) -> Limits:
        """The limits as numbers."""
        return Limits(self.limit_seconds, memory_bytes(self.limit_memory), self.mode)


class EvaluateSpec(Section):
    """What is measured after training."""

    ood: list[str] = Field(default_factory=lambda: ["fashion-mnist", "letters", "noise"])
    """Out-of-distribution sets: data sets, or ``letters``, ``noise``, ``inverted``, ``rotated``."""
    ood_count: int = Field(default=1000, ge=10, le=1_000_000)
    """Images of every out-of-distribution set."""
    samples: int = Field(default=10, ge=0, le=10_000)
    """Generated images per symbol; 0 leaves generation out."""
    sample_steps: Steps = 20
    """Largest number of SGLD steps for a generated image; it stops at an energy of real images."""
    ambiguity: Literal["average", "pick"] = "average"
    """If program and data leave several meanings of the symbols, ``average``: answers are averaged
    over all of them; ``pick``: answers take the learnt meaning for granted."""


class Spec(Section):
    """The whole spec of one program."""

    query: list[QuerySpec] = Field(default_factory=list)
    """One table ``[query]``, or several ``[[query]]``; without any, the networks only cluster."""
    examples: ExamplesSpec = ExamplesSpec()
    """Where examples come from: drawn from a labelled data set, or read from your own file."""
    networks: dict[str, NetworkSpec] = Field(default_factory=dict)
    """A table for each network of the program; a network without one has the defaults."""
    train: TrainSpec = TrainSpec()
    """The training schedule."""
    reasoning: ReasoningSpec = ReasoningSpec()
    """What grounding and compiling a goal may take, and what happens beyond that."""
    evaluate: EvaluateSpec = EvaluateSpec()
    """What is measured after training."""

    @field_validator("query", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return [given] if isinstance(given, dict) else given

    @field_validator("query")
    @classmethod
    def _have_names(cls, queries: list[QuerySpec]) -> list[QuerySpec]:
        names = [query.name for query in queries]
        if len(queries) > 1 and (not all(names) or len(set(names)) < len(names)):
            raise ValueError('several queries need a name each, such as name = "sums"')
        return queries

    def examples_of(self, query: QuerySpec) -> ExamplesSpec:
        """Returns where the examples of a query come from."""
        return query.examples or self.examples

    def network(self, name: str) -> NetworkSpec:
        """Returns the settings of network ``name``, the defaults when the spec has no table."""
        return self.networks.get(name, NetworkSpec())

    def to_toml(self) -> str:
        """Writes every key, defaults included, as TOML (which has no null: those are left out)."""
        found = self.model_dump(mode="json", exclude_none=True)
        for name, network in self.networks.items():  # dates and the like stay what they are
            found["networks"][name]["options"] = network.options
        if len(self.query) < 2:  # one query is a table, none is absent
            queries = found.pop("query")
            found |= {"query": queries[0]} if queries else {}
        return tomli_w.dumps(found)


def load_spec(path: Path, overrides: Sequence[str] = (), within: Path | None = None) -> Spec:
    """Reads a spec file and applies ``--set`` overrides.

    Args:
        path: The ``.toml`` file.
        overrides: Texts ``a.b=value``; the value is read as TOML, otherwise as a string.
        within: A folder that the file must lie in, as that of a run.

    Raises:
        SpecError: The file is missing, is not TOML, or does not fit the models.
    """
    try:
        text = read_text(path, error=SpecError, what="the spec cannot be read: it", within=within)
    except FileNotFoundError:
        raise SpecError(
            f"there is no spec '{path}'",
            remedy="write it, or name another with --spec; `groundkit new NAME` writes one to copy",
            at=Location(path),
        ) from None
    return parse_spec(text, path, overrides)


def parse_spec(text: str, file: Path | None = None, overrides: Sequence[str] = ()) -> Spec:
    """Reads a spec from text; see :func:`load_spec`."""
    check_settings(overrides)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+), column (\d+)", str(error))
        end = text.rstrip().count("\n") + 1, None
        line, column = (int(place[1]), int(place[2])) if place else end
        said = str(error).split(" (at ")[0]
        twice = said.startswith("Cannot ")  # declare, overwrite, mutate
        raise SpecError(
            f"not valid TOML: {said}",
            remedy="a table and a key stand once: leave one of them out; several goals are tables "
            "[[query]], each with a name"
            if twice
            else "texts stand in quotes, lists in [..], true and false are lower case",
            at=Location(file, line, column),
        ) from None
    except (ValueError, RecursionError) as error:  # an endless number, or endless nesting
        raise SpecError(f"the spec cannot be read: {error}", at=Location(file)) from None
    for override in overrides:
        set_key(data, override)
    try:
        return Spec.model_validate(data)
    except ValidationError as error:
        path = path_of(error)
        named = names_of(data.get("query"))
        at = place_of(file, text, path, overrides, named)
        setting = setting_of(text, path, overrides, named)
        raise refusal(error, Spec, at, setting=setting is not None) from None

"""A spec whose paths hold from anywhere, as a run's folder keeps it."""

from __future__ import annotations

from pathlib import Path

from groundkit.data.sources import CARDS
from groundkit.files import is_there
from groundkit.perception.own_modules import file_of
from groundkit.perception.own_names import NAMED
from groundkit.task.spec import ExamplesSpec, Spec


def anchored(spec: Spec, base: Path, beside: Path) -> Spec:
    """Returns a spec whose paths hold from anywhere: those below ``base`` made absolute.

    Args:
        spec: A spec whose paths start from ``base``.
        base: Its folder.
        beside: Folder of the program, in which modules are looked for first.
    """

    def anchor(name: str) -> str:
        path = base / name
        return str(path.resolve()) if name not in CARDS and is_there(path) else name

    def optional(name: str | None) -> str | None:
        return None if name is None else anchor(name)

    def module(name: str) -> str:
        file = file_of(name, beside) if name.startswith(NAMED) else None
        return name if file is None else f"{NAMED}{file.resolve()}:{name.rpartition(':')[2]}"

    def located(file: Path | None) -> Path | None:
        return None if file is None else Path(anchor(str(file)))

    def encoder(name: str | None) -> str | None:
        kind, sign, file = (name or "").partition(":")
        if kind != "onnx":
            return name
        path, mark, tensor = file.partition("#")
        return f"{kind}{sign}{anchor(path)}{mark}{tensor}"

    def tables(examples: ExamplesSpec) -> ExamplesSpec:
        return examples.model_copy(
            update={
                "data": optional(examples.data),
                "file": located(examples.file),
                "held_out_file": located(examples.held_out_file),
            }
        )

    return spec.model_copy(
        update={
            "examples": tables(spec.examples),
            "query": [
                query
                if query.examples is None
                else query.model_copy(update={"examples": tables(query.examples)})
                for query in spec.query
            ],
            "networks": {
                name: network.model_copy(
                    update={
                        "backbone": module(network.backbone),
                        "data": optional(network.data),
                        "encoder": encoder(network.encoder),
                        "encoder_weights": located(network.encoder_weights),
                        "labels": network.labels.model_copy(
                            update={"file": located(network.labels.file)}
                        ),
                    }
                )
                for name, network in spec.networks.items()
            },
            "evaluate": spec.evaluate.model_copy(
                update={"ood": [anchor(name) for name in spec.evaluate.ood]}
            ),
        }
    )

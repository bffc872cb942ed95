"""What the manifest of a run says beside its hashes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from groundkit.errors import CheckpointError
from groundkit.training.weights import read_manifest

_KINDS = {str: "a text", int: "a whole number", dict: "a table", list: "a list"}


def read_facts(checkpoint: Path) -> dict[str, Any]:
    """Reads the facts of a run's checkpoint.

    Raises:
        CheckpointError: Something is of another kind than `groundkit run` writes.
    """
    facts: dict[str, Any] = read_manifest(checkpoint)["facts"]
    kinds: dict[str, type] = {"program": str, "seed": int, "networks": dict, "names": dict}
    kinds |= {"ambiguity": dict, "labelled": list, "declared": list, "trained": dict}
    for key, kind in kinds.items():
        if key in facts and type(facts[key]) is not kind:
            raise CheckpointError(
                f"'{checkpoint / 'manifest.json'}' is damaged: {key} is "
                f"{json.dumps(facts[key])[:80]}",
                expected=_KINDS[kind],
                remedy="copy the run folder again from where it was made",
            )
    for name, one in facts.get("networks", {}).items():
        if not isinstance(one, dict):
            raise CheckpointError(
                f"'{checkpoint / 'manifest.json'}' is damaged: it says nothing of network '{name}'",
                remedy="copy the run folder again from where it was made",
            )
    return facts

"""Settings that callers in Python give, as the texts of ``--set``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import tomli_w

from groundkit.errors import SpecError


def as_overrides(values: Mapping[str, Any]) -> list[str]:
    """Words a mapping of dotted keys as ``--set`` texts.

    Raises:
        SpecError: A value is none that a spec can hold.
    """
    found = []
    for key, value in values.items():
        try:
            found.append(f"{key}={_inline(value)}")
        except TypeError:
            raise SpecError(
                f"{key} is a {type(value).__name__}",
                expected="a number, a text, a truth value, a list or a mapping",
                remedy=f"leave {key} out for its default" if value is None else None,
            ) from None
    return found


def _inline(value: Any) -> str:
    """Writes a value as TOML on one line."""
    if isinstance(value, Mapping):
        parts = (f"{json.dumps(str(key))} = {_inline(one)}" for key, one in value.items())
        return f"{{{', '.join(parts)}}}"
    if isinstance(value, np.generic | np.ndarray):
        return _inline(value.tolist())
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_inline, value))}]"
    return tomli_w.dumps({"v": value}).partition("=")[2].strip()

"""Settings that callers in Python give, as the texts of ``--set``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import tomli_w


def as_overrides(values: Mapping[str, Any]) -> list[str]:
    """Words a mapping of dotted keys as ``--set`` texts."""
    return [f"{key}={_inline(value)}" for key, value in values.items()]


def _inline(value: Any) -> str:
    """Writes a value as TOML on one line."""
    if isinstance(value, Mapping):
        parts = (f"{json.dumps(str(key))} = {_inline(one)}" for key, one in value.items())
        return f"{{{', '.join(parts)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_inline, value))}]"
    return tomli_w.dumps({"v": value}).partition("=")[2].strip()

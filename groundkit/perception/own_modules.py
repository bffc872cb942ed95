"""The user's own modules as backbones: handed over in Python, or named in a spec."""

from __future__ import annotations

import copy
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from groundkit.errors import NetworkError
from groundkit.perception.backbones import Backbone
from groundkit.perception.own_names import NAMED, OWN

FORM = "module:NAME:Class, NAME.py beside the program or a module that can be imported"

Module: TypeAlias = nn.Module | Callable[..., nn.Module]
"""A module, or a class or function that makes one."""


def build_own(
    name: str,
    shape: tuple[int, ...],
    options: Mapping[str, Any],
    *,
    given: Module | None = None,
    trust: bool = False,
    beside: Path | None = None,
) -> Backbone:
    """Builds the user's own backbone and measures its features.

    A class or a function is called with the options as keyword arguments, and with ``image_shape``
    where it has a parameter of that name. A module is copied: training leaves it as it is.

    Args:
        name: ``own``, or ``module:NAME:Class``.
        shape: Shape of one input, such as ``(C, H, W)``.
        options: Keyword arguments.
        given: What was handed over for ``own``.
        trust: Whether the code that ``module:`` names may be run.
        beside: Folder of the program, in which ``NAME.py`` is looked for first.

    Raises:
        NetworkError: Code that is not trusted or fails, or no module from ``(B, ...)`` to
            ``(B, F)``.
    """
    if name == OWN and given is None:
        raise NetworkError(
            "the network's own module is not here: it was handed over in Python",
            remedy="hand it over again, as networks={NAME: module}; a finished run is opened with "
            "groundkit.open_run(FOLDER, networks={NAME: module})",
        )
    source = given if given is not None else _find(name, trust=trust, beside=beside)
    body = _make(name, source, shape, options)
    return Backbone(body, _measure_features(name, body, shape))


def file_of(name: str, beside: Path | None) -> Path | None:
    """Returns the file that ``module:NAME:Class`` means, ``None`` where it is to be imported."""
    module = name.removeprefix(NAMED).rpartition(":")[0]
    if module.endswith(".py"):
        return (beside or Path()) / module
    if beside is not None and "." not in module and (beside / f"{module}.py").is_file():
        return beside / f"{module}.py"
    return None


def _find(name: str, *, trust: bool, beside: Path | None) -> Any:
    """Imports what ``module:NAME:Class`` names."""
    if not trust:
        raise NetworkError(
            f"backbone '{name}' is Python code, and code is not run unasked",
            remedy="if you trust its author, run again with --trust",
        )
    module_name, _, attribute = name.removeprefix(NAMED).rpartition(":")
    file = file_of(name, beside)
    try:
        module = importlib.import_module(module_name) if file is None else _run(file)
        return getattr(module, attribute)
    except Exception as error:
        raise NetworkError(f"backbone '{name}' cannot be built: {error}", expected=FORM) from error


def _run(file: Path) -> ModuleType:
    """Runs a file as a module of its own, which another file of its name does not meet."""
    path = file.resolve()
    stamp = f"{path} {path.stat().st_mtime_ns}"
    name = f"_groundkit_{hashlib.sha256(stamp.encode()).hexdigest()[:16]}_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None  # it ends in .py
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            with _importing_from(path.parent):
                spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Lets a file import others beside it, as a script does."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _make(name: str, source: Any, shape: tuple[int, ...], options: Mapping[str, Any]) -> nn.Module:
    """Copies a module, or calls what makes one."""
    if isinstance(source, nn.Module):
        if options:
            raise NetworkError(
                f"the options {', '.join(options)} are given to a module that is made already",
                remedy="leave the options out, or hand over its class",
            )
        return copy.deepcopy(source)
    if not callable(source):
        raise NetworkError(
            f"backbone '{name}' is a {type(source).__name__}",
            expected="an nn.Module, or a class or function that makes one",
        )
    try:
        body = source(**dict(options) | _shape_for(source, shape, options))
    except Exception as error:
        raise NetworkError(
            f"backbone '{name}' cannot be built: {type(error).__name__}: {error}",
            expected="a call with the options as keyword arguments, and image_shape where wanted",
        ) from error
    if not isinstance(body, nn.Module):
        raise NetworkError(
            f"backbone '{name}' makes a {type(body).__name__}", expected="an nn.Module"
        )
    return body


def _shape_for(
    source: Callable[..., Any], shape: tuple[int, ...], options: Mapping[str, Any]
) -> dict[str, Any]:
    """The shape, where the user's class or function asks for it by name."""
    try:
        wanted = "image_shape" in inspect.signature(source).parameters
    except (ValueError, TypeError):  # such as a class of C
        wanted = False
    return {"image_shape": shape} if wanted and "image_shape" not in options else {}


@torch.no_grad()
def _measure_features(name: str, body: nn.Module, shape: tuple[int, ...]) -> int:
    """The width of a module's output, seen by calling it on two blank inputs."""
    training = body.training
    body.eval()
    wanted = f"a module from (B, {', '.join(map(str, shape))}) to (B, F)"
    try:
        output = body(torch.zeros(2, *shape))
    except Exception as error:
        raise NetworkError(
            f"backbone '{name}' fails on inputs of shape {shape}: {error}", expected=wanted
        ) from error
    body.train(training)
    if not isinstance(output, Tensor) or output.dim() != 2 or len(output) != 2:
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise NetworkError(f"backbone '{name}' turns 2 inputs into {found}", expected=wanted)
    features: int = output.shape[1]
    return features

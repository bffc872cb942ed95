"""Where frozen encoders come from: torchvision, timm, an ONNX file, a module of the user's."""

from __future__ import annotations

import hashlib
import importlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from groundkit.errors import NetworkError, choose_from
from groundkit.files import WEIGHTS_LIMIT, read_bytes, shown
from groundkit.perception.encoders import (
    Encode,
    Encoder,
    at_least,
    in_colour,
    pooled,
    resized,
)
from groundkit.perception.inputs import Shape

KINDS = ("torchvision:", "timm:", "onnx:", "module:")
# Means and deviations of the photographs that torchvision's networks are trained on, in [0, 1].
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HEADS = ("fc", "classifier", "heads", "head")
_SIDE = 32
"""Images are enlarged to this side for networks that halve theirs five times."""


def load_encoder(
    name: str,
    weights: Path | None,
    shape: Shape,
    *,
    base: Path,
    trust: bool = False,
    cache: Path | None = None,
) -> Encoder:
    """Loads an encoder by its name in a spec.

    Args:
        name: ``torchvision:NAME``, ``timm:NAME``, ``onnx:FILE``, ``onnx:FILE#TENSOR`` for an inner
            tensor of the graph, or ``module:package.module:Class``.
        weights: Its weights in safetensors; an ONNX file holds its own, and a module may have none.
        shape: ``(C, H, W)`` of the images.
        base: Folder that relative paths start from.
        trust: Whether Python code named by ``module:`` may be imported.
        cache: Folder for computed features.

    Raises:
        NetworkError: The name means nothing, code is not trusted, a package or a file is missing,
            or weights do not fit.
    """
    kind, _, rest = name.partition(":")
    if f"{kind}:" not in KINDS or not rest:
        raise NetworkError(
            f"unknown encoder '{shown(name)}'",
            expected="torchvision:NAME, timm:NAME, onnx:FILE or module:package.module:Class",
        )
    if kind == "onnx":
        if weights is not None:
            raise NetworkError(
                "an ONNX file holds its own weights", remedy="leave the key encoder_weights out"
            )
        key, encode = _onnx(name, rest, base)
    else:
        module, prepare, made_of = _module(name, kind, rest, trust=trust)
        content = b""
        if weights is not None:
            content = _content(base / weights, "weights")
            _fill(module, content, name, weights)
        elif kind != "module":
            raise NetworkError(
                f"the encoder '{name}' has no weights: without training its features say little",
                remedy="name a local file of them: encoder_weights = 'FILE.safetensors'",
            )
        module.eval().requires_grad_(False)
        key = f"{name} {made_of} {hashlib.sha256(content).hexdigest()}"

        def encode(images: Tensor) -> Tensor:
            return pooled(module.to(images.device)(prepare(images)))

    return Encoder(name, key, encode, shape=shape, cache=cache)


def _content(path: Path, what: str) -> bytes:
    try:
        return read_bytes(path, WEIGHTS_LIMIT, error=NetworkError)
    except FileNotFoundError:
        raise NetworkError(
            f"there is no file '{shown(path)}' of {what}",
            expected="a local file: nothing is downloaded",
            remedy="paths are relative to the spec's folder",
        ) from None


def _module(name: str, kind: str, rest: str, *, trust: bool) -> tuple[nn.Module, Encode, str]:
    """Builds a network with untrained weights, its preparation, and what it was made of."""
    if kind == "module":
        return _own(name, rest, trust=trust), lambda images: images, ""
    if kind == "timm":
        return _timm(name, rest)
    from torchvision import models

    if rest not in models.list_models(models):
        raise NetworkError(
            f"torchvision has no classifier '{shown(rest)}'",
            remedy=choose_from(rest, models.list_models(models)),
        )
    body: nn.Module = models.get_model(rest, weights=None)
    head = next((one for one in _HEADS if hasattr(body, one)), None)
    if head is not None:
        setattr(body, head, nn.Identity())
    return body, _photographs(_MEAN, _DEVIATION), f"torchvision {version('torchvision')}"


def _timm(name: str, rest: str) -> tuple[nn.Module, Encode, str]:
    timm = _package("timm", name)
    if not timm.is_model(rest):
        raise NetworkError(
            f"timm has no model '{shown(rest)}'", remedy=choose_from(rest, timm.list_models())
        )
    body: Any = timm.create_model(rest, pretrained=False, num_classes=0)
    known = body.pretrained_cfg
    return body, _photographs(known["mean"], known["std"]), f"timm {version('timm')}"


def _photographs(mean: Any, deviation: Any) -> Encode:
    """Prepares images in [-1, 1] as networks for photographs are used to."""
    middle, spread = (torch.tensor(one)[:, None, None] for one in (mean, deviation))

    def prepare(images: Tensor) -> Tensor:
        colour = at_least(in_colour(images, 3), _SIDE)
        return ((colour + 1) / 2 - middle.to(colour)) / spread.to(colour)

    return prepare


def _own(name: str, rest: str, *, trust: bool) -> nn.Module:
    if not trust:
        raise NetworkError(
            f"encoder '{name}' is Python code, and code is not run unasked",
            remedy="if you trust its author, run again with --trust",
        )
    module_name, _, class_name = rest.partition(":")
    try:
        body = getattr(importlib.import_module(module_name), class_name)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise NetworkError(
            f"encoder '{name}' cannot be built: {error}",
            expected="module:package.module:Class, importable from here",
        ) from error
    if not isinstance(body, nn.Module):
        raise NetworkError(f"'{class_name}' is a {type(body).__name__}", expected="an nn.Module")
    return body


def _fill(module: nn.Module, content: bytes, name: str, weights: Path) -> None:
    """Loads weights; those of the head that was taken off may stand in the file."""
    try:
        tensors = load_tensors(content)
    except SafetensorError as error:
        raise NetworkError(
            f"'{shown(weights)}' cannot be read as safetensors: {error}",
            remedy="save weights with safetensors.torch.save_file(model.state_dict(), FILE)",
        ) from None
    kept = {key: value for key, value in tensors.items() if key.split(".")[0] not in _HEADS}
    own = {key for key in module.state_dict() if key.split(".")[0] not in _HEADS}
    if set(kept) - own or own - set(kept):
        odd = sorted(set(kept) ^ own)[0]
        where = "the file lacks" if odd in own else "the network lacks"
        raise NetworkError(
            f"the weights in '{shown(weights)}' are not those of '{name}': {where} {shown(odd)}",
            expected="its state_dict()",
        )
    try:
        module.load_state_dict({**module.state_dict(), **kept})
    except RuntimeError as error:
        raise NetworkError(
            f"the weights in '{shown(weights)}' do not fit '{name}': "
            f"{str(error).splitlines()[-1].strip()}"
        ) from None


def _package(package: str, name: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise NetworkError(
            f"the encoder '{shown(name)}' needs the package {package}, which is not installed",
            remedy=f"pip install 'groundkit[encoders]', or pip install {package}",
        ) from None


def _onnx(name: str, rest: str, base: Path) -> tuple[str, Encode]:
    """Opens an ONNX file; its graph is data, and loads no code and no other file."""
    runtime = _package("onnxruntime", name)
    file, _, tensor = rest.partition("#")
    content = _content(base / file, "an encoder")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = runtime.InferenceSession(
            with_output(content, tensor) if tensor else content,
            options,
            providers=["CPUExecutionProvider"],
        )
    except Exception as error:  # onnxruntime's errors share no base of their own
        what = f"has no tensor '{shown(tensor)}', or is damaged" if tensor else "cannot be opened"
        raise NetworkError(
            f"the ONNX file '{shown(file)}' {what}: {str(error).splitlines()[0]}",
        ) from None
    given = session.get_inputs()
    if len(given) != 1 or len(given[0].shape) != 4:
        raise NetworkError(
            f"the ONNX file '{shown(file)}' reads "
            + ", ".join(f"{one.name} {one.shape}" for one in given),
            expected="one tensor of images, (N, C, H, W)",
        )
    channels, *frame = given[0].shape[1:]
    wanted = tensor or session.get_outputs()[0].name

    def encode(images: Tensor) -> Tensor:
        fitting = in_colour(images, channels) if isinstance(channels, int) else images
        size = [
            fixed if isinstance(fixed, int) else own
            for fixed, own in zip(frame, images.shape[-2:], strict=True)
        ]
        array = resized(fitting, size).cpu().numpy()
        (found,) = session.run([wanted], {given[0].name: array})
        return pooled(torch.from_numpy(found)).to(images.device)

    digest = hashlib.sha256(content).hexdigest()
    return f"onnx {digest} {tensor} {_version_of('onnxruntime')}", encode


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def with_output(model: bytes, tensor: str) -> bytes:
    """Makes an inner tensor of an ONNX graph one of its outputs.

    In the encoding of protocol buffers a message that is written twice is merged, so an output is
    added by writing a second graph that has nothing else.

    Args:
        model: The file: a ``ModelProto``, whose field 7 is the ``GraphProto``.
        tensor: Name of the tensor: field 1 of a ``ValueInfoProto``, field 12 of the graph.
    """

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2]) + _length(len(content)) + content

    return model + field(7, field(12, field(1, tensor.encode())))


def _length(value: int) -> bytes:
    """A number as protocol buffers write it: seven bits a byte, the lowest first."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])

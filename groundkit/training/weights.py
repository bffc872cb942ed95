"""Trained weights on disk: safetensors and a manifest with hashes, written atomically."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as encode_tensors
from torch import Tensor, nn

from groundkit.errors import CheckpointError
from groundkit.files import (
    DATA_LIMIT,
    WEIGHTS_LIMIT,
    make_folder,
    open_file,
    read_text,
    write_atomically,
)

FORMAT = 1
_MANIFEST = "manifest.json"
_AGAIN = "copy the run folder again from where it was made"


def save_weights(folder: Path, modules: Mapping[str, nn.Module], facts: Mapping[str, Any]) -> None:
    """Saves modules' weights, a file for each; see :func:`save_tensors`."""
    tensors = {
        name: {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
        for name, module in modules.items()
    }
    save_tensors(folder, tensors, facts)


def save_tensors(
    folder: Path, files: Mapping[str, Mapping[str, Tensor]], facts: Mapping[str, Any]
) -> None:
    """Saves tensors, then the manifest that makes them count.

    Args:
        folder: The checkpoint's folder; made when absent.
        files: Name -> tensors on the CPU by their own names; one file each.
        facts: JSON-able facts to read back with the tensors.

    Raises:
        RunError: A file cannot be written.
    """
    make_folder(folder)
    hashes = {}
    for name, tensors in files.items():
        content = encode_tensors(dict(tensors))
        file = f"{_plain(name)}.safetensors"
        write_atomically(folder / file, content)
        hashes[file] = hashlib.sha256(content).hexdigest()
    manifest = {"format": FORMAT, "files": hashes, "facts": dict(facts)}
    write_atomically(folder / _MANIFEST, json.dumps(manifest, indent=2).encode())


def rewrite_facts(folder: Path, facts: Mapping[str, Any]) -> None:
    """Replaces the facts of a checkpoint, whose weights stay as they are.

    Raises:
        CheckpointError: There is no checkpoint, or it is damaged.
        RunError: The file cannot be written.
    """
    manifest = {**read_manifest(folder), "facts": dict(facts)}
    write_atomically(folder / _MANIFEST, json.dumps(manifest, indent=2).encode())


def read_manifest(folder: Path) -> dict[str, Any]:
    """Reads a checkpoint's facts.

    Raises:
        CheckpointError: There is none, it is damaged, or of another format.
    """
    path = folder / _MANIFEST
    try:
        manifest = json.loads(
            read_text(path, error=CheckpointError, limit=DATA_LIMIT, within=folder)
        )
    except FileNotFoundError:
        raise CheckpointError(
            f"there is no checkpoint in '{folder}'",
            remedy="name the folder of a run that has ended, such as runs/addition/2026-01-01-0",
        ) from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"'{path}' cannot be read: {error}", remedy=_AGAIN) from None
    if not isinstance(manifest, dict) or "format" not in manifest:
        raise CheckpointError(f"'{path}' is not a checkpoint's manifest")
    if manifest["format"] != FORMAT or type(manifest["format"]) is not int:
        raise CheckpointError(
            f"'{path}' has checkpoint format {manifest['format']!s:.80}"
            + ("" if type(manifest["format"]) is int else ", which is no whole number"),
            expected=f"format {FORMAT}",
            remedy="train again, or use the version of groundkit that wrote it",
        )
    if not all(isinstance(manifest.get(key), dict) for key in ("files", "facts")):
        raise CheckpointError(f"'{path}' is damaged: it lists no files or no facts")
    return manifest


def load_weights(folder: Path, modules: Mapping[str, nn.Module]) -> None:
    """Loads weights that :func:`save_weights` wrote, after checking their hashes.

    Raises:
        CheckpointError: A file is missing, damaged or does not fit its module.
    """
    for name, module in modules.items():
        state = read_tensors(folder, name)
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            raise CheckpointError(
                f"'{folder}' does not fit network '{name}': {str(error).splitlines()[-1]}"
            ) from None


def read_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    """Reads one module's weights, after checking their hash.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    file = f"{_plain(name)}.safetensors"
    return _read(folder / file, read_manifest(folder)["files"].get(file))


def _read(path: Path, expected: str | None) -> dict[str, Tensor]:
    """Reads one file of weights, once its hash has been found right."""
    try:
        stream = open_file(path, WEIGHTS_LIMIT, error=CheckpointError, within=path.parent)
    except FileNotFoundError:
        raise CheckpointError(
            f"'{path}' cannot be read: there is no such file", remedy=_AGAIN
        ) from None
    with stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != expected:
            raise CheckpointError(
                f"'{path}' is not the file that was saved: its hash differs", remedy=_AGAIN
            )
        stream.seek(0)
        content = stream.read()
    try:
        return load_tensors(content)
    except SafetensorError as error:
        raise CheckpointError(f"'{path}' cannot be read: {error}") from None


def _plain(name: str) -> str:
    """Makes a network's name a file name that stays in its folder."""
    return "".join(c if c.isalnum() or c in "-_" else f"%{ord(c):x}" for c in name)

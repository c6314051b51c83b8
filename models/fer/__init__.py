"""Networks that read valence and arousal, or the expression, from a face.

`FERConfig` says which, `build` makes it, `save_fer` and `load_fer` keep it. The table of
networks and their papers is in `config` and the modules it names; importing this package
does not import torch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from synth.errors import AssetError, UsageError
from synth.models.fer.config import (
    ARCHITECTURES,
    NORMALISATION,
    TASKS,
    Architecture,
    FERConfig,
    FEROutput,
)

__all__ = [
    "ARCHITECTURES",
    "KIND",
    "NORMALISATION",
    "TASKS",
    "Architecture",
    "FERConfig",
    "FEROutput",
    "build",
    "fer_metadata",
    "load_fer",
    "save_fer",
]

Module = Any

#: What weights files of readers say they are.
KIND = "fer"
#: What a reader was trained on; one of ``both`` reads either.
SPECTRA = ("vis", "nir", "both")


def build(config: FERConfig) -> Module:
    """An untrained reader (`torch.nn.Module`) whose forward answers with a `FEROutput`.

    Its ``config`` is `config`; ``backbone`` makes features, ``head`` reads them, so that
    freezing is ``network.backbone.requires_grad_(False)``. Drawn from torch's global
    generator.
    """
    module = import_module(f"synth.models.fer.{config.architecture.module}")
    return module.build(config)


def save_fer(
    path: str | os.PathLike[str], network: Module, spectrum: str = "vis", **meta: str
) -> None:
    """Write a reader as safetensors.

    Parameters
    ----------
    path : path
        Its folder exists.
    network : Module
        From `build`.
    spectrum : {"vis", "nir", "both"}
        What its pictures were taken in.
    **meta : str
        More to keep, such as ``data="..."``; see `load_fer` for what is kept anyway.

    Raises
    ------
    UsageError
        If the spectrum is unknown, or `meta` would overwrite what is kept anyway.
    """
    from synth.models.weights import save_weights

    kept = fer_metadata(network.config, spectrum, meta)
    save_weights(path, network.state_dict(), KIND, **kept)


def fer_metadata(config: FERConfig, spectrum: str, meta: Mapping[str, str]) -> dict[str, str]:
    """What a reader's file says of it, ``kind`` apart: `meta`, and what is written anyway.

    Raises
    ------
    UsageError
        If the spectrum is unknown, or `meta` would overwrite what is kept anyway.
    """
    if spectrum not in SPECTRA:
        raise UsageError(f"spectrum: expected one of {', '.join(SPECTRA)}, got {spectrum!r}")
    kept = {
        "config": config.dumps(),
        "task": config.task,
        "classes": ",".join(config.classes),
        "size": str(config.size),
        "channels": str(config.channels),
        "spectrum": spectrum,
        "normalisation": NORMALISATION,
    }
    if taken := sorted({*kept, "kind"} & set(meta)):
        raise UsageError(f"meta: expected other names, got {', '.join(taken)}; they are written")
    return {**kept, **meta}


def load_fer(
    path: str | os.PathLike[str], task: str | None = None, spectrum: str | None = None
) -> tuple[Module, dict[str, str]]:
    """A reader from its file, on the CPU, in evaluation mode, and the file's metadata.

    Parameters
    ----------
    path : path
    task : {"va", "expr", "both"}, optional
        What it must be able to answer; a reader of both can answer either.
    spectrum : {"vis", "nir"}, optional
        What it must have been trained on.

    Returns
    -------
    Module
        Its ``config`` says the rest.
    dict of str
        ``kind, config, task, classes`` (joined by commas), ``size, channels, spectrum,
        normalisation`` and what else was saved.

    Raises
    ------
    AssetError
        If the file is missing, damaged, no reader, or one of another task, spectrum or
        normalisation.
    UsageError
        If the task or spectrum asked for does not exist.
    """
    import torch

    from synth.models.weights import load_weights

    if task is not None and task not in TASKS:
        raise UsageError(f"task: expected one of {', '.join(TASKS)}, got {task!r}")
    if spectrum is not None and spectrum not in SPECTRA:
        raise UsageError(f"spectrum: expected one of {', '.join(SPECTRA)}, got {spectrum!r}")
    tensors, meta = load_weights(path, KIND)
    config = FERConfig.loads(meta.get("config", ""))
    if task is not None and config.task not in (task, "both"):
        raise AssetError(
            f"weights: expected a network for the task {task}, got one for {config.task} in "
            f"{os.fspath(path)}; train one with --task {task}, or name another file"
        )
    if meta.get("spectrum") != "both":
        _refuse(path, "spectrum", spectrum, meta.get("spectrum"))
    _refuse(path, "normalisation", NORMALISATION, meta.get("normalisation"))
    with torch.random.fork_rng(devices=[]):  # reading a file draws nothing from the caller
        network = build(config)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise AssetError(
            f"weights: expected the tensors of {config.arch}, got others in {os.fspath(path)} "
            f"({str(error).splitlines()[-1].strip()}); export it again from its training run"
        ) from None
    return network.eval(), meta


def _refuse(path: str | os.PathLike[str], name: str, expected: str | None, got: str | None) -> None:
    """Raise unless the file says what is expected, if anything is."""
    if expected is not None and got != expected:
        raise AssetError(
            f"weights: expected the {name} {expected}, got {got or 'none'} in "
            f"{os.fspath(path)}; name another file"
        )

"""A reader's training from faces to weights: what ``synth train fer`` does."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.errors import UsageError
from synth.models.fer import load_fer
from synth.recognition.faces import FaceSet
from synth.settings import torch_device
from synth.training.fer import WEIGHTS_FILE, FERTraining, Scorer
from synth.training.fer_people import refuse_leaks
from synth.training.fer_scores import faces_scores
from synth.training.fer_settings import FERSettings
from synth.training.loop import WEIGHTS, train

__all__ = ["FERRun", "run_fer"]


@dataclass(frozen=True)
class FERRun:
    """How a training ended.

    Attributes
    ----------
    root, weights : Path
        Run folder; the best weights in it.
    scores : mapping of str to float
        Row of ``scores.csv`` of the best weights; watched sets under ``NAME/...``.
    rows : tuple of mappings
        All rows.
    epoch : int
        Of the best weights; 0 before the first validation.
    iteration, resumed : int
        Done altogether, and before this call.
    finished : bool
        Whether all epochs are done, or early stopping ended it.
    stopped : bool
        Whether it was early stopping.
    network : Module
        With the best weights, in evaluation mode.
    """

    root: Path
    weights: Path
    scores: Mapping[str, float]
    rows: tuple[Mapping[str, float], ...]
    epoch: int
    iteration: int
    resumed: int
    finished: bool
    stopped: bool
    network: Any


def run_fer(
    train_faces: FaceSet,
    val_faces: FaceSet,
    settings: FERSettings,
    output: Path,
    *,
    device: str = "auto",
    watch: FaceSet | Mapping[str, FaceSet] | None = None,
    scorer: Scorer = faces_scores,
    init: str | os.PathLike[str] | None = None,
    spectrum: str | None = None,
    save_every: int = 0,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
) -> FERRun:
    """Train a reader in the run folder `output`, or go on with the run there.

    Parameters
    ----------
    train_faces, val_faces : FaceSet
        Nobody may be in both.
    settings : FERSettings
    output : Path
        See `synth.training.loop`; also ``scores.csv`` and ``scores.png``, a row and a dot
        per epoch.
    device : {"auto", "cpu", "cuda"}
    watch : FaceSet or mapping of str to FaceSet, optional
        Scored at each validation; never used to choose. Nobody of it may be in the others.
    scorer : callable, optional
        From a watched set and `Readings` to its scores by name.
    init : path, optional
        Weights of a reader of the same configuration to begin with.
    spectrum : {"vis", "nir", "both"}, optional
        What the weights say they are for.
    save_every : int
        Iterations between states; 0: an epoch, and 200 at least.
    stop : callable
        Asked before every step; once true, the state is saved and the call returns.
    progress : callable, optional
        Told iterations done, of how many, and the losses.

    Raises
    ------
    UsageError
        If a person is in two sets, a set is empty or lacks labels, or `output` holds
        another run.
    AssetError
        If `init` or the state cannot be read, or `init` is for another task.
    SynthError
        If a loss is not finite any more.
    """
    watched = {"watch": watch} if isinstance(watch, FaceSet) else dict(watch or {})
    refuse_leaks({"data": train_faces, "val": val_faces})
    for name, faces in watched.items():
        for other, known in (("data", train_faces), ("val", val_faces)):
            refuse_leaks({other: known, name: faces})
    training = FERTraining(
        train_faces, val_faces, settings, torch_device(device), watch=watched, scorer=scorer,
        init=None if init is None else _initial(init, settings), output=output, spectrum=spectrum,
    )  # fmt: skip
    total = training.iterations
    run = train(
        training,
        output,
        total,
        describe(train_faces, val_faces, settings, init),
        save_every=save_every or max(training.steps, 200),
        sample_every=total,
        log_every=max(1, min(50, training.steps)),
        stop=lambda: training.stopped or stop(),
        progress=None if progress is None else lambda done, losses: progress(done, total, losses),
    )
    best = training.best
    return FERRun(
        output,
        output / WEIGHTS / WEIGHTS_FILE,
        training.rows[best["epoch"] - 1] if training.rows else {},
        tuple(training.rows),
        int(best["epoch"]),
        run.iteration,
        run.resumed,
        run.finished or training.stopped,
        training.stopped and not run.finished,
        training.best_network(),
    )


def describe(
    train_faces: FaceSet,
    val_faces: FaceSet,
    settings: FERSettings,
    init: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """What ``run.toml`` says: the settings, and digests of the faces that decide the run."""
    made: dict[str, Any] = dataclasses.asdict(settings)
    made["classes"] = list(settings.classes)
    for name, faces in (("data", train_faces), ("val", val_faces)):
        made[f"{name}_faces"] = len(faces)
        made[f"{name}_people"] = len(set(faces.subjects) - {""})
        made[f"{name}_sha256"] = _digest(faces)
    if init is not None:
        made["init_sha256"] = hashlib.sha256(Path(init).read_bytes()).hexdigest()
    return made


def _digest(faces: FaceSet) -> str:
    digest = hashlib.sha256("\n".join(faces.subjects + faces.origin).encode())
    for array in (faces.pixels, faces.points, faces.va, faces.label):
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def _initial(path: str | os.PathLike[str], settings: FERSettings) -> Any:
    """A reader to begin with; its task, sizes and classes are those asked for.

    Raises
    ------
    AssetError
        If it cannot be read or is of another task.
    UsageError
        If it is another network.
    """
    network, _ = load_fer(path, settings.task)
    given = dataclasses.asdict(dataclasses.replace(network.config, dropout=settings.dropout))
    wanted = dataclasses.asdict(settings.config)
    if different := [f"{k} {given[k]}" for k in wanted if given[k] != wanted[k]]:
        raise UsageError(
            f"init: expected a network as the settings say, got {', '.join(different)} in "
            f"{os.fspath(path)}; set the same, or name other weights"
        )
    return network

"""The training loop that every recipe shares: steps, saving, resuming, what is shown.

A run folder holds ``run.toml`` (settings), ``state.pt`` (everything needed to go on),
``losses.csv``, ``curves.png``, ``samples/NNNNNNN.jpg`` and ``weights/`` (for inference).
Going on is exact: a run stopped and resumed gives the numbers of an uninterrupted one,
since `state.pt` keeps every generator of random numbers along with the networks.
"""

from __future__ import annotations

import math
import os
import pickle
import random
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from synth.errors import AssetError, SynthError, UsageError
from synth.images import encode_image, write_atomic
from synth.runfile import open_run
from synth.training.curves import draw_curves
from synth.training.losses import LossTable
from synth.versions import installed

__all__ = ["LOSSES", "SAMPLES", "STATE", "WEIGHTS", "Trainable", "TrainingRun", "train"]

STATE, LOSSES, CURVES, SAMPLES, WEIGHTS = (
    "state.pt", "losses.csv", "curves.png", "samples", "weights",
)  # fmt: skip


class Trainable(Protocol):
    """What the loop trains: networks with their data, optimisers and random generators."""

    def step(self, iteration: int) -> dict[str, float]:
        """Train on one batch, which it draws itself; the losses by name.

        `iteration` counts from 0 and goes on where a resumed run had stopped.
        """

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on exactly.

        Networks, optimisers, schedules, pools, own generators: tensors, numbers, text,
        dicts, lists and tuples only, so that ``torch.load(weights_only=True)`` reads it.
        """

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a `state`."""

    def samples(self) -> NDArray[np.uint8] | None:
        """A (H, W, 3) sheet of fixed examples; draws from no generator that `step` uses."""

    def export(self, folder: Path) -> None:
        """Write the weights for inference below `folder`, which exists."""


@dataclass(frozen=True)
class TrainingRun:
    """How a call of `train` ended.

    Attributes
    ----------
    root : Path
    iteration : int
        Iterations done, those of earlier calls included.
    resumed : int
        Iterations that had been done before.
    losses : mapping of str to float
        Of the last step made by this call.
    finished : bool
        Whether all iterations are done.
    """

    root: Path
    iteration: int
    resumed: int
    finished: bool
    losses: Mapping[str, float] = field(default_factory=dict)


def train(
    trainable: Trainable,
    root: Path,
    iterations: int,
    settings: Mapping[str, Any],
    *,
    save_every: int = 1000,
    sample_every: int = 1000,
    log_every: int = 50,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, Mapping[str, float]], None] | None = None,
) -> TrainingRun:
    """Train up to `iterations` steps in the folder `root`, going on with an earlier run.

    The global generators of torch, numpy and Python are seeded with ``settings["seed"]``
    (0 without one) when a run begins, and restored when it goes on.

    Parameters
    ----------
    trainable : Trainable
    root : Path
        Run folder; made when absent.
    iterations : int
        Steps altogether. Where a schedule depends on it, put it into `settings` too.
    settings : mapping
        Numbers, text, booleans and lists; goes into ``run.toml``. A folder with other
        settings is refused.
    save_every, sample_every, log_every : int
        Iterations between states (with curves and weights), sample sheets, and rows of
        the table of losses. The last iteration has all of them.
    stop : callable
        Asked before every step; once true, the state is saved and the call returns.
    progress : callable, optional
        Told iterations done and the losses after every step.

    Raises
    ------
    UsageError
        If `root` holds another run or foreign files, or a number is below 1.
    AssetError
        If ``state.pt`` cannot be read.
    SynthError
        If a loss is not finite any more; the last saved state is kept.
    """
    every = {"iterations": iterations, "save_every": save_every, "sample_every": sample_every}
    for name, number in {**every, "log_every": log_every}.items():
        if number < 1:
            raise UsageError(f"{name}: expected 1 or more, got {number}")
    tables = {"settings": settings, "versions": installed(("torch", "numpy"))}
    begun = open_run(root, tables, "synth train") and (root / STATE).exists()
    _seed(int(settings.get("seed", 0)))
    table, first = _take_up(trainable, root) if begun else (LossTable(root / LOSSES), 0)
    done, losses = first, dict[str, float]()
    while done < iterations and not stop():
        losses = trainable.step(done)
        _check(losses, done, root)
        done += 1
        table.add(losses)
        last = done == iterations
        if last or done % log_every == 0:
            table.close_row(done)
        if last or done % sample_every == 0:
            _show(trainable, root, done)
        if last or done % save_every == 0:
            _save(trainable, root, done, table)
        if progress is not None:
            progress(done, losses)
    if done < iterations and done > first and done % save_every:
        _save(trainable, root, done, table)
    return TrainingRun(root, done, first, done >= iterations, losses)


def _check(losses: Mapping[str, float], iteration: int, root: Path) -> None:
    if bad := [name for name, value in losses.items() if not math.isfinite(value)]:
        kept = f"the state in {root} is kept" if (root / STATE).exists() else "nothing was kept"
        raise SynthError(
            f"losses: expected finite numbers, got {losses[bad[0]]} for {bad[0]} at iteration "
            f"{iteration}; {kept}; lower the learning rate, or use fp32"
        )


def _show(trainable: Trainable, root: Path, done: int) -> None:
    if (sheet := trainable.samples()) is not None:
        (root / SAMPLES).mkdir(exist_ok=True)
        write_atomic(root / SAMPLES / f"{done:07d}.jpg", encode_image(sheet, "jpeg", 92))


# ------------------------------------------------------------------------- state
def _save(trainable: Trainable, root: Path, done: int, table: LossTable) -> None:
    """Curves, weights, and last the state: a run never goes on from what is not there."""
    write_atomic(root / CURVES, encode_image(draw_curves(table.curves()), "png"))
    (root / WEIGHTS).mkdir(exist_ok=True)
    trainable.export(root / WEIGHTS)
    state = {
        "iteration": done,
        "losses": table.state(),
        "generators": _generators(),
        "trainable": trainable.state(),
    }
    temporary = root / f".{STATE}.{secrets.token_hex(4)}.part"
    try:
        torch.save(state, temporary)
        os.replace(temporary, root / STATE)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _take_up(trainable: Trainable, root: Path) -> tuple[LossTable, int]:
    path = root / STATE
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        done = int(state["iteration"])
        trainable.restore(state["trainable"])
    except (OSError, RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise AssetError(
            f"state: expected the state of this run in {path}, got {error}; "
            "start again in another --output"
        ) from None
    table = LossTable(root / LOSSES, done)
    table.restore(state["losses"])
    _restore_generators(state["generators"])
    return table, done


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def _generators() -> dict[str, Any]:
    """The global generators, in types that a weights-only load accepts."""
    name, keys, *rest = np.random.get_state()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [name, np.asarray(keys).tolist(), *rest],
        "python": random.getstate(),
    }


def _restore_generators(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, np.uint32), *rest))
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))

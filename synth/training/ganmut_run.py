"""A GANmut training from pictures to weights: what ``synth train ganmut`` does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from synth.optional import require
from synth.settings import torch_device
from synth.training.ganmut import GanmutTraining
from synth.training.ganmut_data import LabelledPicture, choose_classes
from synth.training.ganmut_settings import GanmutSettings
from synth.training.loop import TrainingRun, train

__all__ = ["TENSORBOARD", "run_ganmut"]

Progress = Callable[[int, Mapping[str, float]], None]
#: Folder of TensorBoard's events in a run.
TENSORBOARD = "tensorboard"
_log = logging.getLogger(__name__)


def run_ganmut(
    pictures: Sequence[LabelledPicture],
    output: Path,
    settings: GanmutSettings,
    *,
    classes: Sequence[str] = (),
    least: int = 20,
    device: str = "auto",
    save_every: int = 1000,
    sample_every: int = 1000,
    tensorboard: bool = False,
    stop: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
) -> TrainingRun:
    """Train a GANmut in the run folder `output`, or go on with the run there.

    Parameters
    ----------
    pictures : sequence of LabelledPicture
        `synth.training.ganmut_data.read_labelled` reads them.
    output : Path
        Run folder, see `synth.training.loop`.
    settings : GanmutSettings
    classes, least
        See `synth.training.ganmut_data.choose_classes`.
    device : {"auto", "cpu", "cuda"}
    save_every, sample_every : int
        Iterations between states, and between sample sheets.
    tensorboard : bool
        Write the losses for TensorBoard too, below ``tensorboard/``.
    stop, progress
        See `synth.training.loop.train`.

    Raises
    ------
    UsageError, AssetError, SynthError
        See `choose_classes`, `GanmutTraining` and `train`.
    DependencyError
        If TensorBoard is wanted and not installed.
    """
    if tensorboard:
        require("tensorboard", "tensorboard")
    training = GanmutTraining(
        pictures, choose_classes(pictures, classes, least), settings, torch_device(device)
    )
    log_every = max(1, min(50, settings.iterations // 20))
    if tensorboard:
        progress = _written(output / TENSORBOARD, log_every, progress)
    run = train(
        training, output, settings.iterations, training.description, save_every=save_every,
        sample_every=sample_every, log_every=log_every, stop=stop, progress=progress,
    )  # fmt: skip
    directions = training.mean.space.angles()
    _log.info("directions: %s", dict(zip(training.classes[1:], directions, strict=True)))
    return run


def _written(folder: Path, every: int, progress: Progress | None) -> Progress:
    """`progress` that also writes events; the folder is made with the first of them."""
    writers: list[object] = []

    def told(done: int, losses: Mapping[str, float]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        if not writers:
            writers.append(SummaryWriter(str(folder)))
        if done % every == 0:
            for name, value in losses.items():
                writers[0].add_scalar(name, value, done)  # type: ignore[attr-defined]
        if progress is not None:
            progress(done, losses)

    return told

"""A whole training run of NFER-SDE: read a set, align the faces, train both networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from synth.landmarks import get_detector
from synth.settings import torch_device
from synth.training.cyclegan_run import hold_out, read_corpora
from synth.training.loop import TrainingRun, train
from synth.training.sde import SDEConfig, SDETraining
from synth.training.sde_data import AlignedPairs, aligned_pairs

__all__ = ["run_sde"]


def run_sde(
    data: Sequence[Path],
    output: Path,
    *,
    corpus: Sequence[str] = ("folders",),
    held_out: Sequence[str] = (),
    to: str = "nir",
    size: int = 64,
    channels: int = 32,
    iterations: int = 6000,
    batch: int = 8,
    rate: float = 1e-3,
    seed: int = 0,
    device: str = "auto",
    landmarks: str = "dlib",
    save_every: int = 500,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, Mapping[str, float]], None] | None = None,
    told: Callable[[AlignedPairs], None] | None = None,
) -> TrainingRun:
    """Train on the pairs of a set; the same call on the same folder goes on.

    Parameters
    ----------
    data, corpus : sequence of Path, sequence of str
        Folders and layouts of the sets, see `read_corpora`.
    output : Path
        Run folder.
    held_out : sequence of str
        People (subjects) that are not trained on; they are shown on the sample sheets.
    to, size, channels, batch, rate
        See `SDEConfig`.
    iterations : int
        Steps altogether.
    seed : int
    device : {"auto", "cpu", "cuda"}
    landmarks : str
        Detector of the 68 points.
    save_every : int
        Iterations between states.
    stop, progress
        See `synth.training.loop.train`.
    told : callable, optional
        Handed the pairs before training begins.

    Raises
    ------
    UsageError
        If the set is not paired, shows no face, or `output` holds another run.
    """
    config = SDEConfig(size=size, channels=channels, to=to, batch=batch, rate=rate)
    where = torch_device(device)
    images, others = hold_out(read_corpora(data, corpus), held_out)
    detector = get_detector(landmarks)
    pairs = aligned_pairs(images, size, detector, to)
    if told is not None:
        told(pairs)
    shown = aligned_pairs(others, size, detector, to) if others else pairs
    training = SDETraining(
        pairs.vis, pairs.nir, pairs.points, config, seed, where, (shown.vis, shown.nir)
    )
    settings = {
        "method": "sde", "corpus": list(corpus), "held_out": sorted(held_out),
        "landmarks": landmarks, "pairs": len(pairs.names), "seed": seed, **config.settings(),
    }  # fmt: skip
    return train(
        training, output, iterations, settings,
        save_every=save_every, sample_every=save_every, stop=stop, progress=progress,
    )  # fmt: skip

"""A whole training run of NFER-SDE: read a set, align the faces, train both networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from synth.corpora import read_corpus
from synth.landmarks import get_detector
from synth.settings import torch_device
from synth.training.loop import TrainingRun, train
from synth.training.sde import SDEConfig, SDETraining
from synth.training.sde_data import AlignedPairs, aligned_pairs

__all__ = ["run_sde"]


def run_sde(
    data: Path,
    output: Path,
    *,
    corpus: str = "folders",
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
    data, corpus : Path, str
        The set's folder and layout, see `synth.corpora`.
    output : Path
        Run folder.
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
    pairs = aligned_pairs(read_corpus(corpus, data), size, get_detector(landmarks), to)
    if told is not None:
        told(pairs)
    training = SDETraining(pairs.vis, pairs.nir, pairs.points, config, seed, where)
    settings = {
        "method": "sde", "corpus": corpus, "landmarks": landmarks, "pairs": len(pairs.names),
        "seed": seed, **config.settings(),
    }  # fmt: skip
    return train(
        training, output, iterations, settings,
        save_every=save_every, sample_every=save_every, stop=stop, progress=progress,
    )  # fmt: skip

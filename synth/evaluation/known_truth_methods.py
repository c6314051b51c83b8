"""What the known-truth experiment compares: simple baselines, CycleGAN, NFER-SDE.

A method sees the pairs of the train people and translates the VIS pictures of the test
people. The baselines are closed formulas; the networks are trained by `synth.training`,
each in a folder of its own, so that an interrupted run goes on.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from synth.evaluation.known_truth_set import Pairs
from synth.images import write_atomic

__all__ = [
    "BASELINES",
    "LEARNED",
    "SDE_VARIANTS",
    "SIZES",
    "Interrupted",
    "Size",
    "Told",
    "grey",
    "histogram_match",
    "ridge",
]

UInt8 = NDArray[np.uint8]
Float = NDArray[np.float64]
Told = Callable[[str, int, int], None]
Stop = Callable[[], bool]

#: Penalty of the ridge, per pixel of the train set; features have about unit variance.
_PENALTY = 1e-4
#: Of the luminance of sRGB (BT.709).
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


#: Columns of NFER-SDE -> variant of `synth.models.nfer`: table 3 of the paper, then two
#: well-known ways to steer an unconditional score.
SDE_VARIANTS = {
    "sde unconditional": "unconditional",
    "sde sdedit": "sdedit",
    "sde ilvr": "ilvr",
    "sde cond": "cond",
    "sde cond+eh": "cond+eh",
    "sde cond+ef": "cond+ef",
    "sde both": "both",
}


#: Whether CycleGAN is told which pictures show the same moment.
PAIRINGS = ("unpaired", "paired")


@dataclass(frozen=True)
class Size:
    """How large pictures and networks are, and how long they train.

    Attributes
    ----------
    pixels : int
        Side of the pictures.
    channels, blocks : int
        Of NFER-SDE's U-Nets.
    batch : int
        Pairs per step of NFER-SDE.
    score_steps, heatmap_steps : int
        Training steps of its two networks.
    sampling_steps, sampling_batch : int
        Of its sampler.
    gan_channels, gan_blocks, gan_batch, gan_steps : int
        Of CycleGAN: channels of the first layers, residual blocks, pictures, rounds.
    gan_rate : float
        Its learning rate: 2e-4 in the paper; few rounds need larger steps.
    """

    pixels: int = 48
    channels: int = 32
    blocks: int = 1
    batch: int = 8
    score_steps: int = 2000
    heatmap_steps: int = 700
    sampling_steps: int = 50
    sampling_batch: int = 22
    gan_channels: int = 16
    gan_blocks: int = 3
    gan_batch: int = 1
    gan_steps: int = 3000
    gan_rate: float = 1e-3


SIZES = {
    "tiny": Size(32, 8, 1, 2, 3, 3, 3, 8, 4, 1, 1, 3),
    "small": Size(),
    "full": Size(128, 96, 2, 32, 60_000, 30_000, 1000, 32, 64, 9, 4, 60_000, 2e-4),
}


class Interrupted(Exception):
    """Asked to stop; what was done is kept."""


# --------------------------------------------------------------------- baselines
def grey(vis: UInt8) -> UInt8:
    """(..., H, W) luminance of (..., H, W, 3)."""
    return np.asarray(np.round(vis @ _LUMINANCE), np.uint8)


def histogram_match(train: Pairs, test: Pairs) -> UInt8:
    """Grey levels through the curve that gives all of train the histogram of its NIR.

    One curve for all pictures: a person's tone survives.
    """
    have = np.bincount(grey(train.vis).ravel(), minlength=256).cumsum() / train.nir.size
    want = np.bincount(train.nir.ravel(), minlength=256).cumsum() / train.nir.size
    curve = np.interp(have, want, np.arange(256.0))
    return np.asarray(np.round(curve)[grey(test.vis)], np.uint8)


def _features(vis: UInt8) -> Float:
    """(N * H * W, F) of every pixel: colours, their squares, their neighbourhood, its place."""
    v = vis / 127.5 - 1
    near = v
    for axis in (1, 2):
        near = convolve1d(near, np.ones(3) / 3, axis=axis, mode="nearest")
    wide = near
    for axis in (1, 2):
        wide = convolve1d(wide, np.ones(9) / 9, axis=axis, mode="nearest")
    n, h, w, _ = v.shape
    y, x = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
    place = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], -1)
    place = np.broadcast_to(place, (n, h, w, 6))
    products = np.stack([v[..., i] * v[..., j] for i in range(3) for j in range(i, 3)], -1)
    shades = v[..., 1:2] * place[..., 1:]
    return np.concatenate([place, v, near, wide, products, shades], -1).reshape(n * h * w, -1)


def ridge(train: Pairs, test: Pairs) -> UInt8:
    """Linear least squares from each pixel's features to its NIR level, slightly penalised."""
    size = 0
    gram: Any = 0.0
    moment: Any = 0.0
    for vis, nir in zip(train.vis, train.nir, strict=True):  # one picture at a time: memory
        f = _features(vis[None])
        gram, moment, size = gram + f.T @ f, moment + f.T @ nir.ravel().astype(float), size + len(f)
    weights = np.linalg.solve(gram + _PENALTY * size * np.eye(len(gram)), moment)
    made = [(_features(vis[None]) @ weights).reshape(vis.shape[:2]) for vis in test.vis]
    return np.asarray(np.clip(np.round(np.stack(made)), 0, 255), np.uint8)


#: Name -> (what it is, method).
BASELINES: Mapping[str, tuple[str, Callable[[Pairs, Pairs], UInt8]]] = {
    "grey": ("luminance of the photo", lambda train, test: grey(test.vis)),
    "histogram": ("its histogram made that of the NIR", histogram_match),
    "ridge": ("linear regression of each pixel from its colours and place", ridge),
}


# ----------------------------------------------------------------------- networks
def _trained(
    trainable: Any, root: Path, iterations: int, settings: dict[str, Any], told: Told, stop: Stop
) -> None:
    from synth.training.loop import train

    every = max(1, iterations // 4)
    run = train(
        trainable,
        root,
        iterations,
        {**settings, "iterations": iterations},
        save_every=every,
        sample_every=every,
        log_every=max(1, iterations // 100),
        stop=stop,
        progress=lambda done, _: told(root.name, done, iterations),
    )
    if not run.finished:
        raise Interrupted


def _sde(
    train: Pairs, test: Pairs, root: Path, size: Size, seed: int, device: str,
    told: Told, stop: Stop,
) -> dict[str, UInt8]:  # fmt: skip
    """NFER-SDE's ablation: one training, every variant of the sampler."""
    from synth.models.nfer import translate_batch
    from synth.training.sde import HeatmapTraining, ScoreTraining, SDEConfig

    config = SDEConfig(
        size=size.pixels, channels=size.channels, batch=size.batch, blocks=size.blocks
    )
    settings = {**config.settings(), "seed": seed}
    score = ScoreTraining(train.vis, train.nir, train.points, config, seed, device)
    _trained(score, root / "sde_score", size.score_steps, settings, told, stop)
    heat = HeatmapTraining(train.nir, train.points, config, seed + 1, device)
    _trained(heat, root / "sde_heatmap", size.heatmap_steps, settings, told, stop)
    made: dict[str, UInt8] = {}
    for name, variant in SDE_VARIANTS.items():
        path = root / "made" / f"{name}.npy"
        if not path.exists():
            if stop():
                raise Interrupted
            pictures = translate_batch(
                score.network,
                heat.network,
                test.vis,
                test.points,
                variant,
                size.sampling_steps,
                batch=size.sampling_batch,
                progress=partial(told, name),
            )
            _keep(path, pictures)
        made[name] = np.load(path)
    return made


def _keep(path: Path, pictures: UInt8) -> None:
    data = io.BytesIO()
    np.save(data, pictures)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data.getvalue())


def _cyclegan(
    train: Pairs, test: Pairs, root: Path, size: Size, seed: int, device: str,
    told: Told, stop: Stop,
) -> dict[str, UInt8]:  # fmt: skip
    """CycleGAN told which pictures are pairs, and not told."""
    import torch

    from synth.corpora import read_corpus
    from synth.models.tensors import to_pixels, to_tensor
    from synth.training.cyclegan import CycleGANSettings, CycleGANTraining

    images = read_corpus("folders", root / "set" / "train")
    made = {}
    for pairing in PAIRINGS:
        settings = CycleGANSettings(
            iterations=size.gan_steps, batch=size.gan_batch, pairing=pairing, size=size.pixels,
            stripes=0.0, ngf=size.gan_channels, ndf=size.gan_channels, blocks=size.gan_blocks,
            patch_layers=2 if size.pixels < 128 else 3, generator_steps=1, ema=0.99,
            rate=size.gan_rate, seed=seed,
        )  # fmt: skip
        training = CycleGANTraining(images, settings, device)
        folder = root / f"cyclegan_{pairing}"
        _trained(training, folder, size.gan_steps, training.description, told, stop)
        with torch.no_grad():
            pictures = [
                to_pixels(training.generator("nir")(to_tensor(vis[None]).to(device)))
                for vis in test.vis
            ]
        made[f"cyclegan {pairing}"] = np.concatenate(pictures)
    return made


#: Name -> what trains and translates; each gives one or more named rows of the table.
LEARNED: dict[str, Callable[..., dict[str, UInt8]]] = {"cyclegan": _cyclegan, "sde": _sde}

"""Build the default gallery: ``python -m synth.expressions.build --out FILE.npz``.

Draws annotated samples from the prior over many person styles, drops samples
whose face contradicts their label, clusters valence-arousal with Ward's method
and writes classes, basic expressions and the samples themselves. Deterministic:
the same tables and seed give the same bytes; ``--check`` compares.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.affect import BASIC_EXPRESSIONS
from synth.archives import npz_bytes, write_npz
from synth.expressions.arkit import NAMES, index_of, mirror_order
from synth.expressions.clusters import class_statistics, ward_classes, within_class_components
from synth.expressions.prior import Prior, load_prior
from synth.expressions.storage import FORMAT
from synth.expressions.style import draw_style

__all__ = ["build_gallery", "draw_va", "label_guard", "main"]

Float = NDArray[np.float64]

PERSONS, TAKES, CLASSES, COMPONENTS = 600, 42, 550, 12
#: Standard deviation of the smoothing kernel; see docs/method for the measurement behind it.
BANDWIDTH = 0.06
#: Log-prior raise of a state asked for by name: practically always that state.
BOOST = 8.0
#: Samples whose linear read-out of valence or arousal misses the label by more are dropped.
GUARD = 0.5
#: AffectNet-like part of the sampling law: class means, sds and shares of a public split
#: (n = 64,147; happy, neutral, sad, anger, surprise, fear, disgust, contempt, none). Counts are
#: known for happy and none; the others share the rest equally.
AFFECTNET = np.array(
    [
        [0.67, 0.07, 0.16, 0.17, 0.42],
        [-0.06, -0.02, 0.18, 0.15, 0.48 / 7],
        [-0.64, -0.26, 0.22, 0.15, 0.48 / 7],
        [-0.45, 0.57, 0.17, 0.20, 0.48 / 7],
        [0.18, 0.69, 0.17, 0.15, 0.48 / 7],
        [-0.13, 0.77, 0.07, 0.14, 0.48 / 7],
        [-0.70, 0.46, 0.15, 0.11, 0.48 / 7],
        [-0.51, 0.58, 0.19, 0.12, 0.48 / 7],
        [0.12, -0.16, 0.41, 0.43, 0.10],
    ]
)


def draw_va(count: int, rng: np.random.Generator) -> Float:
    """(count, 2) points: 70 % uniform on the disc, 30 % AffectNet-like.

    The uniform part fills the corner of low arousal and negative valence, where
    AffectNet has 3 % of its faces.
    """
    radius, angle = np.sqrt(rng.random(count)), rng.uniform(-np.pi, np.pi, count)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    natural = rng.random(count) < 0.3
    need = np.flatnonzero(natural)
    while len(need):  # redraw what falls outside the disc
        kind = AFFECTNET[rng.choice(len(AFFECTNET), len(need), p=AFFECTNET[:, 4])]
        points[need] = kind[:, :2] + kind[:, 2:4] * rng.standard_normal((len(need), 2))
        need = need[np.hypot(points[need, 0], points[need, 1]) > 1]
    # four decimals are stored; cut towards neutral, so that no stored point leaves the disc
    return np.trunc(points * 1e4) / 1e4


def label_guard(va: Float, weights: Float) -> NDArray[np.bool_]:
    """(N,) whether a linear read-out of the face agrees with the label within `GUARD`."""
    design = np.c_[weights, np.ones(len(weights))]
    solution = np.linalg.lstsq(design, va, rcond=None)[0]
    keep: NDArray[np.bool_] = (np.abs(design @ solution - va) <= GUARD).all(axis=1)
    return keep


def build_gallery(
    prior: Prior, persons: int = PERSONS, takes: int = TAKES, classes: int = CLASSES, seed: int = 0
) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
    """The arrays of the gallery file (see `synth.expressions.storage`) and a few figures.

    Parameters
    ----------
    prior : Prior
    persons, takes : int
        Person styles and takes of each; every take gives one sample.
    classes : int
        Ward classes, the neutral one included.
    seed : int
    """
    va = draw_va(persons * takes, np.random.default_rng([seed, 0]))
    person = np.repeat(np.arange(persons), takes)
    weights = np.stack(
        [
            draw_style(prior, int(p), i % takes, seed).weights(prior, va[i])
            for i, p in enumerate(person)
        ]
    )
    keep = label_guard(va, weights)
    # every person's neutral face: zero weights at exactly (0, 0)
    va = np.concatenate([va[keep], np.zeros((persons, 2))])
    weights = np.concatenate([weights[keep], np.zeros((persons, len(NAMES)))])
    person = np.concatenate([person[keep], np.arange(persons)])
    label = ward_classes(va, classes, seed=seed)
    statistics = class_statistics(va, weights, label)
    basis, component_sd, share = within_class_components(weights, label, COMPONENTS)
    arrays: dict[str, NDArray[Any]] = {
        "format": np.array(FORMAT),
        "names": np.array(NAMES),
        "class_va": _stored(statistics.va),
        "class_weights": _stored(statistics.weights),
        "class_sd": _stored(statistics.sd),
        "class_count": statistics.count.astype(np.int32),
        "radial_exponent": _stored(prior.exponent),
        "limit": _stored(prior.limit),
        "bandwidth": np.array(BANDWIDTH),
        "components": _stored(basis),
        "component_sd": _stored(component_sd),
        **_basic_expressions(prior, persons, seed),
        "sample_weights": _quantised(weights),
        "sample_va": _stored(va, 4),
        "sample_class": label.astype(np.int16),
        "sample_style": person.astype(np.int16),
    }
    spread = np.sqrt(((va - statistics.va[label]) ** 2).sum(1).mean())
    figures = {
        "samples": len(va),
        "dropped": float((~keep).mean()),
        "classes": len(statistics.va),
        "smallest_class": int(statistics.count.min()),
        "largest_class": int(statistics.count[1:].max()),
        "class_va_rms": float(spread),
        "component_share": share,
    }
    return arrays, figures


def _basic_expressions(prior: Prior, persons: int, seed: int) -> dict[str, NDArray[Any]]:
    """Samples of each basic expression and contempt at their own VA, one per person.

    One-sided acts are turned to the subject's left, so that their mean stays
    one-sided; the mean faces of the two-sided expressions are made symmetric.
    """
    names = [*BASIC_EXPRESSIONS, "contempt"]
    mirror = mirror_order()
    va, mean, sd, samples = [], [], [], []
    for number, name in enumerate(names):
        state = prior.states.index(name)
        boost = np.where(np.arange(len(prior.states)) == state, BOOST, 0.0)
        styles = [draw_style(prior, p, 1000 + number, seed) for p in range(persons)]
        drawn = np.stack([style.weights(prior, prior.va[state], boost) for style in styles])
        if name == "contempt":
            drawn = _to_left(drawn, mirror)
            both = drawn
        else:
            both = np.concatenate([drawn, drawn[:, mirror]])
        va.append(prior.va[state])
        mean.append(both.mean(0))
        sd.append(both.std(0))
        samples.append(_quantised(drawn))
    return {
        "expression_names": np.array(names),
        "expression_va": np.array(va),
        "expression_weights": _stored(np.array(mean)),
        "expression_sd": _stored(np.array(sd)),
        "expression_samples": np.array(samples),
    }


def _to_left(weights: Float, mirror: NDArray[np.int64]) -> Float:
    """Each row or its mirror image, whichever dimples more on the left."""
    sides = [index_of("mouthDimpleLeft"), index_of("mouthSmileLeft"), index_of("mouthUpperUpLeft")]
    left = weights[:, sides].sum(1)
    right = weights[:, mirror][:, sides].sum(1)
    return np.where((left >= right)[:, None], weights, weights[:, mirror])


def _stored(array: Float, decimals: int = 5) -> NDArray[np.float32]:
    """Rounded, so that the last bits of a linear algebra library do not reach the file."""
    return (np.round(array, decimals) + 0.0).astype(np.float32)


def _quantised(weights: Float) -> NDArray[np.uint8]:
    return np.round(np.clip(weights, 0, 1) * 255).astype(np.uint8)


def _differences(path: Path, arrays: dict[str, NDArray[Any]]) -> list[str]:
    """What differs between a gallery file and freshly built arrays."""
    if path.read_bytes() == npz_bytes(arrays):
        return []
    found = []
    with np.load(path, allow_pickle=False) as old:
        for key in sorted({*old.files, *arrays}):
            if key not in old.files or key not in arrays:
                found.append(f"{key}: only in one of the two")
            elif old[key].shape != arrays[key].shape:
                found.append(f"{key}: shape {old[key].shape}, built {arrays[key].shape}")
            elif arrays[key].dtype.kind in "fiu":
                gap = np.abs(old[key].astype(np.float64) - arrays[key].astype(np.float64)).max()
                if gap:
                    found.append(f"{key}: differs by up to {gap:.3g}")
            elif (old[key] != arrays[key]).any():
                found.append(f"{key}: differs")
    return found or ["bytes: same arrays, another compressor"]


def main(argv: list[str] | None = None) -> int:
    """Build, and write or check; 0 when done, 1 when the check found a difference."""
    parser = argparse.ArgumentParser(prog="python -m synth.expressions.build", description=__doc__)
    parser.add_argument("--facts", type=Path, default=Path("assets/facts"), help="tables")
    parser.add_argument("--out", type=Path, default=Path("assets/gallery/va_gallery.npz"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--check", action="store_true", help="compare with --out, write nothing")
    options = parser.parse_args(argv)
    arrays, figures = build_gallery(load_prior(options.facts), seed=options.seed)
    for key, value in figures.items():
        print(f"{key:>16} {value:.4g}")
    if options.check:
        found = _differences(options.out, arrays)
        print("\n".join(found) or f"{options.out} is what the tables give")
        return 1 if found else 0
    write_npz(options.out, arrays)
    digest = hashlib.sha256(options.out.read_bytes()).hexdigest()
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB, sha256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

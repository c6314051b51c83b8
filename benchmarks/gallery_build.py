"""Clustering and class means of 600,000 frames: time, memory, and what a subset costs.

``python benchmarks/gallery_build.py [--frames 600000] [--classes 550] [--vertices 500]
[--subset 8000 20000] [--folder DIR] [--tables ward subset passes]``

Three tables on synthetic data, single-threaded:

1. Exact Ward of all ratings (`synth.expressions.ward`), of continuous ratings and of ratings
   in steps of 0.001 and of 0.01. Ratings are drawn from an AffectNet-like law and walk
   smoothly from frame to frame, as annotated films do.
2. Exact Ward against Ward of a random subset whose classes the others join by the nearest
   centre: adjusted Rand index, within-class variance over that of the exact classes, distance
   of each exact centre to the nearest of the other; beside it how much two exact clusterings
   differ that see two halves of the frames, which is what the choice of frames does anyway.
3. The three passes over meshes, from a stack on disk: all `--frames` of few `--vertices`, and
   two smaller numbers of frames of 4471 vertices (the embedded model's). The times of these
   two give what a run and what a frame costs, from which the time of all frames at 4471 and
   (linear in vertices) at 20,000 is extrapolated: those were not run.

Seconds are of the processor, on one thread; those in brackets passed on the wall. Peak memory
is that of a process of its own for every row.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.expressions.build import draw_va
from synth.expressions.ward import ward_labels
from synth.threads import one_thread

Float = NDArray[np.float64]
SUBJECTS, COMPONENTS = 180, 40
#: Vertices of the embedded model.
RIG = 4471


def ratings(frames: int, step: float = 0.0, seed: int = 0) -> Float:
    """(frames, 2) ratings: onset, apex and offset of episodes towards drawn points."""
    rng = np.random.default_rng(seed)
    each = 60  # frames an episode
    goals = np.repeat(draw_va(frames // each + 1, rng), each, axis=0)[:frames]
    phase = np.tile(np.sin(np.linspace(0.05, np.pi - 0.05, each)), frames // each + 1)[:frames]
    va = goals * phase[:, None] + rng.normal(0, 0.01, (frames, 2))
    va /= np.maximum(np.hypot(*va.T), 1)[:, None]
    return np.trunc(va / step) * step if step else va


def apart(work: Callable[..., Any], *arguments: Any) -> tuple[Any, str, float]:
    """Result, seconds (processor, wall) and peak GB of a function in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (work, arguments))


def _measured(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, str, float]:
    one_thread()
    ward_labels(np.random.default_rng(0).normal(size=(50, 2)), 3)  # compiled before
    start, wall = time.process_time(), time.perf_counter()
    found = work(*arguments)
    seconds = f"{time.process_time() - start:.1f} ({time.perf_counter() - wall:.1f})"
    return found, seconds, peak_gb()


def peak_gb() -> float:
    """Peak memory of this process; unlike ``ru_maxrss`` nothing of the one that started it."""
    try:
        status = Path("/proc/self/status").read_text("ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1e6
    except OSError:  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def exact(frames: int, classes: int, step: float) -> int:
    """Clusters all; the number of distinct ratings."""
    va = ratings(frames, step)
    ward_labels(va, classes)
    return len(np.unique(va, axis=0)) if step else frames


def centres(va: Float, label: NDArray[np.int64]) -> Float:
    """(K, 2) mean rating of every class."""
    count = np.bincount(label)
    return np.stack([np.bincount(label, v) for v in va.T], 1) / count[:, None]


def within(va: Float, label: NDArray[np.int64]) -> float:
    """Mean squared distance of ratings to the mean of their class."""
    return float(((va - centres(va, label)[label]) ** 2).sum(1).mean())


def joined(va: Float, middle: Float) -> NDArray[np.int64]:
    """The nearest centre of every point."""
    from scipy.spatial import cKDTree

    return np.asarray(cKDTree(middle).query(va)[1], np.int64)


def compare(frames: int, classes: int, subset: int) -> tuple[float, float, float, float]:
    """Rand index, variance ratio and centre distances (mean, most) of a subset's classes."""
    from sklearn.metrics import adjusted_rand_score

    va = ratings(frames)
    truth = ward_labels(va, classes)
    rng = np.random.default_rng(1)
    if subset:
        part = va[np.sort(rng.choice(frames, subset, replace=False))]
        label = joined(va, centres(part, ward_labels(part, classes)))
    else:  # what another half of the same frames gives
        half = rng.random(frames) < 0.5
        one, two = (centres(va[h], ward_labels(va[h], classes)) for h in (half, ~half))
        truth, label = joined(va, one), joined(va, two)
    from scipy.spatial import cKDTree

    distance = cKDTree(centres(va, label)).query(centres(va, truth))[0]
    return (
        float(adjusted_rand_score(truth, label)),
        within(va, label) / within(va, truth),
        float(distance.mean()),
        float(distance.max()),
    )


def write_stack(folder: Path, frames: int, vertices: int) -> None:
    """A stack of faces that follow their ratings, written a block at a time."""
    rng = np.random.default_rng(2)
    va = ratings(frames)
    mean = rng.normal(0, 40, (vertices, 3))
    modes = rng.normal(0, 3, (5, vertices * 3)).astype(np.float32)
    people = rng.normal(0, 4, (SUBJECTS, vertices * 3)).astype(np.float32)
    terms = np.stack([va[:, 0], va[:, 1], va[:, 0] ** 2, va[:, 1] ** 2, va.prod(1)], 1)
    subject = np.arange(frames) * SUBJECTS // frames
    out = np.lib.format.open_memmap(folder / "stack.npy", "w+", np.float32, (frames, vertices, 3))
    for start in range(0, frames, 4000):
        rows = slice(start, start + 4000)
        block = terms[rows].astype(np.float32) @ modes + people[subject[rows]]
        block += rng.standard_normal(block.shape, np.float32) * 0.1 + mean.ravel().astype("f4")
        out[rows] = block.reshape(-1, vertices, 3)
    out.flush()
    np.savez(folder / "set.npz", va=va, subject=subject, mean=mean)


def stream(folder: Path, classes: int) -> tuple[float, float, float]:
    """Seconds of clustering and of the passes, and gigabytes read in the long one."""
    from synth.building.mean_faces import read_frames, read_neutrals, sample_of
    from synth.expressions.labels import MeshLabels
    from synth.meshes.collection import open_collection

    meshes = open_collection(folder / "stack.npy")
    with np.load(folder / "set.npz") as data:
        va, subject, mean = data["va"], data["subject"], data["mean"]
    expression = np.full(len(va), "", "U9")
    expression[np.searchsorted(subject, np.arange(SUBJECTS))] = "neutral"
    labels = MeshLabels(meshes.names, subject, tuple(map(str, range(SUBJECTS))), va, expression)
    start = time.process_time()
    label = 1 + ward_labels(va, classes - 1)
    label[labels.neutral] = 0
    clustered = time.process_time()
    chosen = sample_of(label, 0)
    neutrals = read_neutrals(meshes, labels, mean, True, chosen)
    read_frames(meshes, labels, label, neutrals, (), COMPONENTS, chosen)
    done = time.process_time()
    return clustered - start, done - clustered, meshes.n_vertices * 12 * len(meshes) / 1e9


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=600_000)
    parser.add_argument("--classes", type=int, default=550)
    parser.add_argument("--vertices", type=int, default=500)
    parser.add_argument("--subset", type=int, nargs="*", default=[8000, 20_000])
    parser.add_argument("--folder", type=Path, help="where the stack is written for a while")
    parser.add_argument("--tables", nargs="*", choices=TABLES, default=[*TABLES])
    options = parser.parse_args()
    for name in options.tables:
        TABLES[name](options)
        print()


def ward_table(options: argparse.Namespace) -> None:
    """Time and memory of exact Ward."""
    frames, classes = options.frames, options.classes
    print("| ratings | frames | distinct | seconds | peak GB |\n|---|---|---|---|---|")
    for name, step in (("continuous", 0.0), ("steps of 0.001", 0.001), ("steps of 0.01", 0.01)):
        distinct, seconds, peak = apart(exact, frames, classes - 1, step)
        print(f"| {name} | {frames} | {distinct} | {seconds} | {peak:.2f} |", flush=True)


def subset_table(options: argparse.Namespace) -> None:
    """What a subset with the nearest centre gives instead."""
    print("| against exact Ward | Rand index | variance | centres, mean | most |")
    print("|---|---|---|---|---|")
    for subset in [*options.subset, 0]:
        found, _, _ = apart(compare, options.frames, options.classes - 1, subset)
        rand, ratio, mean, most = found
        name = f"subset of {subset}" if subset else "one half, the other half"
        print(f"| {name} | {rand:.3f} | {ratio:.3f} | {mean:.4f} | {most:.4f} |", flush=True)


def passes_table(options: argparse.Namespace) -> None:
    """Time and memory of the passes over meshes."""
    frames, classes = options.frames, options.classes
    print("| frames | vertices | GB read | Ward, s | passes, s | us a frame | peak GB |")
    print("|---|---|---|---|---|---|---|")
    few = max(2000, frames // 100)
    took = []
    for count, vertices in ((frames, options.vertices), (few, RIG), (3 * few, RIG)):
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            write_stack(Path(name), count, vertices)
            found, seconds, peak = apart(stream, Path(name), min(classes, count // 10))
        ward, passes, size = found
        took.append(passes)
        rate = 1e6 * passes / count
        print(
            f"| {count} | {vertices} | {size:.1f} | {ward:.1f} | {passes:.1f} | {rate:.0f} | "
            f"{peak:.2f} |",
            flush=True,
        )
    slope = (took[2] - took[1]) / (2 * few)
    whole = took[1] + slope * (frames - few)
    for vertices in (RIG, 20_000):
        minutes = whole * vertices / RIG / 60
        print(f"extrapolated: {frames} frames of {vertices} vertices {minutes:.0f} min")


#: The tables by name.
TABLES = {"ward": ward_table, "subset": subset_table, "passes": passes_table}


if __name__ == "__main__":
    main()

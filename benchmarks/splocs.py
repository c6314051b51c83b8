"""Time and memory of sparse localised components, and what sparsity costs.

    python benchmarks/splocs.py [--size FRAMES VERTICES COMPONENTS ...] [--turns 3]
    python benchmarks/splocs.py --gallery

The first times a few turns on a bumpy sheet with noise, a row of ``docs/components.md`` for each
size (a process each, peak memory being that of the process): seconds to prepare (geodesics and
first components) and seconds a turn, processor time. The second prints, for the mean faces of the
embedded gallery, the error left and the share of still vertices by sparsity and constraint.

Threads are those of the linear algebra: set OMP_NUM_THREADS.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time

import numpy as np
from numpy.typing import NDArray

from synth.morphable.splocs import CONSTRAINTS, SPARSITY, SplocsSettings, sparse_components

SIZES = ((550, 3000, 20), (550, 3000, 50), (2000, 5000, 50), (1000, 20000, 50))
FACTORS = (0.25, 1.0, 4.0, 16.0)


def sheet(vertices: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """A square sheet of about so many vertices, 200 mm wide."""
    side = round(np.sqrt(vertices))
    axis = np.linspace(-100, 100, side)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    points = np.stack([x.ravel(), y.ravel(), 40 * np.cos(x.ravel() / 70)], 1)
    i, j = np.meshgrid(np.arange(side - 1), np.arange(side - 1), indexing="ij")
    a = (i * side + j).ravel()
    faces = np.concatenate(
        [np.stack([a, a + side, a + side + 1], 1), np.stack([a, a + side + 1, a + 1], 1)]
    )
    return points, faces.astype(np.int32)


def measure(frames: int, vertices: int, count: int, turns: int) -> tuple[float, float, float]:
    """Seconds before the first turn, seconds a turn, peak GB."""
    rng = np.random.default_rng(0)
    points, faces = sheet(vertices)
    places = points[rng.integers(0, len(points), 2 * count)]
    away = np.linalg.norm(points[None] - places[:, None], axis=2)
    bumps = np.exp(-((away / 20) ** 2))[:, :, None] * rng.normal(0, 4, (2 * count, 1, 3))
    offsets = np.tensordot(rng.uniform(0, 1, (frames, 2 * count)), bumps, 1)
    offsets += rng.normal(0, 0.1, offsets.shape)
    marks = [time.process_time()]
    sparse_components(
        offsets, points, faces, count, SplocsSettings(iterations=turns),
        progress=lambda done, total: marks.append(time.process_time()),
    )  # fmt: skip
    turn = (marks[turns] - marks[1]) / (turns - 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return marks[1] - marks[0] - turn, turn, peak


def _child(task: tuple[int, int, int, int]) -> tuple[float, float, float]:
    return measure(*task)


def sweep() -> None:
    """Error and still vertices by sparsity, 20 components of the embedded gallery's faces."""
    from synth.assets import path
    from synth.building.components import compare_components, gallery_deformations

    given = gallery_deformations(path("va_gallery"))
    print("| weights | sparsity a frame | error, mm | explained, % | still, % |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for constraint in CONSTRAINTS:
        for factor in FACTORS:
            sparsity = factor * SPARSITY * len(given.offsets)
            settings = SplocsSettings(constraint, sparsity)
            row = compare_components(given, 20, settings, ())[1][0]
            print(
                f"| {constraint} | {factor * SPARSITY:g} | {row.error:.3f} | "
                f"{100 * row.explained:.2f} | {100 * row.still:.1f} |",
                flush=True,
            )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, nargs=3, action="append", metavar="N")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--gallery", action="store_true")
    args = parser.parse_args()
    if args.gallery:
        sweep()
        return
    print("| frames | vertices | components | prepare, s | a turn, s | peak, GB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    context = multiprocessing.get_context("spawn")
    for size in args.size or SIZES:
        with context.Pool(1) as pool:
            prepare, turn, peak = pool.map(_child, [(*size, max(2, args.turns))])[0]
        print(
            f"| {' | '.join(map(str, size))} | {prepare:.1f} | {turn:.2f} | {peak:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

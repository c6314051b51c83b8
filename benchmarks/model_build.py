"""Time and peak memory of building a model from thousands of meshes.

    python benchmarks/model_build.py [--meshes 10000] [--vertices 20000] [--folder DIR]

Makes a stack of synthetic meshes on the disk (2.4 GB for the sizes above; deleted afterwards):
a head-sized cloud with 150 modes of falling variance, noise, and a rigid motion each, two meshes
a subject. Then aligns them, takes the principal components and measures the curves, and prints a
row of the table of ``docs/model_building.md``: processor time of all threads together, which
other work on the machine hardly changes (the time that passed is printed as well). What was put
in is compared with what came out. Peak memory is the process's largest resident set
(``ru_maxrss``); stacks are read with plain reads, so that no page of the file counts.

Threads are those of the linear algebra: set OMP_NUM_THREADS.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from synth.meshes.collection import MeshCollection, open_collection
from synth.morphable.statistics.curves import measure_curves
from synth.morphable.statistics.pca import choose_route, principal_components
from synth.morphable.statistics.people import People
from synth.morphable.statistics.procrustes import align

#: Modes of the truth, standard deviation of the first (mm, over all vertices) and of the noise.
MODES, FIRST, NOISE = 150, 2.0, 0.05
#: Standard deviation of the modes falls with this power of their number.
FALL = 0.8


def truth(vertices: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], ...]:
    """Mean (V, 3), orthonormal directions (K, 3V) and standard deviations (K,)."""
    mean = rng.normal(size=(vertices, 3)) * (45, 60, 40)
    mean -= mean.mean(0)
    # No rigid motion among the modes: alignment would take it away.
    turns = [np.cross(axis, mean).ravel() for axis in np.eye(3)]
    moves = [np.tile(axis, (vertices, 1)).ravel() for axis in np.eye(3)]
    columns = np.column_stack([*turns, *moves, *rng.normal(size=(MODES, vertices * 3))])
    basis = np.linalg.qr(columns)[0][:, 6:].T
    sigma = FIRST * np.sqrt(vertices) * np.arange(1, MODES + 1) ** -FALL
    return mean.astype(np.float32), basis.astype(np.float32), sigma.astype(np.float32)


def make_stack(path: Path, count: int, vertices: int) -> NDArray[np.float32]:
    """Write the stack block by block; the directions put in, (K, 3V)."""
    rng = np.random.default_rng(0)
    mean, basis, sigma = truth(vertices, rng)
    with open(path, "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (count, vertices, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, count, 100):
            n = min(100, count - start)
            drawn = rng.normal(size=(n, MODES)).astype(np.float32) * sigma
            block = (drawn @ basis).reshape(n, vertices, 3) + mean
            block += NOISE * rng.standard_normal(block.shape, np.float32)
            turned = Rotation.random(n, random_state=start).as_matrix().astype(np.float32)
            block = block @ turned + rng.normal(size=(n, 1, 3)).astype(np.float32) * 50
            block.astype("<f4").tofile(file)
    return basis


@contextmanager
def timed(name: str, times: dict[str, float]) -> Iterator[None]:
    start, spent = time.perf_counter(), time.process_time()
    yield
    times[name] = time.process_time() - spent
    passed = time.perf_counter() - start
    print(f"{name}: {times[name]:.1f} s of processor in {passed:.1f} s, "
          f"peak so far {peak():.2f} GB", flush=True)  # fmt: skip


def peak() -> float:
    """GB of the largest resident set so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def measure(meshes: MeshCollection, memory: int, basis: NDArray[np.float32] | None) -> str:
    """Build once; a row of the table."""
    times: dict[str, float] = {}
    count, before = len(meshes), peak()
    people = People.of([i // 2 for i in range(count)], count)
    with timed("alignment", times):
        alignment = align(meshes, people.weights)
    with timed("components", times):
        found = principal_components(meshes, alignment, people, memory=memory)
    with timed("curves", times):
        curves = measure_curves(found, people)
    print(f"before {before:.2f} GB; {alignment.passes} passes; curves at {curves.modes[-1]} modes: "
          f"{curves.generalisation.value[-1]:.4f} mm, {curves.specificity.value[-1]:.4f} mm; "
          f"variance kept {100 * found.kept:.3f} %")  # fmt: skip
    if basis is not None:
        # The frame of the result is that of the first mesh, turned back by its rotation.
        turn = Rotation.random(min(100, count), random_state=0).as_matrix()[0].T
        unit = (found.modes[:10].astype(np.float64) @ turn).reshape(10, -1)
        unit /= found.sigma[:10, None]
        inside = np.linalg.svd(unit @ basis.astype(np.float64).T, compute_uv=False)
        angle = np.degrees(np.arccos(np.clip(inside.min(), 0, 1)))
        print(f"largest angle of the first 10 modes to the true space: {angle:.3f} degrees")
    total = sum(times.values())
    return (
        f"| {count:,} x {meshes.n_vertices:,} | {found.route} | {len(found.modes)} | "
        f"{times['alignment']:.0f} | {times['components']:.0f} | {times['curves']:.0f} | "
        f"{total:.0f} | {peak():.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--meshes", type=int, default=10_000)
    parser.add_argument("--vertices", type=int, default=20_000)
    parser.add_argument("--memory", type=float, default=4.0, help="GB that may be used")
    parser.add_argument("--folder", type=Path, help="where the stack is kept meanwhile")
    options = parser.parse_args()
    memory = int(options.memory * 2**30)
    route = choose_route(options.meshes, options.vertices, memory)
    print(f"{os.environ.get('OMP_NUM_THREADS', 'all')} threads, route {route}", flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "stack.npy"
        start = time.perf_counter()
        basis = made_elsewhere(path, options.meshes, options.vertices)
        print(f"stack made in {time.perf_counter() - start:.0f} s", flush=True)
        row = measure(open_collection(path), memory, basis)
    print("\n| meshes x vertices | route | modes | alignment, s | components, s | curves, s | "
          "all, s | peak, GB |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    print(row)


def made_elsewhere(path: Path, count: int, vertices: int) -> NDArray[np.float32] | None:
    """Make the stack in a process of its own, whose memory is not ours."""
    from multiprocessing import get_context

    with get_context("spawn").Pool(1) as pool:
        return pool.apply(make_stack, (path, count, vertices))


if __name__ == "__main__":
    main()

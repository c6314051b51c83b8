"""Times of the batched torch renderer beside the numba loops, and what JPEG costs. Prints tables.

``python benchmarks/render_torch.py [--sizes 256 512] [--batches 1 16 64] [--devices cpu cuda]``

Wall-clock milliseconds per picture, the median of several runs, pictures copied to the
host; targets lie all over the valence-arousal disc, every fourth head is turned.
Devices that are absent are said to be, not timed. A GPU draws while the host does
nothing else, so the last rows say how many cores of JPEG encoding one device feeds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from synth.affect import va_grid
from synth.images import ImageSource, encode_image, find_images
from synth.pipeline import Generator
from synth.render.face import Rendered, render
from synth.render.rig import FaceRig
from synth.render.torch.batch import render_batch
from synth.samples import copy_samples
from synth.targets import make_targets

Float = NDArray[np.float64]
STAGES = ("deform", "rasterise", "shade", "eyes and mouth", "to the host")
Draw = Callable[[Float, Float, dict[str, float]], list[Rendered]]


def row(name: str, cells: list[float]) -> None:
    print(f"  {name:34}" + "".join(f"{cell:>10.2f}" for cell in cells))


def prepared(source: ImageSource, size: int, count: int) -> tuple[FaceRig, Float, Float]:
    """A rig with weights (count, 52) and poses (count, 3) to draw."""
    generator = Generator(crop="face", size=size)
    image, faces = generator.faces(source)
    face = generator.prepare(image, faces[0])
    targets = make_targets((va, "") for va in va_grid(9) if va.radius > 0)
    weights = np.stack([generator.act(face, t).weights[generator.order] for t in targets])
    poses = np.random.default_rng(0).normal(0, 6, (count, 3))
    poses[np.arange(count) % 4 > 0] = 0
    return face.rig, np.resize(weights, (count, weights.shape[1])), poses


def timed(draw: Draw, weights: Float, poses: Float, repeats: int) -> dict[str, float]:
    """Median ms per picture and its share in every stage, after two runs to warm up."""
    runs: list[tuple[float, dict[str, float]]] = []
    for _ in range(repeats + 2):
        profile: dict[str, float] = {}
        start = time.perf_counter()
        draw(weights, poses, profile)
        runs.append((time.perf_counter() - start, profile))
    runs = sorted(runs[2:], key=lambda run: run[0])
    whole, stages = runs[len(runs) // 2]
    return {name: 1e3 * s / len(weights) for name, s in {**stages, "all of it": whole}.items()}


def encoding(rig: FaceRig, weights: Float) -> float:
    """Median ms of encoding a drawn picture as JPEG, one core."""
    drawn = [render(rig, row).pixels for row in weights[:16]]
    times = []
    for _ in range(3):
        for pixels in drawn:
            start = time.perf_counter()
            encode_image(pixels, "jpeg")
            times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def measure(
    source: ImageSource, size: int, batches: list[int], devices: list[str], repeats: int
) -> None:
    """Print the table of one size."""
    rig, weights, poses = prepared(source, size, max(batches))

    def loops(some: Float, turns: Float, profile: dict[str, float]) -> list[Rendered]:
        return [render(rig, w, p, profile) for w, p in zip(some, turns, strict=True)]

    columns = {"numba": timed(loops, weights[:16], poses[:16], repeats)}
    for device in devices:
        for batch in batches:

            def together(
                some: Float, turns: Float, profile: dict[str, float], device: str = device
            ) -> list[Rendered]:
                return render_batch(rig, some, turns, device, len(some), profile)

            name = f"{device} x{batch}"
            columns[name] = timed(together, weights[:batch], poses[:batch], repeats)
    print(f"\n{f'{size} px, ms per picture':36}" + "".join(f"{name:>10}" for name in columns))
    for stage in (*STAGES, "all of it"):
        row(stage, [column.get(stage, 0.0) for column in columns.values()])
    jpeg = encoding(rig, weights)
    row("JPEG (4:4:4, quality 95), one core", [jpeg] * len(columns))
    row("pictures a second, without JPEG", [1e3 / c["all of it"] for c in columns.values()])
    row("cores that its JPEGs keep busy", [jpeg / c["all of it"] for c in columns.values()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--devices", nargs="+", default=["cpu", "cuda"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of torch on the CPU")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    devices = []
    for device in options.devices:
        if device.startswith("cuda") and not torch.cuda.is_available():
            print(f"{device}: no such device here, not timed")
            continue
        kind = (
            torch.cuda.get_device_name(device) if device != "cpu" else f"{options.threads} thread"
        )
        print(f"{device}: {kind}, torch {torch.__version__}")
        devices.append(device)

    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        copy_samples(folder)
        source = find_images(folder)[0]
        for size in options.sizes:
            measure(source, size, options.batches, devices, options.repeats)


if __name__ == "__main__":
    main()

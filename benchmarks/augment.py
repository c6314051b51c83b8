"""Pictures a second of `synth augment`, where the time goes, and memory over a long run.

    python benchmarks/augment.py [--photos FOLDER] [--count 1200] [--memory 10000]

Each row is one run of the command's own code into a temporary folder: worker start,
photo set-up, drawing, JPEG encoding, shards, manifests. Beside it, in the same run, the
forward pass of a StarGAN/GANmut-size generator on the same CPU.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")


def make(photos: Path, size: int, workers: int, count: int, *more: str) -> tuple[float, int]:
    """Seconds and pictures of one run, start of the workers included."""
    from click.testing import CliRunner

    from synth.cli import cli

    with tempfile.TemporaryDirectory() as folder:
        arguments = [
            "augment", "-i", str(photos), "-o", f"{folder}/set", "--plan", "uniform-disc",
            "--count", str(count), "--crop", "face", "--size", str(size), "--workers",
            str(workers), "--shard-size", str(max(50, count // 16)), *more,
        ]  # fmt: skip
        start = time.perf_counter()
        result = CliRunner().invoke(cli, arguments)
        seconds = time.perf_counter() - start
        if result.exit_code not in (0, 3):
            raise SystemExit(result.output)
        return seconds, len(list(Path(folder, "set/train").glob("*.jpg")))


def stages(photos: Path, size: int, count: int = 60) -> dict[str, float]:
    """Milliseconds per picture of each stage, one photo, after warming up."""
    from synth.augment.make import Making, encode
    from synth.images import find_images
    from synth.nuisance import apply_nuisance, draw_nuisance, preset
    from synth.pipeline import Generator
    from synth.provenance import make_record
    from synth.quality import Embedder, Gates, measure
    from synth.render.face import Rendered, render
    from synth.targets import Target
    from synth.types import VA

    generator = Generator(crop="face", size=size)
    image, faces = generator.faces(find_images([str(photos)], False)[0])
    face = generator.prepare(image, faces[0])
    times: dict[str, float] = {}
    embedder = Embedder()
    gates = {"gates: fast": Gates.named("fast"), "gates: identity": Gates.named("all")}
    making = Making()

    def timed(name: str, function, *arguments):
        start = time.process_time()
        result = function(*arguments)
        times[name] = times.get(name, 0.0) + time.process_time() - start
        return result

    for index in range(-5, count):
        if index == 0:
            times.clear()
        angle = index * 2.4
        target = Target(VA(0.7 * math.cos(angle), 0.7 * math.sin(angle)), abs(index), sample=1)
        done = timed("style and weights", generator.act, face, target)
        weights = done.weights[generator.order]
        drawn: Rendered = timed("render", render, face.rig, weights)
        for name, chosen in gates.items():
            timed(name, measure, face.rig, drawn, weights, (0.0, 0.0, 0.0), chosen,
                  embedder if "identity" in name else None)  # fmt: skip
        nuisance = draw_nuisance(index + 5, preset("mild"))
        timed("nuisance: mild", apply_nuisance, nuisance, face.rig, drawn, weights)
        record = timed("record", make_record, generator, face.rig, face.matrix, target, done,
                       drawn, 1)  # fmt: skip
        timed("encode JPEG", encode, drawn.pixels, record, making)
    return {name: seconds / count * 1000 for name, seconds in times.items()}


def stargan_forward(size: int = 128, repeats: int = 5) -> float:
    """Milliseconds of one image through a generator of StarGAN's size (9.8 GMAC at 128 px)."""
    import torch
    from torch import nn

    torch.set_num_threads(1)

    def block(a: int, b: int, kernel: int, stride: int) -> list[nn.Module]:
        return [nn.Conv2d(a, b, kernel, stride, (kernel - 1) // 2, bias=False),
                nn.InstanceNorm2d(b, affine=True), nn.ReLU()]  # fmt: skip

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main = nn.Sequential(*block(256, 256, 3, 1), *block(256, 256, 3, 1)[:2])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.main(x)

    def up(a: int, b: int) -> list[nn.Module]:
        return [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.InstanceNorm2d(b), nn.ReLU()]

    net = nn.Sequential(
        *block(5, 64, 7, 1), *block(64, 128, 4, 2), *block(128, 256, 4, 2),
        *(Residual() for _ in range(6)), *up(256, 128), *up(128, 64),
        nn.Conv2d(64, 3, 7, 1, 3), nn.Tanh(),
    ).eval()  # fmt: skip
    x = torch.randn(1, 5, size, size)
    with torch.inference_mode():
        net(x)
        start = time.process_time()
        for _ in range(repeats):
            net(x)
    return (time.process_time() - start) / repeats * 1000


def peak_megabytes() -> float:
    """Largest resident set so far of the worker processes that have ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, help="folder of neutral photos")
    parser.add_argument("--count", type=int, default=1200)
    parser.add_argument("--memory", type=int, default=0, metavar="N", help="also N pictures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos = options.photos
        if photos is None:
            from synth.samples import copy_samples

            photos = Path(folder) / "samples"
            copy_samples(photos)
        print(f"{'size':>5} {'workers':>8} {'gates':>6} {'pictures/s':>11}")
        for size in (256, 512):
            for workers, gates in ((1, "off"), (2, "off"), (2, "fast")):
                seconds, made = make(photos, size, workers, options.count, "--gates", gates)
                print(f"{size:5} {workers:8} {gates:>6} {made / seconds:11.1f}", flush=True)
        for size in (256, 512):
            print(f"\nms of CPU per picture at {size} px")
            for name, spent in stages(photos, size).items():
                print(f"  {name:20} {spent:7.2f}")
        gan = stargan_forward()
        print(f"\nStarGAN-size generator at 128 px, one CPU thread: {gan:.0f} ms per picture")
        if options.memory:
            make(photos, 256, 2, options.memory // 10, "--gates", "off")
            early = peak_megabytes()
            make(photos, 256, 2, options.memory, "--gates", "off")
            late = peak_megabytes()
            print(
                f"\npeak memory of a worker: {early:.0f} MB after {options.memory // 10} pictures,"
            )
            print(f"{late:.0f} MB after {options.memory}")


if __name__ == "__main__":
    main()

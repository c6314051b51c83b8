"""Times of full CycleGAN generators, milliseconds a picture. Prints a table.

    python benchmarks/translation_cnn.py [--size 256] [--threads 1] [--repeats 3]
        [--device cpu|cuda] [--large]

The weights are random: they do not change the time. CPU time of the process on the CPU,
wall clock on a GPU; the median of the repeats after one to warm up. ``--large`` adds a picture that
passes in tiles.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from synth.models.cyclegan import Generator, GeneratorConfig, save_generator
from synth.translation.cyclegan import CycleGANTranslator

#: Residual blocks and width: the paper's generator, and a quarter of its work.
NETWORKS = ((9, 64), (6, 32))


def median_ms(translator: CycleGANTranslator, pixels: np.ndarray, repeats: int) -> float:
    """Median milliseconds of a picture; what comes back is on the CPU, so all is done."""
    clock = time.process_time if translator.device == "cpu" else time.perf_counter
    translator(pixels)
    times = []
    for _ in range(repeats):
        start = clock()
        translator(pixels)
        times.append(clock() - start)
    return 1e3 * float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", type=int, default=256, help="side of the picture, pixels")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--large", action="store_true", help="also 1024 x 768 in tiles of 512")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rng = np.random.default_rng(0)
    sizes = [(options.size, options.size)] + [(1024, 768)] * options.large
    print(f"ms a picture, {options.device}, {options.threads} thread(s), torch {torch.__version__}")
    print(f"{'network':24}{'parameters':>12}{'picture':>12}{'fp32':>10}{'bf16':>10}")
    for blocks, ngf in NETWORKS:
        generator = Generator(GeneratorConfig(3, 1, ngf, blocks))
        count = sum(p.numel() for p in generator.parameters())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "nir.safetensors"
            save_generator(path, generator, "nir")
            made = [CycleGANTranslator(path, "nir", options.device, d) for d in ("fp32", "bf16")]
        for height, width in sizes:
            pixels = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
            times = "".join(f"{median_ms(t, pixels, options.repeats):>10.1f}" for t in made)
            name = f"ResNet-{blocks}, ngf {ngf}"
            print(f"{name:24}{count / 1e6:>10.2f} M{f'{width} x {height}':>12}{times}")


if __name__ == "__main__":
    main()

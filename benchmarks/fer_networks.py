"""Sizes and speeds of the readers of faces. Prints a table.

    python benchmarks/fer_networks.py [--arch NAME ...] [--size 64] [--channels 1] [--width 1]
        [--batch 32] [--threads 1] [--repeats 3] [--device cpu|cuda]

Parameters; multiplications of convolutions, linear layers and recurrent units for one
picture, in millions, counted by hooks (norms, activations and the products inside
attention are not in them); pictures a second read and trained on, the median of the
repeats after one to warm up. CPU time of the process on the CPU, wall clock on a GPU.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from synth.models.fer import ARCHITECTURES, FERConfig, build

SMALL = (
    "small_cnn",
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "ddamfn",
)
CLASSES = tuple("abcdefgh")


def products(layer: nn.Module, given: torch.Tensor, made: torch.Tensor) -> int:
    """Multiplications of a layer with weights for what it was given."""
    if isinstance(layer, nn.GRU):
        weights = sum(p.numel() for n, p in layer.named_parameters() if n.startswith("weight"))
        return weights * given.shape[0] * given.shape[1]
    if isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose2d)):
        return layer.weight[0].numel() * given.numel()
    # Every number made is a sum over the weights that belong to it.
    return layer.weight[0].numel() * made.numel()


@contextmanager
def counted(network: nn.Module) -> Iterator[list[int]]:
    """Collects the multiplications of each layer that runs inside."""
    counts: list[int] = []
    kinds = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.GRU)

    def count(layer: nn.Module, given: tuple[torch.Tensor, ...], made: torch.Tensor) -> None:
        counts.append(products(layer, given[0], made))

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, kinds)]
    try:
        yield counts
    finally:
        for hook in hooks:
            hook.remove()


def example(config: FERConfig, batch: int, device: str) -> torch.Tensor:
    """Random pictures, or clips of 8 frames; `batch` pictures in all."""
    lead = (max(1, batch // 8), 8) if config.architecture.video else (batch,)
    return torch.rand(*lead, config.channels, config.size, config.size, device=device) * 2 - 1


def rate(run: Callable[[], object], pictures: int, repeats: int, device: str) -> float:
    """Pictures a second, by the median time."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    times = []
    for _ in range(repeats + 1):
        start = clock()
        run()
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(clock() - start)
    return pictures / float(np.median(times[1:]))


def measure(config: FERConfig, batch: int, repeats: int, device: str) -> tuple[float, ...]:
    """Million parameters, million multiplications, pictures a second read and trained on."""
    network = build(config).to(device)
    images = example(config, batch, device)
    pictures = images.shape[:-3].numel()
    optimiser = torch.optim.AdamW(network.parameters(), 1e-4)

    def read() -> None:
        with torch.inference_mode():
            network(images)

    def train() -> None:
        said = network(images)
        logits = said.logits.flatten(0, -2)
        target = torch.zeros(len(logits), dtype=torch.long, device=device)
        optimiser.zero_grad()
        (said.va.square().mean() + functional.cross_entropy(logits, target)).backward()
        optimiser.step()

    network.eval()
    with counted(network) as counts:
        read()
    reading = rate(read, pictures, repeats, device)
    network.train()
    training = rate(train, pictures, repeats, device)
    size = sum(p.numel() for p in network.parameters()) / 1e6
    return size, sum(counts) / pictures / 1e6, reading, training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--arch", nargs="+", choices=list(ARCHITECTURES), default=list(SMALL))
    parser.add_argument("--size", type=int, default=64, help="side of the pictures, pixels")
    parser.add_argument("--channels", type=int, default=1, choices=(1, 3))
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(
        f"{options.size} px, {options.channels} channel(s), batches of {options.batch}, "
        f"{options.device}, {options.threads} thread(s), torch {torch.__version__}"
    )
    print(f"{'network':20}{'parameters':>12}{'products':>12}{'read/s':>10}{'trained/s':>11}")
    for arch in options.arch:
        config = FERConfig(
            arch,
            classes=CLASSES,
            size=options.size,
            channels=options.channels,
            width=options.width,
        )
        size, work, reading, training = measure(
            config, options.batch, options.repeats, options.device
        )
        print(
            f"{arch:20}{size:>10.2f} M{work:>10.1f} M{reading:>10.0f}{training:>11.0f}", flush=True
        )


if __name__ == "__main__":
    main()

"""The known-truth experiment: translators on pairs whose truth an optical model gives.

Licensed paired sets (Oulu-CASIA, BUAA-VisNir) cannot be handed on; here everybody can make
the pairs. Photos of some people, rendered with several expressions, are shown at 850 nm by
`synth.translation.optical`; CycleGAN and NFER-SDE learn from the train people, and PSNR
and SSIM are taken on the others. What is measured is how well a method recovers a known,
mostly smooth change, from few people; not how real infrared looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import UsageError
from synth.evaluation.known_truth_methods import BASELINES, LEARNED, SIZES, Interrupted, Told
from synth.evaluation.known_truth_report import Row, write_report
from synth.evaluation.known_truth_set import EXPRESSIONS, Pairs, make_set, read_set
from synth.image_files import ImageSource
from synth.metrics.images import psnr, ssim
from synth.runfile import open_run
from synth.versions import installed

__all__ = ["METHODS", "measure", "run_known_truth"]

UInt8 = NDArray[np.uint8]

#: What can be left out of a run.
METHODS = tuple(LEARNED)


def run_known_truth(
    photos: Sequence[ImageSource],
    output: Path,
    size: str = "small",
    *,
    held_out: int = 4,
    methods: Sequence[str] = METHODS,
    seed: int = 0,
    device: str = "cpu",
    stop: Callable[[], bool] = lambda: False,
    told: Told = lambda what, done, of: None,
    say: Callable[[str], None] = lambda line: None,
) -> bool:
    """Make the set, train, translate, measure and report; whether it was finished.

    The same call on the same folder goes on where an earlier one was interrupted.

    Parameters
    ----------
    photos : sequence of ImageSource
        Neutral photos, one for each person.
    output : Path
        Folder of ``set/``, the runs, ``made/``, ``report.md``, ``results.csv``, ``sheet.jpg``.
    size : str
        Key of `SIZES`.
    held_out : int
        Every so many-th photo of a folder, from the first, is for testing.
    methods : sequence of str
        Which networks are trained, of `METHODS`; baselines always are.
    seed : int
    device : str
        Of torch.
    stop : callable
        Asked now and then.
    told : (what, done, of) -> None
    say : (line) -> None

    Raises
    ------
    UsageError
        If the folder holds a run with other settings, or the photos do not do.
    """
    if size not in SIZES:
        raise UsageError(f"size: expected one of {', '.join(SIZES)}, got {size!r}")
    if unknown := [m for m in methods if m not in METHODS]:
        raise UsageError(f"methods: expected {', '.join(METHODS)}, got {unknown[0]!r}")
    chosen = SIZES[size]
    settings = {
        "experiment": "nir-known-truth",
        "size": size,
        **asdict(chosen),
        "held_out": held_out,
        "seed": seed,
        "photos": sorted(photo.name for photo in photos),
        "expressions": list(EXPRESSIONS),
    }
    _open(output, settings, device)
    if not (output / "set").is_dir():
        make_set(output / "set", photos, chosen.pixels, held_out, seed, say)
    train, test = (read_set(output / "set", part) for part in ("train", "test"))
    say(f"{len(train)} pairs of {len(set(train.people))} people to train on, "
        f"{len(test)} of {len(set(test.people))} to test on")  # fmt: skip
    made = {name: method(train, test) for name, (_, method) in BASELINES.items()}
    try:
        for method in methods:
            made |= LEARNED[method](train, test, output, chosen, seed, device, told, stop)
    except Interrupted:
        return False
    write_report(output, settings, train, test, made, measure(test, made))
    return True


def _open(output: Path, settings: dict[str, Any], device: str) -> None:
    tables = {
        "settings": settings,
        "run": {"device": device},
        "versions": installed(("torch", "numpy")),
    }
    open_run(output, tables, "synth experiment")


def measure(test: Pairs, made: dict[str, UInt8]) -> list[Row]:
    """PSNR and SSIM of every made picture."""
    return [
        Row(method, person, expression, psnr(picture, truth), ssim(picture, truth))
        for method, pictures in made.items()
        for picture, truth, person, expression in zip(
            pictures, test.nir, test.people, test.expressions, strict=True
        )
    ]

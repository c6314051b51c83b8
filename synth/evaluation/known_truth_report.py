"""Table, contact sheet and page of the known-truth experiment."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.evaluation.known_truth_set import Pairs
from synth.images import encode_image, write_atomic

__all__ = ["Interval", "Row", "contact_sheet", "interval", "summary", "write_report"]

UInt8 = NDArray[np.uint8]
Float = NDArray[np.float64]

#: Draws of the bootstrap.
_DRAWS = 4000
#: What the differences of the ablation are taken from.
REFERENCE = "sde cond"


@dataclass(frozen=True)
class Row:
    """One translated picture: PSNR in decibels, SSIM."""

    method: str
    person: str
    expression: str
    psnr: float
    ssim: float


@dataclass(frozen=True)
class Interval:
    """A mean over people, and where it lies in 95 % of draws of as many people."""

    mean: float
    low: float
    high: float


def interval(values: ArrayLike, seed: int = 0) -> Interval:
    """Mean of one value per person with its percentile bootstrap interval over people [1]_.

    References
    ----------
    .. [1] Efron & Tibshirani, "An introduction to the bootstrap", 1993, chapter 13.
    """
    x = np.asarray(values, np.float64)
    rng = np.random.default_rng(seed)
    drawn = x[rng.integers(0, len(x), (_DRAWS, len(x)))].mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Interval(float(x.mean()), float(low), float(high))


def _by_person(rows: Sequence[Row], method: str, measure: str) -> Float:
    """(people,) means, people in alphabetical order."""
    mine = [row for row in rows if row.method == method]
    people = sorted({row.person for row in mine})
    return np.array([np.mean([getattr(r, measure) for r in mine if r.person == p]) for p in people])


def summary(rows: Sequence[Row]) -> str:
    """The table in Markdown: every method with PSNR, SSIM and its distance to ``sde cond``."""
    methods = list(dict.fromkeys(row.method for row in rows))
    lines = [
        "| method | PSNR (dB) | SSIM | PSNR less that of `sde cond` |",
        "|---|---|---|---|",
    ]
    for method in methods:
        cells = []
        for measure, digits in (("psnr", 2), ("ssim", 3)):
            found = interval(_by_person(rows, method, measure))
            cells.append(_text(found, digits))
        against = ""
        if REFERENCE in methods and method != REFERENCE:
            difference = _by_person(rows, method, "psnr") - _by_person(rows, REFERENCE, "psnr")
            against = _text(interval(difference), 2, "+")
        lines.append(f"| {method} | {cells[0]} | {cells[1]} | {against} |")
    return "\n".join(lines)


def _text(found: Interval, digits: int, sign: str = "") -> str:
    form = f"{sign}.{digits}f"
    return f"{found.mean:{form}} ({found.low:{form}} to {found.high:{form}})"


def contact_sheet(test: Pairs, made: Mapping[str, UInt8], people: int = 8) -> UInt8:
    """VIS, truth and every method, one row for each of some people, expressions in turn."""
    names = list(dict.fromkeys(test.people))
    chosen = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, people).astype(int))]
    columns = ["VIS", "truth", *made]
    side = test.vis.shape[1]
    zoom = max(1, round(128 / side))
    cell = side * zoom
    strip = np.full((22, cell * len(columns), 3), 255, np.uint8)
    for i, name in enumerate(columns):
        cv2.putText(strip, name.removeprefix("sde "), (i * cell + 3, 15),
                    cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)  # fmt: skip
    rows = [strip]
    for turn, name in enumerate(chosen):
        mine = [i for i, person in enumerate(test.people) if person == name]
        at = mine[turn % len(mine)]
        cells = [test.vis[at], test.nir[at], *(pictures[at] for pictures in made.values())]
        colour = [c if c.ndim == 3 else np.repeat(c[..., None], 3, 2) for c in cells]
        rows.append(np.hstack([c.repeat(zoom, 0).repeat(zoom, 1) for c in colour]))
    return np.vstack(rows)


def _csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([f.name for f in fields(Row)])
    for row in rows:
        writer.writerow([f"{v:.6g}" if isinstance(v, float) else v for v in astuple(row)])
    return text.getvalue().encode()


def write_report(
    root: Path,
    settings: Mapping[str, Any],
    train: Pairs,
    test: Pairs,
    made: Mapping[str, UInt8],
    rows: Sequence[Row],
) -> None:
    """Write ``report.md``, ``results.csv`` and ``sheet.jpg`` below `root`."""
    people, side = len(set(test.people)), settings["pixels"]
    page = f"""# Known-truth experiment, VIS to NIR

{len(train)} pairs of {len(set(train.people))} people to train on, {len(test)} pairs of {people}
other people to test on, {side} x {side} pixels, size `{settings["size"]}`. Truth:
`synth.translation.optical`. Intervals: 95 %, bootstrap over people (n = {people}).

{summary(rows)}

`sheet.jpg`: VIS, truth, then the methods in the table's order. `results.csv`: every picture.
The truth is a model: these numbers rank methods on this task, not on real infrared.
"""
    write_atomic(root / "results.csv", _csv(rows))
    write_atomic(root / "sheet.jpg", encode_image(contact_sheet(test, made), "jpeg", 92))
    write_atomic(root / "report.md", page.encode())

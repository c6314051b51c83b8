"""How well ``synth infer`` follows a video that synth made: CCC with the path's labels.

    python benchmarks/infer_sequence.py --output DIR [--photo FILE] [--weights FILE] [--seconds 10]

Makes a sequence of a portrait along a path, its MP4, reads that video with an overlay, and
prints CCC and Pearson correlation of valence and arousal, frame by frame, without and with
``--smooth``; and whether the overlay has the video's frames, rate and length.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from pathlib import Path

import av
import numpy as np

from synth import assets
from synth.metrics.agreement import ccc, pcc

PATH = "circle:0.8"
SMOOTH = (0.0, 0.4)


def synth(*arguments: object) -> None:
    """Run a command; its output goes to the terminal."""
    subprocess.run([sys.executable, "-m", "synth.cli", *map(str, arguments)], check=True)


def table(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def facts(path: Path) -> tuple[int, str, float]:
    """Frames, rate and seconds of a video."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        rate, shown = stream.average_rate, list(file.decode(stream))
    last = shown[-1]
    return len(shown), str(rate), float((last.pts + last.duration) * last.time_base)


def main() -> None:
    """Make, read, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--photo", type=Path, default=assets.path("sample_1"))
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--path", default=PATH)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--fps", type=float, default=25.0)
    wanted = parser.parse_args()
    made = wanted.output / "sequence"
    synth("sequence", "-i", wanted.photo, "-o", made, "--path", wanted.path, "--fps", wanted.fps,
          "--seconds", wanted.seconds, "--crop", "face", "--size", 384, "--video")  # fmt: skip
    film = next((made / "videos").glob("*.mp4"))
    labels = {int(row["frame"]): row for row in table(made / "metadata.csv")}
    weights = ("--weights", wanted.weights) if wanted.weights else ()
    print("| smooth, s | frames with a face | valence CCC | PCC | arousal CCC | PCC |")
    print("|---|---|---|---|---|---|")
    for smooth in SMOOTH:
        out = wanted.output / f"smooth_{smooth:g}"
        synth("infer", "-i", film, "-o", out, "--overlay", "--dashboard", "--smooth", smooth,
              "--overwrite", *weights)  # fmt: skip
        rows = table(out / "predictions.csv")
        cells = []
        for name in ("valence", "arousal"):
            target = np.array([float(labels[int(row["frame"])][name]) for row in rows])
            estimate = np.array([float(row[name]) for row in rows])
            cells += [f"{ccc(target, estimate):.3f}", f"{pcc(target, estimate):.3f}"]
        print(f"| {smooth:g} | {len(rows)} of {len(labels)} | {' | '.join(cells)} |")
    print(f"\nvideo {facts(film)}, overlay {facts(next((out / 'overlays').glob('*.mp4')))}")


if __name__ == "__main__":
    main()

"""What `synth.evaluation.detectors` found, as files a person reads."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["FILES", "detector_files", "detectors_text"]

#: What is written into the output folder.
FILES = ("detectors.md", "detectors.json", "boxes.csv")
COLUMNS = ("spectrum", "detector", "file_name", "face", "left", "top", "right", "bottom", "iou",
           "milliseconds")  # fmt: skip
SPECTRA = {"vis": "Visible light", "nir": "Near infrared"}


def detector_files(
    report: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> dict[str, bytes]:
    """Contents of `FILES` by name."""
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return {
        "detectors.md": detectors_text(report).encode(),
        "detectors.json": json.dumps(_plain(report), indent=1, allow_nan=False).encode() + b"\n",
        "boxes.csv": table.getvalue().encode(),
    }


def detectors_text(report: Mapping[str, Any]) -> str:
    """The report as Markdown; every table says n."""
    blocks = ["# Face detectors"]
    for spectrum, found in report["sets"].items():
        blocks += _set_text(SPECTRA.get(spectrum, spectrum), found)
    for name, why in report["left_out"]:
        blocks.append(f"Left out: {name}: {why}.")
    return "\n\n".join(blocks) + "\n"


def _set_text(title: str, found: Mapping[str, Any]) -> list[str]:
    blocks = [f"## {title}", f"n = {found['n']} photos, {len(found['unread'])} unreadable."]
    truth = any("faces" in scores for scores in found["detectors"].values())
    head = ["detector", "n", "with a face", "with one", "ms"]
    rows = [
        [name, s["n"], _share(s["with_face"], s["n"]), _share(s["one_face"], s["n"]),
         f"{s['milliseconds']:.0f}"]
        for name, s in found["detectors"].items()
    ]  # fmt: skip
    blocks.append(_markdown(head, rows))
    if not truth:
        return [*blocks, "No true boxes: how often a face is found, not how well."]
    enough = next(s["enough"] for s in found["detectors"].values() if "enough" in s)
    head = ["detector", "true faces (n)", "misses", "mean IOU", "95 %", f"recall at {enough:g}",
            f"precision at {enough:g}", "fitted: IOU", "recall", "precision"]  # fmt: skip
    rows = []
    for name, s in found["detectors"].items():
        plain, fitted = s["as_found"], s.get("fitted")
        row = [name, s["faces"], s["misses"], _number(plain["iou"])]
        row.append(f"{_number(plain['low'])} to {_number(plain['high'])}")
        row += [_number(plain["recall"]), _number(plain["precision"])]
        row += [_number(None if fitted is None else fitted[key])
                for key in ("iou", "recall", "precision")]  # fmt: skip
        rows.append(row)
    return [
        *blocks,
        _markdown(head, rows),
        "Mean IOU over true faces, a miss counting 0. Fitted: after the shift and scale, the "
        "same for all boxes of a detector, that bring them closest to the true ones; fitted on "
        "the same photos (4 numbers): " + "; ".join(
            f"{name}: {_convention(s['convention'])}"
            for name, s in found["detectors"].items() if "convention" in s
        ) + ".",
    ]  # fmt: skip


def _convention(fit: Sequence[float]) -> str:
    x, y, width, height = fit
    return f"shift {x:+.2f}, {y:+.2f} of its size, width x {width:.2f}, height x {height:.2f}"


def _share(count: int, n: int) -> str:
    return f"{count} ({100 * count / n:.0f} %)" if n else "0"


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [list(head), ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _plain(value: Any) -> Any:
    """JSON knows no NaN: null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""What `synth.evaluation.translation` found, as files a person reads."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synth.evaluation.picture_scores import PER_IMAGE, PictureRow
from synth.evaluation.sheets import SheetRow, tone_sheet
from synth.images import encode_image, write_atomic

__all__ = ["FILES", "report_text", "write_report"]

#: What is written into the output folder.
FILES = ("report.json", "report.md", "per_image.csv", "sheet.jpg")
#: Faces on the sheet; of more, every k-th.
ON_SHEET = 60


def write_report(
    folder: Path, report: Mapping[str, Any], rows: Sequence[PictureRow], sheet: Sequence[SheetRow]
) -> list[Path]:
    """Write `FILES` into `folder` and give their paths; without a face there is no sheet."""
    folder.mkdir(parents=True, exist_ok=True)
    data = {
        "report.json": json.dumps(_plain(report), indent=2, allow_nan=False).encode() + b"\n",
        "report.md": report_text(report).encode(),
        "per_image.csv": _table(rows).encode(),
    }
    if sheet:
        shown = sheet[:: -(-len(sheet) // ON_SHEET)]
        title = f"photo | translation | real near infrared ({len(shown)} of {len(sheet)} faces)"
        data["sheet.jpg"] = encode_image(tone_sheet(shown, title=title), "jpeg", 90)
    for name, content in data.items():
        write_atomic(folder / name, content)
    return [folder / name for name in data]


def _plain(value: Any) -> Any:
    """JSON knows no NaN and no infinity: null, and the word."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _table(rows: Sequence[PictureRow]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["name", "person", "tone", "face", *PER_IMAGE])
    for row in rows:
        values = [f"{row.scores[key]:.4f}" if key in row.scores else "" for key in PER_IMAGE]
        writer.writerow([row.name, row.person, row.tone, row.face, *values])
    return stream.getvalue()


def report_text(report: Mapping[str, Any]) -> str:
    """The report as Markdown; every table says of how many."""
    seen = report["pictures"]
    parts = [
        "# Translation to near infrared",
        f"n = {seen['n']} photos with a translation, {seen['people']} people; "
        f"{seen['photos_without_translation']} photos without one; "
        f"{seen['photos_without_face']} photos without a face; "
        f"**faces lost: {seen['faces_lost']}**" + _names(seen["lost"]),
        "## Per picture",
        _markdown(
            ["", "n", "median", "mean", "5 %", "95 %", "what it is"],
            [
                [name, row["n"], row["median"], row["mean"], row["q05"], row["q95"],
                 PER_IMAGE[name]]
                for name, row in report["measures"].items()
            ],
        ),
    ]  # fmt: skip
    if report["by_tone"]:
        shown = [name for name in ("sharpness", "identity", "landmark_shift", "psnr", "ssim")
                 if name in report["measures"]]  # fmt: skip
        rows = [
            [tone, group["n"], *(group[name]["median"] if name in group else "" for name in shown)]
            for tone, group in report["by_tone"].items()
        ]
        parts += ["## By skin tone of the photo (medians)", _markdown(["", "n", *shown], rows)]
    if "real" in report:
        parts += _real_part(report)
    if "concordance" in report:
        parts += _concordance_part(report["concordance"])
    return "\n\n".join(parts) + "\n"


def _real_part(report: Mapping[str, Any]) -> list[str]:
    real = report["real"]
    parts = [
        "## Told apart from real near-infrared faces",
        f"Real: {real['with_face']} faces in {real['n']} pictures of {real['people']} people; "
        f"their detail is {real['detail_of_photos']:.2f} of the photos' (medians). 0.5: cannot be "
        "told apart, 1: always. Balanced accuracy, nobody on both sides of a fold; 95 % interval "
        "over people.",
    ]
    if not real["people_known"]:
        parts.append("The people were not known: without --labels a person may stand on both "
                     "sides of a fold, and the numbers are too high.")  # fmt: skip
    if "told_apart" not in report:
        return [*parts, f"Left out: {report['told_apart_left_out']}."]
    told = report["told_apart"]
    rows = [
        [name, row["accuracy"], f"{row['low']:.2f} to {row['high']:.2f}"]
        for name, row in told["families"].items()
    ]
    counted = ", ".join(told["counted"]) if len(told["counted"]) <= 20 else "all"
    return [
        *parts,
        _markdown(["features", "told apart", "95 %"], [*rows, ["**mean**", told["mean"], ""]]),
        f"n = {told['n_translated']} translated ({told['people_translated']} people) and "
        f"{told['n_real']} real ({told['people_real']} people; counted: {counted}).",
    ]


def _concordance_part(found: Mapping[str, Any]) -> list[str]:
    parts = ["## Concordance of two recognisers", f"n = {found['n']} names in both files."]
    if "expression" in found:
        row = found["expression"]
        parts.append(
            _markdown(
                ["expression", "n", "equal, %", "kappa", "macro F1"],
                [["", row["n"], row["equal"], row["kappa"], row["macro_f1"]]],
            )
        )
    if "va" in found:
        row = found["va"]
        lines = [
            [d, row["n"], *(row[name][d] for name in ("ccc", "pcc", "rmse", "sagr"))]
            for d in ("valence", "arousal")
        ]
        parts.append(_markdown(["", "n", "CCC", "PCC", "RMSE", "SAGR"], lines))
        parts.append(f"Mean distance in the plane: {row['mean_distance']:.3f} (n = {row['n']}).")
    return parts


def _names(names: Sequence[str]) -> str:
    if not names:
        return ""
    return f" ({', '.join(names[:8])}{', ...' if len(names) > 8 else ''})"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [list(head), ["---"] * len(head)]
    for row in rows:
        lines.append([_cell(value) for value in row])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.3g}" if abs(value) >= 10 else f"{value:.2f}"
    return str(value)

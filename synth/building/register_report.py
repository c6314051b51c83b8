"""The report of a run of registrations: a table of all, a page with counts and the worst."""

from __future__ import annotations

from collections import Counter
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np

from synth.building.register_jobs import Row
from synth.image_files import write_atomic
from synth.morphable.registration import REASONS
from synth.tables import csv_bytes

__all__ = ["write_report"]

#: Rows of the page's table of the worst.
WORST = 15
FIGURES = {
    "distance": "mean distance from the scan, mm",
    "distance_95": "95th percentile of it, mm",
    "landmark_error": "mean distance of the landmarks, mm",
    "coverage": "share of the face that is seen",
    "flipped": "share of triangles folded over",
    "stretched": "share of edges stretched or squeezed",
    "outlier": "distance from all the others, in usual ones",
}


def write_report(rows: list[Row], output: Path) -> None:
    """Write ``report.csv`` and ``report.md``."""
    write_atomic(
        output / "report.csv", csv_bytes([f.name for f in fields(Row)], map(astuple, rows))
    )
    write_atomic(output / "report.md", _page(rows).encode())


def _page(rows: list[Row]) -> str:
    good = [row for row in rows if not row.reason]
    lines = ["# Registration", "", f"{len(good)} of {len(rows)} scans accepted.", ""]
    if any(row.subject for row in rows):
        lines += _together(rows)
    counts = Counter(row.reason for row in rows if row.reason)
    if counts:
        lines += ["| reason | scans | meaning |", "|---|---:|---|"]
        lines += [f"| {name} | {n} | {REASONS[name]} |" for name, n in sorted(counts.items())]
        lines += [""]
    if good:
        lines += ["| of the accepted ones | median | 95 % | most |", "|---|---:|---:|---:|"]
        for name, meaning in FIGURES.items():
            values = np.array([getattr(row, name) or 0.0 for row in good])
            low, high = np.percentile(values, [50, 95])
            lines.append(f"| {meaning} | {low:.3g} | {high:.3g} | {values.max():.3g} |")
        lines += ["", "Worst accepted, by distance:", ""]
        worst = sorted(good, key=lambda row: (-(row.distance or 0), row.file_name))[:WORST]
        lines += [f"- `{row.file_name}`: {row.distance:.3f} mm" for row in worst]
    refused = [row for row in rows if row.reason]
    if refused:
        lines += ["", f"Not accepted (the first {min(len(refused), 100)}):", ""]
        lines += [f"- `{row.file_name}`: {row.reason}, {row.message}" for row in refused[:100]]
    return "\n".join(lines) + "\n"


def _together(rows: list[Row]) -> list[str]:
    """Which scans started from a subject's neutral face, and who has none."""
    subjects = {row.subject for row in rows if row.subject}
    count = sum(bool(row.subject) for row in rows)
    lines = [f"{count} started from the neutral faces of {len(subjects)} subjects."]
    alone = sorted({row.file_name.partition("/")[0] for row in rows if not row.subject})
    if alone:
        some = ", ".join(f"`{name}`" for name in alone[:WORST])
        more = f" and {len(alone) - WORST} more" if len(alone) > WORST else ""
        lines += ["", f"Without a usable neutral scan, each registered for itself: {some}{more}."]
    return [*lines, ""]

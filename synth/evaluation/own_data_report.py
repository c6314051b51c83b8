"""Page, table and pictures of the own-data experiment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.evaluation.own_data import OwnDataScores
from synth.image_files import write_atomic
from synth.images import encode_image, resize
from synth.tables import csv_bytes, markdown_table

__all__ = ["table_rows", "write_report"]

UInt8 = NDArray[np.uint8]

#: Side of a picture of the sheet, pixels, and pairs side by side.
SIDE, ACROSS = 160, 4


def table_rows(scores: OwnDataScores) -> list[tuple[str, str, str]]:
    """Stage, measure and figure of each line of the report."""
    s, unit = scores, scores.inter_ocular
    angles = ", ".join(f"{a:.1f}" for a in s.model.angles)
    ratios = ", ".join(f"{r:.3f}" for r in s.model.sigma_ratio)

    def share(value: float) -> str:
        return f"{value:.2%} of IOD ({value * unit:.2f} mm)"

    agreed = ", ".join(f"{value:.3f}" for value in scores.labels.ccc)
    r, lab, g, p = s.registration, s.labels, s.gallery, s.pictures
    return [
        ("registration", "scans, of these rejected", f"{s.frames}, {s.rejected}"),
        ("registration", "distance to the true surface, mean", share(r.surface[0])),
        ("registration", "of 95 % of the vertices below", share(r.surface[1])),
        ("registration", "distance to the true place, mean", share(r.correspondence[0])),
        ("registration", "of 95 % of the vertices below", share(r.correspondence[1])),
        ("registration", "vertices within 2 % of IOD of their place", f"{r.below:.1%}"),
        ("registration", "the same, also where a scan shows nothing", share(r.everywhere[1])),
        ("annotation", "CCC with the truth, valence, arousal", agreed),
        ("annotation", "mean distance to the true point", f"{lab.error:.3f}"),
        ("annotation", "mean distance of neighbouring classes", f"{lab.spacing:.3f}"),
        ("annotation", "frames in their true VA class", f"{lab.same_class:.1%}"),
        ("model", "mean face, mean distance", f"{s.model.mean_error:.3f} mm"),
        ("model", "principal angles of the 5 leading modes, degrees", angles),
        ("model", "true variance inside the built modes", f"{s.model.variance:.2%}"),
        ("model", "built over true standard deviations", ratios),
        ("gallery", "mean faces with the true ratings, mean distance", f"{g.same_labels:.3f} mm"),
        ("gallery", "drawn faces, annotated ratings, mean distance", f"{g.drawn:.3f} mm"),
        ("gallery", "size of these faces' offsets", f"{g.size:.3f} mm"),
        ("pictures", "built against true gallery, in the face", f"{p.gallery:.2f} of 255"),
        ("pictures", "the same, worst picture", f"{p.worst:.2f} of 255"),
        ("pictures", "the same with the true ratings", f"{p.same_labels:.2f} of 255"),
        ("pictures", "built against true gallery and model", f"{p.both:.2f} of 255"),
        ("pictures", "what the expressions change", f"{p.expression:.2f} of 255"),
    ]  # fmt: skip


def write_report(
    root: Path, scores: OwnDataScores, sheet: Sequence[Sequence[UInt8]], typed: Sequence[str]
) -> str:
    """Write ``report.md``, ``results.csv``, ``scores.json`` and ``sheet.jpg``; the page's text.

    Parameters
    ----------
    root : Path
    scores : OwnDataScores
    sheet : rows of pictures of one size
        Photo, true, built.
    typed : sequence of str
        The commands.
    """
    rows = table_rows(scores)
    lines = ["# Own data: scans of known truth", "", "```"]
    lines += [*typed, "```", "", *markdown_table(("stage", "measure", ""), rows)]
    lines += ["", "`sheet.jpg`: photo, true model and gallery, built model and gallery.", ""]
    page = "\n".join(lines)
    write_atomic(root / "results.csv", csv_bytes(("stage", "measure", "figure"), rows))
    write_atomic(root / "scores.json", (json.dumps(asdict(scores), indent=1) + "\n").encode())
    write_atomic(root / "sheet.jpg", encode_image(draw_sheet(sheet), "jpg"))
    write_atomic(root / "report.md", page.encode())
    return page


def draw_sheet(rows: Sequence[Sequence[UInt8]]) -> UInt8:
    """The triples, `ACROSS` of them side by side."""
    small = [[resize(picture, SIDE, SIDE) for picture in row] for row in rows]
    blank = np.full_like(np.concatenate(small[0], 1), 255)
    triples = [np.concatenate(row, 1) for row in small]
    triples += [blank] * (-len(triples) % ACROSS)
    lines = [np.concatenate(triples[i : i + ACROSS], 1) for i in range(0, len(triples), ACROSS)]
    return np.concatenate(lines, 0)

"""A built model as files: the model itself, and beside it a folder with its report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.archives import check_writable
from synth.building.model import BuiltModel
from synth.errors import UsageError
from synth.images import encode_image, write_atomic
from synth.morphable.native import save_model
from synth.morphable.statistics.figure import draw_curves
from synth.tables import csv_bytes, markdown_table

__all__ = ["check_output", "report_folder", "write_model"]

MEASURES = ("held_out", "generalisation", "specificity")
#: Rows of a table of the report.
SHOWN = 12
#: Robust standard deviations from which a mesh is worth a look.
FAR = 5.0


def report_folder(output: Path) -> Path:
    """``mine.report`` beside ``mine.npz``."""
    return output.with_suffix(".report")


def check_output(output: Path, overwrite: bool, report: bool = True) -> None:
    """Refuse an output that is no .npz, is there already or cannot be written.

    Parameters
    ----------
    output : Path
    overwrite : bool
        Whether it may be there.
    report : bool
        Whether a report is going to be beside it.

    Raises
    ------
    UsageError
    """
    if output.suffix != ".npz" or output.is_dir():
        raise UsageError(f"output: expected a file NAME.npz, got {output}")
    folder = report_folder(output)
    if report and os.path.lexists(folder) and not folder.is_dir():
        raise UsageError(f"output: expected a folder at {folder} for the report, got a file")
    there = [path for path in (output, folder)[: 1 + report] if os.path.lexists(path)]
    if there and not overwrite:
        raise UsageError(f"output: expected a new file, got {there[0]}; use --overwrite")
    check_writable(output)


def write_model(built: BuiltModel, output: Path) -> None:
    """Write the model, and its report into `report_folder`."""
    save_model(built.model, output)
    folder = report_folder(output)
    folder.mkdir(exist_ok=True)
    for name, content in report_files(built).items():
        write_atomic(folder / name, content)


def report_files(built: BuiltModel) -> dict[str, bytes]:
    """Contents of the report by file name."""
    title = f"{built.model.name}: {len(built.sample.meshes)} meshes, {built.people.count} subjects"
    return {
        "curves.csv": csv_bytes(*_curve_rows(built)),
        "curves.png": encode_image(draw_curves(built.curves, title)),
        "meshes.csv": csv_bytes(*_mesh_rows(built)),
        "report.md": _report(built, title).encode(),
    }


def _curve_rows(built: BuiltModel) -> tuple[list[str], list[list[Any]]]:
    curves = built.curves
    header, columns = ["modes", "compactness"], [curves.modes.tolist(), curves.compactness]
    for name in MEASURES:
        curve = getattr(curves, name)
        unit = "" if name == "held_out" else "_mm"
        header += [f"{name}{unit}", f"{name}_low", f"{name}_high"]
        columns += [curve.value, curve.low, curve.high]
    rows = [[row[0], *(f"{value:.6f}" for value in row[1:])] for row in zip(*columns, strict=True)]
    return header, rows


def _scores(built: BuiltModel) -> NDArray[np.float64]:
    """How far each mesh is from the mean face, in robust standard deviations of it."""
    distances = built.alignment.distances
    middle = np.median(distances)
    spread = 1.4826 * np.median(np.abs(distances - middle))
    return np.asarray((distances - middle) / max(spread, 1e-12))


def _mesh_rows(built: BuiltModel) -> tuple[list[str], list[list[Any]]]:
    header = ["file_name", "subject", "weight", "distance_mm", "score", "residual_mm"]
    numbers = (
        built.people.weights * len(built.sample.meshes), built.alignment.distances,
        _scores(built), built.components.residuals,
    )  # fmt: skip
    rows = [
        [name, subject, *(f"{value:.4f}" for value in values)]
        for name, subject, *values in zip(
            built.sample.meshes.names, built.sample.subjects, *numbers, strict=True
        )
    ]
    return header, rows


def _report(built: BuiltModel, title: str) -> str:
    c, a, s = built.components, built.alignment, built.settings
    exact = "not exact" if c.route == "incremental" else "exact"
    size = "sizes made equal" if s.scale else "sizes kept (metric)"
    lines = [
        f"# {title}",
        "",
        f"{built.sample.note} Every subject counts alike.",
        "",
        f"- {len(c.modes)} modes with {100 * c.kept:.2f} % of the variance; the total is "
        f"{np.sqrt(c.total / len(a.mean)):.3f} mm (root mean square over vertices)",
        f"- {built.model.n_vertices} vertices, {len(built.model.faces)} triangles",
        f"- Procrustes alignment in {a.passes} passes, {size}; the mean last moved by "
        f"{a.change:.1e} of its size",
        f"- principal components by {c.route}, {exact}",
        "",
        "![compactness, generalisation, specificity](curves.png)",
        "",
        f"Cross-validated over subjects in {built.curves.folds} folds; {built.curves.samples} "
        "random faces. In brackets: the least and the most of the folds for compactness, 95 % "
        "intervals for the others. All points are in `curves.csv`.",
        "",
        *_curve_table(built),
        "",
        *_far_meshes(built),
    ]
    return "\n".join(lines) + "\n"


def _curve_table(built: BuiltModel) -> list[str]:
    curves = built.curves
    some = np.unique(np.linspace(0, len(curves.modes) - 1, SHOWN).round().astype(int))
    rows = []
    for i in some:
        cells = [f"{curves.modes[i]}", f"{100 * curves.compactness[i]:.2f}"]
        for name, factor in zip(MEASURES, (100, 1, 1), strict=True):
            value, low, high = (
                factor * float(getattr(getattr(curves, name), part)[i])
                for part in ("value", "low", "high")
            )
            cells.append(f"{value:.3f} [{low:.3f}, {high:.3f}]")
        rows.append(cells)
    header = (
        "modes", "compactness, %", "compactness of subjects left out, %", "generalisation, mm",
        "specificity, mm",
    )  # fmt: skip
    return markdown_table(header, rows)


def _far_meshes(built: BuiltModel) -> list[str]:
    header, rows = _mesh_rows(built)
    scores = _scores(built)
    far = [i for i in np.argsort(-scores)[:SHOWN] if scores[i] > FAR]
    if not far:
        return [f"No mesh is further than {FAR:g} robust standard deviations from the mean face."]
    count = int((scores > FAR).sum())
    return [
        f"Meshes further than {FAR:g} robust standard deviations from the mean face: {count}. Look "
        "at them; a failed registration spoils a model. All are in `meshes.csv`.",
        "",
        *markdown_table(header, [rows[i] for i in far]),
    ]

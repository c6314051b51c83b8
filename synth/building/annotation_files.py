"""A check of annotations as files: labels, tables, report and a picture of tracks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from synth.building.annotation_figure import draw_tracks
from synth.building.annotation_settings import NOTES
from synth.building.annotations import AnnotationCheck
from synth.expressions.annotation_agreement import mean_label
from synth.images import encode_image
from synth.tables import csv_bytes, markdown_table

__all__ = ["FILES", "annotation_files"]

#: What is written into the output folder.
FILES = ("labels.csv", "annotators.csv", "sequences.csv", "outliers.csv", "report.md", "tracks.png")

LABELS = (
    "file_name", "subject", "sequence", "frame", "valence", "arousal", "sd_valence",
    "sd_arousal", "annotators", "expression",
)  # fmt: skip
ANNOTATORS = (
    "annotator", "frames", "sequences", "valence_correlation", "arousal_correlation",
    "valence_ccc", "arousal_ccc", "valence_within", "arousal_within", "valence_undefined",
    "arousal_undefined", "valence_with_mean", "arousal_with_mean", "lag", "in_mean",
)  # fmt: skip
SEQUENCES = (
    "sequence", "frames", "annotators", "valence_correlation", "arousal_correlation",
    "sd_valence", "sd_arousal", "note",
)  # fmt: skip
OUTLIERS = (
    "kind", "annotator", "sequence", "first", "last", "dimension", "value", "others", "score",
)  # fmt: skip
#: Rows of a table in the report; all are in the CSV files.
SHOWN = 12

Row = Sequence[Any]


def annotation_files(check: AnnotationCheck) -> dict[str, bytes]:
    """Contents of `FILES` by name; no picture where no two annotators share a sequence."""
    sequences = _sequences(check)
    outliers = _outliers(check, sequences)
    files = {
        "labels.csv": csv_bytes(LABELS, _cells(_label_rows(check))),
        "annotators.csv": csv_bytes(ANNOTATORS, _cells(_annotators(check))),
        "sequences.csv": csv_bytes(SEQUENCES, _cells(sequences)),
        "outliers.csv": csv_bytes(OUTLIERS, _cells(outliers)),
        "report.md": _report(check, sequences, outliers).encode(),
    }
    counting = [row for row in sequences if not row[-1] and not math.isnan(row[5])]
    if counting:
        worst = max(counting, key=lambda row: row[5] + row[6])[0]
        part = next(r for r in check.ratings if r.sequence == worst)
        files["tracks.png"] = encode_image(draw_tracks(part, check.kept), "png")
    return files


def _cells(rows: Iterable[Row]) -> Iterable[Row]:
    return ([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value + 0.0:.6g}"
    return value


def _label_rows(check: AnnotationCheck) -> Iterable[Row]:
    for part in check.labels:
        mean, spread = part.mean.tolist(), part.spread.tolist()
        for i, name in enumerate(part.names):
            yield (
                name, part.subject, part.sequence, int(part.frames[i]), *mean[i], *spread[i],
                int(part.annotators[i]), check.expressions.get(name, part.expression),
            )  # fmt: skip


def _annotators(check: AnnotationCheck) -> list[Row]:
    found = check.agreement
    rows: list[Row] = []
    for i, name in enumerate(check.annotators):
        measures = (found.pooled, found.concordance, found.within)
        rows.append(
            (
                name, int(found.frames[i]), int(found.sequences[i]),
                *(float(v) for measure in measures for v in measure[i]),
                *(int(v) for v in found.undefined[i]), *(float(v) for v in found.with_mean[i]),
                check.lags.get(name, math.nan), "yes" if name in check.kept else "no",
            )
        )  # fmt: skip
    return rows


def _sequences(check: AnnotationCheck) -> list[tuple[Any, ...]]:
    """Rows of ``sequences.csv``: the correlation is the mean of each with the others' mean."""
    place = {part.sequence: i for i, part in enumerate(check.ratings)}
    labels = {part.sequence: part for part in check.labels}
    rows: list[tuple[Any, ...]] = []
    for sequence in sorted({*place, *labels, *check.notes}):
        label = labels.get(sequence)
        frames = 0 if label is None else len(label.names)
        count, values = 0, [math.nan] * 4
        if sequence in place:
            part = check.ratings[place[sequence]]
            count = len(part.annotators)
            each = check.agreement.by_sequence[place[sequence]]
            values = [_average(each[:, d]) for d in range(2)]
            spread = mean_label(part, check.kept)[1]
            values += [_average(spread[:, d]) for d in range(2)]
        rows.append((sequence, frames, count, *values, check.notes.get(sequence, "")))
    return rows


def _average(values: Any) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _outliers(check: AnnotationCheck, sequences: Sequence[Row]) -> list[Row]:
    lowest = check.settings.min_correlation
    rows: list[Row] = []
    for name, value in sorted(check.weak.items(), key=lambda item: item[1]):
        rows.append(("annotator", name, "", "", "", "", math.nan, math.nan, value))
    for part, each in zip(check.ratings, check.agreement.closest, strict=True):
        for i, name in enumerate(check.annotators):
            for d, dimension in enumerate(("valence", "arousal")):
                if each[i, d] < lowest and name in part.annotators:
                    rows.append(
                        ("track", name, part.sequence, "", "", dimension, math.nan, math.nan,
                         float(each[i, d]))
                    )  # fmt: skip
    for row in sequences:
        for dimension, spread in zip(("valence", "arousal"), row[5:7], strict=True):
            if spread > check.settings.max_sd:
                rows.append(("sequence", "", row[0], "", "", dimension, math.nan, math.nan, spread))
    for spike in check.spikes:
        rows.append(
            ("point", spike.annotator, spike.sequence, spike.first, spike.last, spike.dimension,
             spike.value, spike.middle, spike.z)
        )  # fmt: skip
    for annotator, sequence, place, valence, arousal in check.out_of_range:
        for dimension, value in (("valence", valence), ("arousal", arousal)):
            if abs(value) > 1 + 1e-9:
                rows.append(
                    ("range", annotator, sequence, place, place, dimension, value, math.nan,
                     math.nan)
                )  # fmt: skip
    return rows


# ---------------------------------------------------------------------------------- report
def _number(value: Any, digits: int = 2) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.{digits}f}"
    return str(value)


def _markdown(head: Sequence[str], rows: Iterable[Row]) -> str:
    cells = ([_number(value) for value in row] for row in rows)
    return "\n".join(markdown_table(head, cells, numbers=True))


def _report(check: AnnotationCheck, sequences: Sequence[Row], outliers: Sequence[Row]) -> str:
    settings = check.settings
    labels = sum(len(part.names) for part in check.labels)
    blocks = [
        "# Annotations",
        f"{len(check.annotators)} annotators, {len(check.ratings)} sequences rated by at least "
        f"two; {labels} labels of {len({part.subject for part in check.labels})} subjects"
        + (f" for {check.meshes} meshes." if check.meshes else "."),
        *_agreement_text(check),
        *_label_text(check),
    ]
    if notes := sorted(set(check.notes.values())):
        lines = []
        for note in notes:
            named = sorted(s for s, n in check.notes.items() if n == note)
            some = ", ".join(named[:5]) + (", ..." if len(named) > 5 else "")
            lines.append(f"- {note}: {NOTES[note]}: {len(named)} sequences ({some})")
        blocks += ["## Sequences apart", "\n".join(lines)]
    blocks.append("## What stands out")
    kinds = ("annotator", "track", "sequence", "point", "range")
    meaning = {
        "annotator": f"correlation with the mean of the others below {settings.min_correlation:g}",
        "track": f"correlation with every other below {settings.min_correlation:g} in one sequence",
        "sequence": f"mean deviation over annotators above {settings.max_sd:g}",
        "point": f"a stretch more than {settings.max_z:g} robust deviations off the median of "
        "at least three",
        "range": "a rating outside -1 to 1; not used, nor the instants next to it",
    }
    counts = {kind: sum(row[0] == kind for row in outliers) for kind in kinds}
    blocks.append("\n".join(f"- {kind}: {counts[kind]} ({meaning[kind]})" for kind in kinds))
    if outliers:
        shown = [row for kind in kinds for row in [r for r in outliers if r[0] == kind][:SHOWN]]
        blocks.append(_markdown(OUTLIERS, shown))
    return "\n\n".join(blocks) + "\n"


def _agreement_text(check: AnnotationCheck) -> list[str]:
    found, unit = check.agreement, _unit(check)
    rows: list[Row] = []
    for i, name in enumerate(check.annotators):
        lag = check.lags.get(name, math.nan)
        parts = (found.pooled, found.within, found.concordance)
        cells = [float(part[i, d]) for part in parts for d in range(2)]
        rows.append((name, *cells, "/".join(str(v) for v in found.undefined[i]), lag))
    means = [float(found.overall(n)[d]) for n in ("pooled", "within", "concordance")
             for d in range(2)]  # fmt: skip
    undefined = "/".join(str(v) for v in found.undefined.sum(0))
    rows.append(("mean", *means, undefined, math.nan))
    head = (
        "annotator", "valence", "arousal", "valence within", "arousal within", "valence CCC",
        "arousal CCC", "undefined", f"lag, {unit}",
    )  # fmt: skip
    taken = "taken out" if check.settings.align_lag else "not taken out (--align-lag)"
    text = [
        "## Agreement",
        "Mean inter-annotator correlation: of each annotator the mean of Pearson's correlations "
        "with the others, all frames together; *within*: within sequences, averaged over them; "
        "CCC: concordance. *undefined*: sequences (valence/arousal) in which no correlation "
        "exists because a track is constant. Three annotators of 4DFAB: 0.68 and 0.60 "
        "(Kollias et al. 2020).",
        _markdown(head, rows),
        f"Lag: later than the median annotator, {taken}.",
    ]
    if check.dropped:
        left = [float(v) for v in check.agreement_kept.overall("pooled")]
        text.append(f"Mean of those in the labels: {left[0]:.2f} valence, {left[1]:.2f} arousal.")
    return text


def _unit(check: AnnotationCheck) -> str:
    return "s" if not check.ratings or check.ratings[0].unit == "s" else "frames"


def _label_text(check: AnnotationCheck) -> list[str]:
    said = f"The label is the mean of {', '.join(check.kept)}."
    for name, value in check.dropped.items():
        said += (
            f" {name} is left out: correlation {value:.2f} with the mean of the others, below "
            f"{check.settings.min_correlation:g}."
        )
    if check.weak and not check.dropped:
        said += (
            f" {', '.join(check.weak)}: below the least correlation, yet in the mean "
            "(--drop-outliers leaves out)."
        )
    done = "mapped to the disc (concentric map)" if check.settings.disc == "map" else "kept as is"
    said += (
        f" {check.outside_disc} labels lie outside the unit disc, since ratings live on the "
        f"square; {done}; deviations are those on the square."
    )
    if check.unlabelled:
        said += f" {check.unlabelled} frames have no label: nobody rated them."
    return ["## Labels", said]

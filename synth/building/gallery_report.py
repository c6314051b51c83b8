"""What a gallery was built from and how good it is: tables, a page and a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from synth.building.mean_face_sheet import face_sheet
from synth.expressions.leak import FEW_SUBJECTS
from synth.tables import csv_bytes

if TYPE_CHECKING:
    from synth.building.gallery import BuiltGallery
    from synth.building.gallery_classes import GallerySettings

__all__ = ["report_files"]

#: Classes drawn beside the basic expressions.
DRAWN = 15
CLASS_COLUMNS = (
    "class", "valence", "arousal", "frames", "subjects", "va_rms", "mean_mm", "basis_rest_mm",
    "arkit_rest_mm", "drawn_rest_mm",
)  # fmt: skip
LEAK_COLUMNS = (
    "class", "frames", "subjects", "effective_subjects", "top_subject", "top_share",
    "left_out_mm", "attributed_to", "attribution", "control", "flagged",
)  # fmt: skip


def report_files(built: BuiltGallery, settings: GallerySettings, source: str) -> dict[str, bytes]:
    """Name -> content of the report's files."""
    return {
        "report.md": _page(built, settings, source).encode(),
        "classes.csv": csv_bytes(CLASS_COLUMNS, _class_rows(built)),
        "leak.csv": csv_bytes(LEAK_COLUMNS, _leak_rows(built)),
        "mean_faces.png": _picture(built),
    }


def _class_rows(built: BuiltGallery) -> Iterable[Sequence[object]]:
    c, split = built.classes, built.split
    spread = ((built.labels.va - c.class_va[built.label]) ** 2).sum(1)
    rms = np.sqrt(np.bincount(built.label, spread, len(c)) / np.maximum(c.class_count, 1))
    size = np.sqrt((c.mean**2).sum(1) / c.basis.shape[1])
    for k, (v, a) in enumerate(c.class_va):
        yield (
            k, f"{v:.4f}", f"{a:.4f}", c.class_count[k], c.class_subjects[k], f"{rms[k]:.4f}",
            f"{size[k]:.3f}", f"{c.mean_rest[k]:.4f}", f"{split.arkit_rest[k]:.3f}",
            f"{split.rest[k]:.4f}",
        )  # fmt: skip


def _leak_rows(built: BuiltGallery) -> Iterable[Sequence[object]]:
    leak, who = built.leak, built.labels.subjects
    for k in range(len(leak.count)):
        yield (
            k, leak.count[k], leak.subjects[k], f"{leak.effective[k]:.2f}",
            who[leak.top_subject[k]], f"{leak.top_share[k]:.3f}",
            "" if np.isnan(leak.left_out[k]) else f"{leak.left_out[k]:.4f}",
            who[leak.attributed[k]] if k else "", f"{leak.attribution[k]:.3f}",
            f"{leak.control[k]:.3f}", "yes" if leak.flagged[k] else "",
        )  # fmt: skip


def _picture(built: BuiltGallery) -> bytes:
    """Neutral and the basic expressions, then classes spread over the plane."""
    c = built.classes
    shown = [("neutral", c.neutral)]
    for name, (v, a) in zip(c.expression_names, c.expression_va, strict=True):
        shown.append((f"{name} {v:+.2f} {a:+.2f}", c.neutral + c.expression(name)))
    shown += [("", c.neutral)] * (-len(shown) % 7 if len(shown) > 1 else 0)
    for k in _spread_out(c.class_va, c.class_count):
        v, a = c.class_va[k]
        shown.append((f"{k}: {v:+.2f} {a:+.2f} n {c.class_count[k]}", c.neutral + c.face(k)))
    return face_sheet(shown, c.faces)


def _spread_out(va: np.ndarray, count: np.ndarray) -> list[int]:
    """Classes far from each other and from neutral; of the larger half, where there are many."""
    usable = np.flatnonzero(count >= np.median(count[1:]))
    usable = usable[usable > 0]
    chosen = [0]
    while len(chosen) <= min(DRAWN - 1, len(usable)):
        apart = np.linalg.norm(va[usable, None] - va[chosen], axis=-1).min(1)
        if apart.max() <= 0:
            break
        chosen.append(int(usable[apart.argmax()]))
    order = np.arctan2(va[chosen[1:], 1], va[chosen[1:], 0]).argsort()
    return [chosen[1:][i] for i in order]


def _page(built: BuiltGallery, settings: GallerySettings, source: str) -> str:
    c, leak, split = built.classes, built.leak, built.split
    k, own = len(c), len(split.own)
    count = c.class_count[1:]
    few = int((leak.subjects[1:] < FEW_SUBJECTS).sum())
    sure = leak.flagged[1:] & (leak.subjects[1:] >= FEW_SUBJECTS)
    rows = [
        ("frames, subjects", f"{len(built.label)}, {len(built.labels.subjects)}"),
        ("classes, neutral included", f"{k}"),
        ("classes that joined another (--min-subjects)", f"{built.joined}"),
        ("frames of the neutral class", f"{c.class_count[0]}"),
        ("frames a class: least, median, most",
         f"{count.min()}, {np.median(count):.0f}, {count.max()}"),
        ("subjects a class: least, median, most",
         f"{c.class_subjects[1:].min()}, {np.median(c.class_subjects[1:]):.0f}, "
         f"{c.class_subjects[1:].max()}"),
        ("neutral frames from their subject's mean, in the basis, mm rms",
         f"{built.neutral_rms:.3f}"),
        ("components of the basis, share of the frames' energy",
         f"{len(c.basis)}, {100 * built.kept:.2f} %"),
        ("left by the basis of a mean face, mm rms, most", f"{c.mean_rest.max():.4f}"),
        ("left by ARKit's blendshapes, mm rms: median, most",
         f"{np.median(split.arkit_rest[1:]):.3f}, {split.arkit_rest.max():.3f}"),
        ("own blendshapes", f"{own}"),
        ("left by both, mm rms, most; a vertex, most",
         f"{split.rest.max():.3f}; {split.worst:.3f}"),
    ]  # fmt: skip
    lines = [
        "# Gallery", "", f"Made of {source}.", "",
        f"Head motion taken out: {'yes' if settings.align else 'no'}. Ratings on the square: "
        f"{'yes' if settings.square else 'no'}. Seed {settings.seed}.", "",
        "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), "",
        "## Identity in mean faces", "",
        f"A linear probe trained to tell {len(built.labels.subjects)} subjects by their offsets "
        f"(without what ratings predict) is right for {100 * leak.accuracy:.1f} % of held-out "
        f"frames, guessing for {100 * leak.chance:.1f} %; of such a frame it attributes "
        f"{leak.portrait:.2f} to the right subject. Of the mean faces it attributes "
        f"{np.median(leak.attribution[1:]):.2f} to one subject (median; most "
        f"{leak.attribution[1:].max():.2f}), of random classes of the same sizes "
        f"{np.median(leak.control[1:]):.2f} (most {leak.control[1:].max():.2f}).", "",
        f"Flagged: {int(leak.flagged.sum())} of {k - 1} classes; {few} have fewer than "
        f"{FEW_SUBJECTS} subjects; of {int(sure.sum())} more the probe attributes at least half as "
        "much as of a single frame, and twice the control. `--min-subjects N` joins classes of "
        "fewer subjects to a neighbour.",
        "", "| subjects | classes | frames | flagged |", "|---|---|---|---|",
        *_leak_table(built), "",
        "## Samples", "", _samples(built), "",
        "`classes.csv` and `leak.csv` hold a row a class, `mean_faces.png` shows mean faces.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _samples(built: BuiltGallery) -> str:
    """What is stored of single frames, and how well."""
    if "sample_weights" not in built.gallery:
        return "No frames are stored: no person styles (`--no-samples`)."
    frames, style = built.frames, built.gallery["sample_style"]
    counts = built.gallery.get("expression_count", np.zeros(0, np.int32))
    return (
        f"**Stored: {len(style)} single frames of {len(np.unique(style))} subjects** (and "
        f"{int(counts.sum())} of basic expressions), as weights, with ratings and the subject's "
        "number. A style drawn from one is this subject's way of showing affect, and somebody who "
        "knows the subjects' faces in motion may recognise it; `--no-samples` leaves them out. Of "
        f"the squared offsets of these frames ARKit's blendshapes keep "
        f"{100 * frames.arkit_kept:.1f} %, all together {100 * frames.kept:.1f} %, with "
        f"{frames.added} own blendshapes more than mean faces need; left: {frames.rest:.3f} of "
        f"{frames.size:.2f} mm rms."
    )


def _leak_table(built: BuiltGallery) -> Iterable[str]:
    leak = built.leak
    for low, high in ((1, 1), (2, 3), (4, 7), (8, 15), (16, 31), (32, 10**9)):
        of = (leak.subjects >= low) & (leak.subjects <= high)
        of[0] = False
        if of.any():
            name = f"{low}" if low == high else f"{low} or more" if high > 1e6 else f"{low}-{high}"
            yield (
                f"| {name} | {int(of.sum())} | {int(leak.count[of].sum())} | "
                f"{int(leak.flagged[of].sum())} |"
            )

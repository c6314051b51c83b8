"""The picture of a gallery: its VA classes, and mean faces at their places.

Like figures 5 and 6 of Kollias et al., "Deep neural network augmentation: generating
faces for affect analysis", IJCV 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.affect import EXPRESSIONS
from synth.expressions.gallery import Gallery
from synth.morphable.model import MorphableModel
from synth.preview.canvas import (
    GREY,
    LINE,
    Box,
    Label,
    UInt8,
    label_at,
    paper,
    paste,
    segment,
    title_labels,
    write,
)
from synth.preview.classes import colour_scale, draw_bar, draw_classes
from synth.preview.mesh import ASPECT, shaded_face
from synth.preview.rim import axis_labels, draw_axes, rim_labels

__all__ = ["GalleryLayout", "gallery_layout", "gallery_sheet", "spread_classes"]

Float = NDArray[np.float64]

#: Rings of the hexagonal lattice of mean faces around neutral: 1 + 6 + 12 + 18 = 37 points.
RINGS = 3
#: Width and height of a mean face on the disc, as shares of the lattice's spacing.
ROOM = (0.66, 0.88)


def spread_classes(centres: Float, rings: int = RINGS) -> list[int]:
    """Classes spread evenly over the disc: the nearest to each point of a hexagonal lattice.

    Neutral first. Of the classes nearer than half the lattice's spacing to a point, the
    nearest is taken whose face (`ROOM` wide and tall, in spacings) meets no other; a
    point without one is left out.
    """
    step = 1.0 / rings
    points = [
        (np.sqrt(0.75) * step * a, step * (b + a / 2))
        for a in range(-rings, rings + 1)
        for b in range(-rings, rings + 1)
        if abs(a + b) <= rings
    ]
    points.sort(key=lambda p: (round(float(np.hypot(*p)), 6), np.arctan2(p[1], p[0])))
    chosen: list[int] = []
    for point in points:
        away = np.hypot(*(centres - point).T)
        for index in np.argsort(away, kind="stable"):
            if away[index] > step / 2:
                break
            apart = np.abs(centres[chosen] - centres[index]) / (ROOM[0] * step, ROOM[1] * step)
            if (apart >= 1).any(axis=1).all():
                chosen.append(int(index))
                break
    return chosen


@dataclass(frozen=True)
class GalleryLayout:
    """Where everything of a gallery sheet stands, in pixels.

    Attributes
    ----------
    width, height : int
    radius, reach : int
        Of the unit circles, and of the circles that carry the names.
    classes, montage : (float, float)
        Centres of the two discs.
    faces : tuple of Box
        Of the mean faces, one a class of `chosen`.
    chosen : tuple of int
    strip : tuple of Box
        Of the expressions' faces.
    bar : Box
        Colours of the counts.
    names : tuple of Label
        Of the rim, around (0, 0).
    labels : tuple of Label
        Every text but those of the bar.
    rule : int
        y of the line above the strip.
    """

    width: int
    height: int
    radius: int
    reach: int
    classes: tuple[float, float]
    montage: tuple[float, float]
    faces: tuple[Box, ...]
    chosen: tuple[int, ...]
    strip: tuple[Box, ...]
    bar: Box
    names: tuple[Label, ...]
    labels: tuple[Label, ...]
    rule: int


def gallery_layout(
    gallery: Gallery, face: int = 160, title: str = "", subtitle: str = ""
) -> GalleryLayout:
    """Where a sheet shows the classes and mean faces `face` pixels tall."""
    tall, wide = face, round(ASPECT * face)
    radius, gap, margin = round(RINGS * face / ROOM[1]), face // 6, max(24, face // 4)
    reach, size = radius + round(0.58 * face), max(12, round(0.11 * face))
    axes = axis_labels(reach + 12, size)
    rim = rim_labels(reach + 6, size, [label.box for label in axes])
    out = max(max(abs(edge) for edge in label.box) for label in [*axes, *rim])
    width = 4 * out + 2 * margin + gap
    titles = title_labels(title, subtitle, margin, width - 2 * margin, size)
    y = titles[-1].box.bottom + gap + out if titles else margin + out
    discs = (float(margin + out), float(y)), (float(width - margin - out), float(y))
    labels = list(titles)
    for (x, _), words in zip(discs, _captions(gallery), strict=True):
        labels += [label.moved(round(x), y) for label in [*axes, *rim]]
        labels.append(label_at(words, x, y + out + gap // 2, size, (0.5, 0.0)))
    rule = labels[-1].box.bottom + gap
    chosen = spread_classes(gallery.class_va)
    places = [discs[1] + gallery.class_va[k] * (radius, -radius) for k in chosen]
    strip, below = _strip(gallery, width, rule + gap, round(1.5 * face), size)
    x = round(discs[0][0]) - out
    bar = Box(x, y + out - size - 14, x + face + face // 2, y + out - size)
    return GalleryLayout(
        width=width,
        height=below[-1].box.bottom + margin,
        radius=radius,
        reach=reach,
        classes=discs[0],
        montage=discs[1],
        faces=tuple(_around(float(px), float(py), wide, tall) for px, py in places),
        chosen=tuple(chosen),
        strip=strip,
        bar=bar,
        names=tuple(rim),
        labels=(*labels, *below),
        rule=rule,
    )


def gallery_sheet(
    gallery: Gallery,
    model: MorphableModel,
    title: str = "",
    subtitle: str = "",
    face: int = 160,
) -> UInt8:
    """(H, W, 3) sheet: classes by their size, mean faces at their places, expressions.

    Parameters
    ----------
    gallery : Gallery
    model : MorphableModel
        Its mean identity is drawn; blendshapes are matched by name.
    title, subtitle : str
    face : int
        Height of a mean face in pixels.
    """
    plan = gallery_layout(gallery, face, title, subtitle)
    image = paper(plan.width, plan.height)
    for x, y in (plan.classes, plan.montage):
        draw_axes(image, x, y, plan.radius, plan.reach, plan.names)
    draw_classes(image, plan.classes, plan.radius, gallery.class_va, gallery.class_count)
    segment(image, (plan.bar.left, plan.rule), (plan.width - plan.bar.left, plan.rule), 1.0, LINE)
    order = [gallery.names.index(name) for name in model.blendshape_names]
    faces = [gallery.class_weights[k] for k in plan.chosen]
    faces += [weights for _, weights, _ in _expressions(gallery)]
    for weights, box in zip(faces, [*plan.faces, *plan.strip], strict=True):
        pixels, alpha = shaded_face(model, weights[order], box.height)
        paste(image, pixels, box, alpha)
    size = max(11, round(0.09 * face))
    bar = draw_bar(image, plan.bar, colour_scale(gallery.class_count), size)
    write(image, [*plan.labels, *bar])
    return image


# ------------------------------------------------------------------------- contents
def _expressions(gallery: Gallery) -> list[tuple[str, Float, str]]:
    """Name, weights and a word on the samples of neutral and every expression."""
    found = [("neutral", gallery.class_weights[0], int(gallery.class_count[0]))]
    for name in EXPRESSIONS:
        own = gallery.expressions.get(name)
        if name != "neutral":
            found.append((name, gallery.expression(name).weights, own.count if own else 0))
    return [
        (name, weights, f"{count} samples" if count else "from the classes")
        for name, weights, count in found
    ]


def _captions(gallery: Gallery) -> tuple[str, str]:
    count, total = len(gallery.class_va), int(gallery.class_count.sum())
    return (
        f"{count} classes of {total} samples",
        f"mean faces of {len(spread_classes(gallery.class_va))} classes, each at its centre",
    )


def _strip(
    gallery: Gallery, width: int, top: int, tall: int, size: int
) -> tuple[tuple[Box, ...], list[Label]]:
    """Boxes and labels of the expressions' faces in one row, in the middle of the sheet."""
    shown = _expressions(gallery)
    wide = round(ASPECT * tall)
    pitch = round(1.35 * wide)
    first = width / 2 - pitch * (len(shown) - 1) / 2
    boxes, labels = [], []
    for i, (name, _, words) in enumerate(shown):
        x = first + i * pitch
        boxes.append(_around(x, top + tall / 2, wide, tall))
        labels.append(label_at(name, x, top + tall + 4, size, (0.5, 0.0)))
        y = labels[-1].box.bottom
        labels.append(label_at(words, x, y, max(11, round(0.8 * size)), (0.5, 0.0), GREY))
    return tuple(boxes), labels


def _around(x: float, y: float, width: int, height: int) -> Box:
    left, top = round(x - width / 2), round(y - height / 2)
    return Box(left, top, left + width, top + height)

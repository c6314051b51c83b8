"""A sheet of deformation components: each on the face that it moves, coloured by how far."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from synth.meshes.mesh import vertex_normals
from synth.morphable.splocs import SparseComponents
from synth.render.raster import rasterise

__all__ = ["components_sheet"]

Float = NDArray[np.float64]
UInt8 = NDArray[np.uint8]

PAPER, INK, GREY = (255, 255, 255), (32, 36, 42), (120, 126, 134)
#: Linear colours from still to the farthest move: clay, yellow, orange, red, dark red.
RAMP = np.array(
    [[0.62, 0.62, 0.62], [0.90, 0.68, 0.14], [0.84, 0.27, 0.03], [0.60, 0.05, 0.02],
     [0.30, 0.01, 0.05]]
)  # fmt: skip
#: Places of the colours between still and farthest.
STEPS = np.array([0.02, 0.15, 0.45, 0.75, 1.0])
LIGHT, AMBIENT = np.array([-0.50, 0.62, 0.72]), 0.28
SUPERSAMPLE = 2
LABEL, GAP, HEAD = 18, 6, 24


def components_sheet(
    found: SparseComponents, most: int = 30, height: int = 190, columns: int = 0, title: str = ""
) -> UInt8:
    """The strongest components side by side, each added to the face with weight 1.

    Every picture has the colours of its own largest move, which is written below it with
    the share of vertices that the component moves.

    Parameters
    ----------
    found : SparseComponents
        y up, z towards the viewer.
    most : int
        Components drawn.
    height : int
        Of a face, pixels.
    columns : int
        Faces in a row; 0 for about twice as wide as high.
    title : str

    Returns
    -------
    (H, W, 3) uint8
        RGB.
    """
    count = min(most, len(found))
    box = _box(found)
    width = max(40, round(height * (box[1, 0] - box[0, 0]) / (box[1, 1] - box[0, 1])))
    if columns <= 0:
        columns = max(1, round(np.sqrt(2.0 * count * (height + LABEL) / width)))
    columns = min(columns, count)
    rows = -(-count // columns)
    step = (width + GAP, height + LABEL + GAP)
    top = HEAD if title else GAP
    sheet = Image.new("RGB", (columns * step[0] + GAP, rows * step[1] + top), PAPER)
    draw = ImageDraw.Draw(sheet)
    font, small = ImageFont.load_default(13), ImageFont.load_default(11)
    if title:
        draw.text((GAP, HEAD - 8), title, INK, font, anchor="ls")
    for k in range(count):
        left, upper = GAP + k % columns * step[0], top + k // columns * step[1]
        face = _face(found.shape, found.faces, found.components[k], box, (width, height))
        sheet.paste(Image.fromarray(face), (left, upper))
        length = np.linalg.norm(found.components[k], axis=1)
        said = f"{k + 1}: {length.max():.1f} mm, {100 * (length > 0).mean():.0f} %"
        draw.text((left + width // 2, upper + height + 2), said, GREY, small, anchor="mt")
    return np.asarray(sheet)


def _box(found: SparseComponents) -> Float:
    """(2, 2) corners of the view in x and y: what moves, and something around it."""
    moved = (found.components != 0).any((0, 2))
    seen = found.shape[moved] if moved.any() else found.shape
    low, high = seen[:, :2].min(0), seen[:, :2].max(0)
    edge = 0.06 * float((high - low).max())
    full_low, full_high = found.shape[:, :2].min(0) - edge, found.shape[:, :2].max(0) + edge
    return np.stack([np.maximum(low - edge, full_low), np.minimum(high + edge, full_high)])


def _face(
    shape: Float, faces: NDArray[np.int32], component: Float, box: Float, size: tuple[int, int]
) -> UInt8:
    """One face seen from the front, without perspective."""
    width, height = size
    vertices = shape + component
    scale = height / (box[1, 1] - box[0, 1])
    points = np.column_stack(
        [
            (vertices[:, 0] - box[0, 0]) * scale,
            (box[1, 1] - vertices[:, 1]) * scale,
            10 + vertices[:, 2].max() - vertices[:, 2],
        ]
    )
    ids, bary, _ = rasterise(
        points, np.ascontiguousarray(faces, np.int32), (0, 0, width, height), SUPERSAMPLE,
        perspective=False,
    )  # fmt: skip
    seen = ids >= 0
    corners = faces[ids[seen]]
    second, third = (bary[seen, i].astype(np.float64) for i in range(2))
    share = np.stack([1 - second - third, second, third], 1)
    length = np.linalg.norm(component, axis=1)
    tone = (length / max(float(length.max()), 1e-12))[corners]
    tone = np.einsum("nc,nc->n", share, tone)
    normal = np.einsum("nc,ncd->nd", share, vertex_normals(vertices, faces)[corners])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    lit = AMBIENT + (1 - AMBIENT) * np.maximum(normal @ (LIGHT / np.linalg.norm(LIGHT)), 0)
    colour = np.stack([np.interp(tone, STEPS, RAMP[:, c]) for c in range(3)], 1)
    linear = np.ones((*ids.shape, 3))
    linear[seen] = colour * lit[:, None]
    n = SUPERSAMPLE
    mean = linear.reshape(height, n, width, n, 3).mean((1, 3))
    return np.asarray(np.rint(255 * np.clip(mean, 0, 1) ** (1 / 2.2)).astype(np.uint8))

"""A contact sheet of mean faces: shaded meshes, seen from the front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.camera import project
from synth.images import encode_image
from synth.meshes.mesh import vertex_normals
from synth.render.raster import rasterise
from synth.types import Camera

__all__ = ["face_sheet", "shaded_mesh"]

Float = NDArray[np.float64]
UInt8 = NDArray[np.uint8]

#: Millimetres of a view's height and width, its middle, and the distance of the camera.
TALL, WIDE, MIDDLE, DISTANCE = 215.0, 170.0, -25.0, 1200.0
#: Light from the viewer's upper left; what a surface turned away still gets; grey of the skin.
LIGHT, AMBIENT, GREY, PAPER = np.array([-0.50, 0.62, 0.72]), 0.20, 0.70, 250
SUPERSAMPLE = 2


def shaded_mesh(vertices: Float, faces: NDArray[np.int32], height: int) -> UInt8:
    """(height, w, 3) picture of a face in the axes of the house, mm, from the front."""
    width = round(height * WIDE / TALL)
    camera = Camera(
        quaternion=np.array([0.0, 0.0, 0.0, 1.0]),
        translation=np.array([0.0, MIDDLE, DISTANCE]),
        focal=height / TALL * DISTANCE,
        center=np.array([(width - 1) / 2, (height - 1) / 2]),
    )
    ids, bary, _ = rasterise(project(vertices, camera), faces, (0, 0, width, height), SUPERSAMPLE)
    seen = ids >= 0
    corners = faces[ids[seen]]
    second, third = bary[seen, 0], bary[seen, 1]
    share = np.stack([1 - second - third, second, third], axis=1).astype(np.float64)
    normal = np.einsum("nc,ncd->nd", share, vertex_normals(vertices, faces)[corners])
    length = np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
    lit = np.maximum(normal @ (LIGHT / np.linalg.norm(LIGHT)) / length, 0)
    linear = np.full(ids.shape, (PAPER / 255) ** 2.2)
    linear[seen] = GREY * (AMBIENT + (1 - AMBIENT) * lit)
    small = linear.reshape(height, SUPERSAMPLE, width, SUPERSAMPLE).mean((1, 3))
    grey = np.rint(255 * np.clip(small, 0, 1) ** (1 / 2.2)).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def face_sheet(
    faces: Sequence[tuple[str, Float]],
    triangles: NDArray[np.int32],
    columns: int = 7,
    height: int = 260,
) -> bytes:
    """A PNG of titled faces, row by row.

    Parameters
    ----------
    faces : sequence of (str, (V, 3) float64)
        Title and vertices in mm.
    triangles : (F, 3) int32
    columns : int
    height : int
        Pixels of one face.
    """
    import cv2

    band = 22
    cells: list[NDArray[Any]] = []
    for title, vertices in faces:
        picture = shaded_mesh(vertices, triangles, height)
        head = np.full((band, picture.shape[1], 3), PAPER, np.uint8)
        cv2.putText(
            head, title, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (30, 30, 30), 1, cv2.LINE_AA
        )
        cells.append(np.concatenate([head, picture]))
    blank = np.full_like(cells[0], PAPER)
    cells += [blank] * (-len(cells) % columns)
    rows = [np.concatenate(cells[i : i + columns], axis=1) for i in range(0, len(cells), columns)]
    return encode_image(np.concatenate(rows), "png")

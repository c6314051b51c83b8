"""Compositing as in the paper: the rendered mesh, Poisson-blended into the photo.

Kollias et al. (IJCV 2020, sec. 4.5) render the textured, deformed mesh and blend
it into the photo with Poisson image editing [1]_. Here the texture is the photo
itself, projected (`synth.render.shade`), and no skirt carries the motion outside
the mesh: jaw line and neck stay where they are. The area is the same for all
targets of a photo, so the membrane is factorised once (`synth.blending`).

References
----------
.. [1] Perez, Gangnet & Blake, "Poisson Image Editing", SIGGRAPH 2003.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.blending import Membrane
from synth.camera import project
from synth.render.raster import rasterise
from synth.render.surface import Surface
from synth.render.topology import OUTSIDE

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel
    from synth.types import Fit

__all__ = ["PaperBlend", "build_paper_blend"]

Box = tuple[int, int, int, int]

#: Lowest jaw that the area makes room for.
JAW = {"jawOpen": 0.6}
#: The area keeps this distance from the rim of the mesh, in inter-ocular distances.
INSET = 0.03


@dataclass(frozen=True, eq=False)
class PaperBlend:
    """Where and how the rendering of one photo is blended in.

    Attributes
    ----------
    box : (left, top, width, height)
        Part of the photo that `membrane` covers: its area and a pixel around.
    membrane : Membrane
    """

    box: Box
    membrane: Membrane

    def apply(
        self, photo: NDArray[np.uint8], drawn: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The photo with the rendering blended in, and the mask of changed pixels.

        Parameters
        ----------
        photo : (H, W, 3) uint8
        drawn : (H, W, 3) uint8
            The photo with the mesh drawn over it.
        """
        left, top, width, height = self.box
        window = np.s_[top : top + height, left : left + width]
        out = photo.copy()
        out[window] = self.membrane.blend(drawn[window], photo[window])
        mask = np.zeros(photo.shape[:2], bool)
        mask[window] = (out[window] != photo[window]).any(2)
        return out, mask


def build_paper_blend(
    model: MorphableModel, fit: Fit, surface: Surface, image_size: tuple[int, int], iod: float
) -> PaperBlend:
    """The blend of one photo.

    The area is what the drawn mesh covers neutrally or with the jaw dropped, less a
    rim of `INSET`: there the rendering must meet the photo, and at the rim itself
    it mixes with what is behind.

    Parameters
    ----------
    model : MorphableModel
    fit : Fit
    surface : Surface
    image_size : (height, width)
    iod : float
        Inter-ocular distance, pixels.
    """
    faces = surface.faces[surface.labels != OUTSIDE]
    left, top, width, height = surface.box
    area = np.zeros((height, width), np.uint8)
    for weights in ({}, JAW):
        vertices = fit.vertices + model.offsets(model.weights(weights))
        area |= rasterise(project(vertices, fit.camera), faces, surface.box)[0] >= 0
    # The picture's own border is no rim: pad with covered pixels there only.
    border = [int(top == 0), int(top + height == image_size[0]),
              int(left == 0), int(left + width == image_size[1])]  # fmt: skip
    reach = max(1, round(INSET * iod))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    pads = [reach * b for b in border]
    padded = cv2.copyMakeBorder(area, *pads, cv2.BORDER_REPLICATE)
    eroded = cv2.erode(padded, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    inside = eroded[pads[0] : pads[0] + height, pads[2] : pads[2] + width] > 0
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not len(rows):
        return PaperBlend((left, top, 1, 1), Membrane(np.zeros((1, 1), bool)))
    y0, y1 = max(int(rows[0]) - 1, 0), min(int(rows[-1]) + 2, height)
    x0, x1 = max(int(columns[0]) - 1, 0), min(int(columns[-1]) + 2, width)
    return PaperBlend((left + x0, top + y0, x1 - x0, y1 - y0), Membrane(inside[y0:y1, x0:x1]))

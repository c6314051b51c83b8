"""A texture model drawn on the mean face: what its mean and its first modes look like.

Features have no colours, so that colours are regressed on them: what the photos show on average,
and how that changes with each coefficient. At least eight people are behind every pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.building.texture_samples import COLOUR, Layout, Observation
from synth.morphable.surface_samples import face_outline, in_polygon
from synth.render.raster import rasterise
from synth.types import inter_ocular

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel

__all__ = ["CANVAS", "canvas_layout", "draw_sheet", "draw_texture"]

Float = NDArray[np.float64]

#: Width and height of a drawn face, and pixels between its outer eye corners.
CANVAS = (200, 240)
EYES = 104.0
#: How many standard deviations the modes are drawn at.
REACH = 2.0
PAPER = 255
#: How much more than the sampled region is drawn.
MARGIN = 1.03


def canvas_layout(model: MorphableModel) -> tuple[Layout, NDArray[np.bool_]]:
    """The places of the mean face's pixels, seen from the front, and which pixels those are.

    Returns
    -------
    layout : Layout
        Of colours.
    drawn : (h, w) bool
        Pixels that show the face; places follow them row by row.
    """
    width, height = CANVAS
    marks = model.landmarks(model.mean)
    scale = EYES / inter_ocular(marks)
    middle = (width / 2 - 0.5, height * 0.4)
    seen = np.column_stack(
        (
            model.mean[:, 0] * scale + middle[0],
            -model.mean[:, 1] * scale + middle[1],
            1000 - model.mean[:, 2],
        )
    )
    shown = np.isin(
        np.array(model.part_names)[model.parts], ("skin", "lips", "left_eye", "right_eye")
    )
    ids, rest, _ = rasterise(seen, model.faces, (0, 0, width, height), perspective=False)
    drawn = (ids >= 0) & shown[np.maximum(ids, 0)]
    rows, columns = np.indices(ids.shape)
    places = np.column_stack((columns.ravel(), rows.ravel())) - middle
    flat = np.asarray(places * (1 / scale, -1 / scale), np.float64)
    drawn &= in_polygon(flat, MARGIN * face_outline(marks)).reshape(ids.shape)
    rest = rest[drawn].astype(np.float64)
    bary = np.column_stack((1 - rest.sum(1), rest))
    return Layout(COLOUR, EYES, ids[drawn].astype(np.int32), bary), drawn


def draw_texture(
    colours: Sequence[Observation],
    coefficients: Float,
    people: Sequence[str],
    drawn: NDArray[np.bool_],
    least: int,
    modes: int = 5,
) -> tuple[list[NDArray[np.uint8]], NDArray[np.float64]]:
    """Mean face and modes as pictures.

    Parameters
    ----------
    colours : sequence of N Observation
        Of `canvas_layout`.
    coefficients : (N, K) float64
        Of the texture model, in standard deviations.
    people : sequence of N str
        Who is on each.
    drawn : (h, w) bool
    least : int
        Pixels that fewer people show stay paper.
    modes : int
        How many are drawn.

    Returns
    -------
    pictures : list of (h, w, 3) uint8
        The mean, then each mode at plus and at minus two standard deviations.
    share : (h, w) float64
        Of the photos that show a pixel.
    """
    values = np.stack([o.values for o in colours]).astype(np.float64)
    seen = np.stack([o.seen for o in colours])
    names, who = np.unique(people, return_inverse=True)
    shown = np.zeros((len(names), seen.shape[1]), bool)
    np.logical_or.at(shown, who, seen)
    enough = shown.sum(0) >= least
    counted = np.maximum(seen.sum(0), 1)[:, None]
    mean = np.where(seen[..., None], values, 0).sum(0) / counted
    rest = np.where(seen[..., None], values - mean, 0)
    modes = min(modes, coefficients.shape[1], len(names) - 2)
    scores = coefficients[:, :modes]
    gram = scores.T @ scores + 1e-6 * len(scores) * np.eye(modes)
    slopes = np.linalg.solve(gram, np.einsum("ik,ipc->kpc", scores, rest).reshape(modes, -1))
    slopes = slopes.reshape(modes, *mean.shape)

    known = np.zeros(drawn.shape, np.uint8)
    known[drawn] = enough
    # The slit of the mouth and pixels between triangles.
    gaps = cv2.morphologyEx(known, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)) - known

    def picture(content: Float) -> NDArray[np.uint8]:
        canvas = np.full((*drawn.shape, 3), float(PAPER))
        canvas[drawn] = np.where(enough[:, None], content, PAPER)
        whole = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
        return np.asarray(cv2.inpaint(whole, gaps, 2, cv2.INPAINT_TELEA), np.uint8)

    pictures = [picture(mean)]
    for slope in slopes:
        pictures += [picture(mean + REACH * slope), picture(mean - REACH * slope)]
    share = np.zeros(drawn.shape)
    share[drawn] = seen.mean(0)
    return pictures, share


def draw_sheet(
    pictures: Sequence[NDArray[np.uint8]], share: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """One picture of `draw_texture`'s: the mean over what is seen, then the modes.

    Returns
    -------
    (H, W, 3) uint8
    """
    seen = np.where(share > 0, 30 + 190 * share, PAPER)[..., None]
    where = np.broadcast_to(np.rint(seen), (*share.shape, 3)).astype(np.uint8)
    columns = [_column("mean", pictures[0], "seen in", where)]
    for k in range((len(pictures) - 1) // 2):
        plus, minus = pictures[1 + 2 * k : 3 + 2 * k]
        name = f"mode {k + 1}"
        columns.append(_column(f"{name}: +{REACH:g} sd", plus, f"{name}: -{REACH:g} sd", minus))
    return np.concatenate(columns, axis=1)


def _column(
    above: str, first: NDArray[np.uint8], between: str, second: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    return np.concatenate(
        (_caption(above, first.shape[1]), first, _caption(between, second.shape[1]), second)
    )


def _caption(text: str, width: int) -> NDArray[np.uint8]:
    strip = np.full((24, width, 3), PAPER, np.uint8)
    cv2.putText(strip, text, (8, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
    return strip

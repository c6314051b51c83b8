"""How light the skin in a photo is: the individual typology angle.

``ITA = atan((L* - 50) / b*)`` in degrees, CIELAB under D65 [1]_, from the median
colour of both cheeks; the names are those of Chardon et al. and Del Bino & Bernerd
[2]_. A photo is no spectrometer: light and white balance move the angle by ten
degrees and more, so it sorts the photos of one studio, and says little across studios.

References
----------
.. [1] Chardon, Cretois & Hourseau, "Skin colour typology and suntanning pathways",
   Int. J. Cosmetic Science 1991.
.. [2] Del Bino & Bernerd, "Variations in skin colour and the biological consequences
   of ultraviolet radiation exposure", British J. Dermatology 2013.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.evaluation.faces import align_matrix, cut
from synth.evaluation.features import skin_regions

__all__ = ["TONES", "tone_of", "typology_angle"]

#: From light to dark: name and the smallest angle in degrees.
TONES: tuple[tuple[str, float], ...] = (
    ("very light", 55.0),
    ("light", 41.0),
    ("intermediate", 28.0),
    ("tan", 10.0),
    ("brown", -30.0),
    ("dark", -90.0),
)


def typology_angle(pixels: NDArray[np.uint8], points: NDArray[np.float64]) -> float:
    """Individual typology angle of the cheeks in degrees, -90 (dark) to 90 (light).

    Parameters
    ----------
    pixels : (H, W, 3) uint8
        sRGB.
    points : (68, 2) float
    """
    matrix, scale = align_matrix(points)
    places = np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]
    regions = skin_regions(places)
    cheeks = cut(pixels, matrix, scale)[regions["cheek_left"] | regions["cheek_right"]]
    colour = np.median(cheeks, axis=0).astype(np.float32)[None, None] / 255
    lightness, _, b = cv2.cvtColor(colour, cv2.COLOR_RGB2LAB)[0, 0].astype(np.float64)
    return float(np.degrees(np.arctan2(lightness - 50, max(b, 1e-6))))


def tone_of(angle: float) -> str:
    """Name of `TONES` for an angle in degrees."""
    return next(name for name, least in TONES if angle > least or name == TONES[-1][0])

"""Put the morphable model on the face of a photo.

`landmarks` fits camera and identity to 68 points; `correction` then moves what is
left over, so that lips, lids and brows lie exactly in place.
"""

from synth.fitting.correction import residual_field, thin_plate_spline
from synth.fitting.landmarks import FitSettings, fit_camera_and_shape, fit_face

__all__ = [
    "FitSettings",
    "fit_camera_and_shape",
    "fit_face",
    "residual_field",
    "thin_plate_spline",
]

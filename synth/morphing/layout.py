"""A person's aligned photos on the pixels of the result, ready for any number of morphs."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.crops import crop_by_profile
from synth.morphing.align import Aligned, chained, coloured, inverse
from synth.morphing.layers import Layer, make_layer
from synth.morphing.mesh import FaceMesh, make_mesh
from synth.morphing.people import Person
from synth.morphing.record import MorphOptions
from synth.morphing.refine import refined

__all__ = ["PreparedPerson", "laid_out"]

Float = NDArray[np.float64]
UInt8 = NDArray[np.uint8]


@dataclass(frozen=True)
class PreparedPerson:
    """A person whose photos lie on each other.

    Attributes
    ----------
    person : Person
    faces : dict of str to Aligned
        By expression, ``neutral`` first.
    layers : dict of str to Layer
        The same on the pixels of the result.
    mesh : FaceMesh
        Of all of them.
    size : (int, int)
        Height and width of the result.
    crop : (2, 3) float64 or None
        Neutral photo to result.
    grey : bool
        Whether the photos are.
    """

    person: Person
    faces: dict[str, Aligned]
    layers: dict[str, Layer]
    mesh: FaceMesh
    size: tuple[int, int]
    crop: Float | None
    grey: bool


def laid_out(person: Person, faces: dict[str, Aligned], options: MorphOptions) -> PreparedPerson:
    """The photos on the result's pixels.

    Parameters
    ----------
    person : Person
    faces : dict of str to Aligned
        By expression, ``neutral`` first.
    options : MorphOptions
    """
    neutral, crop = faces["neutral"], None
    size, grey = (neutral.image.height, neutral.image.width), not coloured(neutral.image)
    if options.crop != "raw":
        cut, _, crop = crop_by_profile(neutral.image, neutral.landmarks, options.crop, options.size)
        size = cut.height, cut.width
    layers = {name: _layer(face, crop, grey, name == "neutral") for name, face in faces.items()}
    mesh = make_mesh([layer.points for layer in layers.values()], size)
    if options.refine:
        fine = refined(list(layers.values()), mesh, size)
        layers = dict(zip(layers, fine, strict=True))
    return PreparedPerson(person, faces, layers, mesh, size, crop, grey)


def _layer(face: Aligned, crop: Float | None, grey: bool, neutral: bool) -> Layer:
    pixels = _grey(face.image.pixels) if grey else face.image.pixels
    if crop is None:
        return make_layer(pixels, face.points, None if neutral else face.matrix)
    points = face.points @ crop[:, :2].T + crop[:, 2]
    return make_layer(pixels, points, chained(inverse(crop), face.matrix))


def _grey(pixels: UInt8) -> UInt8:
    """(H, W); where the channels are the same already, any of them."""
    if (pixels == pixels[..., :1]).all():
        return np.ascontiguousarray(pixels[..., 0])
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))

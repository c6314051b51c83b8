"""Near infrared inside the generator: the photo before it is drawn on, or each picture after.

Order ``photo`` translates the neutral photo once and renders every expression from
the result, order ``image`` translates each rendered picture; ``docs/nir.md``
compares them. Inside the renderer a NIR picture has three equal channels.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.render.face import Rendered
from synth.seeds import sample_seed
from synth.translation import Translator
from synth.types import FaceImage, Landmarks

__all__ = ["grey", "nir_drawn", "nir_photo"]

UInt8 = NDArray[np.uint8]


def grey(pixels: UInt8) -> UInt8:
    """(H, W) luminance of a picture (H, W, 3), ITU-R BT.601 on sRGB values."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def nir_photo(
    translator: Translator, image: FaceImage, landmarks: Landmarks, seed: int
) -> FaceImage:
    """The photo in near infrared, by the seed of a run; name and digest stay the file's."""
    nir = translator(image.pixels, landmarks.points, sample_seed(seed, image.sha256, 0))
    note = f"translated to NIR ({translator.method})"
    return replace(image, pixels=np.repeat(nir[..., None], 3, 2), notes=(*image.notes, note))


def nir_drawn(translator: Translator, drawn: Rendered, seed: int) -> Rendered:
    """A drawn face in near infrared; all of its pixels count as changed."""
    nir = translator(drawn.pixels, drawn.landmarks, seed)
    mask = np.ones(drawn.mask.shape, bool)
    return replace(drawn, pixels=np.repeat(nir[..., None], 3, 2), mask=mask)

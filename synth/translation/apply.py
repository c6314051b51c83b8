"""Near infrared inside the generator: the photo before it is drawn on, or each picture after.

Order ``photo`` translates the neutral photo once and renders every expression from
the result, order ``image`` translates each rendered picture; ``docs/nir.md``
compares them. Inside the renderer a NIR picture has three equal channels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synth.color import to_rgb
from synth.render.face import Rendered
from synth.seeds import sample_seed
from synth.translation import Translator
from synth.types import FaceImage, Landmarks

__all__ = ["nir_drawn", "nir_photo"]


def nir_photo(
    translator: Translator, image: FaceImage, landmarks: Landmarks, seed: int
) -> FaceImage:
    """The photo in near infrared, by the seed of a run; name and digest stay the file's."""
    nir = translator(image.pixels, landmarks.points, sample_seed(seed, image.sha256, 0))
    note = f"translated to NIR ({translator.method})"
    return replace(image, pixels=to_rgb(nir), notes=(*image.notes, note))


def nir_drawn(translator: Translator, drawn: Rendered, seed: int) -> Rendered:
    """A drawn face in near infrared; all of its pixels count as changed."""
    nir = translator(drawn.pixels, drawn.landmarks, seed)
    mask = np.ones(drawn.mask.shape, bool)
    return replace(drawn, pixels=to_rgb(nir), mask=mask)

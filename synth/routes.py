"""Which way a picture is made, and what is done to it as a whole afterwards.

======  =======================================================================
3dmm    the expression is drawn on the fitted model (`synth.render`)
ganmut  the neutral face, in its drawn pose, is edited by a conditional network
        (`synth.editing`)
======  =======================================================================

`Settings.route` shares pictures out among them. With ``refine`` the network goes over
what the model drew. Near infrared comes before (the photo is translated) or after
(each picture is): `synth.translation`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from synth.acting import Act
from synth.editing import Editor, EditSettings, get_editor
from synth.editing.photos import describe, edit_picture
from synth.editing.ranges import code_of
from synth.parts import Parts
from synth.render.face import Rendered
from synth.targets import Target
from synth.translation.apply import nir_drawn, nir_photo
from synth.types import FaceImage, Landmarks

__all__ = ["Routes"]

#: Mixed into a picture's seed where its route is drawn.
SALT = 0x60DE
#: What is left of a distilled editor's strength over a face that shows the expression
#: already: it learned to move neutral faces. The paper's network sets, it does not add.
ON_TOP = 0.3


class Routes(Parts):
    """Parts of a generator that decide a picture's route and finish it."""

    @cached_property
    def editor(self) -> Editor:
        """The conditional network of the route ``ganmut``."""
        return get_editor(self.editor_path, self.torch_device)

    def preload(self) -> None:
        """Load every part now, so that what is missing is said before the first photo."""
        super().preload()
        if self.edits:
            _ = self.editor

    def route_of(self, seed: int) -> str:
        """The route of a picture, drawn from its seed by the shares asked for."""
        if len(self.routes) == 1:
            return next(iter(self.routes))
        names, shares = zip(*self.routes.items(), strict=True)
        drawn = np.random.default_rng([seed, SALT]).random() * sum(shares)
        return str(names[int(np.searchsorted(np.cumsum(shares)[:-1], drawn, side="right"))])

    def light_of(self, image: FaceImage, landmarks: Landmarks) -> FaceImage:
        """The photo in the light that it is drawn on."""
        if not self.nir or self.nir_order == "image":
            return image
        return nir_photo(self.translator, image, landmarks, self.seed)

    def routed(self, done: Act, seed: int) -> Act:
        """What the model draws of an act: nothing, where a network does it all."""
        if self.route_of(seed) == "3dmm":
            return done
        return replace(done, weights=np.zeros_like(done.weights))

    def edited(self, drawn: Rendered, target: Target, seed: int) -> Rendered:
        """A drawn face edited, if that is its route, or refined."""
        alone = self.route_of(seed) == "ganmut"
        if not alone and not self.refine:
            return drawn
        code, rho = code_of(target, self.editor.space, seed), 1.0
        if not alone and self.editor.method == "distilled":
            rho = ON_TOP
        settings, rho = EditSettings(), round(code.rho * rho, 6)
        pixels, (x0, y0, x1, y1) = edit_picture(
            self.editor, drawn.pixels, drawn.landmarks, code.theta, rho, settings
        )
        mask = drawn.mask.copy()
        mask[y0:y1, x0:x1] = True
        how = describe(self.editor, settings, (x0, y0, x1, y1))
        how |= {"theta": code.theta, "rho": rho, "alone": alone}
        return replace(drawn, pixels=pixels, mask=mask, edited=how)

    def finish(self, drawn: Rendered, seed: int) -> Rendered:
        """What is done to a picture last: its translation, if each is to be translated."""
        if not self.nir or self.nir_order == "photo":
            return drawn
        return nir_drawn(self.translator, drawn, seed)

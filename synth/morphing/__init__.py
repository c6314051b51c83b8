"""MorphSet: a person's neutral and apex photos to faces all over the plane, by morphing.

`template` says which points of the plane and which photos mixed how, `people` reads the
table of labels, `align` brings the photos of a person together and refuses those that
do not go together, `mesh` and `warp` are the morph, `photos` puts them in order.
"""

from __future__ import annotations

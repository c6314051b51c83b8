"""MorphSet: a person's neutral and apex photos to faces all over the plane, by morphing.

`template` says which points of the plane and which photos mixed how, `people` reads the
table of labels, `align` brings the photos of a person together and refuses those that
do not go together, `layout` puts them on the result's pixels. `mesh`, `warp`, `mouth` and
`refine` are the morph of `layers`; `photos` puts all in order, `record` tells what was
done, and `runs` goes on with an earlier run.
"""

from __future__ import annotations

"""The 52 ARKit blendshapes: names, order, and what a mirror does to them.

*Left* is the subject's left. The order is the one of the committed gallery and
of the MakeHuman face units; assets carry the names, so that consumers match by
name and never by position.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["NAMES", "OPPOSITES", "index_of", "mirror_order", "stem_columns"]

#: Stems that exist as Left and Right, and single blendshapes, in gallery order.
_ORDER = """
browDown* browInnerUp browOuterUp* cheekPuff cheekSquint* eyeBlink* eyeLookDown* eyeLookIn*
eyeLookOut* eyeLookUp* eyeSquint* eyeWide* jawForward jawLeft jawOpen jawRight mouthClose
mouthDimple* mouthFrown* mouthFunnel mouthLeft mouthLowerDown* mouthPress* mouthPucker mouthRight
mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmile* mouthStretch*
mouthUpperUp* noseSneer* tongueOut
""".split()

#: The 52 names.
NAMES: tuple[str, ...] = tuple(
    name
    for stem in _ORDER
    for name in ((stem[:-1] + "Left", stem[:-1] + "Right") if stem.endswith("*") else (stem,))
)

_INDEX = {name: i for i, name in enumerate(NAMES)}


def index_of(name: str) -> int:
    """Position of a blendshape in `NAMES` (KeyError for an unknown name)."""
    return _INDEX[name]


def stem_columns(stem: str) -> tuple[int, ...]:
    """Positions of ``stem`` (one), or of ``stemLeft, stemRight`` (two, in this order)."""
    if stem in _INDEX:
        return (_INDEX[stem],)
    return (_INDEX[stem + "Left"], _INDEX[stem + "Right"])


def _partner(name: str) -> str:
    if name.endswith("Left"):
        return name[:-4] + "Right"
    if name.endswith("Right"):
        return name[:-5] + "Left"
    return name


_MIRROR = np.array([_INDEX[_partner(name)] for name in NAMES])
_MIRROR.flags.writeable = False


def mirror_order(count: int = 52) -> NDArray[np.int64]:
    """(count,) permutation: ``weights[mirror_order()]`` are those of the mirrored face.

    What follows the 52 (a gallery's own blendshapes) keeps its place: nothing is known of its
    mirror image.
    """
    return _MIRROR if count == len(NAMES) else np.r_[_MIRROR, np.arange(len(NAMES), count)]


#: Pairs of blendshapes that undo each other (positions in `NAMES`).
OPPOSITES: tuple[tuple[int, int], ...] = tuple(
    (_INDEX[a], _INDEX[b])
    for a, b in [
        ("jawLeft", "jawRight"),
        ("mouthLeft", "mouthRight"),
        ("eyeLookInLeft", "eyeLookOutLeft"),
        ("eyeLookInRight", "eyeLookOutRight"),
        ("eyeLookUpLeft", "eyeLookDownLeft"),
        ("eyeLookUpRight", "eyeLookDownRight"),
    ]
)

"""BU-3DFE, its photos.

Yin, Wei, Sun, Wang & Rosato, "A 3D Facial Expression Database For Facial Behavior Research",
FG 2006. 100 people, neutral and six expressions in four intensities, 2,500 faces. From Binghamton
University after an agreement, for research.

Layout::

    ROOT/F0001/F0001_AN01WH_F2D.bmp      also with folders in between
    ROOT/M0044/M0044_NE00WH_F2D.bmp

F or M and four digits are the person, then AN anger, DI disgust, FE fear, HA happiness, NE
neutral, SA sadness, SU surprise, the level (01 weakest to 04 strongest, 00 for neutral) and the
ethnicity: WH white, BL black, AE East-Asian, AM Middle-East Asian, IN Indian, LA Hispanic-Latino;
another code is the group's name as it stands. Only the photos ``_F2D`` are read: textures
(``_F3D.bmp``) and meshes are not. Gender and ethnicity are groups, the person's expressions
sequences with the level as the frame's number.

Options: ``levels``: ``all`` (default), or the levels wanted, such as ``3,4``; neutral faces are
always kept.
"""

from __future__ import annotations

import re
from pathlib import Path

from synth.corpora.image import CorpusImage, in_order
from synth.corpora.tree import photos, wrong
from synth.errors import UsageError

__all__ = ["CODES", "ETHNICITIES", "read"]

LAYOUT = "F0001/F0001_AN01WH_F2D.bmp"
NAME = re.compile(r"([FM]\d{4})_([A-Z]{2})(\d\d)([A-Z]{2})_F2D", re.IGNORECASE)
CODES = {
    "AN": "anger",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}
ETHNICITIES = {
    "WH": "white",
    "BL": "black",
    "AE": "East-Asian",
    "AM": "Middle-East Asian",
    "IN": "Indian",
    "LA": "Hispanic-Latino",
}
STRONGEST = 4


def read(root: Path, levels: str = "all") -> list[CorpusImage]:
    """The photos of `root`; see the head of the module.

    Raises
    ------
    UsageError
        If there are none, or a name has an unknown expression or level.
    """
    wanted = _levels(levels)
    images = []
    for path in photos(root):
        hit = NAME.fullmatch(path.stem)
        if hit is None:
            continue
        person, code, level, ethnicity = (text.upper() for text in hit.groups())
        strength = int(level)
        fits = strength == 0 if code == "NE" else 1 <= strength <= STRONGEST
        if code not in CODES or not fits:
            raise UsageError(
                f"bu-3dfe: expected a name such as F0001_AN01WH_F2D.bmp with {', '.join(CODES)} "
                f"and 01 to 04 (NE: 00), got {path.name}"
            )
        if strength and strength not in wanted:
            continue
        images.append(
            CorpusImage(
                path,
                path.relative_to(root).as_posix(),
                subject=person,
                spectrum="vis",
                expression=CODES[code],
                sequence=f"{person}-{CODES[code]}",
                frame=strength,
                groups=(
                    ("ethnicity", ETHNICITIES.get(ethnicity, ethnicity)),
                    ("gender", "female" if person[0] == "F" else "male"),
                ),
            )
        )
    if not images:
        raise wrong("bu-3dfe", LAYOUT, root)
    return in_order(images)


def _levels(text: str) -> set[int]:
    if text.strip().lower() == "all":
        return set(range(1, STRONGEST + 1))
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and 1 <= int(word) <= STRONGEST for word in words):
        raise UsageError(f"levels: expected all, or levels from 1 to {STRONGEST}, got {text!r}")
    return {int(word) for word in words}

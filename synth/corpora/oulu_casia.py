"""Oulu-CASIA NIR&VIS facial expression database.

Zhao, Huang, Taini, Li & Pietikainen, "Facial expression recognition from near-infrared
videos", Image and Vision Computing 29(9), 2011. 80 people, six expressions from neutral to
apex, a VIS and a NIR camera side by side, three illuminations, 320 x 240 px, 25 frames a
second. Free for research after a signed agreement with the University of Oulu.

Layout::

    ROOT/NI/Strong/P001/Anger/000.jpeg      spectrum VL or NI, light Strong, Weak or Dark
    ROOT/VL/Strong/P001/Anger/000.jpeg

Such a tree is looked for in ROOT and up to three folders below it: the archives put it in
``OriginalImg``, ``B_OriginalImg`` (whole frames) or ``F_PreprocImg`` (aligned faces). With
several of them the option ``tree`` says which one.

Read: light, person, expression and number of each frame. Frames whose number is below a
quarter of the sequence's length are neutral [1]_. VL and NI frames of the same light,
person, expression and number are a pair; the two cameras see the face from slightly
different places, and the two recordings may differ in length.

Options: ``light``: ``strong`` (default), ``weak``, ``dark`` or ``all``. ``tree``: name of a
folder on the way to the tree. ``va``: ``none`` (default), ``thesis`` or ``linear``: automatic
valence and arousal, see `automatic_va`; they are a rule, not an observation.

References
----------
.. [1] Kalabis, "Facial expression analysis from NIR image", diploma thesis, CTU Prague 2024.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.affect import BASIC_EXPRESSIONS, EXPRESSIONS
from synth.corpora.image import CorpusImage, expression_of, in_order, word_of
from synth.corpora.tree import child, descend, folders, photos, wrong
from synth.errors import UsageError

__all__ = ["automatic_va", "neutral_frames", "read"]

LAYOUT = "VL/ and NI/ with LIGHT/PERSON/EXPRESSION/FRAME, for example NI/Strong/P001/Anger/000.jpeg"
LIGHTS = ("strong", "weak", "dark")
FOLDERS = {"vis": "VL", "nir": "NI"}
PERSON = re.compile(r"[Pp]\d+")


def read(root: Path, light: str = "strong", va: str = "none", tree: str = "") -> list[CorpusImage]:
    """The frames of `root`; see the head of the module.

    Raises
    ------
    UsageError
        If there is no tree, several and none chosen, or no frame of the light asked for.
    """
    light = word_of("light", light, (*LIGHTS, "all"))
    va = word_of("va", va, ("none", "thesis", "linear"))
    top = _tree(root, tree)
    images = [
        image
        for spectrum, name in FOLDERS.items()
        for word in (LIGHTS if light == "all" else (light,))
        if (side := child(top, name)) and (lit := child(side, word))
        for person in folders(lit)
        if PERSON.fullmatch(person.name)
        for sequence in folders(person)
        for image in _frames(root, sequence, spectrum, word, va)
    ]
    if not images:
        raise wrong("oulu-casia", f"frames in {LAYOUT} (light: {light})", top)
    return in_order(images)


def _tree(root: Path, chosen: str) -> Path:
    found = descend(root, lambda folder: any(child(folder, n) for n in FOLDERS.values()))
    names = {path: path.relative_to(root).as_posix() for path in found}
    if chosen:
        found = [p for p in found if chosen.lower() in names[p].lower().split("/")]
    if len(found) == 1:
        return found[0]
    if not names:
        raise wrong("oulu-casia", LAYOUT, root)
    raise UsageError(
        f"tree: expected the name of one folder with VL and NI in {root}, got {chosen!r}; "
        f"there are {', '.join(names.values())}"
    )


def _frames(root: Path, folder: Path, spectrum: str, light: str, va: str) -> Iterator[CorpusImage]:
    """The frames of one sequence, labelled by their place in it."""
    expression = expression_of(folder.name, f"oulu-casia: {folder}")
    if expression not in BASIC_EXPRESSIONS:
        raise UsageError(
            f"oulu-casia: expected a folder of {', '.join(BASIC_EXPRESSIONS)}, got {folder}"
        )
    paths = photos(folder, recursive=False)
    neutral = neutral_frames(len(paths))
    labels = None if va == "none" else automatic_va(expression, len(paths), va)
    sequence = f"{folder.parent.name.upper()}-{expression}-{light}"
    for i, path in enumerate(paths):
        frame = int(path.stem) if path.stem.isascii() and path.stem.isdigit() else i
        yield CorpusImage(
            path,
            path.relative_to(root).as_posix(),
            subject=folder.parent.name.upper(),
            spectrum=spectrum,
            expression="neutral" if i < neutral else expression,
            valence=None if labels is None else float(labels[i, 0]),
            arousal=None if labels is None else float(labels[i, 1]),
            sequence=sequence,
            frame=frame,
            light=light,
            pair=f"{sequence}-{frame:03d}",
        )


def neutral_frames(length: int) -> int:
    """How many frames at the start of a sequence are neutral: those below a quarter of it."""
    return -(-length // 4)


def automatic_va(expression: str, length: int, how: str = "thesis") -> NDArray[np.float64]:
    """Valence and arousal of the frames of a sequence from neutral to apex.

    With the apex ``a`` of the expression (`synth.affect.EXPRESSIONS`) and ``t = i / (n - 1)``
    for frame i of n:

    - ``thesis``: ``(1 - 10 ** (-2 t)) a``, and (0, 0) for the first ``floor(n / 4)`` frames
      (Eq. 3.1 of the thesis [1]_ as its published code and label tables have it, where it
      holds to the last digit). The apex frame has .99 of the apex. Where 4 does not divide
      n, the last frame called neutral has nevertheless an intensity of about .68.
    - ``linear``: ``t a``, an earlier variant in the same code.

    The published tables counted ``Thumbs.db`` as a frame where there is one, which shifts
    the labels of those sequences; here only photos count.

    Parameters
    ----------
    expression : str
        A key of `synth.affect.EXPRESSIONS`.
    length : int
        Frames of the sequence, n.
    how : str
        ``thesis`` or ``linear``.

    Returns
    -------
    (n, 2) float64
        A sequence of a single frame is at its start: (0, 0).

    References
    ----------
    .. [1] Kalabis, "Facial expression analysis from NIR image", CTU Prague 2024, Eq. 3.1.
    """
    apex = EXPRESSIONS[expression]
    t = np.linspace(0, 1, length)
    intensity = 1 - 10 ** (-2 * t) if how == "thesis" else t
    if how == "thesis":
        intensity[: length // 4] = 0
    return intensity[:, None] * (apex.valence, apex.arousal)

"""The circumplex: expressions and words on it, grids, square ratings, target files.

Valence from unpleasant (-1) to pleasant (+1), arousal from calm (-1) to excited
(+1), inside the unit disc (Russell 1980).
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import TargetError
from synth.types import VA

__all__ = [
    "BASIC_EXPRESSIONS",
    "CLASSES",
    "EXPRESSIONS",
    "STATES",
    "UNLABELLED",
    "disc_to_square",
    "expression_name",
    "name_of",
    "read_va_file",
    "square_to_disc",
    "va_grid",
]

Float = NDArray[np.float64]

#: Expressions by index: AffectNet's order (its labels 0 to 7).
CLASSES: tuple[str, ...] = (
    "neutral",
    "happiness",
    "sadness",
    "surprise",
    "fear",
    "disgust",
    "anger",
    "contempt",
)
#: Index of a face without a class: what `torch.nn.CrossEntropyLoss` ignores.
UNLABELLED = -100

#: The six basic expressions, neutral left out.
BASIC_EXPRESSIONS: tuple[str, ...] = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
)

#: Full-strength expressions on the circumplex. The six basics: the table used with the
#: Oulu-CASIA NIR faces, whose frames all lie on these rays; contempt: mean of the AffectNet
#: annotations of that class (-.508, .579).
EXPRESSIONS: dict[str, VA] = {
    "neutral": VA(0, 0),
    "anger": VA(-0.44, 0.80),
    "disgust": VA(-0.64, 0.50),
    "fear": VA(-0.10, 0.80),
    "happiness": VA(0.92, 0.15),
    "sadness": VA(-0.84, -0.40),
    "surprise": VA(0.30, 0.85),
    "contempt": VA(-0.51, 0.58),
}

#: Adjectives and synonyms users write.
_ALIASES = {
    "angry": "anger",
    "disgusted": "disgust",
    "afraid": "fear",
    "fearful": "fear",
    "happy": "happiness",
    "joy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
    "contemptuous": "contempt",
}

#: Words for places on the circumplex, besides `EXPRESSIONS`. Sources: [RM] Russell & Mehrabian
#: 1977, [R] Russell 1980 Fig. 4 (digitised), [A] placed by the author between neighbours.
STATES: dict[str, VA] = EXPRESSIONS | {
    "delighted": VA(0.83, 0.39),  # [R], radius [A]
    "joyful": VA(0.76, 0.48),  # [RM]
    "excited": VA(0.62, 0.76),  # [R]
    "astonished": VA(0.16, 0.89),  # [R]
    "awed": VA(0.30, 0.62),  # [A]
    "interested": VA(0.50, 0.40),  # [A]
    "pleased": VA(0.77, 0.19),  # [R]
    "glad": VA(0.86, -0.17),  # [R], radius [A]
    "calm": VA(0.56, -0.31),  # [R]
    "relaxed": VA(0.69, -0.45),  # [R]
    "tranquil": VA(0.48, -0.72),  # [A]
    "sleepy": VA(0.28, -0.67),  # [R]
    "tired": VA(0.04, -0.63),  # [R]
    "fatigued": VA(-0.18, -0.57),  # [RM]
    "drowsy": VA(0.10, -0.90),  # [A]
    "bored": VA(-0.65, -0.62),  # [RM]
    "depressed": VA(-0.72, -0.29),  # [RM]
    "disappointed": VA(-0.60, -0.20),  # [A]
    "miserable": VA(-0.70, -0.08),  # [R]
    "distressed": VA(-0.61, 0.28),  # [A]
    "confused": VA(-0.53, 0.27),  # [RM]
    "annoyed": VA(-0.55, 0.41),  # [R]
    "frustrated": VA(-0.64, 0.52),  # [RM]
    "enraged": VA(-0.44, 0.72),  # [RM]
    "alarmed": VA(-0.10, 0.88),  # [R], radius [A]
}


def expression_name(text: str) -> str:
    """The expression's name in `EXPRESSIONS` for a name or adjective, any letter case.

    Raises
    ------
    TargetError
        If it is none of them.
    """
    key = text.strip().lower()
    key = _ALIASES.get(key, key)
    if key not in EXPRESSIONS:
        raise TargetError(f"expression: expected one of {', '.join(EXPRESSIONS)}, got {text!r}")
    return key


def name_of(va: VA) -> str:
    """The word nearest to a point; ties go to the first in `STATES`."""
    words = list(STATES)
    points = np.array([[s.valence, s.arousal] for s in STATES.values()])
    offset = points - (va.valence, va.arousal)
    return words[int((offset**2).sum(1).argmin())]


def va_grid(n: int) -> list[VA]:
    """The points of an n x n lattice over [-1, 1]^2 that lie in the disc.

    Sorted by valence, then arousal. Contains (0, 0) when `n` is odd.

    Raises
    ------
    TargetError
        If `n` is not 1 or at least 3 (the lattice of 2 has only the corners
        of the square, which lie outside the disc).
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1 or n == 2:
        raise TargetError(f"va-grid: expected 1 or an integer of at least 3, got {n!r}")
    if n == 1:
        return [VA(0, 0)]
    # (2 i - (n - 1)) / (n - 1) hits -1, 0 and 1 exactly
    axis = [(2 * i - (n - 1)) / (n - 1) for i in range(n)]
    return [VA(v, a) for v in axis for a in axis if np.hypot(v, a) <= 1 + 1e-9]


def square_to_disc(points: ArrayLike) -> Float:
    """(..., 2) points of the unit disc for ratings on the square [-1, 1]^2.

    The concentric map [1]_: squares around the origin become circles, so the
    larger of the two ratings becomes the intensity. Exact at (0, 0) and on the
    axes; `disc_to_square` undoes it.

    Raises
    ------
    TargetError
        If a value is not finite or outside [-1, 1].

    References
    ----------
    .. [1] Shirley & Chiu, "A low distortion map between disk and square", 1997.
    """
    square = _pairs_of(points, "square rating")
    if (np.abs(square) > 1 + 1e-9).any():
        raise TargetError(
            f"square rating: expected values in [-1, 1], got up to {np.abs(square).max():.3g}; "
            "rescale the ratings"
        )
    x, y = square[..., 0], square[..., 1]
    wide = np.abs(x) >= np.abs(y)
    major, minor = np.where(wide, x, y), np.where(wide, y, x)
    angle = np.pi / 4 * _ratio(minor, major)
    along, across = major * np.cos(angle), major * np.sin(angle)
    return np.stack([np.where(wide, along, across), np.where(wide, across, along)], axis=-1)


def disc_to_square(points: ArrayLike) -> Float:
    """(..., 2) ratings on the square for points of the unit disc; inverse of `square_to_disc`.

    Raises
    ------
    TargetError
        If a value is not finite or a point lies outside the unit disc.
    """
    disc = _pairs_of(points, "va")
    u, v = disc[..., 0], disc[..., 1]
    radius = np.hypot(u, v)
    if (radius > 1 + 1e-9).any():
        raise TargetError(
            f"va: expected points inside the unit disc, got radius {radius.max():.3g}; "
            "divide by the radius"
        )
    wide = np.abs(u) >= np.abs(v)
    major, minor = np.where(wide, u, v), np.where(wide, v, u)
    size = np.where(major < 0, -radius, radius)
    other = size * 4 / np.pi * np.arctan(_ratio(minor, major))
    return np.stack([np.where(wide, size, other), np.where(wide, other, size)], axis=-1)


def _ratio(minor: Float, major: Float) -> Float:
    """minor / major, and 0 where both are 0."""
    return minor / np.where(major == 0, 1.0, major)


def _pairs_of(points: ArrayLike, what: str) -> Float:
    array = np.asarray(points, np.float64)
    if array.ndim < 1 or array.shape[-1] != 2 or not np.isfinite(array).all():
        raise TargetError(f"{what}: expected finite (..., 2) numbers, got shape {array.shape}")
    return array


def read_va_file(path: str | Path) -> list[tuple[VA, str]]:
    """Targets of a CSV file with the columns valence and arousal.

    An optional column ``expression`` names a basic expression; a row may then
    leave valence and arousal empty and takes the expression's own. Column
    names in any letter case; blank lines and lines starting with # are skipped.

    Returns
    -------
    list of (VA, str)
        Target and expression name ("" where none is given), in file order.

    Raises
    ------
    TargetError
        If the file cannot be read, a column is missing, or a line holds no
        valid target; the message names the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError(f"va-file: expected a readable text file, got {path}: {error}") from None
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise TargetError(f"va-file: expected a header and targets, got an empty file {path}")
    header = [name.strip().lower() for name in next(csv.reader([lines[0][1]]))]
    if "valence" not in header or "arousal" not in header:
        raise TargetError(
            f"va-file: expected columns valence and arousal in {path} line {lines[0][0]}, "
            f"got {', '.join(header)}; add a header line"
        )
    targets = [_target(path, number, header, line) for number, line in lines[1:]]
    if not targets:
        raise TargetError(f"va-file: expected at least one target, got only a header in {path}")
    return targets


def _target(path: str | Path, number: int, header: list[str], line: str) -> tuple[VA, str]:
    cells = next(csv.reader([line]))
    row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
    try:
        name = expression_name(row["expression"]) if row.get("expression") else ""
        if name and not row.get("valence") and not row.get("arousal"):
            return EXPRESSIONS[name], name
        return VA.parse(f"{row.get('valence', '')},{row.get('arousal', '')}"), name
    except TargetError as error:
        raise TargetError(f"va-file: {path} line {number}: {error}") from None

"""One labelled picture before its pixels are read, and how labels in tables are understood."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from synth.affect import expression_name
from synth.errors import TargetError, UsageError
from synth.recognition.faces import CLASSES, SPECTRA, UNLABELLED

__all__ = ["FaceRow", "class_index", "number", "plain_subject", "word"]

#: What tables write where there is nothing.
_NOTHING = ("", "none", "nan", "-")


@dataclass(frozen=True)
class FaceRow:
    """A picture that a set names, and what the set says about it.

    Attributes
    ----------
    name : str
        Unique in the set.
    source : Path or callable
        The file, or what gives its bytes.
    valence, arousal : float
        In [-1, 1]; both NaN where the set does not tell.
    label : int
        Position in `synth.recognition.faces.CLASSES`, or `UNLABELLED`.
    subject : str
        Who it shows; "" where unknown.
    origin : {"synthetic", "real"}
    spectrum : {"vis", "nir"}
    groups : tuple of (str, str)
        Such as ``("gender", "female")``.
    """

    name: str
    source: Path | Callable[[], bytes]
    valence: float = math.nan
    arousal: float = math.nan
    label: int = UNLABELLED
    subject: str = ""
    origin: str = "real"
    spectrum: str = "vis"
    groups: tuple[tuple[str, str], ...] = ()


def class_index(text: str, place: str, va: tuple[float, float] = (math.nan, math.nan)) -> int:
    """Position in `CLASSES` of an expression by name or number, `UNLABELLED` for none.

    A face at the point (0, 0) that has no name is neutral. A mixture such as
    ``happiness+surprise`` is no class.

    Raises
    ------
    UsageError
        If it is no class; the message starts with `place`.
    """
    cell = text.strip().lower()
    if cell in _NOTHING:
        return 0 if va == (0, 0) else UNLABELLED
    if "+" in cell:
        return UNLABELLED
    if cell.isdecimal() and int(cell) < len(CLASSES):
        return int(cell)
    try:
        name = expression_name(cell)
    except TargetError:
        name = ""
    if name not in CLASSES:
        raise UsageError(
            f"{place}: expected an expression among {', '.join(CLASSES)} (or its number, 0 to "
            f"{len(CLASSES) - 1}; empty for none), got {text!r}; rename the classes in the table"
        )
    return CLASSES.index(name)


def number(text: str, place: str, column: str) -> float:
    """A number from -1 to 1, NaN for an empty cell.

    Raises
    ------
    UsageError
        For anything else.
    """
    if text.strip().lower() in _NOTHING:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not abs(value) <= 1:
        raise UsageError(
            f"{place}: expected a {column} from -1 to 1, got {text!r}; scale the annotations"
        )
    return value


def word(text: str, place: str, column: str, known: tuple[str, ...] = SPECTRA) -> str:
    """One of the `known` words, the first for an empty cell.

    Raises
    ------
    UsageError
        For another.
    """
    cell = text.strip().lower() or known[0]
    if cell not in known:
        raise UsageError(f"{place}: expected a {column} of {' or '.join(known)}, got {text!r}")
    return cell


def plain_subject(text: str) -> str:
    """A subject as its photo is called: tables of sets write ``id_007`` for 007."""
    return "" if text.lower() in _NOTHING else text.removeprefix("id_")

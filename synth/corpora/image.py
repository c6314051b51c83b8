"""One photo of somebody else's set, with what the set says about it."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from synth.affect import expression_name
from synth.errors import TargetError, UsageError

__all__ = [
    "SPECTRA",
    "SPLITS",
    "CorpusImage",
    "expression_of",
    "in_order",
    "number_in",
    "split_of",
    "word_of",
]

#: The two spectra.
SPECTRA = ("vis", "nir")

#: Parts that a set's authors made; validation sets are ``val``.
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class CorpusImage:
    """A photo on disk and its labels; the pixels are not read.

    Attributes
    ----------
    path : Path
    name : str
        The path relative to the set's folder, with ``/``; unique in the set.
    subject : str
        Who it shows; the same text in both spectra.
    spectrum : str
        ``vis`` or ``nir``.
    expression : str
        A name in `synth.affect.EXPRESSIONS`, or "" where the set does not tell.
    valence, arousal : float or None
        In [-1, 1]; both or neither. As the set gives them: a few annotators' points lie
        outside the unit disc.
    sequence : str
        Name of the video or series it is a frame of, or "".
    frame : int
        Its number there, or -1.
    light : str
        Name of the illumination, or "".
    pair : str
        The image of the other spectrum with the same text shows the same moment; "" where
        there is none.
    split : str
        The part in which the set's authors put it, one of `SPLITS`, or "".
    groups : tuple of (str, str)
        What the set tells of the person, such as ``("gender", "female")``; sorted by name.

    Raises
    ------
    UsageError
        If the spectrum or split is unknown, the subject is empty, or valence and arousal are
        not both numbers in [-1, 1] or both None.
    """

    path: Path
    name: str
    subject: str
    spectrum: str
    expression: str = ""
    valence: float | None = None
    arousal: float | None = None
    sequence: str = ""
    frame: int = -1
    light: str = ""
    pair: str = ""
    split: str = ""
    groups: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.spectrum not in SPECTRA:
            raise UsageError(f"spectrum: expected vis or nir, got {self.spectrum!r}")
        if not self.subject:
            raise UsageError(f"subject: expected a name for {self.name}, got an empty one")
        if self.split and self.split not in SPLITS:
            raise UsageError(
                f"split: expected one of {', '.join(SPLITS)} for {self.name}, or none, got "
                f"{self.split!r}"
            )
        affect = (self.valence, self.arousal)
        if affect != (None, None) and not all(
            value is not None and math.isfinite(value) and abs(value) <= 1 for value in affect
        ):
            raise UsageError(
                f"valence, arousal: expected two numbers from -1 to 1 for {self.name}, or none, "
                f"got {self.valence} and {self.arousal}"
            )


def in_order(images: Iterable[CorpusImage]) -> list[CorpusImage]:
    """The images by name, with `pair` only where both spectra are there.

    Raises
    ------
    UsageError
        If two images of one spectrum claim the same pair.
    """
    found = sorted(images, key=lambda image: image.name)
    count = Counter((image.pair, image.spectrum) for image in found if image.pair)
    for (pair, spectrum), times in sorted(count.items()):
        if times > 1:
            names = [i.name for i in found if (i.pair, i.spectrum) == (pair, spectrum)]
            raise UsageError(
                f"pairs: expected one {spectrum} image for {pair}, got {times}: "
                f"{', '.join(names[:3])}; give them different names, or leave all but one out"
            )
    whole = {pair for pair, _ in count if all((pair, s) in count for s in SPECTRA)}
    return [
        image if image.pair in whole or not image.pair else dataclasses.replace(image, pair="")
        for image in found
    ]


def word_of(option: str, value: str, words: Iterable[str]) -> str:
    """`value` in lower case.

    Raises
    ------
    UsageError
        If it is none of `words`.
    """
    known = tuple(words)
    word = value.strip().lower() if isinstance(value, str) else value
    if word not in known:
        raise UsageError(f"{option}: expected one of {', '.join(known)}, got {value!r}")
    return word


def expression_of(text: str, place: str) -> str:
    """The name in `synth.affect.EXPRESSIONS` for a cell or folder; "" for an empty one.

    Raises
    ------
    UsageError
        If it is none of them; the message starts with `place`.
    """
    try:
        return expression_name(text) if text.strip() else ""
    except TargetError as error:
        raise UsageError(f"{place}: {error}") from None


def split_of(text: str, place: str) -> str:
    """The name in `SPLITS` for a cell, ``validation`` being ``val``; "" for an empty one.

    Raises
    ------
    UsageError
        If it is none of them; the message starts with `place`.
    """
    word = text.strip().lower()
    word = {"validation": "val", "training": "train"}.get(word, word)
    if word and word not in SPLITS:
        raise UsageError(f"{place}: expected a split among {', '.join(SPLITS)}, got {text!r}")
    return word


def number_in(text: str, place: str, column: str) -> float | None:
    """The number in a cell, from -1 to 1; None for an empty one.

    Raises
    ------
    UsageError
        If it is no such number.
    """
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= 1:
        raise UsageError(f"{place}: expected a {column} from -1 to 1, got {text!r}")
    return value

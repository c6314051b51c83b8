"""FACS action units: asked for by code, and read off any face.

The table ``facts_au_to_arkit`` says what a full action unit does to the 52
blendshapes. `action_weights` adds its rows up; `read_action_units` solves for
the units behind given weights by non-negative least squares, over a core set in
which no unit is made up of others. *Left* is the subject's left; ``L`` and
``R`` before a code stand for one side.

References
----------
Ekman, Friesen & Hager, "Facial Action Coding System", 2002.
"""

from __future__ import annotations

import csv
import difflib
import math
import re
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth import assets
from synth.errors import ShapeError, TargetError
from synth.expressions.arkit import NAMES, index_of

__all__ = ["ACTION_UNITS", "CORE", "action_weights", "parse_actions", "read_action_units"]

Float = NDArray[np.float64]

#: FACS code -> name, the units that can be asked for. 30 and 46 need a side.
ACTION_UNITS: dict[str, str] = {
    "1": "Inner brow raiser", "2": "Outer brow raiser", "4": "Brow lowerer",
    "5": "Upper lid raiser", "6": "Cheek raiser", "7": "Lid tightener",
    "8": "Lips toward each other", "9": "Nose wrinkler", "10": "Upper lip raiser",
    "11": "Nasolabial deepener", "12": "Lip corner puller", "13": "Sharp lip puller",
    "14": "Dimpler", "15": "Lip corner depressor", "16": "Lower lip depressor",
    "17": "Chin raiser", "18": "Lip pucker", "19": "Tongue show", "20": "Lip stretcher",
    "22": "Lip funneler", "23": "Lip tightener", "24": "Lip pressor", "25": "Lips part",
    "26": "Jaw drop", "27": "Mouth stretch", "28": "Lip suck", "29": "Jaw thrust",
    "30": "Jaw sideways", "34": "Puff", "41": "Lid droop", "43": "Eyes closed",
    "45": "Blink", "46": "Wink", "61": "Eyes left", "62": "Eyes right",
    "63": "Eyes up", "64": "Eyes down",
}  # fmt: skip

#: Units that are read. Left out: those that are others at another strength or for another
#: time (11 of 9 and 10, 13 of 12, 16 of 25, 41, 45 and 46 of 43). 26 stands for the jaw:
#: beyond half open it is reported as 27, as FACS scores one of the two.
CORE: tuple[str, ...] = tuple(
    code for code in ACTION_UNITS if code not in {"11", "13", "16", "27", "41", "45", "46"}
)
#: Of two sums of units that give the same face, the one without the rare lip suck (23 is within
#: 2 % of 24 and 28 together): cost of each unit, 1 if not named.
_COST = {"28": 4.0}
#: The other side shows less than this share: the unit is reported for one side.
ONE_SIDED = 0.15
#: Weaker than this is not reported.
FAINT = 0.02

_ITEM = re.compile(r"(?:AU)?([LR]?)(?:AU)?(\d{1,3})([LR]?)", re.IGNORECASE)
_BLENDSHAPES = {name.lower(): name for name in NAMES}


def parse_actions(text: str) -> tuple[tuple[str, float], ...]:
    """Action units and blendshapes with their intensities, as asked for in `text`.

    Parameters
    ----------
    text : str
        ``NAME:INTENSITY`` separated by commas. NAME is a FACS code (``12``,
        ``AU12``), one side of it (``L12``, ``R14``, ``30L``) or a blendshape
        (``jawOpen``); INTENSITY is 0 to 1.

    Returns
    -------
    tuple of (str, float)
        In the order asked for; names as `action_weights` takes them (``12``,
        ``L12``, ``jawOpen``).

    Raises
    ------
    TargetError
        If nothing is asked for, a name is unknown, repeated or has no such
        side, or an intensity is not a number from 0 to 1.
    """
    actions = []
    for item in text.split(","):
        name, colon, value = item.partition(":")
        try:
            intensity = float(value) if colon else math.nan
        except ValueError:
            intensity = math.nan
        if not colon or not name.strip() or not 0 <= intensity <= 1:
            raise TargetError(
                "au: expected NAME:INTENSITY with an intensity from 0 to 1, such as "
                f"12:0.8,L14:0.5, got {item.strip()!r}"
            )
        actions.append((_canonical(name.strip()), intensity))
    _refuse_repeats([name for name, _ in actions])
    return tuple(actions)


def action_weights(actions: Iterable[tuple[str, float]]) -> Float:
    """(52,) blendshape weights, 0 to 1, of action units and blendshapes together.

    What several of them do to one blendshape adds up, to 1 at most. One side of
    a unit moves the blendshapes of that side and, half as far, the central ones,
    so that both sides together are the whole unit.

    Parameters
    ----------
    actions : iterable of (str, float)
        As `parse_actions` returns them.

    Raises
    ------
    TargetError
        If a name is unknown or has no such side, or an intensity is not a
        number from 0 to 1.
    """
    total = np.zeros(len(NAMES))
    for name, intensity in actions:
        if not 0 <= intensity <= 1:
            raise TargetError(f"au: expected an intensity from 0 to 1, got {name}:{intensity!r}")
        total += intensity * _effect(_canonical(name))
    return np.clip(total, 0, 1)


def read_action_units(weights: ArrayLike) -> dict[str, float]:
    """FACS intensities of a face, from its blendshape weights.

    Units of `CORE`, per side where they have sides, fitted by non-negative
    least squares; a blendshape at its limit may be the sum of more. Reported as
    ``"12"`` (mean of both sides), or as ``"L12"`` when the right side shows
    less than 15 % of the left. The jaw is ``"26"`` up to half open and
    ``"27"`` beyond. Blendshapes that belong to no unit (mouth to one side) are
    not reported.

    Parameters
    ----------
    weights : (52,) float
        In the order of `synth.expressions.arkit.NAMES`.

    Returns
    -------
    dict of str to float
        0.02 to 1, three decimals, in the order of `ACTION_UNITS`.

    Raises
    ------
    ShapeError
        If `weights` is not (52,).
    """
    face = np.asarray(weights, np.float64)
    if face.shape != (len(NAMES),):
        raise ShapeError(f"weights: expected ({len(NAMES)},), got {face.shape}")
    labels, columns = _core()
    found = dict(zip(labels, _fit(columns, face).tolist(), strict=True))
    report: dict[str, float] = {}
    for code in CORE:
        for name, value in _sides(code, found):
            if code == "26" and value > 1:
                name, value = "27", value / 2
            value = round(min(value, 1.0), 3)
            if value >= FAINT:
                report[name] = value
    return report


def _fit(columns: Float, face: Float) -> Float:
    """(U,) non-negative intensities; blendshapes at 1 may have been cut there."""
    from scipy.optimize import nnls

    target, cut = np.append(face, 0), np.append(face >= 1 - 1e-9, False)
    for _ in range(12 if cut.any() else 1):
        solution: Float = nnls(columns, target)[0]
        reached = columns @ solution
        if not (reached[cut] > target[cut] + 1e-4).any():
            break
        target[cut] = np.maximum(reached[cut], target[cut])
    return solution


def _sides(code: str, found: dict[str, float]) -> list[tuple[str, float]]:
    """A unit's values as they are reported: one for both sides, or each side's own."""
    if code in found:
        return [(code, found[code])]
    left, right = found[f"L{code}"], found[f"R{code}"]
    if code != "30" and min(left, right) >= ONE_SIDED * max(left, right):
        return [(code, (left + right) / 2)]
    if code == "30":
        return [("L30", left), ("R30", right)]
    return [(f"L{code}", left)] if left > right else [(f"R{code}", right)]


@cache
def _table() -> dict[str, dict[str, float]]:
    """FACS code, with its side where it has only that one -> blendshape -> weight."""
    table: dict[str, dict[str, float]] = {}
    with assets.path("facts_au_to_arkit").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            code, weight = row["au"], float(row["weight"])
            name = code[-1] + code[:-1] if code[-1] in "LR" else code
            if weight:
                table.setdefault(name, {})[row["blendshape"]] = weight
    return table


@cache
def _effect(name: str) -> Float:
    """(52,) what the full action does; `name` as `_canonical` gives it."""
    effect = np.zeros(len(NAMES))
    if name in _table():
        rows, side = _table()[name], ""
    elif name in NAMES:
        rows, side = {name: 1.0}, ""
    else:
        rows, side = _table()[name[1:]], "Left" if name[0] == "L" else "Right"
    for blendshape, weight in rows.items():
        if not side or blendshape.endswith(side):
            effect[index_of(blendshape)] = weight
        elif not blendshape.endswith(("Left", "Right")):
            effect[index_of(blendshape)] = weight / 2
    effect.flags.writeable = False
    return effect


@cache
def _core() -> tuple[tuple[str, ...], Float]:
    """Names of the fitted columns; their effects and, as row 53, a faint cost (53, U)."""
    labels = [name for code in CORE for name in _columns(code)]
    cost = [1e-3 * _COST.get(name.lstrip("LR"), 1.0) for name in labels]
    effects = np.stack([_effect(name) for name in labels], axis=1)
    return tuple(labels), np.vstack([effects, cost])


def _columns(code: str) -> tuple[str, ...]:
    sided = code not in _table() or _has_sides(code)
    return (f"L{code}", f"R{code}") if sided else (code,)


def _has_sides(code: str) -> bool:
    """Whether most of what a unit does is done by each side on its own."""
    sided = sum(w for name, w in _table()[code].items() if name.endswith(("Left", "Right")))
    return sided / 2 > sum(_table()[code].values()) - sided


def _canonical(name: str) -> str:
    """``12``, ``L12`` or ``jawOpen`` for what a user may write."""
    if name.lower() in _BLENDSHAPES:
        return _BLENDSHAPES[name.lower()]
    match = _ITEM.fullmatch(name)
    before, code, after = match.groups() if match else ("", "", "")
    if str(code) not in ACTION_UNITS or (before and after):
        raise TargetError(_unknown(name))
    side = (before or after).upper()
    if not side and code not in _table():
        raise TargetError(f"au: expected a side for {code}, got none; write L{code} or R{code}")
    if side and code in _table() and not _has_sides(code):
        raise TargetError(
            f"au: expected {code} without a side, got {name!r}; "
            f"{ACTION_UNITS[code].lower()} is done by the middle of the face"
        )
    return side + code


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, NAMES, n=2, cutoff=0.6)
    hint = f" (near: {', '.join(near)})" if near else ""
    return (
        f"au: expected one of {', '.join(ACTION_UNITS)}, L or R before it for one side, or a "
        f"blendshape such as jawOpen{hint}, got {name!r}"
    )


def _refuse_repeats(names: Sequence[str]) -> None:
    for i, name in enumerate(names):
        earlier = names[:i]
        if name in earlier:
            raise TargetError(f"au: expected each name once, got {name} twice")
        code = name.lstrip("LR")
        whole = code in ACTION_UNITS and {code, f"L{code}", f"R{code}"} & set(earlier)
        if whole and (name == code or code in earlier):
            raise TargetError(
                f"au: expected {code} or its sides, got both; write L{code} and R{code}"
            )

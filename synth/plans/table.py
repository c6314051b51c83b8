"""A plan: the table of every picture of a set before any pixel is made.

One row is one picture. The table is a CSV or Parquet file that can be printed, plotted
and edited. A picture's seed comes from the run's seed, the photo and the row's ``id``,
so that editing, adding or removing rows leaves the pictures of the others as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

from synth.affect import EXPRESSIONS, expression_name
from synth.errors import TargetError, UsageError
from synth.expressions.action_units import parse_actions
from synth.targets import Target
from synth.types import VA

__all__ = ["COLUMNS", "Plan", "PlanRow", "check_leaks", "check_plan", "check_row"]


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One picture to make.

    Attributes
    ----------
    id : int
        0 or more, unique in the plan; part of the picture's seed.
    source : str
        Name of the photo.
    subject : str
        Who the photo shows.
    split : str
        ``train``, ``val`` or ``test``; one for each subject.
    valence, arousal : float
        A point of the unit disc; (0, 0) with `actions`, whose label is read from the face.
    expression : str
        Name in `synth.affect.EXPRESSIONS` when that expression's own face is wanted;
        valence and arousal then lie on its ray.
    actions : str
        Action units and blendshapes as ``--au`` takes them: ``12:0.8,L14:0.5``.
    style : int
        0 is the mean face; from 1 on a person style is drawn from the picture's own seed.
    sequence : str
        Name of the sequence that the picture is a frame of, unique in the plan.
    frame : int
        Number of the frame, from 0; -1 for a still.
    fps : float
        Frames per second of the sequence; 0 for a still.
    """

    id: int
    source: str
    subject: str
    split: str
    valence: float
    arousal: float
    expression: str = ""
    actions: str = ""
    style: int = 1
    sequence: str = ""
    frame: int = -1
    fps: float = 0.0


#: Columns of the table, in order.
COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(PlanRow))
#: Splits and sequences become names of folders.
_FOLDER = re.compile(r"[\w+-][\w+.-]*")


@dataclass(frozen=True)
class Plan:
    """The pictures of a set, in order.

    Raises
    ------
    UsageError
        If there are no rows, or two have the same id.
    """

    rows: tuple[PlanRow, ...]

    def __post_init__(self) -> None:
        if not self.rows:
            raise UsageError("plan: expected at least one row, got none")
        seen: set[int] = set()
        for number, row in enumerate(self.rows, 1):
            if row.id in seen:
                raise UsageError(
                    f"plan: row {number}: expected each id once, got {row.id} again; "
                    "give added rows new numbers"
                )
            seen.add(row.id)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[PlanRow]:
        return iter(self.rows)


# ----------------------------------------------------------------------- checks
def check_row(row: PlanRow, place: str) -> None:
    """Refuse a row that cannot become a picture.

    Parameters
    ----------
    row : PlanRow
    place : str
        What messages call the row.

    Raises
    ------
    UsageError
        Names the column.
    """
    for check, column in _CHECKS:
        try:
            check(row)
        except UsageError as error:
            raise type(error)(f"plan: {place}: column {column}: {error}") from None


def _check_number(row: PlanRow) -> None:
    if not 0 <= row.id < 2**63:
        raise UsageError(f"expected 0 or more, got {row.id}")


@lru_cache(maxsize=4096)
def _check_folder(name: str) -> None:
    if name and not _FOLDER.fullmatch(name):
        raise UsageError(f"expected letters, digits, '_', '-', '+' and inner '.', got {name!r}")


def _check_style(row: PlanRow) -> None:
    if row.style < 0:
        raise UsageError(f"expected 0 or more, got {row.style}")


def _check_expression(row: PlanRow) -> None:
    if not row.expression:
        return
    if expression_name(row.expression) != row.expression:
        raise TargetError(f"expected one of {', '.join(EXPRESSIONS)}, got {row.expression!r}")
    Target(VA(row.valence, row.arousal), row.id, row.expression)


@lru_cache(maxsize=4096)
def _check_actions(actions: str, expression: str, valence: float, arousal: float) -> None:
    parse_actions(actions)
    if expression or valence or arousal:
        raise UsageError(
            "expected valence and arousal 0 and no expression where actions are given, "
            "because their label is read from the face"
        )


def _check_frame(row: PlanRow) -> None:
    if row.sequence and (row.frame < 0 or not 0 < row.fps <= 240):
        raise UsageError(
            f"expected a frame from 0 and fps above 0 to 240 in a sequence, got frame "
            f"{row.frame} and fps {row.fps:g}"
        )
    if not row.sequence and (row.frame != -1 or row.fps != 0):
        raise UsageError("expected frame and fps empty without a sequence")


#: What is checked of each row, and the column that messages name.
_CHECKS: tuple[tuple[Callable[[PlanRow], object], str], ...] = (
    (_check_number, "id"),
    (lambda row: _check_folder(row.split or "/"), "split"),
    (lambda row: _check_folder(row.sequence), "sequence"),
    (_check_style, "style"),
    (lambda row: VA(row.valence, row.arousal), "valence, arousal"),
    (_check_expression, "expression"),
    (
        lambda row: (
            row.actions and _check_actions(row.actions, row.expression, row.valence, row.arousal)
        ),
        "actions",
    ),
    (_check_frame, "frame"),
)


def check_plan(plan: Plan, place: Callable[[int], str] | None = None) -> None:
    """Check every row, the sequences, and that no subject is in two splits.

    Parameters
    ----------
    plan : Plan
    place : callable, optional
        What messages call row i; by default its number from 1.

    Raises
    ------
    UsageError
        Names the row and the column.
    """
    name = place or (lambda i: f"row {i + 1}")
    begun: dict[str, PlanRow] = {}
    frames: dict[str, int] = {}
    same = ("source", "expression", "actions", "style", "fps")
    for i, row in enumerate(plan):
        if place is None:  # a table's rows were checked while it was read
            check_row(row, name(i))
        if not row.sequence:
            continue
        first = begun.setdefault(row.sequence, row)
        if other := [c for c in same if getattr(row, c) != getattr(first, c)]:
            raise UsageError(
                f"plan: {name(i)}: column {other[0]}: expected {getattr(first, other[0])!r} in "
                f"every frame of {row.sequence}, got {getattr(row, other[0])!r}"
            )
        expected = frames.get(row.sequence, 0)
        if row.frame != expected:
            raise UsageError(
                f"plan: {name(i)}: column frame: expected frame {expected} of {row.sequence}, got "
                f"{row.frame}; keep all frames from 0 on, in order"
            )
        frames[row.sequence] = expected + 1
    check_leaks(plan)


def check_leaks(plan: Plan, duplicates: Iterable[Sequence[str]] = ()) -> None:
    """Refuse a plan that has one person in two splits.

    Parameters
    ----------
    plan : Plan
    duplicates : iterable of names
        Photos that are the same file, from `synth.plans.duplicate_sources`: one person,
        whatever their subjects are called.

    Raises
    ------
    UsageError
        If a subject is in two splits, a photo has two subjects, or the same photo is
        in two splits under several names.
    """
    split_of: dict[str, str] = {}
    subject_of: dict[str, str] = {}
    splits: dict[str, str] = {}
    for row in plan:
        if (split := split_of.setdefault(row.subject, row.split)) != row.split:
            raise UsageError(
                f"plan: column split: expected one split for subject {row.subject}, got {split} "
                f"and {row.split} (id {row.id}); a person must not be in two"
            )
        if (subject := subject_of.setdefault(row.source, row.subject)) != row.subject:
            raise UsageError(
                f"plan: column subject: expected one subject for photo {row.source}, got "
                f"{subject} and {row.subject} (id {row.id})"
            )
        splits[row.source] = row.split
    for names in duplicates:
        used = {splits[name]: name for name in names if name in splits}
        if len(used) > 1:
            where = " and ".join(f"{name} in {split}" for split, name in sorted(used.items()))
            raise UsageError(
                f"plan: expected a photo in one split, got the same file as {where}; "
                "remove one, or give both the same subject"
            )

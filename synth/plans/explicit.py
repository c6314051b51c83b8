"""Explicit wishes: a table with one wish a row."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from synth.affect import EXPRESSIONS, expression_name
from synth.errors import UsageError
from synth.expressions.action_units import parse_actions
from synth.plans.csv_rows import check_columns, number_of, read_rows
from synth.plans.wish import Wish
from synth.targets import Target
from synth.types import VA

__all__ = ["COLUMNS", "read_wishes"]

COLUMNS = ("valence", "arousal", "expression", "actions", "source", "style", "count")


def read_wishes(path: str | Path, photos: Collection[str]) -> tuple[list[Wish], list[int]]:
    """The wishes of a CSV file, and how many pictures of each.

    A row holds valence and arousal, an expression (full strength unless valence and
    arousal say how strong), or actions as ``--au`` takes them. Optional: ``source``, the
    photo it must be, any identity otherwise; ``style``, 0 for the mean face; ``count``,
    1 by default.

    Raises
    ------
    UsageError
        If the file cannot be read, columns are missing or unknown, or a row is not
        valid; the message names the line.
    """
    table = read_rows(path, "csv")
    check_columns(table, "csv", (), COLUMNS)
    enough = {"valence", "arousal"} <= set(table.columns)
    if not enough and not {"expression", "actions"} & set(table.columns):
        raise UsageError(
            f"csv: expected the columns valence and arousal, expression or actions in {path}, "
            f"got {', '.join(table.columns)[:120]}; add them to the header"
        )
    wishes, numbers = [], []
    for line, row in table.rows:
        try:
            wish = _wish(row)
            if wish.source and wish.source not in photos:
                raise UsageError(f"source: expected one of the photos, got {wish.source!r}")
            number = _whole(row.get("count") or "1", "count")
        except UsageError as error:
            raise type(error)(f"csv: {table.place(line)}: {error}") from None
        wishes.append(wish)
        numbers.append(number)
    if not sum(numbers):
        raise UsageError(f"csv: expected a count above 0 in {path}, got only 0")
    return wishes, numbers


def _whole(text: str, column: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"{column}: expected a whole number of 0 or more, got {text!r}")
    return int(text)


def _wish(row: dict[str, str]) -> Wish:
    expression, actions = row.get("expression", ""), row.get("actions", "")
    style = _whole(row["style"], "style") if row.get("style") else None
    source = row.get("source", "")
    has_va = bool(row.get("valence") or row.get("arousal"))
    if actions:
        if has_va or expression:
            raise UsageError(
                "actions: expected valence, arousal and expression empty beside actions, "
                "because their label is read from the face"
            )
        parse_actions(actions)
        return Wish(actions=actions, style=style, source=source)
    name = expression_name(expression) if expression else ""
    if has_va:
        v, a = (number_of(row.get(c, ""), "va", c) for c in ("valence", "arousal"))
        va = VA(v, a)
    elif name:
        va = EXPRESSIONS[name]
    else:
        raise UsageError("va: expected valence and arousal, an expression or actions, got none")
    Target(va, expression=name)  # refuses a point beside the expression's ray
    return Wish(va.valence, va.arousal, name, "", style, source)

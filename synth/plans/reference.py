"""What an existing set holds: its classes, or where it lies in the disc."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.affect import EXPRESSIONS, expression_name
from synth.errors import ShapeError, TargetError, UsageError
from synth.plans.csv_rows import CsvRows, number_of, read_rows
from synth.plans.density import BINS, bin_areas, va_histogram
from synth.types import VA

__all__ = ["Density", "read_classes_or_density", "read_density"]

Float = NDArray[np.float64]

#: Columns that may hold the class.
LABELS = ("expression", "label")
#: First header cell of a table of bins, as numpy users write it: rows are bins of valence,
#: columns of arousal, each named by its lower edge.
CORNER = ("v_lo\\a_lo", "v_lo/a_lo", "v_lo")


@dataclass(frozen=True, eq=False)
class Density:
    """A set's histogram in the disc.

    Attributes
    ----------
    counts : (B, B) float64
        Pictures in each bin, valence first.
    edges : (B + 1,) float64
        Along both axes, from -1 to 1.
    inside : (B, B) float64
        Share of the disc's area in each bin.
    shares : bool
        The file gave fractions, not whole numbers: how many pictures it describes is
        unknown, and `counts` holds what the file says (per cent, say).
    """

    counts: Float
    edges: Float
    inside: Float
    shares: bool = False

    @property
    def total(self) -> float:
        """Number of pictures, or the sum of the shares."""
        return float(self.counts.sum())

    def of(self, total: float) -> Density:
        """The same shares of `total` pictures."""
        return replace(self, counts=self.counts * (total / self.total), shares=False)


def read_density(path: str | Path, bins: int = BINS, what: str = "balance") -> Density:
    """The histogram of a set, from its labels or from a table of bins.

    Parameters
    ----------
    path : str or Path
        CSV with the columns ``valence`` and ``arousal`` (others are ignored), one row a
        picture; or a table of bins: in the header ``v_lo\\a_lo`` and the lower edges of
        the bins of arousal, in each row the lower edge of a bin of valence and the
        numbers, pictures or shares. Edges are the same on both axes and begin at -1;
        the last bin ends at 1.
    bins : int
        Along each axis, for labels; a table has its own.
    what : str
        What messages call it.

    Raises
    ------
    UsageError
        If it is neither, or a row is not valid; the message names the line.
    """
    table = read_rows(path, what)
    if table.columns[0].replace(" ", "") in CORNER:
        return _binned(table, what)
    return _labelled(table, bins, what)


def read_classes_or_density(path: str | Path, bins: int = BINS) -> Mapping[str, int] | Density:
    """Pictures of each expression where every row of the CSV file names one, else its density.

    The name stands in the column ``expression`` or ``label``, adjectives allowed.

    Raises
    ------
    UsageError
        If there is neither such a column nor valence and arousal, or a row is not valid.
    """
    table = read_rows(path, "match")
    has_va = {"valence", "arousal"} <= set(table.columns)
    column = next((name for name in LABELS if name in table.columns), "")
    if column:
        empty = [line for line, row in table.rows if not row[column]]
        if not empty:
            return _classes(table, column)
        if not has_va:
            raise UsageError(
                f"match: {table.place(empty[0])}: expected a value as {column}, got none"
            )
    if has_va or table.columns[0].replace(" ", "") in CORNER:
        return read_density(path, bins, "match")
    raise UsageError(
        f"match: expected a column expression or label, or valence and arousal, in {path}, got "
        f"{', '.join(table.columns)[:120]}; rename the column"
    )


def _classes(table: CsvRows, column: str) -> Mapping[str, int]:
    found: Counter[str] = Counter()
    for line, row in table.rows:
        try:
            found[expression_name(row[column])] += 1
        except TargetError:
            raise UsageError(
                f"match: {table.place(line)}: column {column}: expected one of "
                f"{', '.join(EXPRESSIONS)}, got {row[column]!r}; write names, not numbers"
            ) from None
    return {name: found[name] for name in EXPRESSIONS if found[name]}


def _labelled(table: CsvRows, bins: int, what: str) -> Density:
    if missing := [c for c in ("valence", "arousal") if c not in table.columns]:
        raise UsageError(
            f"{what}: expected the columns valence and arousal, or a table of bins that begins "
            f"with {CORNER[0]}, in {table.path}, got {', '.join(table.columns)[:120]}; add "
            f"{', '.join(missing)}"
        )
    points = []
    for line, row in table.rows:
        place = f"{what}: {table.place(line)}"
        numbers = [number_of(row[column], place, column) for column in ("valence", "arousal")]
        try:
            va = VA(*numbers)
        except TargetError as error:
            raise UsageError(f"{place}: {error}") from None
        points.append((va.valence, va.arousal))
    counts, edges, inside = va_histogram(points, bins)
    return Density(counts.astype(np.float64), edges, inside)


def _binned(table: CsvRows, what: str) -> Density:
    corner, *names = table.columns
    header = f"{what}: {table.path}"
    arousal = [number_of(name, header, "lower edge in the header") for name in names]
    valence = [
        number_of(row[corner], f"{what}: {table.place(line)}", corner) for line, row in table.rows
    ]
    if arousal != valence:
        raise UsageError(
            f"{header}: expected the same lower edges in the header and the first column, "
            f"got {len(arousal)} and {len(valence)} that differ"
        )
    try:
        edges = np.array([*arousal, 1.0])
        inside = bin_areas(edges)
    except ShapeError:
        raise UsageError(
            f"{header}: expected lower edges rising from -1 to below 1, got {', '.join(names)}"
        ) from None
    counts = np.zeros(inside.shape)
    for i, (line, row) in enumerate(table.rows):
        place = f"{what}: {table.place(line)}"
        counts[i] = [number_of(row[name], place, f"column {name}") for name in names]
        if (counts[i] < 0).any() or counts[i][inside[i] == 0].any():
            raise UsageError(f"{place}: expected 0 or more, and 0 in bins outside the disc")
    if not counts.sum() > 0:
        raise UsageError(f"{header}: expected some pictures, got only zeros")
    return Density(counts, edges, inside, shares=bool((counts != np.round(counts)).any()))

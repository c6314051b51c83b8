"""``losses.csv`` of a training run: one row every so many iterations, means in between."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.image_files import write_atomic

__all__ = ["LossTable"]

Float = NDArray[np.float64]


class LossTable:
    """Losses by iteration, on disk and in memory.

    A loss that is absent from some steps (the paired one, where no item of the batch
    has a partner) is averaged over the steps that had it.

    Parameters
    ----------
    path : Path
        The table; what it holds up to `iteration` is kept, later rows are dropped.
    iteration : int
        Where the run goes on.
    """

    def __init__(self, path: Path, iteration: int = 0) -> None:
        self.path = path
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.names: list[str] = []
        self._sums: dict[str, list[float]] = {}
        if iteration and path.exists():
            self._read(iteration)
        self._write()

    def _read(self, iteration: int) -> None:
        with open(self.path, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if not row["iteration"].isdigit() or int(row["iteration"]) > iteration:
                    break  # after the saved state, or torn
                values = {k: float(v) for k, v in row.items() if k != "iteration" and v}
                self.names += [name for name in values if name not in self.names]
                self.rows.append((int(row["iteration"]), values))

    def _write(self) -> None:
        text = "".join([self._line("iteration", self.names), *map(self._row, self.rows)])
        write_atomic(self.path, text.encode())

    def _line(self, first: object, rest: list[Any]) -> str:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerow([first, *rest])
        return text.getvalue()

    def _row(self, row: tuple[int, dict[str, float]]) -> str:
        iteration, values = row
        cells = [f"{values[n]:.6g}" if n in values else "" for n in self.names]
        return self._line(iteration, cells)

    def add(self, losses: Mapping[str, float]) -> None:
        """Count the losses of one step into the next row."""
        for name, value in losses.items():
            total = self._sums.setdefault(name, [0.0, 0.0])
            total[0] += value
            total[1] += 1

    def close_row(self, iteration: int) -> None:
        """Write the means since the last row."""
        values = {name: total / count for name, (total, count) in self._sums.items()}
        self._sums = {}
        if not values:
            return
        new = [name for name in values if name not in self.names]
        self.names += new
        self.rows.append((iteration, values))
        if new:  # another column: the head changes
            self._write()
        else:
            with open(self.path, "a", encoding="utf-8", newline="") as file:
                file.write(self._row(self.rows[-1]))

    def state(self) -> dict[str, list[float]]:
        """Sums and counts since the last row, for `torch.save`."""
        return {name: list(total) for name, total in self._sums.items()}

    def restore(self, state: Mapping[str, list[float]]) -> None:
        """Take up sums kept by `state`."""
        self._sums = {name: list(total) for name, total in state.items()}

    def curves(self) -> dict[str, tuple[Float, Float]]:
        """Iterations and values, (n,) each, by loss."""
        found = {}
        for name in self.names:
            points = [(i, values[name]) for i, values in self.rows if name in values]
            array = np.array(points, np.float64).reshape(-1, 2)
            found[name] = array[:, 0], array[:, 1]
        return found

"""Which faces meet in a batch: shuffled without repetition, kinds mixed at a given ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from synth.errors import UsageError
from synth.recognition.faces import FaceSet

__all__ = ["Batches", "kinds_of"]

Tensor = Any


def kinds_of(faces: FaceSet, batch: int, ratio: float | None) -> list[tuple[Tensor, int]]:
    """Positions of each kind of face, and how many of it a batch holds.

    Without a ratio there is one kind; with one, the share of real photos in each batch is
    ``round(ratio * batch)``, and the others are synthetic.

    Raises
    ------
    UsageError
        If a ratio is asked for of faces of one kind.
    """
    if ratio is None:
        return [(torch.arange(len(faces)), min(batch, len(faces)))]
    real = torch.tensor([origin == "real" for origin in faces.origin])
    if real.all() or not real.any():
        got = "real" if real.all() else "synthetic"
        raise UsageError(
            f"ratio: expected real and synthetic faces to mix, got {got} ones alone; add a set "
            "with --extra, or leave --ratio out"
        )
    count = round(ratio * batch)
    if not 0 < count < batch:
        raise UsageError(
            f"ratio: expected at least one face of either kind in a batch of {batch}, got "
            f"{count} real ones; change --ratio or --batch"
        )
    return [(torch.nonzero(real)[:, 0], count), (torch.nonzero(~real)[:, 0], batch - count)]


class Batches:
    """Endless batches of positions.

    Each kind has a shuffled order of its own, made anew when it runs out: over any stretch
    each face of a kind is seen as often as the others, give or take one.

    Parameters
    ----------
    kinds : sequence of (positions, count in a batch)
    rng : torch.Generator
        Also used by the caller; its state is the caller's to keep.
    """

    def __init__(self, kinds: Sequence[tuple[Tensor, int]], rng: torch.Generator) -> None:
        self.kinds, self.rng = tuple(kinds), rng
        self._orders: list[Tensor] = [positions[:0] for positions, _ in kinds]

    @property
    def size(self) -> int:
        """Faces in a batch."""
        return sum(count for _, count in self.kinds)

    def draw(self) -> Tensor:
        """(size,) positions of the next batch."""
        return torch.cat([self._next(number) for number in range(len(self.kinds))])

    def _next(self, number: int) -> Tensor:
        positions, count = self.kinds[number]
        order = self._orders[number]
        while len(order) < count:
            order = torch.cat(
                [order, positions[torch.randperm(len(positions), generator=self.rng)]]
            )
        self._orders[number] = order[count:]
        return order[:count]

    def state(self) -> dict[str, Any]:
        """What is left of each order."""
        return {"orders": list(self._orders)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a `state`."""
        self._orders = list(state["orders"])

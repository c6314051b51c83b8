"""Progress on a terminal, the closing summary, and Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from synth.batch import Event

__all__ = ["Tally", "follow", "interruptible"]


@contextmanager
def interruptible(work: str = "finishing the pictures in work") -> Iterator[Callable[[], bool]]:
    """A function that tells whether Ctrl-C was pressed; the second press interrupts at once.

    SIGTERM counts as Ctrl-C. `work` is what is done before the run ends.
    """
    pressed = threading.Event()

    def on_interrupt(*_: object) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()
        click.echo(f"\n{work}; Ctrl-C again to drop it", err=True)

    before = [signal.signal(n, on_interrupt) for n in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield pressed.is_set
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)


@dataclass
class Tally:
    """Counts of a run."""

    pictures: int = 0
    photos: set[str] = field(default_factory=set)
    skipped: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def summary(self, root: Path, already: int, interrupted: bool) -> str:
        """The closing lines."""
        rate = f" in {self.seconds:.1f} s, {self.pictures / max(self.seconds, 1e-9):.1f} a second"
        lines = [f"{_count(self.pictures, 'picture')} of {_count(len(self.photos), 'photo')}{rate}"]
        if already:
            lines.append(f"{_count(already, 'picture')} had been made before")
        if self.skipped:
            reasons = ", ".join(f"{name} {n}" for name, n in self.skipped.most_common())
            total = sum(self.skipped.values())
            lines.append(f"{total} skipped: {reasons}; see {root / 'skipped.csv'}")
        lines.append(f"pictures in {root / 'images'}, labels in {root / 'metadata.csv'}")
        if interrupted:
            lines.append("interrupted: run the same command again to finish")
        return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def follow(events: Iterable[Event], total: int, tally: Tally) -> None:
    """Consume the events of a run, counting; with a bar where stderr is a terminal."""
    from tqdm import tqdm

    from synth.batch import Done
    from synth.records import Skip

    start = time.perf_counter()
    with tqdm(total=total, unit=" pictures", file=sys.stderr, disable=None, leave=False) as bar:
        finished = 0
        for event in events:
            if isinstance(event, Done):
                finished += event.targets
                bar.update(max(0, finished - bar.n))  # what was skipped counts as passed
            elif isinstance(event, Skip):
                tally.skipped[event.reason] += 1
            else:
                tally.pictures += 1
                tally.photos.add(event.record.source)
                if bar.n < total:  # with --face all there may be more
                    bar.update()
    tally.seconds = time.perf_counter() - start

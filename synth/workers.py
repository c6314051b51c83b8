"""One task after the other, or several processes: the same results, in the tasks' order."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from typing import Any, TypeVar

from synth.errors import SynthError
from synth.threads import one_thread, one_thread_for_good

__all__ = ["results_of"]

State = TypeVar("State")
Task = TypeVar("Task")
Result = TypeVar("Result")


def results_of(
    do: Callable[[State, Task], Result],
    make: Callable[[], State],
    tasks: Sequence[Task],
    workers: int,
    chunksize: int = 1,
) -> Generator[Result, None, None]:
    """What `do` gives for each task, by so many processes of one thread each.

    Closing the generator, as ``contextlib.closing`` does, drops what has not begun.

    Parameters
    ----------
    do : callable
        A function of a module: takes the state and a task.
    make : callable
        Makes the state, once in every process; travels to them, as ``functools.partial`` does.
    tasks : sequence
    workers : int
        With 1, or a single task, everything is done in this process.
    chunksize : int
        Tasks handed to a process at a time.

    Raises
    ------
    SynthError
        If a process died.
    """
    workers = min(workers, len(tasks))
    if workers <= 1:
        with one_thread():
            state = make()
            for task in tasks:
                yield do(state, task)
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start, (make,))
    try:
        yield from pool.map(partial(_in_worker, do), tasks, chunksize=chunksize)
    except BrokenProcessPool:
        raise SynthError(
            "workers: expected them to live, got one that died, perhaps for want of memory; "
            "run the same command again, with fewer --workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_state: Any = None


def _start(make: Callable[[], Any]) -> None:
    global _state
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells when to stop
    one_thread_for_good()
    _state = make()


def _in_worker(do: Callable[[Any, Task], Result], task: Task) -> Result:
    return do(_state, task)

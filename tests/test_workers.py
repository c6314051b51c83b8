"""Results come in the tasks' order, the same for any number of processes."""

from __future__ import annotations

import operator
import os
import signal
from functools import partial

import pytest

from synth.errors import SynthError
from synth.workers import results_of


@pytest.mark.parametrize("workers", [1, 2])
def test_results_are_in_the_order_of_the_tasks(workers):
    found = list(results_of(operator.add, partial(int, "10"), range(5), workers, chunksize=2))
    assert found == [10, 11, 12, 13, 14]


def test_the_state_is_made_where_it_is_used():
    assert set(results_of(operator.add, os.getpid, [0, 0], 1)) == {os.getpid()}
    assert os.getpid() not in set(results_of(operator.add, os.getpid, [0, 0], 2))


def test_no_tasks_give_nothing():
    assert list(results_of(operator.add, partial(int, "1"), [], 4)) == []


def test_a_dead_process_is_one_line():
    with pytest.raises(SynthError, match="workers: expected them to live"):
        list(results_of(os.kill, os.getpid, [0, signal.SIGKILL, 0], 2))

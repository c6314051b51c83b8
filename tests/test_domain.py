"""Telling translated faces from real ones: known answers, and nobody on both sides of a fold."""

from __future__ import annotations

import numpy as np
import pytest

from synth.errors import UsageError
from synth.evaluation.domain import deal, told_apart, told_apart_by


def people_of(count: int, each: int, word: str) -> list[str]:
    return [f"{word}{i // each}" for i in range(count * each)]


def test_sets_of_one_distribution_are_not_told_apart():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(60, 6)), rng.normal(size=(60, 6))
    found = told_apart_by(a, b, people_of(20, 3, "a"), people_of(20, 3, "b"))
    assert abs(found["accuracy"] - 0.5) < 0.1
    assert found["low"] < found["accuracy"] < found["high"]


def test_a_shift_is_found_though_one_column_is_sometimes_unknown_and_one_constant():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(40, 6)), rng.normal(size=(40, 6))
    b[:, 2] += 5
    a[::4, 1] = np.nan
    a[:, 5] = b[:, 5] = 3
    found = told_apart_by(a, b, people_of(20, 2, "a"), people_of(8, 5, "b"))
    assert found["accuracy"] > 0.95


def test_what_only_differs_between_people_does_not_count():
    # Everyone has a look of their own and 20 pictures of it: a classifier that may see
    # a person's other pictures knows all of them, one that may not can only guess.
    rng = np.random.default_rng(2)
    looks = rng.normal(size=(16, 40)).repeat(20, axis=0)
    pictures = looks + 0.05 * rng.normal(size=looks.shape)
    people = people_of(16, 20, "p")
    grouped = told_apart_by(pictures[:160], pictures[160:], people[:160], people[160:])
    alone = [str(i) for i in range(320)]
    leaking = told_apart_by(pictures[:160], pictures[160:], alone[:160], alone[160:], repeats=1)
    assert leaking["accuracy"] > 0.95
    assert grouped["accuracy"] < 0.7


def test_everyone_counts_the_same_however_often_photographed():
    # Person b0 cannot be told from the others' side, and has as many pictures as the rest.
    rng = np.random.default_rng(3)
    a = rng.normal(size=(40, 1))
    b = 8 + rng.normal(size=(18, 1))
    b[:9] -= 8
    names = ["b0"] * 9 + [f"b{i}" for i in range(1, 10)]
    found = told_apart_by(a, b, people_of(40, 1, "a"), names)
    assert found["accuracy"] == pytest.approx((1 + 0.9) / 2, abs=0.05)


def test_a_person_of_both_sides_is_in_one_fold():
    rng = np.random.default_rng(4)
    first, second = ["x", "y", "z", "u", "v"], ["x", "y", "p", "q", "r", "s"]
    for _ in range(20):
        of = deal(first, second, 3, rng)
        assert set(of) == set(first) | set(second)
        for side in (first, second):
            assert {of[name] for name in side} == {0, 1, 2}


def test_the_same_seed_gives_the_same_numbers():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(12, 4)), rng.normal(0.5, 1, size=(12, 4))
    names = people_of(6, 2, "a"), people_of(6, 2, "b")
    assert told_apart_by(a, b, *names) == told_apart_by(a, b, *names)


@pytest.mark.parametrize(
    "people, message",
    [(["a"] * 4, "at least two different people"), (["a", "b"], "a name for each of 4")],
)
def test_too_few_people_are_refused(people, message):
    with pytest.raises(UsageError, match=message):
        told_apart_by(np.zeros((4, 2)), np.zeros((4, 2)), people, ["c", "d", "e", "f"])


def test_only_those_that_count_are_counted():
    # Person b0 looks translated; the others of the real side do not.
    rng = np.random.default_rng(6)
    a, b = rng.normal(size=(20, 2)), 8 + rng.normal(size=(20, 2))
    b[:2] -= 8
    names = people_of(10, 2, "a"), people_of(10, 2, "b")
    alone = told_apart_by(a, b, *names, counted=["b0"])
    others = told_apart_by(a, b, *names, counted=["b1", "b2"])
    assert alone["accuracy"] == pytest.approx(0.5, abs=0.05)
    assert others["accuracy"] > 0.95
    with pytest.raises(UsageError, match="counted: expected some of b0, .*, got nobody"):
        told_apart_by(a, b, *names, counted=["nobody"])


def test_families_are_told_apart_one_by_one():
    rng = np.random.default_rng(7)
    a = {"contrast": rng.normal(size=(30, 3)), "texture": rng.normal(size=(30, 3))}
    b = {"contrast": rng.normal(size=(24, 3)), "texture": 6 + rng.normal(size=(24, 3))}
    names = people_of(15, 2, "a"), people_of(8, 3, "b")
    found = told_apart(a, b, *names, families=["contrast", "texture"])
    each = [found["families"][name]["accuracy"] for name in ("contrast", "texture")]
    assert each[0] < 0.75 and each[1] > 0.95
    assert found["mean"] == pytest.approx(np.mean(each))
    sizes = [found[f"{what}_{side}"] for what in ("n", "people") for side in ("translated", "real")]
    assert sizes == [30, 24, 15, 8]
    with pytest.raises(UsageError, match="families: expected some of contrast, .*, got 'looks'"):
        told_apart(a, b, *names, families=["looks"])


def test_two_people_with_a_picture_each_are_enough():
    a, b = np.array([[0.0], [0.1]]), np.array([[5.0], [5.1]])
    assert told_apart_by(a, b, ["x", "y"], ["x", "y"])["accuracy"] == 1
    assert told_apart_by(a, b, ["x", "y"], ["u", "v"])["accuracy"] == 1
    assert told_apart_by(a, a, ["x", "y"], ["x", "y"])["accuracy"] == 0.5

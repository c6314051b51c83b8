"""Smile against neutral: AUC, pairs, minus own neutral, against scikit-learn and naive loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as reference

from synth.errors import ShapeError
from synth.metrics import intervals
from synth.metrics.discrimination import (
    auc,
    discrimination,
    minus_own,
    pair_accuracy,
    paired_discrimination,
)


def some_faces(seed: int, people: int = 12, each: int = 4) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    positive = rng.random((people, each)) < 0.5
    values = np.round(0.5 * positive + rng.normal(size=(people, 1)) + rng.normal(
        size=positive.shape), 1)  # fmt: skip
    subjects = np.repeat([f"p{i}" for i in range(people)], each)
    return values.ravel(), positive.ravel(), subjects


@pytest.mark.parametrize("seed", range(5))
def test_auc_agrees_with_scikit_learn(seed):
    values, positive, _ = some_faces(seed, 40)
    assert len(set(values)) < len(values)  # ties
    wanted = reference.roc_auc_score(positive, values)
    assert auc(values, positive) == pytest.approx(wanted, abs=1e-12)


def test_auc_by_hand():
    # 3 over 1 and 2, 2 over 1 and level with 2: 3.5 of 4 pairs
    assert auc([3, 2, 1, 2], [1, 1, 0, 0]) == 3.5 / 4
    assert auc([5, 5, 5], [1, 0, 0]) == 0.5  # constant: chance
    assert math.isnan(auc([1, 2], [1, 1])) and math.isnan(auc([1], [0]))


def test_pair_accuracy_by_hand():
    # a right; b wrong; c level: one half; d has no neutral picture
    values = [0.4, 0.1, 0.2, 0.3, 0.5, 0.5, 0.9]
    positive = [1, 0, 1, 0, 1, 0, 1]
    assert pair_accuracy(values, positive, list("aabbccd")) == 0.5
    # two smiling pictures, one above the neutral one: a half, and counted once
    assert pair_accuracy([1, 3, 2, 5, 4], [1, 1, 0, 1, 0], list("aaabb")) == 0.75
    assert math.isnan(pair_accuracy([1, 2], [1, 0], ["a", "b"]))


def test_intervals_agree_with_a_naive_bootstrap():
    values, positive, subjects = some_faces(7)
    names = list(subjects)
    own = intervals.intervals(
        [auc], values, positive.astype(float), names, 60, 0.9, 2
    )  # target and estimate as the measure takes them
    found = discrimination(values, positive, names, 60, 0.9, 2)
    for end in ("value", "low", "high", "n", "subjects", "undefined"):
        wanted = getattr(own[auc], end)
        assert getattr(found["auc"], end) == pytest.approx(wanted, abs=1e-9)
    of = {p: pair_accuracy(values[subjects == p], positive[subjects == p], [p] * 4) for p in names}
    both = [of[p] for p in dict.fromkeys(names) if not math.isnan(of[p])]
    rng = np.random.default_rng(2)
    drawn = [np.mean([both[i] for i in rng.integers(0, len(both), len(both))]) for _ in range(60)]
    pairs = found["pair_accuracy"]
    assert (pairs.low, pairs.high) == pytest.approx(np.quantile(drawn, [0.05, 0.95]), abs=1e-9)
    assert (pairs.n, pairs.subjects) == (4 * len(both), len(both)) and len(both) < 12


def test_differences_are_paired():
    values, positive, subjects = some_faces(8, 30)
    better = values + 0.05 * positive
    same = paired_discrimination(values, values, positive, list(subjects), 100)
    assert all((d.value, d.low, d.high, d.p) == (0, 0, 0, 1) for d in same.values())
    found = paired_discrimination(values, better, positive, list(subjects), 300)["auc"]
    wanted = auc(better, positive) - auc(values, positive)
    alone = discrimination(values, positive, list(subjects), 300)["auc"]
    assert found.value == pytest.approx(wanted) and wanted > 0
    assert found.high - found.low < 0.3 * (alone.high - alone.low)


def test_one_person_and_one_kind_have_no_interval():
    one = discrimination([0.1, 0.9], [0, 1], ["a", "a"], 20)
    assert all(found.value == 1 and math.isnan(found.low) for found in one.values())
    stuck = discrimination([0.1, 0.9], [1, 1], ["a", "b"], 20)
    assert all(math.isnan(found.value) for found in stuck.values())
    assert stuck["auc"].undefined == 20
    nobody = discrimination([0.1, 0.9], [0, 1], ["a", "b"], 20)["pair_accuracy"]
    assert math.isnan(nobody.value) and (nobody.n, nobody.subjects, nobody.undefined) == (0, 0, 20)
    rare = discrimination([1, 2, 3, 4], [0, 0, 0, 1], list("abcd"), 400)["auc"]
    assert rare.value == 1 and 400 * 0.2 < rare.undefined < 400 * 0.5  # (3/4)^4 = .32 lack it


def test_minus_own_takes_the_mean_of_the_persons_other_neutral_pictures():
    values = np.array([[1, 0.5], [3, 0.5], [5, 1], [7, 2], [9, 9]])
    found = minus_own(values, [1, 1, 0, 0, 0], list("aaabb"))
    np.testing.assert_array_equal(found[:3], [[-2, 0], [2, 0], [3, 0.5]])
    assert np.isnan(found[3:]).all()  # b has no neutral picture
    single = minus_own(values[:3, 0], [1, 0, 0], list("aaa"))
    np.testing.assert_array_equal(single, [np.nan, 2, 4])  # never with itself
    assert np.isnan(minus_own([np.nan, 1], [1, 0], list("aa"))).all()
    unread = minus_own([np.nan, 1, 2], [1, 1, 0], list("aaa"))
    np.testing.assert_array_equal(unread, [np.nan, np.nan, 1])


def test_minus_own_agrees_with_a_naive_loop():
    rng = np.random.default_rng(3)
    values, neutral = rng.normal(size=80), rng.random(80) < 0.3
    values[rng.random(80) < 0.1] = np.nan
    subjects = rng.choice(list("abcdefghij"), 80)
    wanted = np.full(80, np.nan)
    for i in range(80):
        rest = [
            values[k]
            for k in range(80)
            if k != i and neutral[k] and subjects[k] == subjects[i] and np.isfinite(values[k])
        ]
        if rest:
            wanted[i] = values[i] - np.mean(rest)
    np.testing.assert_allclose(minus_own(values, neutral, list(subjects)), wanted, atol=1e-12)
    offset = np.array([ord(name) for name in subjects]) / 10  # of whole persons: cancels
    np.testing.assert_allclose(minus_own(values + offset, neutral, list(subjects)), wanted,
                               atol=1e-12)  # fmt: skip


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: auc([], []), "N > 0"),
        (lambda: auc([np.nan, 0], [0, 1]), "finite"),
        (lambda: auc([0, 1], [0, 2]), "true or false"),
        (lambda: auc([0, 1], [0]), "expected 2 of true or false"),
        (lambda: pair_accuracy([0, 1], [0, 1], ["a"]), "subjects: expected 2"),
        (lambda: discrimination([0, 1], [0, 1], ["a", ""]), "none for some"),
        (lambda: discrimination([0, 1], [0, 1], ["a", "b"], folds=0), "folds: expected"),
        (lambda: discrimination([0, 1], [0, 1], ["a", "b"], level=95), "level: expected"),
        (lambda: minus_own([0, np.inf], [0, 1], ["a", "b"]), "got infinity"),
        (lambda: minus_own(np.zeros((1, 1, 1)), [0], ["a"]), r"got \(1, 1, 1\)"),
        (lambda: minus_own([0, 1], [0], ["a", "b"]), "is_neutral: expected 2"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ShapeError, match=words):
        call()
